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
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx

from gemway_emulator import _messages
from gemway_emulator._errors import GoogleError
from gemway_emulator._http import JSON_TYPE, Outcome
from gemway_emulator._journal import Entry
from gemway_emulator._upstream import Upstream

Json = dict[str, Any]
_PATH = re.compile(r"(?:/r/(?P<id>[^/]+))?.*/(?:models|tunedModels)/(?P<model>[^:]+?)(?::(?P<endpoint>\w+))?")
_MESSAGES = {
    "countTokens": "CountTokensRequest",
    "embedContent": "EmbedContentRequest",
    "batchEmbedContents": "BatchEmbedContentsRequest",
}
# Pictures would make lines of megabytes that no editor opens. A signature is base64 too, but shorter.
_LONG_BASE64 = re.compile(r"(?<=\")[A-Za-z0-9+/]{1024,}={0,2}(?=\\?\")")
_FILE = re.compile(r"\$file:([\w.-]+)")
_ENDINGS = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpg"), (b"RIFF", "webp"), (b"%PDF", "pdf"), (b"", "bin"))
# What looks like a key: Google's, those of most gateways, and whatever stands where keys stand.
_KEYS = re.compile(r"AIza[\w-]{30,}|\bsk-[\w-]{8,}|(?<=Bearer )[\w.~+/-]{8,}=*|(?<=[?&]key=)[^&\s\"]+")
# Clients act on these. Others name servers, accounts and cookies, which a tape in a repository should not hold.
_KEPT_HEADERS = {"content-type", "retry-after", "retry-after-ms", "llm_provider-retry-after", "x-request-id"}
_HOP_BY_HOP = {
    *("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive", "te", "upgrade")
}
_NOT_RETURNED = _HOP_BY_HOP | {"content-encoding", "set-cookie"}
_LONGEST_SHOWN = 120  # characters of a value in a difference


