"""Admit a request and answer it: authorisation, route, validation, queue, `respond=`, own answer. Knows no HTTP framework."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import itertools
import json
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

from gemway_emulator import _embeddings, _misbehaviour, _models, _rules, _shapes, _usage
from gemway_emulator._answers import answer
from gemway_emulator._envelope import Chunk, Envelope, fold
from gemway_emulator._errors import GoogleError, unauthenticated, unknown_model, unknown_route
from gemway_emulator._framing import Framing
from gemway_emulator._journal import Entry, Journal
from gemway_emulator._latency import Latency
from gemway_emulator._models import Model
from gemway_emulator._openai import OpenAIServer
from gemway_emulator._outcome import Outcome
from gemway_emulator._recorder import Recorder
from gemway_emulator._request import Request
from gemway_emulator._signatures import Signatures
from gemway_emulator._tape import Tape
from gemway_emulator._turns import Part, Turn
from gemway_emulator.reply import ErrorReply, RawReply, Reply, StreamReply, check_reply

Responder: TypeAlias = Callable[[Request], "Reply | Awaitable[Reply | None] | None"]
"""A function that answers requests, sync or async; None leaves a request to the emulator."""

Piece: TypeAlias = tuple[Turn, list[Part], bool]
"""Of a server's stream: the turn so far, its new parts, whether it ended."""

