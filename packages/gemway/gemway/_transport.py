"""Send one attempt of a call, blocking. Its twin is `_async_transport.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from gemway import _sending as sending
from gemway._call import CallState, RetryContext
from gemway._checks import Timeouts
from gemway._config import ClientConfig
from gemway._credentials import SyncKey
from gemway._headers import HeaderLines, RequestHeaders, request_id_of, to_headers
from gemway._log import LOGGER, log_request
from gemway._network_errors import to_connection_error, to_failure, transport_errors
from gemway._pools import PoolKey, SyncLease, SyncSlot, retry_budget, to_request
from gemway._redaction import Redactor, Secret
from gemway.limits import sync_acquire


class SyncTransport:
    """Sends requests on connections of its own, or through an injected client.

    Attributes:
        retry_context: the parts of retrying that all calls of this client share.
    """

    now = staticmethod(sending.now)
    sleep = staticmethod(sending.sync_sleep)
    wait_for_limiter = staticmethod(sync_acquire)
    together = staticmethod(sending.sync_together)

    def __init__(self, setup: ClientConfig) -> None:
        # A key that was given as text never changes. A callable is asked for every request: the tokens of
        # cloud providers, for example, live for an hour.
        is_fixed = setup.key is None or isinstance(setup.key, Secret)
        self._settings = setup.settings
        self._lease = SyncLease(PoolKey(**setup.wiring()))
        self._fixed_key: Secret | None = setup.key if is_fixed else None
        self._key_source = None if is_fixed else SyncKey(setup.key, setup.settings.auth_scheme)
        self._auth = setup.auth
        self._client = sending.checked_client(setup.client, kind="sync")
        self._headers = RequestHeaders(setup.settings, self._fixed_key)
        self._redactor = self._headers.redactor(self._fixed_key, None)
        self.retry_context = RetryContext(
            random=sending.RANDOM,
            budget=retry_budget(setup.settings.base_url) if setup.has_budget else None,
            key_can_change=not is_fixed,
            on_retry=setup.on_retry,
        )

    def send(self, state: CallState) -> OpenSyncResponse:
        """Send the current attempt and wait for the head of the answer. The caller closes the response."""
        began = self.now()
        timeouts = state.start_attempt(began)
        call = state.call
        url = self._settings.base_url + call.path
        # Error trackers show the locals of this frame. So key and header lines are objects that mask themselves, and
        # exceptions from below, whose frames hold the key in clear, lose those frames in `to_failure`.
        key = self._fixed_key if self._key_source is None else self._ask_for_key(state)
        is_usual = key is self._fixed_key and not state.headers
        redact = self._redactor if is_usual else self._headers.redactor(key, state.headers)
        try:
            lines = self._headers.lines(call, state.headers, key)
            # The usual way needs neither a request nor a response of httpx, which would only be unpacked again.
            if self._client is None and self._auth is None:
                request = to_request(call.method, url, lines, call.body, timeouts)
                pool = self._lease.pool()
                # A picture must not be sent twice, so it takes no connection that the server may just be closing.
                is_fresh = call.makes_pictures and not self._settings.retry_image_timeouts
                slot = pool.open(request, wait=timeouts.read, expires=state.expires, is_fresh=is_fresh)
                head = slot.response
                headers = to_headers(head.headers)
                response = OpenSyncResponse(
                    slot, head.status, headers, head.stream, url + pool.connector.detour, redact
                )
            else:
                response = self._send_their_way(state, url, lines, timeouts, redact)
        except BaseException as error:  # noqa: BLE001 - raised below, without the frames that hold the key
            failure = to_failure(error, url, redact)
        else:
            # Checked here, since redacting an id that nobody reads would cost every call.
            if LOGGER.isEnabledFor(logging.DEBUG):
                request_id = redact(request_id_of(response.headers) or "")
                log_request(call, response.status, self.now() - began, request_id)
            return response
        log_request(call, type(failure).__name__, self.now() - began)
        raise failure

    def close(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        self._lease.close()

    def _ask_for_key(self, state: CallState) -> Secret | None:
        """Return the key of the user's callable."""
        source: Any = self._key_source
        key = source.ask(state.refused_at)
        if isinstance(key, Exception):
            raise key
        return key  # type: ignore[no-any-return]  # a Secret

    def _send_their_way(
        self, state: CallState, url: str, lines: HeaderLines, timeouts: Timeouts, redact: Redactor
    ) -> OpenSyncResponse:
        """Send with an auth flow, with an injected client, or both."""
        # An injected client knows nothing of our deadline, so the whole exchange is bounded from outside.
        with sending.sync_until(state.expires):
            response = self._run_auth_flow(state, url, lines, timeouts)
        body = _body_already_read(response) if sending.is_read(response) else response.iter_raw()
        source = response.stream.slot if isinstance(response.stream, _SlotStream) else _TheirResponse(response)
        opened = OpenSyncResponse(source, response.status_code, response.headers, body, url, redact)
        opened.expires = state.expires
        return opened

    def _run_auth_flow(self, state: CallState, url: str, lines: HeaderLines, timeouts: Timeouts) -> Any:
        """Send as often as the auth flow wants, and return the last response."""
        call = state.call
        request = httpx.Request(call.method, url, headers=lines, content=sending.as_bytes(call.body))
        if self._auth is None:
            return self._send_single_request(state, request, timeouts)
        flow = self._auth.sync_auth_flow(request)
        try:
            request = next(flow)
            while True:
                response = self._send_single_request(state, request, timeouts)
                # httpx drives a flow in the same way (httpx._client, _send_handling_auth), but would also follow
                # redirects.
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

    def _send_single_request(self, state: CallState, request: httpx.Request, timeouts: Timeouts) -> Any:
        if self._client is None:
            ours = to_request(request.method, str(request.url), request.headers.raw, request.content, timeouts)
            pool = self._lease.pool()
            is_fresh = state.call.makes_pictures and not self._settings.retry_image_timeouts
            slot = pool.open(ours, wait=timeouts.read, expires=state.expires, is_fresh=is_fresh)
            head, body = slot.response, _SlotStream(slot)
            return httpx.Response(head.status, headers=head.headers, stream=body, request=request)
        lines = sending.decoded_lines(request.headers.raw)
        theirs = self._client.build_request(request.method, str(request.url), headers=lines, content=request.content)
        theirs.extensions = sending.bounded_extensions(
            theirs.extensions, timeouts if state.has_timeouts else None, state.expires
        )
        # A redirect would carry the prompt to an address that the user never named.
        return self._client.send(theirs, stream=True, follow_redirects=False)


