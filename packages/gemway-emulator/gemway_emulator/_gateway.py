"""Admit a request and answer it: authorisation, route, validation, queue, `respond=`, own answer. Knows no HTTP."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import itertools
import json
import re
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

from gemway_emulator import _embeddings, _messages, _misbehaviour, _models, _rules, _usage
from gemway_emulator._answers import answer
from gemway_emulator._envelope import Chunk, Envelope, fold
from gemway_emulator._errors import GoogleError, unauthenticated, unknown_model, unknown_route
from gemway_emulator._framing import JSON_TYPE, Framing
from gemway_emulator._http import Outcome
from gemway_emulator._journal import Entry, Journal
from gemway_emulator._latency import Latency
from gemway_emulator._models import Model
from gemway_emulator._openai import OpenAIServer, Piece
from gemway_emulator._request import Request
from gemway_emulator._signatures import Signatures
from gemway_emulator._tape import Recorder, Tape
from gemway_emulator._turns import Turn
from gemway_emulator.reply import ErrorReply, RawReply, Reply, check_reply

Responder: TypeAlias = Callable[[Request], "Reply | Awaitable[Reply | None] | None"]
"""A function that answers requests, sync or async; None leaves a request to the emulator."""

_ROUTE = re.compile(r"/(?P<version>v1beta|v1)/models(?:/(?P<model>.+?)(?::(?P<action>\w+))?)?")
_GENERATIONS = {"generateContent", "streamGenerateContent"}
_EMBEDDINGS = {"embedContent", "batchEmbedContents"}
_ACTIONS = _GENERATIONS | _EMBEDDINGS | {"countTokens"}
_HIDDEN = {
    "no_stream_route": {"streamGenerateContent"},
    "no_count_route": {"countTokens"},
    "no_embed_routes": _EMBEDDINGS,
    "no_batch_embed_route": {"batchEmbedContents"},
}


@dataclass
class Gateway:
    """The state of one emulator: its options, its queue of scripted replies and its journal."""

    api_key: str
    prefix: str = ""
    models: tuple[str, ...] = ()
    any_model: bool = False
    validate: bool = True
    thought_images: bool = False
    delay: float = 0.0
    chunk_delay: float = 0.0
    strict_signatures: bool = False
    misbehave: frozenset[str] = frozenset()
    respond: Responder | None = None
    latency: Latency | None = None
    server: OpenAIServer | None = None
    tape: Tape | None = None
    recorder: Recorder | None = None
    signatures: Signatures = field(default_factory=Signatures)
    journal: Journal = field(default_factory=Journal)
    queue: deque[Reply] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    async def answer(self, entry: Entry) -> Outcome:
        """The answer to the request in *entry*; every failure is an answer too."""
        try:
            outcome = await self._admit(entry)
        except GoogleError as error:
            if self._is_openai_embeddings(entry):
                return _json(_misbehaviour.embeddings_error(error.code, error.message), status=error.code)
            return self._refusal(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours should be read in the client's error, not in a log
            return self._refusal(GoogleError(500, f"The emulator failed: {error!r}"))
        if self.latency is not None and "enerateContent" in entry.path:
            outcome.delay += self.latency.sample()
        return outcome

    async def _admit(self, entry: Entry) -> Outcome:
        path, _, query = entry.path.partition("?")
        if not self._is_authorised(entry, parse_qs(query)):
            raise unauthenticated()
        below = entry.path.removeprefix(self.prefix)
        if self.recorder is not None:
            return await self.recorder.pass_on(entry, below)
        if self.tape is not None:
            taped = self.tape.answer(entry.method, below, entry.headers.get("x-record-id"), entry.body)
            if taped is not None:
                return taped
        if self._is_openai_embeddings(entry):
            return self._embed_for_openai(entry)
        return await self._route(entry, path, query)

    async def _route(self, entry: Entry, path: str, query: str) -> Outcome:
        route = _ROUTE.fullmatch(unquote(path)[len(self.prefix) :]) if path.startswith(self.prefix) else None
        if route is None or (route["version"] == "v1" and "no_v1_route" in self.misbehave):
            raise unknown_route(entry.method, path)
        version, name, action = route["version"], (route["model"] or "").removeprefix("models/"), route["action"] or ""
        if entry.method == "GET" and not action and "no_model_routes" not in self.misbehave:
            return _json(self._model_resources(name, version, parse_qs(query)))
        hidden = {hidden for misbehaviour in self.misbehave for hidden in _HIDDEN.get(misbehaviour, ())}
        if entry.method != "POST" or action not in _ACTIONS - hidden:
            raise unknown_route(entry.method, path)
        model = self._find(name)
        if model is None or not model.serves(action):
            raise unknown_model(name, "embedContent" if action in _EMBEDDINGS else action, version)
        if action in _GENERATIONS:
            return await self._generate(entry, model, streamed=action[0] == "s", sse="alt=sse" in query.split("&"))
        if "unknown_verbs_generate" in self.misbehave:
            return self._generate_instead(entry, model)
        return self._count(entry) if action == "countTokens" else self._embed(entry, model, action)

    def _is_authorised(self, entry: Entry, query: dict[str, list[str]]) -> bool:
        scheme, _, token = entry.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if "key_header_wins" in self.misbehave:
            token = entry.headers.get("x-goog-api-key") or query.get("key", [token])[0]
        return hmac.compare_digest(token.encode("latin-1", "replace"), self.api_key.encode("latin-1", "replace"))

    def _is_openai_embeddings(self, entry: Entry) -> bool:
        hidden = self.misbehave & {"no_openai_embed_route", "no_v1_route"}
        return entry.method == "POST" and entry.path.partition("?")[0] == f"{self.prefix}/v1/embeddings" and not hidden

    def _find(self, name: str) -> Model | None:
        return _models.find(name, self.models, any_model=self.any_model)

    def _model_resources(self, name: str, version: str, query: dict[str, list[str]]) -> Any:
        if not name:
            models = _models.listed(self.models)
            start, size = (_whole(query.get(field, [""])[0]) for field in ("pageToken", "pageSize"))
            end = start + (size or len(models))
            page: dict[str, Any] = {"models": [model.describe() for model in models[start:end]]}
            return page | ({"nextPageToken": str(end)} if end < len(models) else {})
        if (model := self._find(name)) is None:
            raise unknown_model(name, "GetModel", version)
        return model.describe()

    async def _generate(self, entry: Entry, model: Model, *, streamed: bool, sse: bool) -> Outcome:
        request = Request(model, self._body(entry, "Request"), streamed)
        if self.validate:
            _rules.check(request, self.signatures, strict=self.strict_signatures)
        reply = await self._reply(request)
        if isinstance(reply, OpenAIServer):
            return await self._ask_server(reply, request, sse=sse)
        if isinstance(reply, (ErrorReply, RawReply)):
            return self._failure(reply)
        if isinstance(reply, Turn):
            return self._turn(reply, request, sse=sse)
        for chunk in reply.chunks:  # signatures in scripted chunks are issued here as well
            for part in _misbehaviour.parts_of(chunk):
                self.signatures.remember(part, request.prompt)
        if streamed:
            return _stream(reply.chunks, reply.framing, delay=reply.delay, frame_delay=reply.delay, cut=reply.cut)
        return _json(fold(reply.chunks), delay=reply.delay)

    async def _reply(self, request: Request) -> Reply | OpenAIServer:
        """The next scripted reply, else the one of `respond=`, else the server that answers, else the emulator's own."""
        with self._lock:
            if self.queue:
                return self.queue.popleft()
        if self.respond is not None and (given := await self._ask_responder(self.respond, request)) is not None:
            return given
        if self.server is not None and request.modalities == ["TEXT"]:
            return self.server
        if "IMAGE" in request.modalities:
            # Drawing a large picture takes half a second; other requests should not wait for it.
            return await asyncio.to_thread(answer, request, thought_images=self.thought_images)
        return answer(request)

    async def _ask_responder(self, responder: Responder, request: Request) -> Reply | None:
        try:
            if inspect.iscoroutinefunction(responder):
                given = await responder(request)
            else:
                # In a thread, because it may sleep, or call this very emulator.
                given = await asyncio.to_thread(responder, request)
                given = await given if inspect.isawaitable(given) else given
            return None if given is None else check_reply(given)
        except GoogleError:
            raise
        except Exception as error:
            name = getattr(responder, "__qualname__", repr(responder))
            raise GoogleError(500, f"respond={name} failed: {error!r}") from error

    async def _ask_server(self, server: OpenAIServer, request: Request, *, sse: bool) -> Outcome:
        if not request.streamed or not sse or self.misbehave:
            return self._turn(await server.answer(request), request, sse=sse)
        pieces = server.stream(request)
        # The first piece is waited for here, so that an error of the server is an error answer and no broken stream.
        first = await anext(pieces, None)
        if first is None:
            raise GoogleError(502, "The upstream server ended without an answer.")
        return Outcome(
            200, {"content-type": "text/event-stream"}, self._translate(request, first, pieces), streamed=True
        )

    async def _translate(
        self, request: Request, piece: Piece | None, pieces: AsyncGenerator[Piece, None]
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a stream whose pieces a server sends; signed and counted as the emulator's own."""
        envelope, sent = self._envelope(request), []
        while piece is not None:
            turn, parts, ended = piece
            sent.append(self._signed(Turn(parts), request).parts)
            for frame in Framing().frames([envelope.chunk(turn, sent, ended=ended)]):
                yield frame
            piece = await anext(pieces, None)

    def _turn(self, turn: Turn, request: Request, *, sse: bool) -> Outcome:
        turn, envelope = self._signed(turn, request), self._envelope(request)
        delay = turn.delay or self.delay
        if not request.streamed:
            chunks = _misbehaviour.deviate([envelope.response(turn)], self.misbehave, streamed=False)
            return _json(chunks[0], delay=delay)
        chunks = _misbehaviour.deviate(envelope.chunks(turn), self.misbehave, streamed=True)
        framing = _misbehaviour.framing(self.misbehave, as_array=not sse)
        pause = self.chunk_delay if turn.chunk_delay is None else turn.chunk_delay
        return _stream(chunks, framing, delay=delay, frame_delay=pause)

    def _envelope(self, request: Request) -> Envelope:
        size = (request.config.get("imageConfig") or {}).get("imageSize") or "1K"
        prompt, cached = _usage.prompt_tokens(request.body), _usage.cached_tokens(request.body)
        return Envelope(request.model, f"emu-{next(self._ids):06d}", prompt, image_size=size, cached=cached)

    def _signed(self, turn: Turn, request: Request) -> Turn:
        with self._lock:
            parts = self.signatures.sign(turn.parts, request.model, request.prompt)
        others = [self._signed(other, request) for other in turn.alternatives]
        return replace(turn, parts=parts, alternatives=others)

    def _count(self, entry: Entry) -> Outcome:
        body = self._body(entry, "CountTokensRequest")
        wrapped = body.get("generateContentRequest") or body
        if not wrapped.get("contents"):
            raise GoogleError(400, "* GenerateContentRequest.contents: contents is not specified")
        totals = _usage.prompt_tokens(wrapped)
        number = 0 if "count_tokens_zero" in self.misbehave else sum(totals.values())
        return _json({"totalTokens": number, "promptTokensDetails": _usage.details(totals)})

    def _embed(self, entry: Entry, model: Model, action: str) -> Outcome:
        if (scripted := self._next_failure()) is not None:
            return self._failure(scripted)
        if action == "embedContent":
            return self._embedded(_embeddings.single_answer(self._body(entry, "EmbedContentRequest"), model))
        body = self._body(entry, "BatchEmbedContentsRequest")
        return self._embedded(_embeddings.batch_answer(body, model, merged="merged_embeddings" in self.misbehave))

    def _embed_for_openai(self, entry: Entry) -> Outcome:
        """OpenAI's `/v1/embeddings`, which many gateways serve with the same key."""
        if (scripted := self._next_failure()) is not None:
            return self._failure(scripted)
        body = _messages.parse_json(entry.body)
        name = body.get("model")
        model = self._find(name) if isinstance(name, str) else None
        if model is None or not model.serves("embedContent"):
            raise GoogleError(404, f"The model `{name}` does not exist or you do not have access to it.")
        return self._embedded(_embeddings.openai_answer(body, model, merged="merged_embeddings" in self.misbehave))

    def _embedded(self, value: dict[str, Any]) -> Outcome:
        content = b"" if "empty_embeddings" in self.misbehave else json.dumps(value).encode()
        if cut := "truncated_embeddings" in self.misbehave:
            content = content[: len(content) // 2]
        return Outcome(200, {"content-type": JSON_TYPE}, [content], self.delay, cut=cut)

    def _generate_instead(self, entry: Entry, model: Model) -> Outcome:
        """The generation that some gateways run for every verb they do not know."""
        body = _messages.normalise(_messages.parse_json(entry.body), "Anything", check=False)
        request = Request(model, {"contents": body.get("contents") or [body.get("content") or {}]})
        return self._turn(answer(request), request, sse=False)

    def _body(self, entry: Entry, message: str) -> dict[str, Any]:
        return _messages.normalise(
            _messages.parse_json(entry.body),
            message,
            check=self.validate,
            drop_snake="drop_snake_case" in self.misbehave,
            arrays_required="arrays_required" in self.misbehave,
        )

    def _next_failure(self) -> ErrorReply | RawReply | None:
        """The next scripted reply if it is one that any route can send."""
        with self._lock:
            if not self.queue or not isinstance(first := self.queue[0], (ErrorReply, RawReply)):
                return None
            self.queue.popleft()
            return first

    def _failure(self, reply: ErrorReply | RawReply) -> Outcome:
        if isinstance(reply, ErrorReply):
            return self._refusal(reply.error, reply)
        return Outcome(reply.status, reply.headers, [reply.body], reply.delay, cut=reply.cut)

    def _refusal(self, error: GoogleError, scripted: ErrorReply | None = None) -> Outcome:
        status = 200 if "error_with_200" in self.misbehave else error.code
        headers = {"content-type": JSON_TYPE, **(scripted.headers if scripted else {})}
        delay = scripted.delay if scripted else 0.0
        if scripted is not None and scripted.body is not None:
            return Outcome(status, headers, [scripted.body], delay)
        if "plain_text_errors" in self.misbehave:
            return Outcome(status, headers | {"content-type": "text/plain"}, [error.message.encode()], delay)
        body = _misbehaviour.openai_error(error.body()) if "openai_errors" in self.misbehave else error.body()
        return Outcome(status, headers, [json.dumps(body).encode()], delay)


def _json(value: Any, *, status: int = 200, delay: float = 0.0) -> Outcome:
    return Outcome(status, {"content-type": JSON_TYPE}, [json.dumps(value, ensure_ascii=False).encode()], delay)


def _stream(chunks: list[Chunk], framing: Framing, *, delay: float, frame_delay: float, cut: bool = False) -> Outcome:
    headers = {"content-type": framing.content_type}
    return Outcome(200, headers, framing.frames(chunks), delay, frame_delay, cut, streamed=True)


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0