class Recorder(Upstream):
    """Sends requests to *upstream* with the key they came with, and writes the tape at *path*.

    *key* and everything that looks like a key are replaced by `***` on the tape.
    """

    def __init__(self, path: Path, upstream: str, key: str) -> None:
        address = upstream.rstrip("/").removesuffix("/v1beta").removesuffix("/v1")
        super().__init__(address, "gateway", code=502, timeout=httpx.Timeout(300, connect=10))
        self._path, self._key, self._count = path, key, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")

    async def pass_on(self, entry: Entry, path: str) -> Outcome:
        """The upstream's answer to *entry*, streamed as it comes."""
        headers = {name: value for name, value in entry.headers.items() if name not in _HOP_BY_HOP}
        # A tape holds text that people read and compare, so the answer should come uncompressed.
        headers["accept-encoding"] = "identity"
        started = time.monotonic()
        response = await self.send(entry.method, path, headers=headers, content=entry.body)
        returned = {name: value for name, value in response.headers.items() if name not in _NOT_RETURNED}
        frames = self._record_bytes(entry, path, response, started)
        return Outcome(response.status_code, returned, frames, streamed=True)

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

    def _write_record(self, entry: Entry, path: str, response: httpx.Response, pieces: list[tuple[float, str]]) -> None:
        self._count += 1
        match, text = _PATH.fullmatch(path.partition("?")[0]), "".join(piece for _, piece in pieces)
        value, is_sse = _parse_json(text), "event-stream" in response.headers.get("content-type", "")
        record: Json = {
            "id": f"{self._count:04d}",
            "method": entry.method,
            "path": path,
            "endpoint": match["endpoint"] if match else None,
            "model": match["model"] if match else None,
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

    def _move_to_file(self, match: re.Match[str]) -> str:
        """Put base64 into a file, if it can be written again character by character."""
        try:
            data = base64.b64decode(match[0], validate=True)
        except ValueError:
            return match[0]
        if base64.b64encode(data).decode() != match[0]:
            return match[0]
        ending = next(ending for start, ending in _ENDINGS if data.startswith(start))
        file = _files_folder(self._path) / f"{hashlib.sha256(data).hexdigest()[:16]}.{ending}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        return f"$file:{file.name}"


class Tape:
    """A recorded tape that answers requests."""

    def __init__(self, path: Path) -> None:
        def read_file(match: re.Match[str]) -> str:
            return base64.b64encode((_files_folder(path) / match[1]).read_bytes()).decode()

        lines = path.read_text(encoding="utf-8").splitlines()
        self._name = path.name
        self._records: list[Json] = [json.loads(_FILE.sub(read_file, line)) for line in lines if line.strip()]
        self._records_by_id = {str(record["id"]): record for record in self._records}
        self._served: Counter[str] = Counter()

    @cached_property
    def _comparable_records(self) -> list[tuple[Json, Json]]:
        """The records of requests in JSON, each with its comparable form."""
        records = [record for record in self._records if isinstance(record.get("request"), dict)]
        return [(record, _to_comparable(record["endpoint"], record["model"], record["request"])) for record in records]

    @cached_property
    def _records_by_key(self) -> dict[str, list[Json]]:
        """The records that may answer a request, for each of its keys."""
        by_key: dict[str, list[Json]] = defaultdict(list)
        for record, facts in self._comparable_records:
            for key in _match_keys(facts):
                by_key[key].append(record)
        return by_key

    def answer(self, method: str, path: str, chosen: str | None, body: bytes) -> Outcome | None:
        """The recorded answer to a request; None for GET routes that are not on the tape.

        *chosen* or a path `/r/{id}/v1beta/…` picks an entry. Otherwise the whole request decides, then model and newest turn.
        Equal requests get their answers in the order of the tape, and the last one from then on. Raises a 404 that shows the
        nearest entry for everything else.
        """
        plain, _, query = path.partition("?")
        match, sse = _PATH.fullmatch(plain), "alt=sse" in query
        record_id = chosen or (match["id"] if match else None)
        if record_id in self._records_by_id:
            return _replay_record(self._records_by_id[record_id], sse=sse)
        if method == "GET" or match is None:
            same = [record for record in self._records if record.get("method") == method and record.get("path") == path]
            return _replay_record(same[0], sse=False) if same else None
        request = _parse_json(_KEYS.sub("***", body.decode(errors="replace")))  # as it is on the tape
        facts = _to_comparable(match["endpoint"], match["model"], request if isinstance(request, dict) else {})
        for key in _match_keys(facts):
            if records := self._records_by_key.get(key):
                # A program that polls asks more often than when it was recorded; it keeps getting the last answer.
                self._served[key] += 1
                return _replay_record(records[min(self._served[key], len(records)) - 1], sse=sse)
        raise GoogleError(404, self._describe_miss(facts))

    def _describe_miss(self, wanted: Json) -> str:
        head = f"The tape {self._name} has no answer to this request ({wanted['endpoint']} of {wanted['model']})."
        if not self._comparable_records:
            return f"{head} It is empty."
        text = json.dumps(wanted, sort_keys=True)[:4000]

        def likeness(pair: tuple[Json, Json]) -> tuple[int, float]:
            # An entry of the same method and model explains more than one of the same words.
            other, same = json.dumps(pair[1], sort_keys=True)[:4000], ("endpoint", "model")
            words = difflib.SequenceMatcher(None, text, other).quick_ratio()
            return sum(pair[1][name] == wanted[name] for name in same), words

        nearest, facts = max(self._comparable_records, key=likeness)
        return f"{head} Nearest entry: {nearest['id']}; difference: {_describe_difference(wanted, facts)}"


def _describe_difference(here: Any, there: Any, path: str = "") -> str:
    """The first place where two JSON values differ, as `path: … here, … on the tape`; empty if they are equal."""
    if isinstance(here, dict) and isinstance(there, dict):
        pairs = [(f"{path}.{name}".lstrip("."), here.get(name), there.get(name)) for name in {**here, **there}]
    elif isinstance(here, list) and isinstance(there, list):
        pairs = [(f"{path}[{index}]", *values) for index, values in enumerate(zip_longest(here, there))]
    else:
        texts = [json.dumps(value, ensure_ascii=False) for value in (here, there)]
        one, other = (f"{text[: _LONGEST_SHOWN - 3]}..." if len(text) > _LONGEST_SHOWN else text for text in texts)
        return "" if here == there else f"{path}: {one} here, {other} on the tape"
    return next((text for name, one, other in pairs if (text := _describe_difference(one, other, name))), "")


def _to_comparable(endpoint: str | None, model: str | None, request: Json) -> Json:
    """The compared parts of a request, in one shape for all spellings; fields that the table does not have are left out."""
    shape = _messages.normalise(request, _MESSAGES.get(endpoint or "", "Request"), check=False)
    return {"endpoint": endpoint, "model": (model or "").rpartition("/")[2], "request": shape}


def _match_keys(facts: Json) -> tuple[str, str]:
    """(the whole request, its model and newest turn), as texts to compare."""
    newest = (facts["request"].get("contents") or [facts["request"]])[-1]
    return json.dumps(facts, sort_keys=True), json.dumps(facts | {"request": {"newest": newest}}, sort_keys=True)


def _files_folder(tape: Path) -> Path:
    return tape.with_name(f"{tape.stem}-files")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _replay_record(record: Json, *, sse: bool) -> Outcome:
    """The recorded answer: streams piece by piece, as they came."""
    kind, response, timing = record["response_kind"], record["response"], record.get("timing")
    if kind == "chunks" or (kind == "json_array" and sse):
        kind, response = "sse", "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n" for chunk in response)
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False, indent=2)
    headers = {"content-type": JSON_TYPE} | record.get("response_headers", {})
    headers = {name: value for name, value in headers.items() if name.lower() in _KEPT_HEADERS}
    if kind == "sse":
        headers["content-type"] = "text/event-stream"
    if kind != "sse" or not timing:
        return Outcome(record["status"], headers, [text.encode()])
    return Outcome(record["status"], headers, _send_in_time(text, timing), streamed=True)


async def _send_in_time(text: str, timing: list[list[float]]) -> AsyncGenerator[bytes, None]:
    start = 0
    for seconds, characters in timing:
        await asyncio.sleep(seconds)
        yield text[start : start + int(characters)].encode()
        start += int(characters)
