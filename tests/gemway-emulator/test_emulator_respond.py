"""`Emulator(respond=function)`: answers that a program computes from the parsed request."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import httpx
import pytest
from gemway_emulator import Emulator, Request, reply

LOOK = {"functionDeclarations": [{"name": "look", "parameters": {"type": "OBJECT", "properties": {}}}]}


def describe(request: Request):
    """Says what it was given; leaves questions without a tool to the emulator."""
    if not request.tools:
        return None
    return reply.text(f"{request.model.name} {request.prompt} {[tool.name for tool in request.tools]} {request.turn}")


async def describe_later(request: Request):
    await asyncio.sleep(0)
    return describe(request)


@pytest.fixture(params=[describe, describe_later], ids=["sync", "async"])
def answering(request, emulator):
    emulator.respond = request.param
    return emulator


def test_a_function_answers(answering, ask, say):
    """It sees model, prompt, tools and turn; None leaves the request to the emulator; streams are answered too."""
    body = {"contents": [say("hi")], "tools": [LOOK]}

    assert ask.text(body) == "gemini-2.5-flash hi ['look'] 0"
    assert "".join(c["candidates"][0]["content"]["parts"][0]["text"] for c in ask.stream(body)).endswith("0")
    assert ask.text("Rex is a dog. Who is Rex?") == "Rex is a dog."


def test_the_turn_counts_steps(answering, ask, say):
    """0 for the first step after a user text, 1 after the first tool results; a new text begins again."""
    call, result = (
        {"functionCall": {"name": "look", "args": {}}},
        {"functionResponse": {"name": "look", "response": {}}},
    )
    contents = [say("hi"), say(call, role="model"), say(result)]

    assert ask.text({"contents": contents, "tools": [LOOK]}).endswith(" 1")
    contents += [say("so", role="model"), say("and?")]
    assert ask.text({"contents": contents, "tools": [LOOK]}).endswith("and? ['look'] 0")


def test_scripted_replies_come_first(answering, ask, say):
    """The queue, then the function, then the emulator."""
    answering.enqueue(reply.text("scripted"))

    assert ask.text({"contents": [say("hi")], "tools": [LOOK]}) == "scripted"


@pytest.mark.parametrize(
    ("function", "words"),
    [(lambda request: "text", "cannot serve 'text'"), (lambda request: 1 / 0, "ZeroDivisionError")],
    ids=["no reply", "exception"],
)
def test_a_function_that_fails_is_a_500_that_says_so(emulator, ask, function, words):
    """The client reads which function failed, and how."""
    emulator.respond = function
    answer = ask.post("hi")

    assert answer.status_code == 500
    assert words in answer.json()["error"]["message"]


def test_a_slow_function_holds_nobody_up(emulator, ask, http):
    """A sync function runs in a thread: other requests are answered meanwhile."""
    emulator.respond = lambda request: time.sleep(0.5) or reply.text("slow")

    async def main():
        headers, url = {"Authorization": "Bearer sk-local"}, f"{emulator.base_url}/v1beta/models/gemini-2.5-flash"
        body = {"contents": [{"parts": [{"text": "hi"}]}]}
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            slow = asyncio.create_task(client.post(f"{url}:generateContent", json=body))
            await asyncio.sleep(0.05)
            await client.get(url)
            was_done = slow.done()
            return was_done, (await slow).json()

    was_done, answer = asyncio.run(main())
    assert not was_done
    assert answer["candidates"][0]["content"]["parts"] == [{"text": "slow"}]


def test_the_command_line_names_a_function(tmp_path):
    """`--respond module:function`, found in the working directory."""
    code = "from gemway_emulator import reply\n\ndef shout(request):\n    return reply.text(request.prompt.upper())\n"
    (tmp_path / "shouting.py").write_text(code)
    command = [sys.executable, "-m", "gemway_emulator", "--port", "0", "--respond", "shouting:shout", "--any-model"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        url = f"{server.stdout.readline().strip()}/v1beta/models/anything:generateContent"
        body = {"contents": [{"parts": [{"text": "hello"}]}]}
        answer = httpx.post(url, json=body, headers={"Authorization": "Bearer sk-local"}).json()
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()

    assert answer["candidates"][0]["content"]["parts"][0]["text"] == "HELLO"


def test_a_function_that_is_not_there_is_named():
    """A mistake in `--respond` ends the program with a line that names it."""
    command = [sys.executable, "-m", "gemway_emulator", "--respond", "no_such_module:function"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "no_such_module" in done.stderr


def test_reset_returns_to_the_constructors_function(ask):
    """Like every option."""
    with Emulator(respond=describe) as emulator:
        emulator.respond = None
        emulator.reset()

        assert emulator.respond is describe
