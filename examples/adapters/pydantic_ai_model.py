"""Gemini behind a Bearer gateway as a model of pydantic-ai: a complete adapter on `gemway` and `gemway.adapters`.

    agent = Agent(GemwayModel("gemini-2.5-flash"), system_prompt="Answer briefly.")
    print(agent.run_sync("How long is the Danube?").output)

Text, pictures in and out, thoughts, tools, native and tool-based structured output, streaming, usage and errors.
`docs/adapters.md` walks through it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import gemway
from gemway import AsyncClient
from gemway.adapters import (
    BLOCKED_FINISH_REASONS,
    Accumulator,
    TextChunk,
    WireRequest,
    arrange,
    canonical_options,
    inline_part,
    resolve_model,
    sanitize_tool_name,
    to_generation_config,
    to_part,
    to_tool_config,
)
from pydantic_ai import messages as ai
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

JSONObject = dict[str, Any]

PROVIDER = "google"
FINISH_REASONS: dict[str, ai.FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(BLOCKED_FINISH_REASONS, "content_filter"),
}
# The settings of pydantic-ai that Gemini understands; `canonical_options` translates their names.
GENERATION_SETTINGS = (
    *("max_tokens", "temperature", "top_p", "top_k", "seed"),
    *("stop_sequences", "presence_penalty", "frequency_penalty"),
)


class GemwayModel(Model):
    """A Gemini model behind a gateway.

    Args:
        model: the model's name; default `GEMWAY_MODEL`.
        client: a client to share; by default one is made from *client_options* and the environment.
        settings: pydantic-ai's settings for every request.
        client_options: options of `gemway.AsyncClient`, such as `base_url`, `api_key`, `timeout` and `max_retries`.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        client: AsyncClient | None = None,
        settings: ModelSettings | None = None,
        **client_options: Any,
    ) -> None:
        self._model_name = resolve_model(model)
        self._client = client or AsyncClient(**client_options)
        super().__init__(settings=settings, profile=_to_profile(self._model_name))

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def system(self) -> str:
        return PROVIDER

    @property
    def base_url(self) -> str:
        return self._client.base_url

    async def request(
        self,
        messages: list[ai.ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ai.ModelResponse:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        body, call_options = self._to_request(messages, settings or {}, parameters)
        with _pydantic_ai_errors(self._model_name):
            response = await self._client.generate_content(self._model_name, body, **call_options)
        return ai.ModelResponse(
            parts=[answered for part in response.parts for answered in _to_response_parts(part)],
            usage=_to_usage(response.usage_metadata),
            model_name=response.model_version or self._model_name,
            provider_name=PROVIDER,
            provider_response_id=response.response_id,
            finish_reason=FINISH_REASONS.get(response.finish_reason or ""),
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ai.ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse, None]:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        body, call_options = self._to_request(messages, settings or {}, parameters)
        with _pydantic_ai_errors(self._model_name):
            async with self._client.stream_chunks(self._model_name, body, **call_options) as chunks:
                yield GemwayStream(model_request_parameters=parameters, chunks=chunks, requested_model=self._model_name)

    def _to_request(
        self, messages: list[ai.ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> tuple[WireRequest, JSONObject]:
        """Return the body of a request, and the options of the call: timeouts are no part of the body."""
        named = {name: value for name, value in settings.items() if name in GENERATION_SETTINGS}
        config = to_generation_config(canonical_options(named, where="GemwayModel"), model=self._model_name)
        if parameters.output_mode == "native" and parameters.output_object:
            config |= gemway.response_schema(parameters.output_object.json_schema)
        contents, system = _to_contents(messages)
        system += [{"text": part.content} for part in parameters.instruction_parts or ()]
        # arrange() puts results behind their calls, merges neighbours and checks signatures for the model.
        body = WireRequest(contents=arrange(contents, model=self._model_name))
        if system:
            body["systemInstruction"] = {"parts": system}
        if tools := [*parameters.function_tools, *parameters.output_tools]:
            declarations = [
                gemway.function_declaration(tool.name, tool.description or "", tool.parameters_json_schema)
                for tool in tools
            ]
            body["tools"] = [{"functionDeclarations": declarations}]
            choice = None if parameters.allow_text_output else "any"
            if tool_config := to_tool_config(choice, names=[tool.name for tool in tools]):
                body["toolConfig"] = tool_config
        if config:
            body["generationConfig"] = config
        return body, {"timeout": settings["timeout"]} if "timeout" in settings else {}


def _to_profile(model: str) -> ModelProfile:
    """Describe the model's abilities to pydantic-ai; gemway converts schemas itself, so no transformer is named."""
    limits = gemway.capabilities(model)
    return ModelProfile(
        supports_tools=limits.tools,
        supports_json_schema_output=limits.structured_output,
        supports_image_output="image" in limits.outputs,
        supports_thinking=limits.thinking is not None,
    )


# Messages to contents


def _to_contents(messages: list[ai.ModelMessage]) -> tuple[list[JSONObject], list[JSONObject]]:
    """Return the turns of a conversation, and the parts of its system instruction."""
    contents: list[JSONObject] = []
    system: list[JSONObject] = []
    for message in messages:
        if isinstance(message, ai.ModelResponse):
            parts = [part for answered in message.parts for part in _from_response_part(answered)]
            contents.append({"role": "model", "parts": parts})
            continue
        for part in message.parts:
            if isinstance(part, ai.SystemPromptPart):
                system.append({"text": part.content})
            else:
                contents.append({"role": "user", "parts": list(_from_request_part(part))})
    return contents, system


def _from_request_part(part: ai.ModelRequestPart) -> Iterator[JSONObject]:
    if isinstance(part, ai.UserPromptPart):
        for item in [part.content] if isinstance(part.content, str) else part.content:
            yield _from_user_content(item)
    elif isinstance(part, ai.ToolReturnPart):
        yield _to_function_response(part.tool_name, part.tool_call_id, {"output": part.model_response_str()})
    elif isinstance(part, ai.RetryPromptPart):
        if part.tool_name is None:
            yield {"text": part.model_response()}
        else:
            yield _to_function_response(part.tool_name, part.tool_call_id, {"error": part.model_response()})
    else:
        raise gemway.UnsupportedContentError(f"GemwayModel cannot send a {type(part).__name__}")


def _from_user_content(item: ai.UserContent) -> JSONObject:
    if isinstance(item, str):
        return {"text": item}
    if isinstance(item, ai.BinaryContent):
        return inline_part(item.data, item.media_type)
    if isinstance(item, (ai.ImageUrl, ai.AudioUrl, ai.VideoUrl, ai.DocumentUrl)):
        return to_part(item.url, mime_type=item.media_type)
    raise gemway.UnsupportedContentError(f"GemwayModel cannot send a {type(item).__name__}")


def _to_function_response(name: str, call_id: str, response: JSONObject) -> JSONObject:
    # arrange() pairs calls and results by "call_id", which it takes off again: Gemini itself pairs them by order.
    return {"functionResponse": {"name": sanitize_tool_name(name), "response": response}, "call_id": call_id}


def _from_response_part(part: ai.ModelResponsePart) -> Iterator[JSONObject]:
    """Yield the model's own parts, with their signatures: Gemini 3 rejects a history that has lost one."""
    details = getattr(part, "provider_details", None) or {}
    signature = details.get("thought_signature") or getattr(part, "signature", None)
    signed = {"thoughtSignature": signature} if signature else {}
    if isinstance(part, ai.TextPart):
        yield {"text": part.content, **signed}
    elif isinstance(part, ai.ThinkingPart) and signature:
        yield {"text": part.content, "thought": True, **signed}
    elif isinstance(part, ai.ToolCallPart):
        call = {"name": sanitize_tool_name(part.tool_name), "args": part.args_as_dict()}
        yield {"functionCall": call, "call_id": part.tool_call_id, **signed}
    elif isinstance(part, ai.FilePart):
        yield {**inline_part(part.content.data, part.content.media_type), **signed}


# Responses to messages


def _to_response_parts(part: gemway.types.Part) -> Iterator[ai.ModelResponsePart]:
    details = {"thought_signature": part.thought_signature} if part.thought_signature else None
    if part.function_call is not None:
        call = part.function_call
        call_id = call.id or f"call_{uuid4().hex}"
        yield ai.ToolCallPart(call.name or "", call.args, tool_call_id=call_id, provider_details=details)
    elif part.inline_data is not None and not part.thought:
        image = gemway.Image(part.inline_data.data or "", part.inline_data.mime_type)
        picture = ai.BinaryContent.narrow_type(ai.BinaryContent(image.data, media_type=image.mime_type))
        yield ai.FilePart(picture, provider_details=details)
    elif part.thought and part.text:
        yield ai.ThinkingPart(part.text, signature=part.thought_signature, provider_name=PROVIDER)
    elif part.text:
        yield ai.TextPart(part.text, provider_details=details)


def _to_usage(usage: gemway.types.UsageMetadata | None) -> RequestUsage:
    if usage is None:
        return RequestUsage()
    return RequestUsage(
        input_tokens=usage.prompt_token_count or 0,
        cache_read_tokens=usage.cached_content_token_count or 0,
        output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
    )


@dataclass
class GemwayStream(StreamedResponse):
    """A streamed answer as pydantic-ai's events."""

    chunks: Any = None
    requested_model: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    async def _get_event_iterator(self) -> AsyncIterator[ai.ModelResponseStreamEvent]:
        answer = Accumulator()
        with _pydantic_ai_errors(self.requested_model):
            async for chunk in self.chunks:
                # Most chunks only add text; the client hands them over as TextChunk, without the cost of validation.
                if isinstance(chunk, TextChunk):
                    answer.add_text(chunk)
                    for event in self._parts_manager.handle_text_delta(vendor_part_id="text", content=chunk.text):
                        yield event
                    continue
                for part in answer.add(chunk):
                    for event in self._to_events(part):
                        yield event
        whole = answer.response()
        self._usage = _to_usage(whole.usage_metadata)
        self.provider_response_id = whole.response_id
        self.finish_reason = FINISH_REASONS.get(whole.finish_reason or "")

    def _to_events(self, part: gemway.types.Part) -> Iterator[ai.ModelResponseStreamEvent]:
        for answered in _to_response_parts(part):
            if isinstance(answered, ai.TextPart):
                yield from self._parts_manager.handle_text_delta(
                    vendor_part_id="text", content=answered.content, provider_details=answered.provider_details
                )
            elif isinstance(answered, ai.ThinkingPart):
                yield from self._parts_manager.handle_thinking_delta(
                    vendor_part_id="thoughts",
                    content=answered.content,
                    signature=answered.signature,
                    provider_name=PROVIDER,
                )
            else:
                yield self._parts_manager.handle_part(vendor_part_id=uuid4(), part=answered)

    async def close_stream(self) -> None:
        await self.chunks.aclose()

    @property
    def model_name(self) -> str:
        return self.requested_model

    @property
    def provider_name(self) -> str:
        return PROVIDER

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self.started


@contextmanager
def _pydantic_ai_errors(model: str) -> Iterator[None]:
    """Raise errors of the gateway as those that pydantic-ai's retries and fallbacks understand."""
    try:
        yield
    except gemway.APIError as error:
        if error.status_code:
            raise ModelHTTPError(error.status_code, model, error.body) from error
        raise UnexpectedModelBehavior(str(error)) from error
    except gemway.GemwayError as error:
        raise UnexpectedModelBehavior(str(error)) from error
