"""Recorded Gemini traffic: what each exchange holds, read from the recording alone, and a server that replays it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gemway_emulator import Emulator

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "wire"
KEY = "test-key"
ABSENT = f"the recordings are not beside this clone ({Path('..') / 'shared' / 'wire'})"


@cache
def recordings() -> tuple[dict[str, Any], ...]:
    """Every recorded exchange, or none where the folder is absent."""
    file = FOLDER / "dev.jsonl"
    if not file.exists():
        return ()
    with file.open(encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines if line.strip())


def answers() -> list[dict[str, Any]]:
    """Real, successful exchanges of the two generate methods."""
    return [
        record
        for record in recordings()
        if record["provenance"] != "vendor_mock"
        and 200 <= record["status"] < 300
        and record["endpoint"] in ("generateContent", "streamGenerateContent")
    ]


def errors() -> list[dict[str, Any]]:
    """Exchanges that ended in an error answer."""
    return [
        record
        for record in recordings()
        if record["status"] >= 400 and record["endpoint"] in ("generateContent", "streamGenerateContent")
    ]


@contextmanager
def replay(*options: str) -> Iterator[str]:
    """Play all recordings; the value is the base URL. A record is picked by `{base}/r/{id}`.

    The emulator plays the tape. *options* are for the replay server beside the recordings, which cuts stream bodies anywhere.
    """
    if not options:
        with Emulator.replay(FOLDER / "dev.jsonl", api_key=KEY) as emulator:
            yield emulator.base_url
        return
    command = [sys.executable, str(FOLDER / "replay_server.py"), str(FOLDER / "dev.jsonl"), "--port", "0", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(10)
        if server.stdout is not None:
            server.stdout.close()


@dataclass
class Facts:
    """What an exchange says, folded over its chunks."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    media: list[tuple[str, str]] = field(default_factory=list)
    total_tokens: int | None = None
    finish: str | None = None
    signatures: list[str] = field(default_factory=list)


def chunks_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON messages of a recorded answer."""
    response = record["response"]
    if record["response_kind"] == "json":
        return [response]
    if record["response_kind"] in ("chunks", "json_array"):
        return list(response)
    events = response.replace("\r\n", "\n").split("\n\n")
    return [json.loads(event.removeprefix("data:")) for event in events if event.startswith("data:")]


def facts_of(record: dict[str, Any]) -> Facts:
    """What the wire says about the first candidate, read without any code of ours."""
    facts, parts = Facts(), []
    for chunk in chunks_of(record):
        usage = chunk.get("usageMetadata") or {}
        facts.total_tokens = usage.get("totalTokenCount", facts.total_tokens)
        for candidate in (chunk.get("candidates") or [])[:1]:
            reason = candidate.get("finishReason")
            facts.finish = {1: "STOP", 2: "MAX_TOKENS", None: facts.finish}.get(reason, reason)
            parts += (candidate.get("content") or {}).get("parts") or []
    _read_parts(parts, facts)
    return facts


def _read_parts(parts: list[dict[str, Any]], facts: Facts) -> None:
    # A functionResponse in the model's own turn answers a call there: neither is the client's.
    answered = [part["functionResponse"].get("name") for part in parts if "functionResponse" in part]
    for part in parts:
        if part.get("thoughtSignature"):
            facts.signatures.append(part["thoughtSignature"])
        if part.get("text"):
            if part.get("thought"):
                facts.thoughts += part["text"]
            else:
                facts.text += part["text"]
        if "inlineData" in part and not part.get("thought"):
            facts.media.append((part["inlineData"].get("mimeType", ""), part["inlineData"].get("data", "")))
        call = part.get("functionCall")
        if call is not None and call.get("name") in answered:
            answered.remove(call["name"])
        elif call is not None:
            facts.calls.append((call.get("name"), call.get("args") or {}))
