"""Tapes: recorded exchanges, one JSON object a line, written without keys and matched when they are served again.

A line has `id, method, path, endpoint, model, request, status, response_headers, response_kind (json | sse | chunks | json_array
| text), response`, and for streams `timing`: pairs of (seconds before the piece, characters in it). Long base64 is kept in
files next to the tape.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import difflib
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from gemway_emulator import _messages
from gemway_emulator._errors import GoogleError
from gemway_emulator._http import Outcome
from gemway_emulator._journal import Entry

Json = dict[str, Any]
Pieces = list[tuple[float, str]]
_PATH = re.compile(r"(?:/r/(?P<id>[^/]+))?.*/(?:models|tunedModels)/(?P<model>[^:]+?)(?::(?P<endpoint>\w+))?")
_MESSAGES = {
    "countTokens": "CountTokensRequest",
    "embedContent": "EmbedContentRequest",
    "batchEmbedContents": "BatchEmbedContentsRequest",
}
_LONG_BASE64 = re.compile(r"(?<=\")[A-Za-z0-9+/]{1024,}={0,2}(?=\\?\")")
_FILE = re.compile(r"\$file:([\w.-]+)")
_KINDS = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpg"), (b"RIFF", "webp"), (b"%PDF", "pdf"))
_KEYS = re.compile(r"AIza[\w-]{30,}|\bsk-[\w-]{8,}|(?<=Bearer )[\w.~+/-]{8,}=*|(?<=[?&]key=)[^&\s\"]+")
_KEPT_HEADERS = {"content-type", "retry-after", "retry-after-ms", "llm_provider-retry-after", "x-request-id"}
_HOP_BY_HOP = {
    *("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive", "te", "upgrade")
}
_NOT_RETURNED = _HOP_BY_HOP | {"content-encoding", "set-cookie"}
_LONGEST_SHOWN = 120  # characters of a value in a difference


class Recorder:
    """Sends requests to *upstream* with the key they came with, and writes the tape at *path*.

    *key* and everything that looks like a key are replaced by `***` on the tape.
    """

    def __init__(self, path: Path, upstream: str, key: str) -> None:
        self._upstream = upstream.rstrip("/").removesuffix("/v1beta").removesuffix("/v1")
        self._path, self._key, self._count = path, key, 0
        self._client: httpx.AsyncClient | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")

    async def pass_on(self, entry: Entry, path: str) -> Outcome:
        """The upstream's answer to *entry*, streamed as it comes."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(300, connect=10))
        headers = {name: value for name, value in entry.headers.items() if name not in _HOP_BY_HOP}
        headers["accept-encoding"] = "identity"
        request = self._client.build_request(entry.method, self._upstream + path, headers=headers, content=entry.body)
        started = time.monotonic()
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise GoogleError(502, f"The upstream gateway did not answer: {type(error).__name__}") from None
        kept_headers = {name: value for name, value in response.headers.items() if name not in _NOT_RETURNED}
        return Outcome(
            response.status_code, kept_headers, self._record_bytes(entry, path, response, started), streamed=True
        )

    async def aclose(self) -> None:
        """Close the connections to the upstream."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _record_bytes(
        self, entry: Entry, path: str, response: httpx.Response, last: float
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of *response*; when they end, also too early, the exchange goes on the tape."""
        decoder, pieces = codecs.getincrementaldecoder("utf-8")("replace"), []
        try:
            async for data in response.aiter_bytes():
                now = time.monotonic()
                pieces.append((now - last, decoder.decode(data)))
                last = now
                yield data
        finally:
            await response.aclose()
            self._write_record(entry, path, response, pieces)

    def _write_record(self, entry: Entry, path: str, response: httpx.Response, pieces: Pieces) -> None:
        self._count += 1
        found, text = _PATH.fullmatch(path.partition("?")[0]), "".join(piece for _, piece in pieces)
        value, is_sse = _parse_json(text), "event-stream" in response.headers.get("content-type", "")
        record: Json = {
            "id": f"{self._count:04d}",
            "method": entry.method,
            "path": path,
            "endpoint": found["endpoint"] if found else None,
            "model": found["model"] if found else None,
            "request": entry.json,
            "status": response.status_code,
            "response_headers": {name: text for name, text in response.headers.items() if name in _KEPT_HEADERS},
        }
        if is_sse or value is None:
            timing = [[round(seconds, 3), len(piece)] for seconds, piece in pieces]
            record |= {"response_kind": "sse" if is_sse else "text", "response": text, "timing": timing}
        else:
            record |= {"response_kind": "json", "response": value}
        line = _LONG_BASE64.sub(self._move_to_file, json.dumps(record, ensure_ascii=False))
        line = _KEYS.sub("***", line.replace(json.dumps(self._key)[1:-1], "***") if self._key else line)
        with self._path.open("a", encoding="utf-8") as tape:
            tape.write(line + "\n")

    def _move_to_file(self, found: re.Match[str]) -> str:
        """Put base64 into a file, if it can be written again character by character."""
        try:
            data = base64.b64decode(found.group(), validate=True)
        except ValueError:
            return found.group()
        if base64.b64encode(data).decode() != found.group():
            return found.group()
        ending = next((ending for start, ending in _KINDS if data.startswith(start)), "bin")
        file = _files_folder(self._path) / f"{hashlib.sha256(data).hexdigest()[:16]}.{ending}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        return f"$file:{file.name}"


