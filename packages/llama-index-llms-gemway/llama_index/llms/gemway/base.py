"""`Gemway`, LlamaIndex's LLM for Gemini-native gateways: each method prepares a request, sends it, converts the answer."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr, field_serializer
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]  # its public address
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from llama_index.llms.gemway._clients import Clients
from llama_index.llms.gemway._messages import ToolResultMedia
from llama_index.llms.gemway._requests import PreparedRequest, prepare_request
from llama_index.llms.gemway._responses import (
    ChatResponseStream,
    to_acompletions,
    to_chat_response,
    to_completion_response,
    to_completions,
    to_tool_selections,
)
from llama_index.llms.gemway._secrets import hide_secrets_of_calls
from llama_index.llms.gemway._structured import (
    JsonStrategy,
    OutputStrategy,
    PromptStrategy,
    ToolCallStrategy,
    astream_objects,
    stream_objects,
)
from llama_index.llms.gemway._tools import each_tool, to_wire_tools
from pydantic_core import PydanticUndefined

from gemway import AsyncClient, Client, ConfigurationError, Dialect, capabilities
from gemway.adapters import (
    OPTIONS,
    TextChunk,
    canonical,
    hide_secrets,
    refuse_invalid,
    remote_urls,
    resolve_base_url,
    resolve_model,
    with_media,
)

if TYPE_CHECKING:
    from llama_index.core.tools import BaseTool
    from llama_index.llms.gemway._options import GemwayOptions
    from typing_extensions import Self, Unpack

dispatcher = get_dispatcher(__name__)

_FRAMEWORK: Final = frozenset(
    {
        *("context_window", "is_function_calling_model", "schema_dialect", "tool_result_media", "callback_manager"),
        *("rate_limiter", "system_prompt", "messages_to_prompt", "completion_to_prompt", "output_parser"),
        *("pydantic_program_mode", "query_wrapper_prompt"),
    }
)
# What cannot go to another process.
_NOT_PICKLED: Final = frozenset({"http_client", "http_async_client", "on_retry"})
# What a copy shares with its original: it holds locks, connections or code.
_SHARED: Final = frozenset(
    {
        *("callback_manager", "rate_limiter", "http_client", "http_async_client", "auth", "api_key", "verify"),
        *("on_retry", "media_fetcher", "messages_to_prompt", "completion_to_prompt", "output_parser"),
        *("query_wrapper_prompt", "response_schema", "response_format", "tools"),
    }
)
_restoring: ContextVar[bool] = ContextVar("gemway_restoring", default=False)


@hide_secrets_of_calls
class Gemway(FunctionCallingLLM):
    """Gemini behind a Gemini-native gateway with Bearer auth.

        llm = Gemway(model="gemini-2.5-flash", api_key="sk-...", base_url="https://gateway.example")
        print(llm.complete("Hello"))

    The key, the address and the model come from `GEMWAY_API_KEY`, `GEMWAY_BASE_URL` and `GEMWAY_MODEL` where they are
    not given. Options are read at each call, so they may be changed at any time. The names that OpenAI's, Anthropic's
    and Google's classes use for them (`api_base`, `max_output_tokens`, `reasoning_effort`, ...) are taken too.

    Raises:
        ConfigurationError: no key, address or model, or options that cannot work.
        TypeError: an unknown option; the message names the nearest one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=())

    model: str = Field(description="The model's name at the gateway.")
    temperature: float | None = Field(default=None, description="Randomness, 0 to 2; the model's default if None.")
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = Field(default=None, description="The most tokens of one answer, thoughts included.")
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = Field(default=None, description="Number of answers; the first is the message, all are in `raw`.")
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None
    response_modalities: Any = Field(default=None, description='Such as ["TEXT", "IMAGE"].')
    image_config: Any = Field(default=None, description='Such as {"aspect_ratio": "16:9", "image_size": "2K"}.')
    aspect_ratio: str | None = None
    image_size: str | None = None
    thinking_budget: int | None = Field(default=None, description="Tokens for thoughts (Gemini 2.5).")
    thinking_level: str | None = Field(default=None, description="minimal, low, medium or high (Gemini 3 and later).")
    include_thoughts: bool | None = Field(default=None, description="Whether summaries of thoughts come along.")
    media_resolution: Any = None
    speech_config: Any = None
    response_mime_type: str | None = None
    response_schema: Any = None
    response_json_schema: Any = None
    response_format: Any = None
    generation_config: Any = Field(default=None, description="Further members of the wire's generationConfig.")
    safety_settings: Any = Field(default=None, description="A list of {category, threshold}, or a mapping.")
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    extra_body: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description="A mapping that is merged into every body, last and deeply. It may hold credentials: a secret.",
    )
    tools: Any = Field(default=None, description='Server tools, such as [{"googleSearch": {}}], or functions.')
    tool_choice: Any = None
    tool_config: Any = None
    parallel_tool_calls: bool | None = None
    strict: bool | None = Field(default=None, description="Whether calls must follow their schemas (mode VALIDATED).")
    schema_dialect: Dialect = Field(default="json_schema", description="In which words schemas are sent.")
    tool_result_media: ToolResultMedia = Field(
        default="auto", description="Where pictures of tool results go: inside the functionResponse, or beside it."
    )

    api_key: Any = Field(default=None, exclude=True, repr=False)
    base_url: str | None = None
    auth: Any = Field(default=None, exclude=True, repr=False)
    default_headers: Any = Field(default=None, exclude=True, repr=False)
    timeout: Any = Field(default=None, description="Seconds of silence after which an attempt is given up.")
    max_retries: int | None = Field(default=None, description="Repetitions of a failed attempt; 2 if None.")
    deadline: float | None = Field(default=None, description="Seconds that a call may take, retries included.")
    http_client: Any = Field(default=None, exclude=True, repr=False)
    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    proxy: Any = Field(default=None, exclude=True, repr=False)
    verify: Any = Field(default=None, exclude=True, repr=False)
    inline_data_casing: str | None = None
    retry_budget: str | None = "shared"
    retry_image_timeouts: bool | None = None
    max_connections: int | None = None
    max_response_bytes: int | None = None
    max_continuations: int | None = Field(
        default=None, description="How often an answer that stops with CONTINUATION is gone on with; 0 if None."
    )
    auth_header: str | None = None
    auth_scheme: str | None = None
    on_retry: Any = Field(default=None, exclude=True, repr=False)
    media_fetcher: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description="A gemway.MediaFetcher loads media named by http(s) addresses; they go by reference if None.",
    )

    context_window: int | None = Field(default=None, description="Tokens of prompt and answer; the model's if None.")
    is_function_calling_model: bool | None = Field(default=None, description="The model's if None.")

    _clients: Clients = PrivateAttr(default_factory=Clients)

    def __init__(self, model: str | None = None, **options: Unpack[GemwayOptions]) -> None:
        hide_secrets(options, known=_FRAMEWORK | type(self).model_fields.keys())
        known = _FRAMEWORK | (type(self).model_fields.keys() - OPTIONS.keys())
        given = canonical({"model": model, **options}, known=known, where=type(self).__name__)
        given = {**_own_defaults(type(self)), **given}
        given["model"] = resolve_model(given.get("model"))
        if given.get("base_url") is not None:
            given["base_url"] = resolve_base_url(given["base_url"])
        if options.get("retry_budget", "shared") is None:
            given["retry_budget"] = None
        if headers := given.pop("extra_headers", None):
            given["default_headers"] = {**(given.get("default_headers") or {}), **headers}
        with refuse_invalid(type(self).__name__):
            super().__init__(**given)
        self._check()

    def _check(self) -> None:
        """Refuse options that cannot work now rather than at the first call."""
        prepare_request([ChatMessage(content="?")], self.__dict__, {})
        try:
            self.base_url = self._client().base_url
        except ConfigurationError:
            if not _restoring.get():
                raise  # objects that come back without a key or an address say so at their first call

    @classmethod
    def class_name(cls) -> str:
        return "Gemway"

    @property
    def metadata(self) -> LLMMetadata:
        """What core components ask of a model. Never asks the network."""
        return _metadata(self.model, self.context_window, self.max_tokens, self.is_function_calling_model)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what was set, without what is secret or LlamaIndex's own."""
        for name, field in type(self).model_fields.items():
            value = self.__dict__.get(name)
            if field.repr and value != field.get_default() and name not in LLM.model_fields:
                yield name, value

    def to_payload(self) -> dict[str, Any]:
        """What events show of this model: no key, no headers."""
        return {"class_name": self.class_name(), **self.metadata.model_dump(), "base_url": self.base_url}

    # Chat

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = self._prepare(messages, kwargs)
        response = self._client().generate_content(request.model, request.body, **request.client_options)
        return to_chat_response(response, request.context)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = await self._aprepare(messages, kwargs)
        response = await self._aclient().generate_content(request.model, request.body, **request.client_options)
        return to_chat_response(response, request.context)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._stream(self._prepare(messages, kwargs))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        return self._astream(await self._aprepare(messages, kwargs))

    def _stream(self, request: PreparedRequest) -> Generator[ChatResponse, None, None]:
        # A generator of its own, so that a request that cannot be sent fails at the call, not at the first chunk.
        responses = ChatResponseStream(request.context)
        with self._client().stream_chunks(request.model, request.body, **request.client_options) as chunks:
            for chunk in chunks:
                if isinstance(chunk, TextChunk):
                    yield responses.add_text(chunk)
                else:
                    yield from responses.add(chunk)
        yield from responses.finish()

    async def _astream(self, request: PreparedRequest) -> AsyncGenerator[ChatResponse, None]:
        responses = ChatResponseStream(request.context)
        async with self._aclient().stream_chunks(request.model, request.body, **request.client_options) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, TextChunk):
                    yield responses.add_text(chunk)
                else:
                    for response in responses.add(chunk):
                        yield response
        for response in responses.finish():
            yield response

    # Completion

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        request = self._prepare([ChatMessage(content=prompt)], kwargs)
        response = self._client().generate_content(request.model, request.body, **request.client_options)
        return to_completion_response(to_chat_response(response, request.context))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        request = await self._aprepare([ChatMessage(content=prompt)], kwargs)
        response = await self._aclient().generate_content(request.model, request.body, **request.client_options)
        return to_completion_response(to_chat_response(response, request.context))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        return to_completions(self._stream(self._prepare([ChatMessage(content=prompt)], kwargs)))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        return to_acompletions(self._astream(await self._aprepare([ChatMessage(content=prompt)], kwargs)))

    # Tools

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        messages = list(chat_history or ())
        if user_msg is not None:
            messages.append(ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg)
        parallel = allow_parallel_tool_calls and self.parallel_tool_calls is not False
        prepared = {"messages": messages, "parallel_tool_calls": parallel, **kwargs}
        if tools:
            prepared["tools"] = to_wire_tools([*tools, *each_tool(self.tools or ())], dialect=self.schema_dialect)
            if tool_choice is not None or tool_required:
                prepared["tool_choice"] = "required" if tool_choice is None else tool_choice
            if strict is not None:
                prepared["strict"] = strict
        return prepared

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the calls of a whole answer or of one under way. Raises ValueError where there must be one."""
        calls = to_tool_selections(response.message)
        if not calls and error_on_no_tool_call:
            raise ValueError(f"Expected at least one tool call, but got 0; the answer was: {response.message.content}")
        return calls

    # Structured answers

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the answer to *prompt* as an *output_cls*. Raises ValueError if the answer holds none."""
        strategy = self._output_strategy(output_cls)
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        messages = self._format_prompt(strategy.prepare_prompt(prompt), prompt_args)
        output = strategy.to_object(self.chat(messages, **strategy.call_options(llm_kwargs)))
        dispatcher.event(LLMStructuredPredictEndEvent(output=output))
        return output

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the answer to *prompt* as an *output_cls*. Raises ValueError if the answer holds none."""
        strategy = self._output_strategy(output_cls)
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        messages = self._format_prompt(strategy.prepare_prompt(prompt), prompt_args)
        output = strategy.to_object(await self.achat(messages, **strategy.call_options(llm_kwargs)))
        dispatcher.event(LLMStructuredPredictEndEvent(output=output))
        return output

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        strategy = self._output_strategy(output_cls)
        messages = self._format_prompt(strategy.prepare_prompt(prompt), prompt_args)
        return stream_objects(self.stream_chat(messages, **strategy.call_options(llm_kwargs)), strategy)

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        strategy = self._output_strategy(output_cls)
        messages = self._format_prompt(strategy.prepare_prompt(prompt), prompt_args)
        return astream_objects(await self.astream_chat(messages, **strategy.call_options(llm_kwargs)), strategy)

    def _output_strategy(self, output_cls: type[Model]) -> OutputStrategy[Model]:
        """Return how the model is asked for an object: in JSON mode if the user and the model leave the choice.

        Raises:
            ConfigurationError: a mode of LlamaIndex that needs a model of another provider.
        """
        mode = self.pydantic_program_mode
        if mode == PydanticProgramMode.DEFAULT:
            if capabilities(self.model).structured_output:
                return JsonStrategy(output_cls, self.schema_dialect)
            mode = PydanticProgramMode.FUNCTION if self.metadata.is_function_calling_model else PydanticProgramMode.LLM
        if mode == PydanticProgramMode.FUNCTION:
            return ToolCallStrategy(output_cls, self.schema_dialect)
        if mode == PydanticProgramMode.LLM:
            return PromptStrategy(output_cls, self.schema_dialect)
        raise ConfigurationError(
            f"pydantic_program_mode={mode.value!r} does not work here; use default, function or llm"
        )

    def _format_prompt(self, prompt: BasePromptTemplate, prompt_args: Mapping[str, Any]) -> list[ChatMessage]:
        return self._extend_messages(prompt.format_messages(llm=self, **prompt_args))

    # Requests

    def _prepare(self, messages: Sequence[ChatMessage], changes: Mapping[str, Any]) -> PreparedRequest:
        """Return the request for *messages*, with the *changes* that one call makes to the model's options.

        Raises:
            TypeError: an unknown option, or one that only the constructor takes.
            ConfigurationError: options that cannot work.
            UnsupportedContentError: messages that cannot be sent.
        """
        request = prepare_request(messages, self.__dict__, changes)
        if self.media_fetcher is not None and (urls := remote_urls(request.body["contents"])):
            with self._time_for_fetching(request) as limit:
                media = self.media_fetcher.fetch(urls, **limit)
            request.body["contents"] = with_media(request.body["contents"], media)
        return request

    async def _aprepare(self, messages: Sequence[ChatMessage], changes: Mapping[str, Any]) -> PreparedRequest:
        request = prepare_request(messages, self.__dict__, changes)
        if self.media_fetcher is not None and (urls := remote_urls(request.body["contents"])):
            with self._time_for_fetching(request) as limit:
                media = await self.media_fetcher.afetch(urls, **limit)
            request.body["contents"] = with_media(request.body["contents"], media)
        return request

    @contextmanager
    def _time_for_fetching(self, request: PreparedRequest) -> Iterator[dict[str, float]]:
        """Give the fetcher the call's deadline, and leave the request what is left of it."""
        started, deadline = time.monotonic(), request.client_options.get("deadline", self.deadline)
        yield {} if deadline is None else {"deadline": deadline}
        if deadline is not None:
            request.client_options["deadline"] = max(0.001, deadline - (time.monotonic() - started))

    # The gateway

    def __setattr__(self, name: str, value: Any) -> None:
        given = {name: value}
        hide_secrets(given, known=given)
        super().__setattr__(name, given[name])

    def _client(self) -> Client:
        return self._clients.sync(self.__dict__)

    def _aclient(self) -> AsyncClient:
        return self._clients.asynchronous(self.__dict__)

    def close(self) -> None:
        """Give the connections of the sync methods back. A later call opens new ones."""
        self._clients.close()

    async def aclose(self) -> None:
        """Give all connections back. A later call opens new ones."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    # Copies

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Bring a model back from `to_dict()`. The key is not in there: it comes from `api_key=` or the environment."""
        with _restored():
            return super().from_dict(data, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        fields = {name: value for name, value in state["__dict__"].items() if name not in _NOT_PICKLED}
        return {**state, "__dict__": fields, "__pydantic_private__": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        with _restored():
            self.__init__(**state["__dict__"])  # type: ignore[misc]  # as BaseComponent does, so that all is checked

    def __copy__(self) -> Self:
        """Return a copy with clients of its own, so that closing one does not close the other's."""
        copied = super().__copy__()
        copied._clients = Clients()
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        own = {name: value for name, value in self.__dict__.items() if name not in _SHARED}
        return self.model_copy(update=copy.deepcopy(own, memo))

    @field_serializer(
        "timeout", "image_config", "speech_config", "generation_config", "tool_config", check_fields=False
    )
    def _plain(self, value: Any) -> Any:
        """Write Google's and httpx's objects as JSON."""
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", exclude_none=True)
        return getattr(value, "read", value)

    @field_serializer("response_schema", "response_format", check_fields=False)
    def _plain_schema(self, value: Any) -> Any:
        return value.model_json_schema() if isinstance(value, type) and hasattr(value, "model_json_schema") else value


def _own_defaults(cls: type[Gemway]) -> dict[str, Any]:
    """Return the defaults that a subclass gave to fields of ours: they go before the environment's values."""
    theirs, ours = cls.model_fields, Gemway.model_fields
    changed = {name for name in ours if theirs[name] is not ours[name]}
    defaults = {name: theirs[name].get_default(call_default_factory=True) for name in changed}
    given = {name: value for name, value in defaults.items() if value is not None and value is not PydanticUndefined}
    hide_secrets(given, known=given)
    return given


@lru_cache(maxsize=256)
def _metadata(model: str, context_window: int | None, max_tokens: int | None, calls: bool | None) -> LLMMetadata:
    accepts = capabilities(model)
    window = context_window or accepts.input_tokens
    return LLMMetadata(
        context_window=window,
        # Core takes num_output off the window: a limit as large as the window would leave nothing for the prompt.
        num_output=max_tokens if max_tokens is not None and max_tokens < window else -1,
        is_chat_model=True,
        is_function_calling_model=accepts.tools if calls is None else calls,
        model_name=model,
        system_role=MessageRole.SYSTEM,
    )


@contextmanager
def _restored() -> Iterator[None]:
    token = _restoring.set(True)
    try:
        yield
    finally:
        _restoring.reset(token)
