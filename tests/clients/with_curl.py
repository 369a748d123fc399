"""curl with the two commands of a gateway's documentation, and the same for streams and errors."""

from __future__ import annotations

import base64
import json
import subprocess

from checks import BASE_URL, KEY, PAINTER, run, size_of

TEXT = '{"contents":[{"role":"user","parts":[{"text":"Hello, Gemini"}]}],"generationConfig":{"temperature":0.7}}'
PICTURE = (
    '{"contents":[{"role":"user","parts":[{"text":"a neon fox, cinematic"}]}],"generationConfig":'
    '{"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"16:9","imageSize":"2K"}}}'
)


def curl(path: str, body: str, *options: str, key: str = KEY) -> str:
    """What curl prints; the body goes in as a file, since pictures are too long for a command line."""
    head = ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    line = ["curl", "-sS", *options, "-X", "POST", f"{BASE_URL}/v1beta/models/{path}", *head, "--data-binary", "@-"]
    return subprocess.run(line, input=body, capture_output=True, text=True, check=True, timeout=60).stdout


def parts(answer: str) -> list[dict]:
    return json.loads(answer)["candidates"][0]["content"]["parts"]


def chat() -> None:
    answer = json.loads(curl("gemini-2.5-pro:generateContent", TEXT))
    assert answer["candidates"][0]["content"]["parts"][0]["text"]
    assert answer["candidates"][0]["finishReason"] == "STOP"
    assert answer["usageMetadata"]["totalTokenCount"] > 0


def stream() -> None:
    lines = curl("gemini-2.5-pro:streamGenerateContent?alt=sse", TEXT, "-N").split("\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert len(events) >= 2
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    array = json.loads(curl("gemini-2.5-pro:streamGenerateContent", TEXT))
    assert len(array) >= 2


def picture() -> None:
    (part,) = parts(curl(f"{PAINTER}:generateContent", PICTURE))
    assert size_of(base64.b64decode(part["inlineData"]["data"], validate=True)) == (2752, 1536)


def edit() -> None:
    body = json.loads(PICTURE.replace("2K", "1K"))
    (part,) = parts(curl(f"{PAINTER}:generateContent", json.dumps(body)))
    body["contents"] += [{"role": "model", "parts": [part]}, {"role": "user", "parts": [{"text": "make it blue"}]}]
    (changed,) = parts(curl(f"{PAINTER}:generateContent", json.dumps(body)))
    assert changed["inlineData"]["data"] != part["inlineData"]["data"]


def errors() -> None:
    options = ("-w", " %{http_code}")
    assert curl("gemini-2.5-pro:generateContent", TEXT, *options, key="wrong").endswith("401")
    assert curl("no-such-model:generateContent", TEXT, *options).endswith("404")
    assert curl("gemini-2.5-pro:generateContent", "{", *options).endswith("400")


def embeddings() -> None:
    body = '{"content":{"parts":[{"text":"Hello, Gemini"}]}}'
    assert len(json.loads(curl("gemini-embedding-001:embedContent", body))["embedding"]["values"]) == 3072


run({check.__name__: check for check in (chat, stream, picture, edit, errors, embeddings)})
