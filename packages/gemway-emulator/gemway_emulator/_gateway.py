"""Admit a request and answer it: authorisation, route, validation, queue, model. Knows no HTTP framework and never waits."""

from __future__ import annotations

import hmac
import itertools
import json
import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote

from gemway_emulator import _misbehaviour, _models, _rules, _shapes, _usage
from gemway_emulator._answers import answer
from gemway_emulator._embeddings import DIMENSIONS, embed
from gemway_emulator._envelope import Chunk, Envelope, fold
from gemway_emulator._errors import GoogleError, unauthenticated, unknown_model, unknown_route
from gemway_emulator._framing import Framing
from gemway_emulator._journal import Entry, Journal
from gemway_emulator._models import Model
from gemway_emulator._prompt import Prompt
from gemway_emulator._signatures import Signatures
from gemway_emulator._turns import Turn
from gemway_emulator.reply import ErrorReply, RawReply, Reply, StreamReply

_JSON = "application/json; charset=UTF-8"
_ROUTE = re.compile(r"/(?P<version>v1beta|v1)/models(?:/(?P<model>.+?)(?::(?P<action>\w+))?)?")


@dataclass
class Outcome:
    """What to send: *frames* one after the other, *delay* seconds before the first, *frame_delay* between; *cut* ends badly."""

    status: int
    headers: dict[str, str]
    frames: Iterable[bytes]
    delay: float = 0.0
    frame_delay: float = 0.0
    cut: bool = False
    streamed: bool = False


