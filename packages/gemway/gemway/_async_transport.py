"""Send one attempt of a call in the running event loop. Its twin is `_transport.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpcore
import httpx

from gemway import _sending as sending
from gemway._checks import Timeouts
from gemway._config import ClientConfig
from gemway._credentials import AsyncKey, RequestHeaders
from gemway._error_bodies import request_id_of
from gemway._log import LOGGER, log_request
from gemway._network_errors import to_connection_error, to_failure, transport_errors
from gemway._pools import AsyncLease, AsyncSlot, PoolKey, retry_budget
from gemway._redaction import Redactor, Secret
from gemway._retry import Attempts


class AsyncTransport:
    """Sends requests on connections of its own, or through an injected client.

    While the key is in scope, errors are returned instead of raised, so that no frame of a traceback contains it.
    """

    now = staticmethod(sending.now)
    sleep = staticmethod(sending.async_sleep)
    together = staticmethod(sending.async_together)
    random = sending.RANDOM

    def __init__(self, setup: ClientConfig) -> None:
        self._settings = setup.settings
        self._lease = AsyncLease(PoolKey(**setup.wiring()))
        self._key = AsyncKey(setup.key)
        self._auth = setup.auth
        self._client = sending.checked_client(setup.client, kind="async")
        self._headers = RequestHeaders(setup.settings)
        self.key_can_change = not (setup.key is None or isinstance(setup.key, Secret))
        self.budget = retry_budget(setup.settings.base_url) if setup.has_budget else None

    async def send(self, attempts: Attempts) -> OpenAsyncResponse:
        """Send the current attempt. The response that comes back is open; whoever asked closes it."""
        began = self.now()
        timeouts = attempts.begin(began)
        sent = await self._attempt(attempts, timeouts)
        if isinstance(sent, BaseException):
            log_request(attempts.call, type(sent).__name__, self.now() - began)
            raise sent
        if LOGGER.isEnabledFor(logging.DEBUG):
            request_id = sent.redact(request_id_of(sent.headers) or "")
            log_request(attempts.call, sent.status, self.now() - began, request_id)
        return sent

    async def aclose(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        await self._lease.aclose()

    async def _attempt(self, attempts: Attempts, timeouts: Timeouts) -> OpenAsyncResponse | BaseException:
        """Send once: headers and body on a connection of its own, and wait for the head of the answer."""
        call = attempts.call
        url = self._settings.base_url + call.path
        key = await self._key.ask(attempts.refused_at)
        if isinstance(key, Exception):
            return key
        redact = Redactor(self._headers.secrets(key, attempts.headers))
        try:
            lines = self._headers.lines(call, attempts.headers, key)
            if self._client is not None or self._auth is not None:
                with sending.async_until(attempts.expires):
                    response = await self._send_their_way(attempts, url, lines, timeouts)
                body = _read_body(response) if sending.is_read(response) else response.aiter_raw()
                slot = response.stream.slot if isinstance(response.stream, _SlotStream) else None
                opened = OpenAsyncResponse(
                    response.status_code, response.headers, body, response.aclose, url, redact, slot
                )
                opened.expires = attempts.expires
                return opened
            slot = await self._send_on_our_own(
                attempts, call.method, url, lines, sending.to_content(call.body), timeouts
            )
        except BaseException as failure:  # noqa: BLE001 - `send` raises it, without the frames that hold the key
            return to_failure(failure, url, redact)
        return OpenAsyncResponse(slot.status, sending.to_headers(slot.headers), slot, slot.aclose, url, redact, slot)

    async def _send_on_our_own(
        self, attempts: Attempts, method: str, url: str, lines: Any, content: Any, timeouts: Timeouts
    ) -> AsyncSlot:
        request = httpcore.Request(
            method,
            sending.to_target(url),
            headers=lines,
            content=content,
            extensions=sending.timeout_extension(timeouts),
        )
        pool = await self._lease.pool()
        is_fresh = attempts.call.makes_pictures and not self._settings.retry_image_timeouts
        return await pool.open(request, wait=timeouts.read, expires=attempts.expires, is_fresh=is_fresh)

    async def _send_their_way(self, attempts: Attempts, url: str, lines: Any, timeouts: Timeouts) -> Any:
        """Send with an auth flow, with an injected client, or both."""
        call = attempts.call
        request = httpx.Request(call.method, url, headers=lines, content=sending.as_bytes(call.body))
        if self._auth is None:
            return await self._send_once(attempts, request, timeouts)
        flow = self._auth.async_auth_flow(request)
        try:
            request = await anext(flow)
            while True:
                response = await self._send_once(attempts, request, timeouts)
                response.request = request  # some flows look at it
                try:
                    if self._auth.requires_response_body:
                        await response.aread()
                    request = await flow.asend(response)
                except StopAsyncIteration:
                    return response
                except BaseException:
                    await response.aclose()
                    raise
                await response.aclose()
        finally:
            await flow.aclose()

    async def _send_once(self, attempts: Attempts, request: httpx.Request, timeouts: Timeouts) -> Any:
        if self._client is None:
            slot = await self._send_on_our_own(
                attempts, request.method, str(request.url), request.headers.raw, request.content, timeouts
            )
            return httpx.Response(slot.status, headers=slot.headers, stream=_SlotStream(slot), request=request)
        lines = sending.decoded_lines(request.headers.raw)
        theirs = self._client.build_request(request.method, str(request.url), headers=lines, content=request.content)
        theirs.extensions = sending.bounded_extensions(
            theirs.extensions, timeouts if attempts.has_timeouts else None, attempts.expires
        )
        return await self._client.send(theirs, stream=True, follow_redirects=False)


class OpenAsyncResponse:
    """One open response: iterate over its raw bytes, then close it.

    Attributes:
        arrived: when its head came, in seconds since the epoch.
        redact: takes the secrets of the request out of a text.
        expires: until when an injected client must go on sending bytes, or None.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: Any,
        close: Callable[[], Any],
        url: str,
        redact: Redactor,
        slot: AsyncSlot | None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.arrived = time.time()
        self.url = url
        self.redact = redact
        self.expires: float | None = None
        self._close = close
        self._slot = slot
        self._body = self._read(body)

    def begun(self) -> None:
        """Note that the answer has begun: the deadline bounds it no more."""
        self.expires = None
        if self._slot is not None:
            self._slot.begun()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def _read(self, body: Any) -> AsyncIterator[bytes]:
        try:
            if self.expires is not None:
                body = self._in_time(body)
            async for data in body:
                yield data
        except transport_errors() as error:
            failure = to_connection_error(error, self.url, self.redact)
        else:
            return
        raise failure

    async def _in_time(self, body: Any) -> AsyncIterator[bytes]:
        """Yield the bytes of *body*, each within the deadline as long as there is one."""
        steps = body.__aiter__()
        while True:
            try:
                with sending.async_until(self.expires):
                    data = await anext(steps)
            except StopAsyncIteration:
                return
            yield data

    async def aclose(self) -> None:
        """Close the response; its connection is used again only if the body was read to its end."""
        try:
            await self._close()
        except transport_errors():
            pass  # the connection broke while it was being given up

    def __repr__(self) -> str:
        return f"<OpenAsyncResponse {self.status} {self.url}>"


class _SlotStream(httpx.AsyncByteStream):
    """The body of an answer on a connection of our own, as a response of httpx has it."""

    def __init__(self, slot: AsyncSlot) -> None:
        self.slot = slot

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self.slot:
            yield data

    async def aclose(self) -> None:
        await self.slot.aclose()


async def _read_body(response: Any) -> AsyncIterator[bytes]:
    yield response.content
