"""What Google's client sends, to the gateway and back: the asyncio half. Its twin is `_sending.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from gemway._async_transport import AsyncTransport
from gemway._call import CallOptions, CallState, GatewayFacts, OpenResponse
from gemway._config import ClientConfig
from gemway._exceptions import APIConnectionError, APIError
from gemway.google._requests import GoogleCall
from gemway.google._responses import ResponseTranslator, failure_in, instead_of, local_response


class AsyncSender:
    """Sends calls to the gateway and returns responses for Google's client."""

    def __init__(self, setup: ClientConfig) -> None:
        self._setup = setup
        self._facts = GatewayFacts()
        self._transport = AsyncTransport(setup)

    async def send(self, library: Any, call: GoogleCall, options: CallOptions) -> Any:
        """Return the gateway's answer as a response of *library*; errors have Google's form.

        Raises an exception of *library* where no answer comes.
        """
        try:
            opened = await self._send_until_answered(call, options)
        except APIConnectionError as error:
            failure = failure_in(library, error)
        except APIError as error:
            other = instead_of(call, error)
            if isinstance(other, GoogleCall):
                return await self.send(library, other, options)
            return local_response(library, other, error)
        else:
            return self._to_response(library, opened)
        raise failure

    async def aclose(self) -> None:
        """Give the connections back. A later call opens new ones."""
        await self._transport.aclose()

    def _to_response(self, library: Any, opened: OpenResponse) -> Any:
        translator: Any = opened.parser
        if translator.complete:
            return library.Response(200, headers=translator.headers, content=opened.first)
        stream = _stream_class(library)(self._iterate_events(library, opened), opened.response)
        return library.Response(200, headers=translator.headers, stream=stream)

    async def _iterate_events(self, library: Any, opened: OpenResponse) -> AsyncIterator[bytes]:
        translator: Any = opened.parser
        failure = None
        try:
            yield opened.first
            if translator.ended:
                return
            async for data in opened.response.body:
                if events := translator.feed(data):
                    yield events
                if translator.ended:
                    return
            if events := translator.finish():
                yield events
        except APIConnectionError as error:
            failure = failure_in(library, error)
        finally:
            await opened.response.aclose()
        if failure is not None:
            raise failure

    async def _send_until_answered(self, call: GoogleCall, options: CallOptions) -> OpenResponse:
        """Send *call*, again where the key was refused or the options say so, until an answer begins."""
        transport, settings = self._transport, self._setup.settings
        state = CallState(call, options, settings, self._facts, transport.retry_context, transport.now())
        while True:
            try:
                return await self._send_attempt(state, wants_stream=call.streaming)
            except APIError as error:
                failure = error
            delay = state.next_delay(failure.with_traceback(None), self._transport.now())
            if delay:
                await self._transport.sleep(delay)

    async def _send_attempt(self, state: CallState, *, wants_stream: bool) -> OpenResponse:
        """Send once and read until the first event is there, or the whole answer."""
        response = await self._transport.send(state)
        try:
            translator = ResponseTranslator(state.call, response, self._setup.settings, wants_stream=wants_stream)
            async for data in response.body:
                if first := translator.feed(data):
                    return state.succeed(response, translator, first)
            first = translator.finish()
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        return state.succeed(response, translator, first)


@lru_cache(maxsize=4)
def _stream_class(library: Any) -> Any:
    """Return the class of streams that responses of *library* may have."""

    class Events(library.AsyncByteStream):  # type: ignore[misc]  # httpx's or httpx2's
        def __init__(self, events: Any, response: Any) -> None:
            self._events = events
            self._exchange = response

        def __aiter__(self) -> Any:
            return self._events

        async def aclose(self) -> None:
            await self._events.aclose()
            await self._exchange.aclose()  # events that nobody asked for do not close it

    return Events