@dataclass
class Gateway:
    """The state of one emulator: its options, its queue of scripted replies and its journal."""

    api_key: str
    prefix: str = ""
    models: tuple[str, ...] = ()
    validate: bool = True
    thought_images: bool = False
    delay: float = 0.0
    chunk_delay: float = 0.0
    signatures: Signatures = field(default_factory=Signatures)
    misbehave: frozenset[str] = frozenset()
    journal: Journal = field(default_factory=Journal)
    queue: deque[Reply] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def respond(self, entry: Entry) -> Outcome:
        """The answer to the request in *entry*; every failure is an answer too."""
        try:
            return self._respond(entry)
        except GoogleError as error:
            return self._refusal(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours should be read in the client's error, not in a log
            return self._refusal(GoogleError(500, f"The emulator failed: {error!r}"))

    def _respond(self, entry: Entry) -> Outcome:
        path, _, query = entry.path.partition("?")
        route = self._route(entry.method, unquote(path))
        if not self._authorised(entry, parse_qs(query)):
            raise unauthenticated()
        if route is None:
            raise unknown_route(entry.method, path)
        name, action = route
        if entry.method == "GET":
            return _json(self._model_resources(name))
        model = _models.find(name, self.models)
        if model is None:
            raise unknown_model(name)
        if action == "streamGenerateContent" and "no_stream_route" in self.misbehave:
            raise unknown_route(entry.method, path)
        if action in ("generateContent", "streamGenerateContent"):
            sse = parse_qs(query).get("alt") == ["sse"]
            return self._generate(entry, model, streamed=action.startswith("stream"), sse=sse)
        return self._count(entry, model) if action == "countTokens" else self._embed(entry, action)

    def _route(self, method: str, path: str) -> tuple[str, str] | None:
        """(model, action) of *path*, or None if it is not one of the API's."""
        if not path.startswith(self.prefix) or not (found := _ROUTE.fullmatch(path[len(self.prefix) :])):
            return None
        if found["version"] == "v1" and "no_v1_route" in self.misbehave:
            return None
        name, action = (found["model"] or "").removeprefix("models/"), found["action"] or ""
        if method == "GET":
            hidden = "no_model_routes" in self.misbehave
            return None if action or hidden else (name, "")
        known = {"generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"}
        known -= {"countTokens"} if "no_count_route" in self.misbehave else set()
        return (name, action) if method == "POST" and action in known else None

    def _authorised(self, entry: Entry, query: dict[str, list[str]]) -> bool:
        scheme, _, token = entry.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if "key_header_wins" in self.misbehave:
            token = entry.headers.get("x-goog-api-key") or query.get("key", [token])[0]
        return hmac.compare_digest(token.encode("latin-1", "replace"), self.api_key.encode("latin-1", "replace"))

    def _model_resources(self, name: str) -> Any:
        if not name:
            return {"models": [model.describe() for model in _models.listed(self.models)]}
        model = _models.find(name, self.models)
        if model is None:
            raise unknown_model(name)
        return model.describe()

    def _generate(self, entry: Entry, model: Model, *, streamed: bool, sse: bool) -> Outcome:
        body = self._body(entry, "Request")
        prompt = Prompt(model, body)
        if self.validate:
            _rules.check(prompt, self.signatures)
        scripted = self._next_reply()
        if isinstance(scripted, ErrorReply):
            return self._refusal(scripted.error, scripted)
        if isinstance(scripted, RawReply):
            return Outcome(scripted.status, scripted.headers, [scripted.body], scripted.delay, cut=scripted.cut)
        if isinstance(scripted, StreamReply):
            self._remember(scripted.chunks, prompt.question)
            return _scripted_stream(scripted) if streamed else _json(fold(scripted.chunks), delay=scripted.delay)
        turn = scripted if scripted is not None else answer(prompt, thought_images=self.thought_images)
        return self._turn(turn, prompt, streamed=streamed, sse=sse)

    def _turn(self, turn: Turn, prompt: Prompt, *, streamed: bool, sse: bool) -> Outcome:
        turn = self._signed(turn, prompt)
        size = (prompt.config.get("imageConfig") or {}).get("imageSize") or "1K"
        envelope = Envelope(
            prompt.model,
            f"emu-{next(self._ids):06d}",
            _usage.prompt_tokens(prompt.body),
            image_size=size,
            cached=_usage.cached_tokens(prompt.body),
        )
        delay = turn.delay or self.delay
        if not streamed:
            chunks = _misbehaviour.deviate([envelope.response(turn)], self.misbehave, streamed=False)
            return _json(chunks[0], delay=delay)
        chunks = _misbehaviour.deviate(envelope.chunks(turn), self.misbehave, streamed=True)
        framing = _misbehaviour.framing(self.misbehave, as_array=not sse)
        pause = self.chunk_delay if turn.chunk_delay is None else turn.chunk_delay
        return _stream(chunks, framing, delay=delay, frame_delay=pause)

    def _signed(self, turn: Turn, prompt: Prompt) -> Turn:
        with self._lock:
            parts = self.signatures.sign(turn.parts, prompt.model, prompt.question)
        others = [self._signed(other, prompt) for other in turn.alternatives]
        return replace(turn, parts=parts, alternatives=others)

    def _remember(self, chunks: list[Chunk], asked: str) -> None:
        """Signatures in scripted chunks are issued here as well."""
        candidates = [candidate for chunk in chunks for candidate in chunk.get("candidates") or []]
        for part in (part for candidate in candidates for part in (candidate.get("content") or {}).get("parts") or []):
            self.signatures.remember(part, asked)

    def _count(self, entry: Entry, model: Model) -> Outcome:
        body = self._body(entry, "CountTokensRequest")
        wrapped = body.get("generateContentRequest") or body
        if not wrapped.get("contents"):
            raise GoogleError(400, "* GenerateContentRequest.contents: contents is not specified")
        totals = _usage.prompt_tokens(wrapped)
        number = 0 if "count_tokens_zero" in self.misbehave else sum(totals.values())
        return _json({"totalTokens": number, "promptTokensDetails": _usage.details(totals)})

    def _embed(self, entry: Entry, action: str) -> Outcome:
        if action == "embedContent":
            return _json({"embedding": _embedding(self._body(entry, "EmbedContentRequest"))})
        requests = self._body(entry, "BatchEmbedContentsRequest").get("requests") or []
        return _json({"embeddings": [_embedding(request) for request in requests]})

    def _body(self, entry: Entry, message: str) -> dict[str, Any]:
        value = _shapes.parse_json(entry.body)
        return _shapes.normalise(
            value,
            message,
            check=self.validate,
            drop_snake="drop_snake_case" in self.misbehave,
            arrays_required="arrays_required" in self.misbehave,
        )

    def _next_reply(self) -> Reply | None:
        with self._lock:
            return self.queue.popleft() if self.queue else None

    def _refusal(self, error: GoogleError, scripted: ErrorReply | None = None) -> Outcome:
        status = 200 if "error_with_200" in self.misbehave else error.code
        headers = {"content-type": _JSON, **(scripted.headers if scripted else {})}
        delay = scripted.delay if scripted else 0.0
        if scripted is not None and scripted.body is not None:
            return Outcome(status, headers, [scripted.body], delay)
        if "plain_text_errors" in self.misbehave:
            return Outcome(status, headers | {"content-type": "text/plain"}, [error.message.encode()], delay)
        body = _misbehaviour.openai_error(error.body()) if "openai_errors" in self.misbehave else error.body()
        return Outcome(status, headers, [json.dumps(body).encode()], delay)


def _embedding(request: dict[str, Any]) -> dict[str, Any]:
    parts = (request.get("content") or {}).get("parts")
    if not parts:
        raise GoogleError(400, "* EmbedContentRequest.content: content is not specified")
    text = "\n".join(part.get("text") or "" for part in parts)
    return {"values": embed(text, request.get("outputDimensionality") or DIMENSIONS)}


def _json(value: Any, *, delay: float = 0.0) -> Outcome:
    return Outcome(200, {"content-type": _JSON}, [json.dumps(value, ensure_ascii=False).encode()], delay)


def _stream(chunks: list[Chunk], framing: Framing, *, delay: float, frame_delay: float, cut: bool = False) -> Outcome:
    headers = {"content-type": framing.content_type}
    return Outcome(200, headers, framing.frames(chunks), delay, frame_delay, cut, streamed=True)


def _scripted_stream(scripted: StreamReply) -> Outcome:
    return _stream(
        scripted.chunks, scripted.framing, delay=scripted.delay, frame_delay=scripted.delay, cut=scripted.cut
    )
