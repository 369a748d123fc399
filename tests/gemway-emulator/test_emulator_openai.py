"""`upstream=`: an OpenAI-compatible server answers. Here it is a scripted server of this test."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from gemway_emulator import Emulator

LOOK = {
    "name": "look",
    "description": "Look at a place",
    "parameters": {
        "type": "OBJECT",
        "properties": {"place": {"type": "STRING", "nullable": True}},
        "required": ["place"],
    },
}


class Server(ThreadingHTTPServer):
    """Keeps the bodies it gets and answers with `script`, one entry per chat request: a dict, a list of chunks, (status, text)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies, self.script, self.keys = [], [], []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.reply(200, {"data": [{"id": "llama3.2"}, {"id": "qwen3"}]})

    def do_POST(self):
        self.server.keys.append(self.headers.get("authorization"))
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        answer = self.server.script.pop(0)
        if isinstance(answer, tuple):
            self.reply(*answer)
        elif isinstance(answer, list):
            events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in answer) + "data: [DONE]\n\n"
            self.reply(200, events, "text/event-stream")
        else:
            self.reply(200, answer)

    def reply(self, status, value, kind="application/json"):
        data = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        """Be quiet."""


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(server):
    with Emulator(upstream=server.url) as emulator:

        def post(body, model="gemini-2.5-flash", action="generateContent", expected=200):
            query = "?alt=sse" if action.startswith("stream") else ""
            answer = httpx.post(
                f"{emulator.base_url}/v1beta/models/{model}:{action}{query}",
                json=body,
                headers={"Authorization": "Bearer sk-local"},
                timeout=20,
            )
            assert answer.status_code == expected, answer.text
            return answer

        yield post


def user(*parts):
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def message(content=None, *, finish="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **fields}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}}


def tool_call(arguments, **fields):
    return {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}, **fields}


