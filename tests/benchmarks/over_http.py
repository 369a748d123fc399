"""The exercises over plain HTTP: `Httpx`, the floor of every stack that is built on it, and our own `Client`."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import workload
from workload import KEY, MODEL, PROMPT, Person

QUESTION: dict[str, Any] = {
    "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
    "generationConfig": {"temperature": 0.7},
}


def question(exercise: str, **size: Any) -> dict[str, Any]:
    """Return the request of an exercise as Gemini's JSON."""
    tools = [{"functionDeclarations": workload.declarations()}]
    if exercise == "tools":
        return {**QUESTION, "tools": tools}
    if exercise == "history":
        asked = {**QUESTION, "contents": workload.contents(size["messages"])}
        return {**asked, "tools": tools} if size["tools"] else asked
    if exercise == "structured":
        schema = {"responseMimeType": "application/json", "responseJsonSchema": Person.model_json_schema()}
        return {**QUESTION, "generationConfig": schema}
    return QUESTION


def with_picture(data: str) -> dict[str, Any]:
    parts = [{"text": PROMPT}, {"inlineData": {"mimeType": "image/png", "data": data}}]
    return {"contents": [{"role": "user", "parts": parts}]}


class Httpx:
    """json, httpx, json: what the exchange costs whoever makes it."""

    def __init__(self, address: str) -> None:
        self._address = address
        # Without limits: 1,000 calls at a time are to measure httpx, not its default of 100 connections.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        self._options: dict[str, Any] = {"headers": headers, "limits": limits, "timeout": 60}
        self._client = httpx.Client(**self._options)

    def text(self) -> Callable[[], str]:
        return lambda: _text(self._post("text", QUESTION))

    def a_text(self, scenario: str = "text") -> Callable[[], Any]:
        client, url = self._async_client(), self._url(scenario)

        async def ask() -> str:
            response = await client.post(url, content=_encode(QUESTION))
            return _text(json.loads(response.raise_for_status().content))

        return ask

    def tools(self) -> Callable[[], str]:
        request = question("tools")
        return lambda: _part(self._post("tool", request))["functionCall"]["name"]

    def history(self, messages: int = 201, tools: bool = True) -> Callable[[], str]:
        request = question("history", messages=messages, tools=tools)
        return lambda: _text(self._post("text", request))

    def structured(self) -> Callable[[], Person]:
        request = question("structured")
        return lambda: Person.model_validate_json(_text(self._post("person", request)))

    def picture_out(self, megabytes: float = 4) -> Callable[[], bytes]:
        scenario = f"picture-{megabytes}"
        return lambda: base64.b64decode(_part(self._post(scenario, QUESTION))["inlineData"]["data"])

    def picture_received(self, megabytes: float = 4) -> Callable[[], Any]:
        """As `picture_out`, without the user's decoding."""
        return lambda: self._post(f"picture-{megabytes}", QUESTION)

    def picture_in(self, megabytes: float = 4) -> Callable[[], str]:
        png = workload.picture(megabytes)
        return lambda: _text(self._post("text", with_picture(base64.b64encode(png).decode())))

    def stream(self, scenario: str = "chunks-1000") -> Callable[[], Iterator[str]]:
        url = self._url(scenario, stream=True)

        def ask() -> Iterator[str]:
            tail = b""
            with self._client.stream("POST", url, content=_encode(QUESTION)) as response:
                for data in response.raise_for_status().iter_bytes():
                    *lines, tail = (tail + data).split(b"\r\n")
                    for line in lines:
                        if line:
                            yield _text(json.loads(line[6:]))

        return ask

    def a_stream(self, scenario: str = "chunks-1000") -> Callable[[], AsyncIterator[str]]:
        client, url = self._async_client(), self._url(scenario, stream=True)

        async def ask() -> AsyncIterator[str]:
            tail = b""
            async with client.stream("POST", url, content=_encode(QUESTION)) as response:
                async for data in response.raise_for_status().aiter_bytes():
                    *lines, tail = (tail + data).split(b"\r\n")
                    for line in lines:
                        if line:
                            yield _text(json.loads(line[6:]))

        return ask

    def _async_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(**self._options)

    def _post(self, scenario: str, request: dict[str, Any]) -> Any:
        response = self._client.post(self._url(scenario), content=_encode(request))
        return json.loads(response.raise_for_status().content)

    def _url(self, scenario: str, *, stream: bool = False) -> str:
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{self._address}/{scenario}/v1beta/models/{MODEL}:{verb}"


