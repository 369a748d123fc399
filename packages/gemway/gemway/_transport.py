"""Send one attempt of a call, blocking. Its twin is `_async_transport.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpcore
import httpx

from gemway import _sending as sending
from gemway._checks import Timeouts
from gemway._config import ClientConfig
from gemway._credentials import RequestHeaders, SyncKey
from gemway._error_bodies import request_id_of
from gemway._log import LOGGER, log_request
from gemway._network_errors import to_connection_error, to_failure, transport_errors
from gemway._pools import PoolKey, SyncLease, SyncSlot, retry_budget
from gemway._redaction import Redactor, Secret
from gemway._retry import Attempts


class SyncTransport:
    """Sends requests on connections of its own, or through an injected client.

    While the key is in scope, errors are returned instead of raised, so that no frame of a traceback contains it.
    """

    now = staticmethod(sending.now)
    sleep = staticmethod(sending.sync_sleep)
    together = staticmethod(sending.sync_together)
    random = sending.RANDOM

    def __init__(self, setup: ClientConfig) -> None:
        self._settings = setup.settings
        self._lease = SyncLease(PoolKey(**setup.wiring()))
        self._key = SyncKey(setup.key)
        self._auth = setup.auth
        self._client = sending.checked_client(setup.client, kind="sync")
        self._headers = RequestHeaders(setup.settings)
        self.key_can_change = not (setup.key is None or isinstance(setup.key, Secret))
        self.budget = retry_budget(setup.settings.base_url) if setup.has_budget else None

    def send(self, attempts: Attempts) -> OpenSyncResponse:
        """Send the current attempt. The response that comes back is open; whoever asked closes it."""
        began = self.now()
        timeouts = attempts.begin(began)
        sent = self._attempt(attempts, timeouts)
        if isinstance(sent, BaseException):
            log_request(attempts.call, type(sent).__name__, self.now() - began)
            raise sent
        if LOGGER.isEnabledFor(logging.DEBUG):
            request_id = sent.redact(request_id_of(sent.headers) or "")
            log_request(attempts.call, sent.status, self.now() - began, request_id)
        return sent

    def close(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        self._lease.close()

    def _attempt(self, attempts: Attempts, timeouts: Timeouts) -> OpenSyncResponse | BaseException:
        """Send once: headers and body on a connection of its own, and wait for the head of the answer."""
        call = attempts.call
        url = self._settings.base_url + call.path
        key = self._key.ask(attempts.refused_at)
        if isinstance(key, Exception):
            return key
        redact = Redactor(self._headers.secrets(key, attempts.headers))
        try:
            lines = self._headers.lines(call, attempts.headers, key)
            if self._client is not None or self._auth is not None:
                with sending.sync_until(attempts.expires):
                    response = self._send_their_way(attempts, url, lines, timeouts)
                body = _read_body(response) if sending.is_read(response) else response.iter_raw()
                slot = response.stream.slot if isinstance(response.stream, _SlotStream) else None
                opened = OpenSyncResponse(
                    response.status_code, response.headers, body, response.close, url, redact, slot
                )
                opened.expires = attempts.expires
                return opened
            slot = self._send_on_our_own(attempts, call.method, url, lines, sending.to_content(call.body), timeouts)
        except BaseException as failure:  # noqa: BLE001 - `send` raises it, without the frames that hold the key
            return to_failure(failure, url, redact)
        return OpenSyncResponse(slot.status, sending.to_headers(slot.headers), slot, slot.close, url, redact, slot)

    def _send_on_our_own(
        self, attempts: Attempts, method: str, url: str, lines: Any, content: Any, timeouts: Timeouts
    ) -> SyncSlot:
        request = httpcore.Request(
            method,
            sending.to_target(url),
            headers=lines,
            content=content,
            extensions=sending.timeout_extension(timeouts),
        )
        pool = self._lease.pool()
        is_fresh = attempts.call.makes_pictures and not self._settings.retry_image_timeouts
        return pool.open(request, wait=timeouts.read, expires=attempts.expires, is_fresh=is_fresh)

    def _send_their_way(self, attempts: Attempts, url: str, lines: Any, timeouts: Timeouts) -> Any:
        """Send with an auth flow, with an injected client, or both."""
        call = attempts.call
        request = httpx.Request(call.method, url, headers=lines, content=sending.as_bytes(call.body))
        if self._auth is None:
            return self._send_once(attempts, request, timeouts)
        flow = self._auth.sync_auth_flow(request)
        try:
            request = next(flow)
            while True:
                response = self._send_once(attempts, request, timeouts)
                response.request = request  # some flows look at it
                try:
                    if self._auth.requires_response_body:
                        response.read()
                    request = flow.send(response)
                except StopIteration:
                    return response
                except BaseException:
                    response.close()
                    raise
                response.close()
        finally:
            flow.close()

    def _send_once(self, attempts: Attempts, request: httpx.Request, timeouts: Timeouts) -> Any:
        if self._client is None:
            slot = self._send_on_our_own(
                attempts, request.method, str(request.url), request.headers.raw, request.content, timeouts
            )
            return httpx.Response(slot.status, headers=slot.headers, stream=_SlotStream(slot), request=request)
        lines = sending.decoded_lines(request.headers.raw)
        theirs = self._client.build_request(request.method, str(request.url), headers=lines, content=request.content)
        theirs.extensions = sending.bounded_extensions(
            theirs.extensions, timeouts if attempts.has_timeouts else None, attempts.expires
        )
        return self._client.send(theirs, stream=True, follow_redirects=False)


class OpenSyncResponse:
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
        slot: SyncSlot | None,
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

    def __iter__(self) -> Iterator[bytes]:
        return self._body

    def _read(self, body: Any) -> Iterator[bytes]:
        try:
            if self.expires is not None:
                body = self._in_time(body)
            for data in body:
                yield data
        except transport_errors() as error:
            failure = to_connection_error(error, self.url, self.redact)
        else:
            return
        raise failure

    def _in_time(self, body: Any) -> Iterator[bytes]:
        """Yield the bytes of *body*, each within the deadline as long as there is one."""
        steps = body.__iter__()
        while True:
            try:
                with sending.sync_until(self.expires):
                    data = next(steps)
            except StopIteration:
                return
            yield data

    def close(self) -> None:
        """Close the response; its connection is used again only if the body was read to its end."""
        try:
            self._close()
        except transport_errors():
            pass  # the connection broke while it was being given up

    def __repr__(self) -> str:
        return f"<OpenSyncResponse {self.status} {self.url}>"


class _SlotStream(httpx.SyncByteStream):
    """The body of an answer on a connection of our own, as a response of httpx has it."""

    def __init__(self, slot: SyncSlot) -> None:
        self.slot = slot

    def __iter__(self) -> Iterator[bytes]:
        for data in self.slot:
            yield data

    def close(self) -> None:
        self.slot.close()


def _read_body(response: Any) -> Iterator[bytes]:
    yield response.content