class Tape:
    """A recorded tape that answers requests."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        lines = path.read_text(encoding="utf-8").splitlines()
        self._records: list[Json] = [json.loads(_restored(line, _files_folder(path))) for line in lines if line.strip()]
        self._by_id = {str(record["id"]): record for record in self._records}
        self._served: Counter[str] = Counter()

    @cached_property
    def _comparisons(self) -> list[tuple[Json, Json]]:
        """The records of requests in JSON, each with its comparable form."""
        records = [record for record in self._records if isinstance(record.get("request"), dict)]
        return [(record, _to_comparable(record["endpoint"], record["model"], record["request"])) for record in records]

    @cached_property
    def _by_key(self) -> dict[str, list[Json]]:
        """The records that may answer a request, for each of its keys."""
        by_key: dict[str, list[Json]] = {}
        for record, facts in self._comparisons:
            for key in _match_keys(facts):
                by_key.setdefault(key, []).append(record)
        return by_key

    def answer(self, method: str, path: str, chosen: str | None, body: bytes) -> Outcome | None:
        """The recorded answer to a request; None for GET routes that are not on the tape.

        *chosen* or a path `/r/{id}/v1beta/…` picks an entry. Otherwise the whole request decides, then model and newest turn.
        Equal requests get their answers in the order of the tape, and the last one from then on. Raises a 404 that shows the
        nearest entry for everything else.
        """
        plain, _, query = path.partition("?")
        found, sse = _PATH.fullmatch(plain), "alt=sse" in query
        name = chosen or (found["id"] if found else None)
        if name is not None and name in self._by_id:
            return _outcome(self._by_id[name], sse=sse)
        if method == "GET" or found is None:
            same = [record for record in self._records if record.get("method") == method and record.get("path") == path]
            return _outcome(same[0], sse=False) if same else None
        request = _parse_json(_KEYS.sub("***", body.decode(errors="replace")))  # as it stands on the tape
        facts = _to_comparable(found["endpoint"], found["model"], request if isinstance(request, dict) else {})
        for key in _match_keys(facts):
            if records := self._by_key.get(key):
                self._served[key] += 1
                return _outcome(records[min(self._served[key], len(records)) - 1], sse=sse)
        raise GoogleError(404, self._describe_miss(facts))

    def _describe_miss(self, wanted: Json) -> str:
        head = f"The tape {self._name} has no answer to this request ({wanted['endpoint']} of {wanted['model']})."
        if not self._comparisons:
            return f"{head} It is empty."
        text = json.dumps(wanted, sort_keys=True)[:4000]

        def likeness(pair: tuple[Json, Json]) -> tuple[int, float]:
            # An entry of the same method and model explains more than one of the same words.
            other, same = json.dumps(pair[1], sort_keys=True)[:4000], ("endpoint", "model")
            words = difflib.SequenceMatcher(None, text, other).quick_ratio()
            return sum(pair[1][name] == wanted[name] for name in same), words

        nearest, facts = max(self._comparisons, key=likeness)
        return f"{head} Nearest entry: {nearest['id']}; difference: {difference(wanted, facts)}"


def difference(here: Any, there: Any, path: str = "") -> str:
    """The first place where two JSON values differ, as `path: … here, … on the tape`; empty if they are equal."""
    if isinstance(here, dict) and isinstance(there, dict):
        pairs = [(f"{path}.{name}".lstrip("."), here.get(name), there.get(name)) for name in {**here, **there}]
    elif isinstance(here, list) and isinstance(there, list):
        longest = max(len(here), len(there))
        padded = (values + [None] * (longest - len(values)) for values in (here, there))
        pairs = [(f"{path}[{index}]", *values) for index, values in enumerate(zip(*padded, strict=True))]
    else:
        return "" if here == there else f"{path}: {_shorten(here)} here, {_shorten(there)} on the tape"
    return next((found for name, one, other in pairs if (found := difference(one, other, name))), "")


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _to_comparable(endpoint: str | None, model: str | None, request: Json) -> Json:
    """What is compared, in one shape for all spellings. What the field table does not know is left out."""
    shape = _messages.normalise(request, _MESSAGES.get(endpoint or "", "Request"), check=False)
    return {"endpoint": endpoint, "model": (model or "").rpartition("/")[2], "request": shape}


def _match_keys(facts: Json) -> tuple[str, str]:
    """(the whole request, its model and newest turn), as texts to compare."""
    newest = (facts["request"].get("contents") or [facts["request"]])[-1]
    return json.dumps(facts, sort_keys=True), json.dumps(facts | {"request": {"newest": newest}}, sort_keys=True)


def _files_folder(tape: Path) -> Path:
    return tape.with_name(f"{tape.stem}-files")


def _restored(line: str, folder: Path) -> str:
    return _FILE.sub(lambda found: base64.b64encode((folder / found.group(1)).read_bytes()).decode(), line)


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _outcome(record: Json, *, sse: bool) -> Outcome:
    """The recorded answer: streams piece by piece, as they came."""
    kind, response = record["response_kind"], record["response"]
    if kind in ("chunks", "json_array") and (sse or kind == "chunks"):
        kind, response = "sse", "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n" for chunk in response)
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False, indent=2)
    kept_headers = {name: v for name, v in record.get("response_headers", {}).items() if name.lower() in _KEPT_HEADERS}
    headers = {"content-type": "application/json; charset=UTF-8", **kept_headers}
    if kind == "sse":
        headers["content-type"] = "text/event-stream"
    if kind != "sse" or not record.get("timing"):
        return Outcome(record["status"], headers, [text.encode()])
    return Outcome(record["status"], headers, _in_time(text, record["timing"]), streamed=True)


async def _in_time(text: str, timing: list[list[float]]) -> AsyncGenerator[bytes, None]:
    start = 0
    for seconds, characters in timing:
        await asyncio.sleep(seconds)
        yield text[start : start + int(characters)].encode()
        start += int(characters)
