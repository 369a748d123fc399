"""The ASGI application: reads requests into the journal, asks the gateway, writes the answer. All waiting happens here."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gemway_emulator import _control, _misbehaviour
from gemway_emulator._errors import GoogleError, invalid_argument, unauthenticated, unknown_route
from gemway_emulator._gateway import Gateway
from gemway_emulator._journal import Entry, Headers
from gemway_emulator._outcome import Outcome

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_POLL = 0.3  # seconds between two looks at the journal for the page
_SHOWN = 100  # newest requests on the page
_SHOWN_PLAINLY = 20  # to readers without JavaScript
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#4456c7"/>'
    '<path d="M16 5l3 8 8 3-8 3-3 8-3-8-8-3 8-3z" fill="#fff"/></svg>'
)
_LOCAL_ONLY = "this is only served under a loopback address, such as 127.0.0.1"


class Cut(Exception):
    """Ends a response without its end, so that the server closes the socket."""


def is_loopback(host: str | None) -> bool:
    """Whether a Host header names this machine.

    A page of another site can make a browser send requests to 127.0.0.1 under that site's own name (DNS rebinding)
    and then read the answers. The page shows prompts, so it is served under a name of this machine only.
    """
    try:
        name = (urlsplit(f"//{host or ''}").hostname or "").rstrip(".")
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Application:
    """One gateway behind HTTP; *reset* returns the emulator to its constructor's options."""

    def __init__(self, gateway: Gateway, reset: Callable[[], None]) -> None:
        self.gateway = gateway
        self.stopping: asyncio.Event | None = None
        self._reset = reset

    def routes(self) -> list[Route]:
        """The page and what it needs, the health check, scripting from outside, and everything else."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/favicon.ico", _icon, methods=["GET"]),
            Route("/healthz", _healthz, methods=["GET"]),
            Route("/__emulator/feed", self._feed, methods=["GET"]),
            Route("/__emulator/{action}", self._script, methods=["GET", "POST"]),
            Route("/{path:path}", self._api, methods=_METHODS),
        ]

    async def close(self) -> None:
        """Close the connections to whatever answers in the emulator's place."""
        for upstream in (self.gateway.server, self.gateway.recorder):
            if upstream is not None:
                await upstream.aclose()

    async def _page(self, request: Request) -> Response:
        if not is_loopback(request.headers.get("host")):
            return PlainTextResponse(_LOCAL_ONLY, 403)
        text = resources.files("gemway_emulator").joinpath("page.html").read_text(encoding="utf-8")
        newest = list(enumerate(self.gateway.journal))[-_SHOWN_PLAINLY:][::-1]
        plain = "".join(_control.plain(_control.described(e, index, self.gateway.api_key)) for index, e in newest)
        return HTMLResponse(text.replace("<!-- requests -->", plain))

    async def _feed(self, request: Request) -> Response:
        """The journal as server-sent events, for the page; an entry is sent again when its answer has ended."""
        if not is_loopback(request.headers.get("host")):
            return PlainTextResponse(_LOCAL_ONLY, 403)
        return StreamingResponse(
            self._events(), headers={"content-type": "text/event-stream", "cache-control": "no-store"}
        )

    async def _events(self) -> AsyncIterator[str]:
        sent: dict[int, tuple[int, bool]] = {}
        while self.stopping is None or not self.stopping.is_set():
            entries = list(self.gateway.journal)
            if len(entries) < len(sent):  # the emulator was reset
                sent.clear()
                yield "event: reset\ndata: {}\n\n"
            for index, entry in list(enumerate(entries))[-_SHOWN:]:
                state = (id(entry), entry.ended is not None)
                if sent.get(index) != state:
                    sent[index] = state
                    yield f"data: {json.dumps(_control.described(entry, index, self.gateway.api_key))}\n\n"
            await self._sleep(_POLL)

    async def _script(self, request: Request) -> Response:
        """Scripting from outside: from this machine, under a name of this machine, with the gateway's key."""
        try:
            return await self._scripted(request)
        except GoogleError as error:
            return JSONResponse(error.body(), error.code)

    async def _scripted(self, request: Request) -> Response:
        client = request.client.host if request.client else ""
        if not is_loopback(request.headers.get("host")) or not is_loopback(f"[{client}]" if ":" in client else client):
            return PlainTextResponse(_LOCAL_ONLY, 403)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(
            token.encode("latin-1", "replace"), self.gateway.api_key.encode("latin-1", "replace")
        ):
            raise unauthenticated()
        action, gateway = request.path_params["action"], self.gateway
        if (request.method, action) == ("GET", "requests"):
            return JSONResponse([_control.described(e, i, gateway.api_key) for i, e in enumerate(gateway.journal)])
        if request.method != "POST" or action not in ("replies", "misbehave", "reset"):
            raise unknown_route(request.method, request.url.path)
        if action == "reset":
            self._reset()
        else:
            value = _json(await request.body())
            if action == "replies":
                gateway.queue.extend(_control.to_replies(value))
            else:
                gateway.misbehave = _known(_control.to_names(value))
        return JSONResponse({"pending": len(gateway.queue), "misbehave": sorted(gateway.misbehave)})

    async def _api(self, request: Request) -> Response:
        arrived = time.monotonic()
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=499)
        entry = Entry(request.method, _path(request), Headers(request.headers.items()), body, arrived)
        self.gateway.journal.append(entry)
        outcome = await self.gateway.respond(entry)
        entry.status = outcome.status
        await self._sleep(outcome.delay)
        return self._response(outcome, entry)

    def _response(self, outcome: Outcome, entry: Entry) -> Response:
        frames = outcome.frames
        if outcome.streamed or outcome.cut or isinstance(frames, AsyncIterator):
            return StreamingResponse(self._frames(outcome, entry), outcome.status, outcome.headers)
        content = b"".join(frames)
        entry.add_answer(content)
        entry.ended = time.monotonic()
        return Response(content, outcome.status, outcome.headers)

    async def _frames(self, outcome: Outcome, entry: Entry) -> AsyncIterator[bytes]:
        frames = outcome.frames if isinstance(outcome.frames, AsyncIterator) else _each(outcome.frames)
        first = True
        try:
            async for frame in frames:
                if not first:
                    await self._sleep(outcome.frame_delay)
                first = False
                entry.add_answer(frame)
                yield frame
        finally:
            entry.ended = time.monotonic()
        if outcome.cut:
            await asyncio.sleep(0.01)  # let the bytes leave before the socket closes
            raise Cut

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past the end of the server."""
        if seconds <= 0:
            return
        if self.stopping is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)


def build(application: Application) -> Starlette:
    """The Starlette application; cut responses end in an exception that nobody reports."""
    return Starlette(routes=application.routes())


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok")


async def _icon(request: Request) -> Response:
    return Response(_ICON, media_type="image/svg+xml")


async def _each(frames: Any) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise invalid_argument("the body is no JSON") from None


def _known(names: Any) -> frozenset[str]:
    try:
        return _misbehaviour.checked(names)
    except ValueError as error:
        raise invalid_argument(str(error)) from None


def _path(request: Request) -> str:
    scope: Any = request.scope
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string") or b""
    return (raw + (b"?" + query if query else b"")).decode("latin-1")
