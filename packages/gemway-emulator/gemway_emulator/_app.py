"""The ASGI application: reads requests into the journal, asks the gateway, writes what it says. All waiting happens here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gemway_emulator._gateway import Gateway, Outcome
from gemway_emulator._journal import Entry, Headers
from gemway_emulator._page import is_loopback, page

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_ANSWER_SHOWN = 4000


class Cut(Exception):
    """Ends a response without its end, so that the server closes the socket."""


class Application:
    """One gateway behind HTTP."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.stopping: asyncio.Event | None = None

    def routes(self) -> list[Route]:
        """The page, the health check, and everything else."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/healthz", _healthz, methods=["GET"]),
            Route("/{path:path}", self._api, methods=_METHODS),
        ]

    async def _page(self, request: Request) -> Response:
        if not is_loopback(request.headers.get("host")):
            return PlainTextResponse("this page is only shown under a loopback address, such as 127.0.0.1", 403)
        return HTMLResponse(page(self.gateway))

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
        if outcome.streamed or outcome.cut:
            return StreamingResponse(self._frames(outcome, entry), outcome.status, outcome.headers)
        content = b"".join(outcome.frames)
        entry.answer = content[:_ANSWER_SHOWN].decode(errors="replace")
        return Response(content, outcome.status, outcome.headers)

    async def _frames(self, outcome: Outcome, entry: Entry) -> AsyncIterator[bytes]:
        for index, frame in enumerate(outcome.frames):
            if index:
                await self._sleep(outcome.frame_delay)
            if len(entry.answer) < _ANSWER_SHOWN:
                entry.answer += frame[:_ANSWER_SHOWN].decode(errors="replace")
            yield frame
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


def _path(request: Request) -> str:
    scope: Any = request.scope
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string") or b""
    return (raw + (b"?" + query if query else b"")).decode("latin-1")
