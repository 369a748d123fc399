"""Recorded answers, changed byte by byte and value by value. Seeded: the same seed gives the same mutants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

# What takes the place of a value of JSON: wrong types, extremes, words that mean something elsewhere.
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    10**400,
    "",
    "x",
    "1,234",
    "STOP",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"text": 1},
    [{}] * 50,
    {"error": {"code": 503, "message": "x"}},
)
PIECES = (
    b"\n",
    b"\n\n",
    b"\r",
    b"data:",
    b"data: ",
    b"[DONE]",
    b"event: ping\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\\ud83d",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"NaN",
    b"<html>",
    b":",
)
LARGEST = 20_000


@dataclass(frozen=True)
class Mutant:
    """One changed answer.

    Attributes:
        number: its place in the sequence; together with the seed it makes the mutant again.
        body: the bytes of the answer.
        streams: whether it is the answer to a stream call.
        status: the HTTP status.
        headers: header lines beside the usual ones.
    """

    number: int
    body: bytes
    streams: bool
    status: int
    headers: dict[str, str]


def mutants(recordings: list[dict[str, Any]], count: int, seed: int) -> Iterator[Mutant]:
    """Yield *count* mutants of *recordings*."""
    chosen = [record for record in recordings if len(_text(record["response"])) <= LARGEST]
    for number in range(count):
        random = Random(f"{seed}-{number}")  # noqa: S311 - repeatable on purpose
        record = random.choice(chosen)
        streams = record["response_kind"] == "sse"
        body = _text(record["response"]).encode("utf-8", "replace")
        for _ in range(random.choice((1, 1, 2, 3))):
            change = random.choice((_change_json, _change_json, _cut, _insert, _flip, _repeat, _swap))
            body = change(body, random, streams=streams)
        status = random.choice((200,) * 12 + (400, 429, 503))
        headers = random.choice(({},) * 6 + ({"content-encoding": "gzip"}, {"content-encoding": "br"}))
        yield Mutant(number, body, streams ^ (random.random() < 0.1), status, headers)


def _text(response: Any) -> str:
    return response if isinstance(response, str) else json.dumps(response)


def _change_json(body: bytes, random: Random, *, streams: bool) -> bytes:
    """Change one value in one event, and write the event as JSON again."""
    lines = body.split(b"\n") if streams else [body]
    places = [at for at, line in enumerate(lines) if line.lstrip(b"data: ")[:1] in (b"{", b"[")]
    if not places:
        return body
    at = random.choice(places)
    prefix = b"data: " if lines[at].startswith(b"data:") else b""
    try:
        value = json.loads(lines[at].removeprefix(b"data:"))
    except (ValueError, RecursionError):
        return body
    lines[at] = prefix + json.dumps(_changed(value, random)).encode()
    return b"\n".join(lines)


def _changed(value: Any, random: Random) -> Any:
    """Return *value* with something in it replaced, removed, renamed or wrapped."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(list(value))
        kind = random.random()
        if kind < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if kind < 0.15:
            return {**value, random.choice(("x", "", "error", "text", "functionCall")): random.choice(VALUES)}
        return {**value, key: _changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.85:
        at = random.randrange(len(value))
        return [*value[:at], _changed(value[at], random), *value[at + (random.random() < 0.9) :]]
    return random.choice((*VALUES, [value], {"x": value}, str(value)[:1000]))


def _cut(body: bytes, random: Random, *, streams: bool) -> bytes:
    return body[: random.randint(0, len(body))] if random.random() < 0.8 else body[random.randint(0, 3) :]


def _insert(body: bytes, random: Random, *, streams: bool) -> bytes:
    at = random.randint(0, len(body))
    return body[:at] + random.choice(PIECES) * random.choice((1, 1, 1, 50)) + body[at:]


def _flip(body: bytes, random: Random, *, streams: bool) -> bytes:
    if not body:
        return body
    at = random.randrange(len(body))
    return body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]


def _repeat(body: bytes, random: Random, *, streams: bool) -> bytes:
    start, end = sorted((random.randint(0, len(body)), random.randint(0, len(body))))
    return body[:end] + body[start:end] * random.randint(1, 3) + body[end:]


def _swap(body: bytes, random: Random, *, streams: bool) -> bytes:
    events = body.split(b"\n\n")
    random.shuffle(events)
    return b"\n\n".join(events)
