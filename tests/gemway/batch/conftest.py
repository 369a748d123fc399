"""What the tests of batches share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODEL = "gemini-2.5-flash"


@pytest.fixture
def out(gateway_environment, tmp_path: Path) -> Path:
    """A file for answers, with a gateway in the environment."""
    return tmp_path / "answers.jsonl"


@pytest.fixture
def read() -> Callable[[Path], list[dict[str, Any]]]:
    """Return the lines of an output."""
    return lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def prompts(emulator) -> Callable[[], list[str]]:
    """Return the prompts that the emulator has been asked."""
    return lambda: [entry.json["contents"][0]["parts"][0]["text"] for entry in emulator.requests]


@pytest.fixture
def echo(emulator) -> None:
    """Let the emulator answer with the prompt, with 400 if it holds "fail", and refuse it if it holds "evil"."""
    from gemway_emulator import reply

    async def answer(request):
        if "fail" in request.prompt:
            return reply.error(400, message="cannot")
        if "evil" in request.prompt:
            return reply.blocked("PROHIBITED_CONTENT")
        return reply.text(f"echo {request.prompt}")

    emulator.respond = answer