def test_text_is_translated_both_ways(ask, server):
    """System, history, options and picture go there; text, reason and counts come back."""
    server.script.append(message("Two foxes."))
    picture = {"inlineData": {"mimeType": "image/png", "data": "__79"}}
    body = {
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "contents": [user("hi"), {"role": "model", "parts": [{"text": "hello"}]}, user("What is it?", picture)],
        "generationConfig": {"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 30, "stopSequences": ["x"], "seed": 7},
    }

    answer = ask(body).json()

    candidate, usage = answer["candidates"][0], answer["usageMetadata"]
    assert candidate["content"] == {"role": "model", "parts": [{"text": "Two foxes."}]}
    assert candidate["finishReason"] == "STOP"
    assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["totalTokenCount"]) == (11, 5, 16)
    [sent] = server.bodies
    assert sent["model"] == "llama3.2"  # the first that the server has
    assert sent["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,//79"}}]},
    ]  # fmt: skip
    assert [sent[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed")] == [0.5, 0.9, 30, ["x"], 7]


def test_the_servers_own_model_is_asked_by_name(ask, server):
    """A model that the server has may be named in the request, whatever Google calls its own."""
    server.script.append(message("x"))
    ask({"contents": [user("hi")]}, "qwen3")

    assert server.bodies[0]["model"] == "qwen3"


def test_tools_make_a_whole_round(ask, server):
    """Declarations in JSON Schema, calls with an id, results under that id."""
    server.script += [message(finish="tool_calls", tool_calls=[tool_call('{"place": "Oslo"}')]), message("Snow.")]
    tools = [{"functionDeclarations": [LOOK]}]
    calling = {"functionCallingConfig": {"mode": "ANY"}}

    call = ask({"contents": [user("Look")], "tools": tools, "toolConfig": calling}, "gemini-3-flash-preview").json()
    part = call["candidates"][0]["content"]["parts"][0]
    assert (part["functionCall"]["name"], part["functionCall"]["args"]) == ("look", {"place": "Oslo"})
    assert part["thoughtSignature"]  # as Gemini 3 signs its calls
    result = {"functionResponse": {"name": "look", "response": {"result": "snow"}}}
    talk = [user("Look"), {"role": "model", "parts": [part]}, user(result)]
    answer = ask({"contents": talk, "tools": tools}, "gemini-3-flash-preview").json()

    assert answer["candidates"][0]["content"]["parts"][0]["text"] == "Snow."
    first, second = server.bodies
    assert first["tool_choice"] == "required"
    assert first["tools"][0]["function"]["parameters"] == {
        "type": "object", "properties": {"place": {"type": ["string", "null"]}}, "required": ["place"]
    }  # fmt: skip
    spoken, returned = second["messages"][1:]
    assert returned == {"role": "tool", "tool_call_id": spoken["tool_calls"][0]["id"], "content": "snow"}
    assert second["tool_choice"] == "auto"


def test_a_schema_is_the_response_format(ask, server):
    """JSON with a schema, and JSON without one."""
    server.script += [message('{"a": 1}'), message("{}")]
    schema = {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}
    answer = ask(
        {
            "contents": [user("x")],
            "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema},
        }
    )
    ask({"contents": [user("x")], "generationConfig": {"responseMimeType": "application/json"}})

    assert answer.json()["candidates"][0]["content"]["parts"][0]["text"] == '{"a": 1}'
    formats = [body["response_format"] for body in server.bodies]
    assert formats[0]["json_schema"]["schema"] == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert formats[1] == {"type": "json_object"}


def delta(finish=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def chunks(answer):
    return [json.loads(event[6:]) for event in answer.text.split("\r\n\r\n") if event]


def test_streams_are_translated_as_they_come(ask, server):
    """One event per piece, calls whole at the end, the reason and the counts on the last."""
    server.script.append(
        [
            delta(role="assistant", content="Let "),
            delta(content="me look."),
            delta(tool_calls=[tool_call('{"pla', index=0)]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": 'ce": "Oslo"}'}}]),
            delta("tool_calls"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
        ]
    )

    events = chunks(
        ask({"contents": [user("x")], "tools": [{"functionDeclarations": [LOOK]}]}, action="streamGenerateContent")
    )

    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert [part.get("text") for part in parts[:2]] == ["Let ", "me look."]
    assert parts[2]["functionCall"]["args"] == {"place": "Oslo"}
    assert [event["candidates"][0].get("finishReason") for event in events] == [None, None, "STOP"]
    assert events[-1]["usageMetadata"]["totalTokenCount"] == 7
    assert server.bodies[0]["stream"] is True


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (message("cut", finish="length"), "MAX_TOKENS"),
        (message(None, finish="content_filter"), "SAFETY"),
        (message(finish="tool_calls", tool_calls=[tool_call('{"place": ')]), "MALFORMED_FUNCTION_CALL"),
    ],
    ids=["length", "filter", "broken call"],
)
def test_other_ends_get_googles_names(ask, server, answer, reason):
    """`length`, `content_filter`, and arguments that are no JSON."""
    server.script.append(answer)

    assert ask({"contents": [user("x")]}).json()["candidates"][0]["finishReason"] == reason


@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent"])
def test_errors_of_the_server_are_googles(ask, server, action):
    """The status stays, the message names its source; it is no broken stream."""
    server.script.append((404, {"error": {"message": "model not found", "type": "x"}}))

    error = ask({"contents": [user("x")]}, action=action, expected=404).json()["error"]

    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["message"] == "The upstream server: model not found"


def test_a_server_that_is_not_there_is_unavailable():
    """503, so that a client retries."""
    with Emulator(upstream="http://127.0.0.1:9/v1") as emulator:
        url = f"{emulator.base_url}/v1beta/models/gemini-2.5-flash:generateContent"
        answer = httpx.post(url, json={"contents": [user("x")]}, headers={"Authorization": "Bearer sk-local"})

    assert answer.status_code == 503
    assert "did not answer" in answer.text


def test_thoughts_and_keys(server):
    """Reasoning comes as thoughts when they are asked for; the server gets its own key, never the gateway's."""
    server.script.append(message("Yes.", reasoning_content="Hm."))
    with Emulator(upstream=server.url, upstream_key="sk-theirs", upstream_model="big") as emulator:
        answer = httpx.post(
            f"{emulator.base_url}/v1beta/models/gemini-2.5-flash:generateContent",
            json={"contents": [user("x")], "generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
            headers={"Authorization": "Bearer sk-local"},
        )

    assert [part.get("thought", False) for part in answer.json()["candidates"][0]["content"]["parts"]] == [True, False]
    assert server.keys == ["Bearer sk-theirs"]
    assert server.bodies[0]["model"] == "big"
