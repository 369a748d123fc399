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
from gemway_emulator._upstream import Upstream

Piece: TypeAlias = tuple[Turn, list[Part], bool]
"""Of a stream: the turn so far, its new parts, whether it ended."""

_FINISH = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "malformed": "MALFORMED_FUNCTION_CALL",  # our own word
}
_OPTIONS = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}


class OpenAIServer(Upstream):
    """The server at *base_url* (`http://127.0.0.1:11434/v1`); *model* is asked, else the request's, else its first one."""

    def __init__(self, base_url: str, *, model: str | None = None, api_key: str | None = None) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        # A model on one's own machine may think for minutes, and a proxy cannot reach it.
        timeout = httpx.Timeout(600, connect=5)
        super().__init__(base_url, "server", code=503, timeout=timeout, trust_env=False, headers=headers)
        self._model = model
        self._models: list[str] | None = None

    async def answer(self, request: Request) -> Turn:
        """The whole answer."""
        answer = _ServerAnswer(request)
        try:
            answer.add(
                await self._read_json("POST", "/chat/completions", await self._translate_request(request, stream=False))
            )
        except ValueError:
            raise GoogleError(502, "The upstream server sent no JSON.") from None
        return answer.to_turn([*answer.parts, *answer.take_calls()])

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """(the turn so far, new parts, whether it ended), as the server sends them; calls come whole, at the end."""
        response = await self._send_checked(
            "POST", "/chat/completions", await self._translate_request(request, stream=True)
        )
        answer, number_sent = _ServerAnswer(request), 0
        try:
            async for line in response.aiter_lines():
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if data and data != "[DONE]":
                    answer.add(json.loads(data))
                    if new := answer.parts[number_sent:]:
                        number_sent = len(answer.parts)
                        yield answer.to_turn(answer.parts), new, False
        except (httpx.HTTPError, ValueError):
            return  # the stream breaks off here too: an answer without an end is never made up
        finally:
            await response.aclose()
        calls = answer.take_calls()
        yield answer.to_turn([*answer.parts, *calls]), calls, True

    async def _send_checked(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        response = await self.send(method, path, json=body)
        if response.status_code >= 400:
            text = (await response.aread()).decode(errors="replace")
            try:
                error = json.loads(text)["error"]
                text = str(error["message"] if isinstance(error, dict) else error)
            except (ValueError, KeyError, TypeError):
                text = " ".join(text.split())
            raise GoogleError(response.status_code, f"The upstream server: {text[:500]}")
        return response

    async def _read_json(self, method: str, path: str, body: Json | None = None) -> Any:
        response = await self._send_checked(method, path, body)
        return json.loads(await response.aread())

    async def _translate_request(self, request: Request, *, stream: bool) -> Json:
        config = request.config
        body: Json = {"model": await self._choose_model(request), "messages": _to_messages(request), "stream": stream}
        body |= {theirs: config[ours] for ours, theirs in _OPTIONS.items() if ours in config}
        # Without this option no chunk of a stream has usage.
        if stream:
            body["stream_options"] = {"include_usage": True}
        if request.tools and request.mode != "NONE":
            described = [
                {"name": tool.name, "description": tool.description, "parameters": _to_json_schema(tool.schema)}
                for tool in request.tools
            ]
            body["tools"] = [{"type": "function", "function": function} for function in described]
            # `request.tools` holds the allowed functions only, so no name has to be forced.
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
class _ServerAnswer:
    """One answer of the server, whole or gathered from its pieces."""

    request: Request
    parts: list[Part] = field(default_factory=list)
    finish: str = "stop"
    usage: Json | None = None
    calls: dict[int, Json] = field(default_factory=dict)

    def add(self, piece: Json) -> None:
        """Take one JSON of the server: a whole answer, or a piece of a stream."""
        if counts := piece.get("usage"):
            prompt, answer = counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0
            self.usage = {"promptTokenCount": prompt, "candidatesTokenCount": answer}
        for choice in (piece.get("choices") or [])[:1]:
            message = choice.get("message") or choice.get("delta") or {}
            # DeepSeek's name, which vLLM and llama.cpp use too, and that of Ollama.
            thought = message.get("reasoning_content") or message.get("reasoning")
            if thought and self.request.thinks_aloud:
                self.parts.append(thought_part(thought))
            if message.get("content"):
                self.parts.append(text_part(message["content"]))
            for place, call in enumerate(message.get("tool_calls") or []):
                # Calls arrive in fragments, put together by their index. Some servers send whole calls without one,
                # or arguments as an object.
                function, arguments = call.get("function") or {}, (call.get("function") or {}).get("arguments") or ""
                gathered = self.calls.setdefault(call.get("index", place), {"name": "", "arguments": ""})
                gathered["name"] = gathered["name"] or function.get("name") or ""
                gathered["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)
            self.finish = choice.get("finish_reason") or self.finish

    def take_calls(self) -> list[Part]:
        """The function calls; arguments that are no JSON end the turn as Google ends it."""
        parts: list[Part] = []
        for _, call in sorted(self.calls.items()):
            try:
                args = json.loads(call["arguments"] or "{}")
            except ValueError:
                self.finish = "malformed"
                return []
            parts.append(call_part(call["name"], args if isinstance(args, dict) else {"value": args}))
        return parts

    def to_turn(self, parts: list[Part]) -> Turn:
        """The answer as far as it is there, as a turn of a model."""
        return Turn(parts, _FINISH.get(self.finish, "OTHER"), usage=dict(self.usage) if self.usage else None)


def _to_json_schema(schema: Any) -> Any:
    """A schema of either dialect as JSON Schema: type names in lower case, `nullable` as a type."""
    if isinstance(schema, list):
        return [_to_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {name: _to_json_schema(value) for name, value in schema.items()}
    is_nullable, _ = translated.pop("nullable", False), translated.pop("propertyOrdering", None)
    if isinstance(schema.get("type"), str):
        kind = schema["type"].lower()
        translated["type"] = [kind, "null"] if is_nullable else kind
    return translated


def _to_messages(request: Request) -> list[Json]:
    messages: list[Json] = [{"role": "system", "content": request.system}] if request.system else []
    waiting: list[tuple[str, str]] = []  # (id, name) of the calls that no result has answered yet
    for turn in request.contents:
        parts = [part for part in turn.get("parts", []) if not part.get("thought")]
        if turn.get("role") == "model":
            messages.append(_to_model_message(parts, waiting, len(messages)))
            continue
        for response in [part["functionResponse"] for part in parts if "functionResponse" in part]:
            # A result goes under the id of its call: the same id, else the first unanswered call of that name.
            call_id, name = response.get("id"), response.get("name", "")
            same = [call for call in waiting if call[0] == call_id] or [call for call in waiting if call[1] == name]
            if same:
                waiting.remove(same[0])
                call_id = same[0][0]
            content = to_text(response.get("response"))
            messages.append({"role": "tool", "tool_call_id": call_id or name, "content": content})
        blocks = [block for part in parts if (block := _to_content_block(part)) is not None]
        if blocks:
            is_plain = len(blocks) == 1 and blocks[0]["type"] == "text"
            messages.append({"role": "user", "content": blocks[0]["text"] if is_plain else blocks})
    return messages


def _to_model_message(parts: list[Part], waiting: list[tuple[str, str]], number: int) -> Json:
    """A model turn; calls without an id get one, which their results then name."""
    calls = []
    for place, call in enumerate(part["functionCall"] for part in parts if "functionCall" in part):
        call_id, name = call.get("id") or f"call_{number}_{place}", call.get("name", "")
        waiting.append((call_id, name))
        function = {"name": name, "arguments": json.dumps(call.get("args") or {})}
        calls.append({"id": call_id, "type": "function", "function": function})
    text = "".join(part.get("text") or "" for part in parts)
    return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _to_content_block(part: Part) -> Json | None:
    if part.get("text"):
        return {"type": "text", "text": part["text"]}
    blob = part.get("inlineData") or part.get("fileData")
    if not blob:
        return None
    mime_type, url = blob.get("mimeType") or "", blob.get("fileUri") or ""
    if "inlineData" in part:
        url = f"data:{mime_type};base64,{base64.b64encode(decode_blob(blob)).decode()}"
    # Local servers refuse a whole request for a part that they do not know, so it goes in words.
    if mime_type.startswith("image/") or not mime_type:
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "text", "text": f"(a file of type {mime_type}, which this server cannot read)"}
