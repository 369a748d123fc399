"""Admit a request and answer it: authorisation, route, validation, queue, `respond=`, own answer. Knows no HTTP."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import itertools
import json
import re
import threading
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

from gemway_emulator import _embeddings, _messages, _models, _rules, _usage
from gemway_emulator._answers import compose_answer
from gemway_emulator._envelope import Envelope, Turn, fold_chunks, parts_of, write_frames
from gemway_emulator._errors import (
    GoogleError,
    openai_embeddings_error,
    openai_error,
    unauthenticated,
    unknown_model,
    unknown_route,
)
from gemway_emulator._http import JSON_TYPE, Outcome, json_outcome
from gemway_emulator._journal import Entry, Journal
from gemway_emulator._latency import Latency
from gemway_emulator._misbehaviour import check_names, deviate
from gemway_emulator._models import Model
from gemway_emulator._openai import OpenAIServer, Piece
from gemway_emulator._request import Request
from gemway_emulator._signatures import Signatures
from gemway_emulator._tape import Recorder, Tape
from gemway_emulator.reply import Reply, check_reply

Responder: TypeAlias = Callable[[Request], "Reply | Awaitable[Reply | None] | None"]
"""A function that answers requests, sync or async; None leaves a request to the emulator."""

_ROUTE = re.compile(r"/(?P<version>v1beta|v1)/models(?:/(?P<model>.+?)(?::(?P<action>\w+))?)?")
# The methods of models, and the misbehaviours that hide each.
_ACTIONS: dict[str, set[str]] = {
    "generateContent": set(),
    "streamGenerateContent": {"no_stream_route"},
    "countTokens": {"no_count_route"},
    "embedContent": {"no_embed_routes"},
    "batchEmbedContents": {"no_embed_routes", "no_batch_embed_route"},
}


@dataclass(kw_only=True, eq=False, repr=False)
class Options:
    """The options of an emulator, explained at `Emulator`."""

    respond: Responder | None = None
    port: int = 0
    host: str = "127.0.0.1"
    prefix: str = ""
    api_key: str = "sk-local"
    strict_signatures: bool = False
    validate: bool = True
    models: Collection[str] = ()
    any_model: bool = False
    thought_images: bool = False
    delay: float = 0.0
    chunk_delay: float = 0.0
    latency: str | None = None
    seed: int = 0
    misbehave: Collection[str] = ()
    upstream: str | None = None
    upstream_model: str | None = None
    upstream_key: str | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # A misbehaviour that does not exist is an error where it is written, not at the next request.
        super().__setattr__(name, check_names(value) if name == "misbehave" else value)


class Gateway:
    """The state of one emulator: its scripted replies, its journal, the signatures it issued."""

    def __init__(self, options: Options) -> None:
        self.options, path = options, options.prefix.strip("/")
        self.prefix = f"/{path}" if path else ""
        self.journal, self.signatures = Journal(), Signatures()
        self.queue: deque[Reply] = deque()
        self.tape: Tape | None = None
        self.recorder: Recorder | None = None
        self.server: OpenAIServer | None = None
        if options.upstream is not None:
            self.server = OpenAIServer(options.upstream, model=options.upstream_model, api_key=options.upstream_key)
        self._latency = None if options.latency is None else Latency(options.latency, seed=options.seed)
        # `reset` returns to these: one emulator serves a whole test run, and no test may change the next one's.
        self._initial = {option.name: getattr(options, option.name) for option in fields(Options)}
        self._ids, self._lock = itertools.count(1), threading.Lock()

    def reset(self) -> None:
        """Forget requests, scripted replies and issued signatures, and return to the options of the beginning."""
        for kept in (self.journal, self.queue, self.signatures):
            kept.clear()
        for name, value in self._initial.items():
            setattr(self.options, name, value)

    def accepts_key(self, token: str) -> bool:
        """Whether *token* is the emulator's key; the comparison takes as long for every wrong one."""
        key = self.options.api_key
        return hmac.compare_digest(token.encode("latin-1", "replace"), key.encode("latin-1", "replace"))

    async def answer(self, entry: Entry) -> Outcome:
        """The answer to the request in *entry*; every failure is an answer too."""
        try:
            outcome = await self._admit_request(entry)
        except GoogleError as error:
            if self._is_openai_embeddings(entry):
                return json_outcome(openai_embeddings_error(error), status=error.code)
            return self._to_error_answer(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours should be read in the client's error, not in a log
            return self._to_error_answer(GoogleError(500, f"The emulator failed: {error!r}"))
        if self._latency is not None and "enerateContent" in entry.path:
            outcome.delay += self._latency.sample()
        return outcome

    async def _admit_request(self, entry: Entry) -> Outcome:
        # The key comes first. Without it nobody learns which routes and models there are, and no reply is used up.
        path, _, query = entry.path.partition("?")
        parameters = parse_qs(query)
        scheme, _, token = entry.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if self._misbehaves("key_header_wins"):
            token = entry.headers.get("x-goog-api-key") or parameters.get("key", [token])[0]
        if not self.accepts_key(token):
            raise unauthenticated()
        below = entry.path.removeprefix(self.prefix)
        if self.recorder is not None:
            return await self.recorder.pass_on(entry, below)
        if self.tape is not None:
            # Clients list models before they ask; where the tape has no such request, the emulator's list is served.
            taped = self.tape.answer(entry.method, below, entry.headers.get("x-record-id"), entry.body)
            if taped is not None:
                return taped
        if self._is_openai_embeddings(entry):
            return self._answer_openai_embedding(entry)
        return await self._route_request(entry, path, parameters)

    async def _route_request(self, entry: Entry, path: str, query: dict[str, list[str]]) -> Outcome:
        route = _ROUTE.fullmatch(unquote(path)[len(self.prefix) :]) if path.startswith(self.prefix) else None
        if route is None or (route["version"] == "v1" and self._misbehaves("no_v1_route")):
            raise unknown_route(entry.method, path)
        version, name, action = route["version"], (route["model"] or "").removeprefix("models/"), route["action"] or ""
        if entry.method == "GET" and not action and not self._misbehaves("no_model_routes"):
            if not name:
                return json_outcome(self._list_models(query))
            return json_outcome(self._find_model(name, "GetModel", version).describe())
        if entry.method != "POST" or action not in _ACTIONS or self._misbehaves(*_ACTIONS[action]):
            raise unknown_route(entry.method, path)
        model = self._find_model(name, action, version)
        if action in ("generateContent", "streamGenerateContent"):
            request = Request(model, self._read_body(entry, "Request"), action == "streamGenerateContent")
            return await self._answer_generation(request, sse=query.get("alt") == ["sse"])
        # one-hub sends every verb it does not know to the generation, which answers 200 with text.
        if self._misbehaves("unknown_verbs_generate"):
            body = _messages.normalise(_messages.parse_json(entry.body), "Anything", check=False)
            request = Request(model, {"contents": body.get("contents") or [body.get("content") or {}]})
            return self._send_turn(compose_answer(request), request, sse=False)
        if action == "countTokens":
            return self._count_tokens(self._read_body(entry, "CountTokensRequest"))
        return self._answer_embedding(entry, model, action)

    def _misbehaves(self, *names: str) -> bool:
        return any(name in self.options.misbehave for name in names)

    def _is_openai_embeddings(self, entry: Entry) -> bool:
        path = entry.path.partition("?")[0]
        is_there = entry.method == "POST" and path == f"{self.prefix}/v1/embeddings"
        return is_there and not self._misbehaves("no_openai_embed_route", "no_v1_route")

    def _find_model(self, name: str, action: str, version: str) -> Model:
        """The model called *name*, if it is served and has the method *action*; else a 404."""
        options = self.options
        # A local model has names of its own, and `validate=False` promises an answer to everything.
        is_open = options.any_model or not options.validate or options.upstream is not None
        model = _models.find_model(name, options.models, any_model=is_open)
        if model is None or not (action == "GetModel" or model.serves(action)):
            # Google's 404 of a batch names the single method.
            raise unknown_model(name, action.replace("batchEmbedContents", "embedContent"), version)
        return model

    def _list_models(self, query: dict[str, list[str]]) -> dict[str, Any]:
        models = _models.list_models(self.options.models)
        texts = [query.get(name, [""])[0] for name in ("pageToken", "pageSize")]
        start, size = (int(text) if text.isdecimal() else 0 for text in texts)
        end = start + (size or len(models))
        page: dict[str, Any] = {"models": [model.describe() for model in models[start:end]]}
        return page | ({"nextPageToken": str(end)} if end < len(models) else {})

    async def _answer_generation(self, request: Request, *, sse: bool) -> Outcome:
        if self.options.validate:
            _rules.check_request(request, self.signatures, strict=self.options.strict_signatures)
        reply = await self._choose_reply(request)
        if isinstance(reply, OpenAIServer):
            return await self._ask_server(reply, request, sse=sse)
        if isinstance(reply, (GoogleError, Outcome)):
            return self._send_reply(reply)
        if isinstance(reply, Turn):
            return self._send_turn(reply, request, sse=sse)
        for part in itertools.chain.from_iterable(map(parts_of, reply.chunks)):
            self.signatures.remember(part, request.prompt)  # scripted signatures are issued here as well
        if not request.streamed:
            return json_outcome(fold_chunks(reply.chunks), delay=reply.delay)
        headers, frames = {"content-type": reply.content_type}, write_frames(reply.chunks, reply.names)
        return Outcome(200, headers, frames, reply.delay, reply.delay, reply.cut, streamed=True)

    async def _choose_reply(self, request: Request) -> Reply | OpenAIServer:
        """The next scripted reply, else the one of `respond=`, else the server that answers, else the emulator's own."""
        # Tests enqueue from their own thread while this one takes: the lock keeps replies in order.
        with self._lock:
            if self.queue:
                return self.queue.popleft()
        respond = self.options.respond
        if respond is not None and (reply := await _ask_responder(respond, request)) is not None:
            return reply
        # Local OpenAI-compatible servers make neither pictures nor sound; those remain the emulator's own.
        if self.server is not None and request.modalities == ["TEXT"]:
            return self.server
        if "IMAGE" in request.modalities:
            # Drawing a large picture takes half a second; other requests should not wait for it.
            return await asyncio.to_thread(compose_answer, request, thought_images=self.options.thought_images)
        return compose_answer(request)

    async def _ask_server(self, server: OpenAIServer, request: Request, *, sse: bool) -> Outcome:
        # Misbehaviours rearrange whole streams, and a JSON array is one document: both wait for the end.
        if not request.streamed or not sse or self.options.misbehave:
            return self._send_turn(await server.answer(request), request, sse=sse)
        pieces = server.stream(request)
        # The first piece is waited for here, so that an error of the server is an error answer and no broken stream.
        first = await anext(pieces, None)
        if first is None:
            raise GoogleError(502, "The upstream server ended without an answer.")
        translated = self._translate_stream(request, first, pieces)
        return Outcome(200, {"content-type": "text/event-stream"}, translated, streamed=True)

    async def _translate_stream(
        self, request: Request, piece: Piece | None, pieces: AsyncGenerator[Piece, None]
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a stream whose pieces a server sends; signed and counted as the emulator's own."""
        envelope, tokens = self._create_envelope(request), Counter[str]()
        while piece is not None:
            turn, parts, ended = piece
            parts = self._sign_turn(Turn(parts), request).parts
            tokens += envelope.count_tokens(parts)
            for frame in write_frames([envelope.make_chunk(turn, parts, tokens, ended=ended)], frozenset()):
                yield frame
            piece = await anext(pieces, None)

    def _send_turn(self, turn: Turn, request: Request, *, sse: bool) -> Outcome:
        names, envelope = frozenset(self.options.misbehave), self._create_envelope(request)
        turn = self._sign_turn(turn, request)
        delay = turn.delay or self.options.delay
        if not request.streamed:
            [whole] = deviate([envelope.make_response(turn)], names, streamed=False)
            return json_outcome(whole, delay=delay)
        chunks = deviate(envelope.make_chunks(turn), names, streamed=True)
        names |= frozenset() if sse else {"json_array_stream"}  # as Google does without alt=sse
        is_json = names & {"json_array_stream", "json_content_type"}
        headers = {"content-type": JSON_TYPE if is_json else "text/event-stream"}
        pause = self.options.chunk_delay if turn.chunk_delay is None else turn.chunk_delay
        return Outcome(200, headers, write_frames(chunks, names), delay, pause, streamed=True)

    def _create_envelope(self, request: Request) -> Envelope:
        size = (request.config.get("imageConfig") or {}).get("imageSize") or "1K"
        prompt, cached = _usage.prompt_tokens(request.body), _usage.cached_tokens(request.body)
        return Envelope(request.model, f"emu-{next(self._ids):06d}", prompt, image_size=size, cached=cached)

    def _sign_turn(self, turn: Turn, request: Request) -> Turn:
        with self._lock:
            parts = self.signatures.sign(turn.parts, request.model, request.prompt)
        others = [self._sign_turn(other, request) for other in turn.alternatives]
        return replace(turn, parts=parts, alternatives=others)

    def _count_tokens(self, body: dict[str, Any]) -> Outcome:
        wrapped = body.get("generateContentRequest") or body
        if not wrapped.get("contents"):
            raise GoogleError(400, "* GenerateContentRequest.contents: contents is not specified")
        totals = _usage.prompt_tokens(wrapped)
        number = 0 if self._misbehaves("count_tokens_zero") else sum(totals.values())
        return json_outcome({"totalTokens": number, "promptTokensDetails": _usage.details(totals)})

    def _answer_openai_embedding(self, entry: Entry) -> Outcome:
        """OpenAI's `/v1/embeddings`, which many gateways serve with the same key."""
        name = _messages.parse_json(entry.body).get("model")
        try:
            model = self._find_model(name if isinstance(name, str) else "", "embedContent", "v1")
        except GoogleError:
            raise GoogleError(404, f"The model `{name}` does not exist or you do not have access to it.") from None
        return self._answer_embedding(entry, model, "openai")

    def _answer_embedding(self, entry: Entry, model: Model, action: str) -> Outcome:
        with self._lock:  # errors and raw replies can be sent on any route
            if self.queue and isinstance(scripted := self.queue[0], (GoogleError, Outcome)):
                self.queue.popleft()
                return self._send_reply(scripted)
        merged = self._misbehaves("merged_embeddings")
        if action == "openai":
            value = _embeddings.answer_openai(_messages.parse_json(entry.body), model, merged=merged)
        elif action == "embedContent":
            value = _embeddings.answer_single(self._read_body(entry, "EmbedContentRequest"), model)
        else:
            value = _embeddings.answer_batch(self._read_body(entry, "BatchEmbedContentsRequest"), model, merged=merged)
        content = b"" if self._misbehaves("empty_embeddings") else json.dumps(value).encode()
        if cut := self._misbehaves("truncated_embeddings"):
            content = content[: len(content) // 2]
        return Outcome(200, {"content-type": JSON_TYPE}, [content], self.options.delay, cut=cut)

    def _read_body(self, entry: Entry, message: str) -> dict[str, Any]:
        return _messages.normalise(
            _messages.parse_json(entry.body),
            message,
            check=self.options.validate,
            drop_snake=self._misbehaves("drop_snake_case"),
            arrays_required=self._misbehaves("arrays_required"),
        )

    def _send_reply(self, reply: GoogleError | Outcome) -> Outcome:
        return replace(reply) if isinstance(reply, Outcome) else self._to_error_answer(reply)

    def _to_error_answer(self, error: GoogleError) -> Outcome:
        status = 200 if self._misbehaves("error_with_200") else error.code
        headers, content = {"content-type": JSON_TYPE} | error.headers, error.replaced
        if content is None and self._misbehaves("plain_text_errors"):
            headers["content-type"], content = "text/plain", error.message.encode()
        elif content is None:
            body = openai_error(error) if self._misbehaves("openai_errors") else error.body()
            content = json.dumps(body).encode()
        return Outcome(status, headers, [content], error.delay)


async def _ask_responder(responder: Responder, request: Request) -> Reply | None:
    try:
        if inspect.iscoroutinefunction(responder):
            reply = await responder(request)
        else:
            # In a thread, because it may sleep, or call this very emulator.
            reply = await asyncio.to_thread(responder, request)
            reply = await reply if inspect.isawaitable(reply) else reply
        return None if reply is None else check_reply(reply)
    except GoogleError:
        raise
    except Exception as error:
        name = getattr(responder, "__qualname__", repr(responder))
        raise GoogleError(500, f"respond={name} failed: {error!r}") from error