class OpenSyncResponse:
    """One open response. Close it, read or not.

    Attributes:
        status: the HTTP status.
        headers: by name in lower case.
        arrived: when its head came, in seconds since the epoch.
        body: its raw bytes as they arrive, for one reader.
        url: the address, without the query's secrets.
        redact: removes the secrets of the request from a text.
        expires: until when an injected client must go on sending bytes, or None.
        close: closes the response; its connection is used again only if the body was read to its end.
    """

    def __init__(
        self,
        source: SyncSlot | _TheirResponse,
        status: int,
        headers: Mapping[str, str],
        body: Any,
        url: str,
        redact: Redactor,
    ) -> None:
        self.status = status
        self.headers = headers
        self.arrived = time.time()
        self.url = url
        self.redact = redact
        self.expires: float | None = None
        self.body = self._read_converting_errors(body)
        self._source = source
        self.close = source.close

    def lift_deadline(self) -> None:
        """Let the answer take its time: it has begun, and the deadline bounds it no more."""
        self.expires = None
        self._source.lift_deadline()

    def _read_converting_errors(self, body: Any) -> Iterator[bytes]:
        try:
            for data in body if self.expires is None else self._read_within_deadline(body):
                yield data
            # Only a body that was read to its end leaves the connection in a known state.
            self._source.is_read = True
        except transport_errors() as error:
            failure = to_connection_error(error, self.url, self.redact)
        else:
            return
        raise failure

    def _read_within_deadline(self, body: Any) -> Iterator[bytes]:
        """Yield the bytes of *body*, each within the deadline as long as there is one."""
        steps = body.__iter__()
        while True:
            try:
                # Per step, since `lift_deadline` may lift the deadline between two of them.
                with sending.sync_until(self.expires):
                    data = next(steps)
            except StopIteration:
                return
            yield data

    def __repr__(self) -> str:
        return f"<OpenSyncResponse {self.status} {self.url}>"


class _TheirResponse:
    """The response of an injected client, which bounds and keeps its connections itself."""

    is_read = False

    def __init__(self, response: Any) -> None:
        self._response = response

    def lift_deadline(self) -> None:
        """Nothing to lift: their timeouts are those of single steps."""

    def close(self) -> None:
        try:
            self._response.close()
        except transport_errors():
            pass  # the connection broke while it was being given up


class _SlotStream(httpx.SyncByteStream):
    """The body of an answer on a connection of our own, in the form that auth flows read."""

    def __init__(self, slot: SyncSlot) -> None:
        self.slot = slot

    def __iter__(self) -> Iterator[bytes]:
        stream: Any = self.slot.response.stream
        for data in stream:
            yield data
        self.slot.is_read = True

    def close(self) -> None:
        self.slot.close()


def _body_already_read(response: Any) -> Iterator[bytes]:
    yield response.content