def _encode(request: dict[str, Any]) -> bytes:
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()


def _part(answer: Any) -> Any:
    return answer["candidates"][0]["content"]["parts"][0]


def _text(answer: Any) -> str:
    text: str = _part(answer)["text"]
    return text


class Core:
    """`gemway.Client` and `gemway.AsyncClient`, asked with plain JSON."""

    def __init__(self, address: str) -> None:
        self._address = address

    def text(self) -> Callable[[], str]:
        client = self._client("text")
        return lambda: client.generate_content(MODEL, QUESTION).text

    def a_text(self, scenario: str = "text") -> Callable[[], Any]:
        client = self._async_client(scenario)

        async def ask() -> str:
            return (await client.generate_content(MODEL, QUESTION)).text

        return ask

    def tools(self) -> Callable[[], str | None]:
        client, request = self._client("tool"), question("tools")
        return lambda: client.generate_content(MODEL, request).function_calls[0].name

    def history(self, messages: int = 201, tools: bool = True) -> Callable[[], str]:
        client, request = self._client("text"), question("history", messages=messages, tools=tools)
        return lambda: client.generate_content(MODEL, request).text

    def structured(self) -> Callable[[], Person]:
        client, request = self._client("person"), question("structured")
        return lambda: Person.model_validate_json(client.generate_content(MODEL, request).text)

    def picture_out(self, megabytes: float = 4) -> Callable[[], bytes]:
        client = self._client(f"picture-{megabytes}")
        return lambda: client.generate_content(MODEL, QUESTION).images[0].data

    def picture_received(self, megabytes: float = 4) -> Callable[[], Any]:
        """As `picture_out`, without the user's decoding."""
        client = self._client(f"picture-{megabytes}")
        return lambda: client.generate_content(MODEL, QUESTION)

    def picture_in(self, megabytes: float = 4) -> Callable[[], str]:
        client, png = self._client("text"), workload.picture(megabytes)
        return lambda: client.generate_content(MODEL, with_picture(base64.b64encode(png).decode())).text

    def stream(self, scenario: str = "chunks-1000") -> Callable[[], Iterator[str]]:
        client = self._client(scenario)
        return lambda: (chunk.text for chunk in client.stream_generate_content(MODEL, QUESTION))

    def a_stream(self, scenario: str = "chunks-1000") -> Callable[[], AsyncIterator[str]]:
        client = self._async_client(scenario)

        async def ask() -> AsyncIterator[str]:
            async for chunk in client.stream_generate_content(MODEL, QUESTION):
                yield chunk.text

        return ask

    def _client(self, scenario: str) -> Any:
        from gemway import Client

        return Client(base_url=f"{self._address}/{scenario}", api_key=KEY, max_response_bytes=2**30)

    def _async_client(self, scenario: str) -> Any:
        from gemway import AsyncClient

        return AsyncClient(base_url=f"{self._address}/{scenario}", api_key=KEY)


class CoreOverAiohttp(Core):
    """The same with aiohttp below httpx: what `gemway[aiohttp]` is for. Async calls only."""

    def _async_client(self, scenario: str) -> Any:
        from gemway import AsyncClient
        from httpx_aiohttp import AiohttpTransport

        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
        client = httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=60)
        return AsyncClient(base_url=f"{self._address}/{scenario}", api_key=KEY, http_client=client)
