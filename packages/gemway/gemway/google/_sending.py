"""Send the requests of Google's client and return the answers: the blocking half. Its twin is `_async_sending.py`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gemway._call import CallOptions, CallState, GatewayFacts, OpenResponse
from gemway._config import ClientConfig
from gemway._exceptions import APIConnectionError, APIError
from gemway._transport import OpenSyncResponse, SyncTransport
from gemway.google._requests import GoogleCall
from gemway.google._responses import ResponseTranslator, answer_without_route, failure_in, local_response

if TYPE_CHECKING:
    import httpx


class SyncSender:
    """Sends calls to the gateway and returns responses for Google's client."""

    def __init__(self, setup: ClientConfig) -> None:
        self._setup = setup
        self._facts = GatewayFacts()
        self._transport = SyncTransport(setup)

    def send(self, library: ModuleType, call: GoogleCall, options: CallOptions) -> httpx.Response:
        """Return the gateway's answer as a response of *library*; errors have Google's form.

        Raises:
            TransportError: no answer came; an exception of *library*, the only ones that Google's client handles.
        """
        try:
            opened = self._send_until_answered(call, options)
        except APIConnectionError as error:
            failure = failure_in(library, error)
        except APIError as error:
            other = answer_without_route(call, error)
            if isinstance(other, GoogleCall):
                return self.send(library, other, options)
            return local_response(library, other, error)
        else:
            return self._to_response(library, opened)
        raise failure

    def close(self) -> None:
        """Give the connections back. A later call opens new ones."""
        self._transport.close()

    def _to_response(self, library: ModuleType, opened: OpenResponse) -> httpx.Response:
        translator: ResponseTranslator = opened.parser
        if translator.complete:
            whole: httpx.Response = library.Response(200, headers=translator.headers, content=opened.first)
            return whole
        stream = _stream_class(library)(self._iterate_events(library, opened), opened.response)
        streamed: httpx.Response = library.Response(200, headers=translator.headers, stream=stream)
        return streamed

    def _iterate_events(self, library: ModuleType, opened: OpenResponse) -> Generator[bytes, None, None]:
        translator: ResponseTranslator = opened.parser
        failure = None
        try:
            yield opened.first
            if translator.ended:
                return
            for data in opened.response.body:
                if events := translator.feed(data):
                    yield events
                if translator.ended:
                    return
            if events := translator.finish():
                yield events
        except APIConnectionError as error:
            failure = failure_in(library, error)
        finally:
            opened.response.close()
        # Raised here, so that no frame that holds the key is part of its traceback.
        if failure is not None:
            raise failure

    def _send_until_answered(self, call: GoogleCall, options: CallOptions) -> OpenResponse:
        """Send *call*, again where the key was refused or the options say so, until an answer begins."""
        transport, settings = self._transport, self._setup.settings
        # The loop of gemway's own clients, without their look at the list of models when a name is unknown.
        state = CallState(call, options, settings, self._facts, transport.retry_context, transport.now())
        while True:
            if settings.limiter is not None:
                transport.wait_for_limiter(settings.limiter)
            try:
                return self._send_attempt(state, wants_stream=call.streaming)
            except APIError as error:
                failure = error
            delay = state.next_delay(failure.with_traceback(None), self._transport.now())
            if delay:
                self._transport.sleep(delay)

    def _send_attempt(self, state: CallState, *, wants_stream: bool) -> OpenResponse:
        """Send once and read until the first event is there, or the whole answer."""
        response = self._transport.send(state)
        try:
            translator = ResponseTranslator(state.call, response, self._setup.settings, wants_stream=wants_stream)
            for data in response.body:
                if first := translator.feed(data):
                    return state.succeed(response, translator, first)
            first = translator.finish()
        except BaseException:
            response.close()
            raise
        response.close()
        return state.succeed(response, translator, first)


@lru_cache(maxsize=4)
def _stream_class(
    library: ModuleType,
) -> Callable[[Generator[bytes, None, None], OpenSyncResponse], httpx.SyncByteStream]:
    """Return a class of streams that responses of *library* accept: they test for a base class of their own."""

    base: Any = library.SyncByteStream

    class Events(base):  # type: ignore[misc]  # httpx's or httpx2's
        def __init__(self, events: Generator[bytes, None, None], response: OpenSyncResponse) -> None:
            self._events = events
            self._exchange = response

        def __iter__(self) -> Iterator[bytes]:
            return self._events

        def close(self) -> None:
            self._events.close()
            # Closing a generator that never ran skips its `finally`.
            self._exchange.close()

    return Events
