"""Let an OpenAI-compatible server (Ollama, llama.cpp, vLLM) answer: requests are translated there, answers back."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from gemway_emulator._envelope import Part, Turn, call_part, text_part, thought_part
from gemway_emulator._errors import GoogleError
from gemway_emulator._request import Json, Request, to_text
from gemway_emulator._signatures import decode_blob

Piece: TypeAlias = tuple[Turn, list[Part], bool]
"""Of a stream: the turn so far, its new parts, whether it ended."""

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_OPTIONS = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}


class OpenAIServer:
    """The server at *base_url* (`http://127.0.0.1:11434/v1`); *model* is asked, else the request's, else its first one."""

    def __init__(self, base_url: str, *, model: str | None = None, api_key: str | None = None) -> None:
        self._base_url, self._model = base_url.rstrip("/"), model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client: httpx.AsyncClient | None = None
        self._models: list[str] | None = None

    async def answer(self, request: Request) -> Turn:
        """The whole answer."""
        answer = _Answer(request)
        try:
            answer.add(await self._read_json("POST", "/chat/completions", await self._translate(request, stream=False)))
        except ValueError:
            raise GoogleError(502, "The upstream server sent no JSON.") from None
        return answer.turn([*answer.parts, *answer.calls()])

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """(the turn so far, new parts, whether it ended), as the server sends them; calls come whole, at the end."""
        response = await self._send_request("POST", "/chat/completions", await self._translate(request, stream=True))
        answer, sent = _Answer(request), 0
        try:
            async for line in response.aiter_lines():
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if data and data != "[DONE]":
                    answer.add(json.loads(data))
                    if new := answer.parts[sent:]:
                        sent = len(answer.parts)
                        yield answer.turn(answer.parts), new, False
        except (httpx.HTTPError, ValueError):
            return  # the stream breaks off here too: an answer without an end is never made up
        finally:
            await response.aclose()
        calls = answer.calls()
        yield answer.turn([*answer.parts, *calls]), calls, True

    async def aclose(self) -> None:
        """Close the connections to the server."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send_request(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        if self._client is None:
            # A model on one's own machine may think for minutes, and a proxy cannot reach it.
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(600, connect=5), trust_env=False)
        request = self._client.build_request(method, self._base_url + path, json=body, headers=self._headers)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise GoogleError(503, f"The upstream server did not answer: {type(error).__name__}") from None
        if response.status_code >= 400:
            text = (await response.aread()).decode(errors="replace")
            await response.aclose()
            raise GoogleError(response.status_code, f"The upstream server: {_error_message(text)[:500]}")
        return response

    async def _read_json(self, method: str, path: str, body: Json | None = None) -> Any:
        response = await self._send_request(method, path, body)
        try:
            await response.aread()
            return response.json()
        finally:
            await response.aclose()

    async def _translate(self, request: Request, *, stream: bool) -> Json:
        config = request.config
        body: Json = {"model": await self._choose_model(request), "messages": _messages(request), "stream": stream}
        body |= {theirs: config[ours] for ours, theirs in _OPTIONS.items() if ours in config}
        if stream:
            body["stream_options"] = {"include_usage": True}
        if request.tools and request.mode != "NONE":
            described = [
                {"name": tool.name, "description": tool.description, "parameters": _to_json_schema(tool.schema)}
                for tool in request.tools
            ]
            body["tools"] = [{"type": "function", "function": function} for function in described]
            body["tool_choice"] = "required" if request.mode == "ANY" else "auto"
        if request.schema is not None:
            named = {"name": "answer", "schema": _to_json_schema(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif request.wants_json:
            body["response_format"] = {"type": "json_object"}
        return body

    async def _choose_model(self, request: Request) -> str:
        """The configured model, else the request's if the server has it, else the server's first."""
        if self._model is not None:
            return self._model
        if self._models is None:
            try:
                self._models = [entry["id"] for entry in (await self._read_json("GET", "/models")).get("data") or []]
            except (ValueError, KeyError, TypeError, AttributeError):
                self._models = []
        name = request.model.name
        return name if name in self._models else next(iter(self._models), name)


@dataclass
class _Answer:
    """One answer of the server, whole or gathered from its pieces."""

    request: Request
    parts: list[Part] = field(default_factory=list)
    finish: str | None = None
    usage: Json | None = None
    _calls: dict[int, Json] = field(default_factory=dict)

    def add(self, piece: Json) -> None:
        """Take one JSON of the server: a whole answer, or a piece of a stream."""
        if counts := piece.get("usage"):
            prompt, answer = counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0
            self.usage = {"promptTokenCount": prompt, "candidatesTokenCount": answer}
        for choice in (piece.get("choices") or [])[:1]:
            message = choice.get("message") or choice.get("delta") or {}
            thought = message.get("reasoning_content") or message.get("reasoning")
            if thought and self.request.thinks_aloud:
                self.parts.append(thought_part(thought))
            if message.get("content"):
                self.parts.append(text_part(message["content"]))
            for place, call in enumerate(message.get("tool_calls") or []):
                kept, function = self._calls.setdefault(call.get("index", place), {}), call.get("function") or {}
                kept["name"] = kept.get("name") or function.get("name") or ""
                arguments = function.get("arguments") or ""
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                kept["arguments"] = kept.get("arguments", "") + text
            self.finish = choice.get("finish_reason") or self.finish

    def calls(self) -> list[Part]:
        """The function calls; arguments that are no JSON end the turn as Google ends it."""
        parts: list[Part] = []
        for _, call in sorted(self._calls.items()):
            try:
                args = json.loads(call["arguments"] or "{}")
            except ValueError:
                self.finish = "malformed"
                return []
            parts.append(call_part(call["name"], args if isinstance(args, dict) else {"value": args}))
        return parts

    def turn(self, parts: list[Part]) -> Turn:
        """What is known by now, as a turn of a model."""
        malformed = self.finish == "malformed"
        reason = "MALFORMED_FUNCTION_CALL" if malformed else _FINISH.get(self.finish or "stop", "OTHER")
        return Turn(parts, finish_reason=reason, usage=dict(self.usage) if self.usage else None)


def _to_json_schema(schema: Any) -> Any:
    """A schema of either dialect as JSON Schema: type names in lower case, `nullable` as a type."""
    if isinstance(schema, list):
        return [_to_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        name: _to_json_schema(value) for name, value in schema.items() if name not in ("nullable", "propertyOrdering")
    }
    if isinstance(schema.get("type"), str):
        kind = schema["type"].lower()
        made["type"] = [kind, "null"] if schema.get("nullable") else kind
    return made


def _messages(request: Request) -> list[Json]:
    messages: list[Json] = [{"role": "system", "content": request.system}] if request.system else []
    waiting: list[tuple[str, str]] = []  # (id, name) of the calls that no result has answered yet
    for turn in request.contents:
        parts = [part for part in turn.get("parts", []) if not part.get("thought")]
        if turn.get("role") == "model":
            messages.append(_model_message(parts, waiting, len(messages)))
            continue
        messages += [_tool_message(part["functionResponse"], waiting) for part in parts if "functionResponse" in part]
        content = [block for part in parts if (block := _content_block(part)) is not None]
        if content:
            plain = len(content) == 1 and content[0]["type"] == "text"
            messages.append({"role": "user", "content": content[0]["text"] if plain else content})
    return messages


def _model_message(parts: list[Part], waiting: list[tuple[str, str]], number: int) -> Json:
    """A model turn; calls without an id get one, which their results then name."""
    calls = []
    for place, call in enumerate(part["functionCall"] for part in parts if "functionCall" in part):
        identifier = call.get("id") or f"call_{number}_{place}"
        waiting.append((identifier, call.get("name", "")))
        function = {"name": call.get("name", ""), "arguments": json.dumps(call.get("args") or {})}
        calls.append({"id": identifier, "type": "function", "function": function})
    text = "".join(part.get("text") or "" for part in parts)
    return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _tool_message(response: Json, waiting: list[tuple[str, str]]) -> Json:
    """A tool result under the id of its call: the same id, else the first unanswered call of that name."""
    identifier, name = response.get("id"), response.get("name", "")
    matching = [entry for entry in waiting if entry[0] == identifier] or [e for e in waiting if e[1] == name]
    if matching:
        waiting.remove(matching[0])
        identifier = matching[0][0]
    return {"role": "tool", "tool_call_id": identifier or name, "content": to_text(response.get("response"))}


def _content_block(part: Part) -> Json | None:
    if part.get("text"):
        return {"type": "text", "text": part["text"]}
    blob = part.get("inlineData") or part.get("fileData")
    if not blob:
        return None
    mime_type, url = blob.get("mimeType") or "", blob.get("fileUri") or ""
    if "inlineData" in part:
        url = f"data:{mime_type};base64,{base64.b64encode(decode_blob(blob)).decode()}"
    if mime_type.startswith("image/") or not mime_type:
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "text", "text": f"(a file of type {mime_type}, which this server cannot read)"}


def _error_message(text: str) -> str:
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())