_JSON = "application/json; charset=UTF-8"
_ROUTE = re.compile(r"/(?P<version>v1beta|v1)/models(?:/(?P<model>.+?)(?::(?P<action>\w+))?)?")


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
    signatures: Signatures = field(default_factory=Signatures)
    misbehave: frozenset[str] = frozenset()
    responder: Responder | None = None
    latency: Latency | None = None
    server: OpenAIServer | None = None
    tape: Tape | None = None
    recorder: Recorder | None = None
    journal: Journal = field(default_factory=Journal)
    queue: deque[Reply] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    async def respond(self, entry: Entry) -> Outcome:
        """The answer to the request in *entry*; every failure is an answer too."""
        try:
            outcome = await self._respond(entry)
            if self.latency is not None and "enerateContent" in entry.path:
                outcome.delay += self.latency.sample()
            return outcome
        except GoogleError as error:
            if self._is_openai_embeddings(entry.method, entry.path.partition("?")[0]):
                body = _misbehaviour.embeddings_error(error.code, error.message)
                return replace(_json(body), status=error.code)
            return self._refusal(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours should be read in the client's error, not in a log
            return self._refusal(GoogleError(500, f"The emulator failed: {error!r}"))

    async def _respond(self, entry: Entry) -> Outcome:
        path, _, query = entry.path.partition("?")
        route = self._route(entry.method, unquote(path))
        if not self._authorised(entry, parse_qs(query)):
            raise unauthenticated()
        if (recorded := await self._recorded(entry)) is not None:
            return recorded
        if self._is_openai_embeddings(entry.method, path):
            return self._embed_for_openai(entry)
        if route is None:
            raise unknown_route(entry.method, path)
        version, name, action = route
        if entry.method == "GET":
            return _json(self._model_resources(name, version))
        model = _models.find(name, self.models, any_model=self.any_model)
        if model is None or not model.serves(action):
            raise unknown_model(name, "embedContent" if "mbed" in action else action, version)
        if action == "streamGenerateContent" and "no_stream_route" in self.misbehave:
            raise unknown_route(entry.method, path)
        if action in ("generateContent", "streamGenerateContent"):
            sse = parse_qs(query).get("alt") == ["sse"]
            return await self._generate(entry, model, streamed=action.startswith("stream"), sse=sse)
        return self._count(entry, model) if action == "countTokens" else self._embed(entry, model, action)

    async def _recorded(self, entry: Entry) -> Outcome | None:
        """The answer of the gateway that is being recorded, or of the tape that is being played."""
        path = entry.path.removeprefix(self.prefix)
        if self.recorder is not None:
            return await self.recorder.pass_on(entry, path)
        if self.tape is not None:
            return self.tape.answer(entry.method, path, entry.headers.get("x-record-id"), entry.body)
        return None

    def _route(self, method: str, path: str) -> tuple[str, str, str] | None:
        """(version, model, action) of *path*, or None if it is not one of the API's."""
        if not path.startswith(self.prefix) or not (found := _ROUTE.fullmatch(path[len(self.prefix) :])):
            return None
        if found["version"] == "v1" and "no_v1_route" in self.misbehave:
            return None
        name, action = (found["model"] or "").removeprefix("models/"), found["action"] or ""
        if method == "GET":
            hidden = "no_model_routes" in self.misbehave
            return None if action or hidden else (found["version"], name, "")
        known = {"generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"}
        known -= {"countTokens"} if "no_count_route" in self.misbehave else set()
        known -= {"embedContent", "batchEmbedContents"} if "no_embed_routes" in self.misbehave else set()
        known -= {"batchEmbedContents"} if "no_batch_embed_route" in self.misbehave else set()
        return (found["version"], name, action) if method == "POST" and action in known else None

    def _is_openai_embeddings(self, method: str, path: str) -> bool:
        hidden = self.misbehave & {"no_openai_embed_route", "no_v1_route"}
        return method == "POST" and path == f"{self.prefix}/v1/embeddings" and not hidden

    def _authorised(self, entry: Entry, query: dict[str, list[str]]) -> bool:
        scheme, _, token = entry.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if "key_header_wins" in self.misbehave:
            token = entry.headers.get("x-goog-api-key") or query.get("key", [token])[0]
        return hmac.compare_digest(token.encode("latin-1", "replace"), self.api_key.encode("latin-1", "replace"))

    def _model_resources(self, name: str, version: str) -> Any:
        if not name:
            return {"models": [model.describe() for model in _models.listed(self.models)]}
        model = _models.find(name, self.models, any_model=self.any_model)
        if model is None:
            raise unknown_model(name, "GetModel", version)
        return model.describe()

    async def _generate(self, entry: Entry, model: Model, *, streamed: bool, sse: bool) -> Outcome:
        request = Request(model, self._body(entry, "Request"), streamed)
        if self.validate:
            _rules.check(request, self.signatures)
        reply = await self._reply(request)
        if isinstance(reply, OpenAIServer):
            return await self._ask_server(reply, request, sse=sse)
        if isinstance(reply, (ErrorReply, RawReply)):
            return self._failure(reply)
        if isinstance(reply, StreamReply):
            self._remember(reply.chunks, request.prompt)
            return _scripted_stream(reply) if streamed else _json(fold(reply.chunks), delay=reply.delay)
        return self._turn(reply, request, streamed=streamed, sse=sse)

    async def _reply(self, request: Request) -> Reply | OpenAIServer:
        """The next scripted reply, else the one of `respond=`, else the server that answers, else the emulator's own."""
        if (scripted := self._next_reply()) is not None:
            return scripted
        if self.responder is not None and (given := await self._ask_responder(self.responder, request)) is not None:
            return given
        if self.server is not None and request.modalities == ["TEXT"]:
            return self.server
        if "IMAGE" in request.modalities:
            # Drawing a large picture takes half a second; other requests should not wait for it.
            return await asyncio.to_thread(answer, request, thought_images=self.thought_images)
        return answer(request, thought_images=self.thought_images)

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
            return self._turn(await server.answer(request), request, streamed=request.streamed, sse=sse)
        pieces = server.stream(request)
        # The first piece is waited for here, so that an error of the server is an error answer and no broken stream.
        first = await anext(pieces, None)
        if first is None:
            raise GoogleError(502, "The upstream server ended without an answer.")
        framing = _misbehaviour.framing(self.misbehave, as_array=False)
        headers = {"content-type": framing.content_type}
        return Outcome(200, headers, self._translated(request, first, pieces, framing), streamed=True)

    async def _translated(
        self, request: Request, first: Piece, pieces: AsyncIterator[Piece], framing: Framing
    ) -> AsyncIterator[bytes]:
        """The bytes of a stream whose pieces a server sends; signed and counted as the emulator's own."""
        envelope, sent, piece = self._envelope(request), [], first
        while piece is not None:
            turn, parts, ended = piece
            signed = self._signed(Turn(parts), request).parts
            sent.append(signed)
            for frame in framing.frames([envelope.chunk(turn, sent, ended=ended)]):
                yield frame
            following = await anext(pieces, None)
            if following is None:
                return
            piece = following

    def _envelope(self, request: Request) -> Envelope:
        size = (request.config.get("imageConfig") or {}).get("imageSize") or "1K"
        prompt, cached = _usage.prompt_tokens(request.body), _usage.cached_tokens(request.body)
        return Envelope(request.model, f"emu-{next(self._ids):06d}", prompt, image_size=size, cached=cached)

    def _turn(self, turn: Turn, request: Request, *, streamed: bool, sse: bool) -> Outcome:
        turn, envelope = self._signed(turn, request), self._envelope(request)
        delay = turn.delay or self.delay
        if not streamed:
            chunks = _misbehaviour.deviate([envelope.response(turn)], self.misbehave, streamed=False)
            return _json(chunks[0], delay=delay)
        chunks = _misbehaviour.deviate(envelope.chunks(turn), self.misbehave, streamed=True)
        framing = _misbehaviour.framing(self.misbehave, as_array=not sse)
        pause = self.chunk_delay if turn.chunk_delay is None else turn.chunk_delay
        return _stream(chunks, framing, delay=delay, frame_delay=pause)

    def _signed(self, turn: Turn, request: Request) -> Turn:
        with self._lock:
            parts = self.signatures.sign(turn.parts, request.model, request.prompt)
        others = [self._signed(other, request) for other in turn.alternatives]
        return replace(turn, parts=parts, alternatives=others)

    def _remember(self, chunks: list[Chunk], asked: str) -> None:
        """Signatures in scripted chunks are issued here as well."""
        candidates = [candidate for chunk in chunks for candidate in chunk.get("candidates") or []]
        for part in (part for candidate in candidates for part in (candidate.get("content") or {}).get("parts") or []):
            self.signatures.remember(part, asked)

    def _count(self, entry: Entry, model: Model) -> Outcome:
        if "unknown_verbs_generate" in self.misbehave:
            return self._generate_instead(entry, model)
        body = self._body(entry, "CountTokensRequest")
        wrapped = body.get("generateContentRequest") or body
        if not wrapped.get("contents"):
            raise GoogleError(400, "* GenerateContentRequest.contents: contents is not specified")
        totals = _usage.prompt_tokens(wrapped)
        number = 0 if "count_tokens_zero" in self.misbehave else sum(totals.values())
        return _json({"totalTokens": number, "promptTokensDetails": _usage.details(totals)})

    def _embed(self, entry: Entry, model: Model, action: str) -> Outcome:
        if "unknown_verbs_generate" in self.misbehave:
            return self._generate_instead(entry, model)
        if (scripted := self._next_failure()) is not None:
            return self._failure(scripted)
        merged = "merged_embeddings" in self.misbehave
        if action == "embedContent":
            answer = _embeddings.single_answer(self._body(entry, "EmbedContentRequest"), model)
        else:
            answer = _embeddings.batch_answer(self._body(entry, "BatchEmbedContentsRequest"), model, merged=merged)
        return self._embedded(answer)

    def _embed_for_openai(self, entry: Entry) -> Outcome:
        """OpenAI's `/v1/embeddings`, which many gateways serve with the same key."""
        if (scripted := self._next_failure()) is not None:
            return self._failure(scripted)
        body = _shapes.parse_json(entry.body)
        name = body.get("model")
        model = _models.find(name, self.models, any_model=self.any_model) if isinstance(name, str) else None
        if model is None or not model.serves("embedContent"):
            raise GoogleError(404, f"The model `{name}` does not exist or you do not have access to it.")
        merged = "merged_embeddings" in self.misbehave
        return self._embedded(_embeddings.openai_answer(body, model, merged=merged))

    def _embedded(self, answer: dict[str, Any]) -> Outcome:
        content = b"" if "empty_embeddings" in self.misbehave else json.dumps(answer).encode()
        cut = "truncated_embeddings" in self.misbehave
        return Outcome(
            200, {"content-type": _JSON}, [content[: len(content) // 2] if cut else content], self.delay, cut=cut
        )

    def _generate_instead(self, entry: Entry, model: Model) -> Outcome:
        """The generation that some gateways run for every verb they do not know."""
        body = _shapes.normalise(_shapes.parse_json(entry.body), "Anything", check=False)
        request = Request(model, {"contents": body.get("contents") or [body.get("content") or {}]})
        return self._turn(answer(request), request, streamed=False, sse=False)

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
        headers = {"content-type": _JSON, **(scripted.headers if scripted else {})}
        delay = scripted.delay if scripted else 0.0
        if scripted is not None and scripted.body is not None:
            return Outcome(status, headers, [scripted.body], delay)
        if "plain_text_errors" in self.misbehave:
            return Outcome(status, headers | {"content-type": "text/plain"}, [error.message.encode()], delay)
        body = _misbehaviour.openai_error(error.body()) if "openai_errors" in self.misbehave else error.body()
        return Outcome(status, headers, [json.dumps(body).encode()], delay)


def _json(value: Any, *, delay: float = 0.0) -> Outcome:
    return Outcome(200, {"content-type": _JSON}, [json.dumps(value, ensure_ascii=False).encode()], delay)


def _stream(chunks: list[Chunk], framing: Framing, *, delay: float, frame_delay: float, cut: bool = False) -> Outcome:
    headers = {"content-type": framing.content_type}
    return Outcome(200, headers, framing.frames(chunks), delay, frame_delay, cut, streamed=True)


def _scripted_stream(scripted: StreamReply) -> Outcome:
    return _stream(
        scripted.chunks, scripted.framing, delay=scripted.delay, frame_delay=scripted.delay, cut=scripted.cut
    )
