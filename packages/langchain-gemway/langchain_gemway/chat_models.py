"""ChatGemway: LangChain's chat model for Gemini-native gateways with Bearer auth."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, cast

import gemway
from gemway import AsyncClient, Client, ConfigurationError, WireRequest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from langchain_gemway._errors import langchain_errors
from langchain_gemway._events import EventWriter
from langchain_gemway._fetching import afetched, fetched
from langchain_gemway._messages import LateSystem
from langchain_gemway._options import (
    CLIENT_OPTIONS,
    REQUEST_OPTIONS,
    ConfigMemory,
    call_options,
    media_dialect,
    to_body,
    to_changes,
    traced,
)
from langchain_gemway._profiles import to_profile
from langchain_gemway._responses import ChunkReader, Reading, to_chat_result, to_reading
from langchain_gemway._structured import AnswerParser, Method, to_builder
from langchain_gemway._tokens import estimate, token_ids
from langchain_gemway._tools import BoundTools, to_bound_tools

if TYPE_CHECKING:
    import httpx
    from langchain_core.caches import BaseCache
    from langchain_core.callbacks import Callbacks
    from langchain_core.rate_limiters import BaseRateLimiter
    from langchain_core.tools import BaseTool
    from typing_extensions import Self

_UNTRACED = frozenset({*CLIENT_OPTIONS, "http_client", "http_async_client", "media_fetcher"}) - {"base_url"}
_FROM_ENVIRONMENT = "GEMWAY_API_KEY"


class _Call:
    """One request, ready to be sent, and how to read its answer."""

    __slots__ = ("body", "changes", "model", "options", "reading")

    def __init__(self, model: str, body: WireRequest, changes: dict[str, Any], reading: Reading) -> None:
        self.model = model
        self.body = body
        self.changes = changes
        self.options = call_options(changes) if changes else {}
        self.reading = reading


class ChatGemway(BaseChatModel):
    """Chat with Gemini through a gateway that speaks Gemini's own protocol with Bearer auth.

        from langchain_gemway import ChatGemway

        model = ChatGemway(model="gemini-2.5-flash", base_url="https://gateway.example", api_key="sk-...")
        model.invoke("Why is the sky blue?").text

    Without arguments it reads `GEMWAY_API_KEY`, `GEMWAY_BASE_URL` and `GEMWAY_MODEL`. It connects at its first call,
    can be shared between threads and event loops, copied and pickled, and honours settings changed later. All
    options are accepted at a call too, and under the names that ChatOpenAI, ChatAnthropic and ChatGoogleGenerativeAI
    use for them; an unknown one is a `TypeError` that names the nearest. docs/langchain.md explains each.

    Errors are gemway's (`gemway.RateLimitError`) and LangChain's (`ModelRateLimitError`) at once.

    Raises:
        ConfigurationError: at construction, for a missing key, address or model and values that cannot work.
        TypeError: for an unknown option.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=())

    model: str
    """The model's name, as the gateway knows it."""
    base_url: str | None = None
    """The gateway's address, without `/v1beta`."""
    api_key: SecretStr | Callable[[], Any] | None = Field(default=None, repr=False)
    """The key, or a function (for async calls also a coroutine function) that returns one."""
    auth: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Auth` that signs requests instead of a key."""
    default_headers: dict[str, SecretStr] | None = Field(default=None, exclude=True, repr=False)
    """Headers for every request. They are secrets: never shown, traced or serialised."""
    timeout: Any = None
    """Seconds of silence after which an attempt is given up, or an `httpx.Timeout`."""
    max_retries: int | None = None
    """Repetitions of a failed attempt; 0 sends one request, default 2."""
    deadline: float | None = None
    """Seconds that a call may take in all, retries included."""
    extra_body: dict[str, Any] | None = Field(default=None, repr=False)
    """Merged into every body, last and deeply."""
    inline_data_casing: Literal["camel", "snake"] = "camel"
    """`"snake"` for gateways that only read `inline_data` and `mime_type`."""
    schema_dialect: Literal["json_schema", "openapi"] = "json_schema"
    """In which words schemas are sent; `"openapi"` for gateways that do not know JSON Schema."""
    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` or `httpx2.Client` to send with; never closed by us."""
    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """Its async counterpart."""
    proxy: str | None = Field(default=None, exclude=True, repr=False)
    verify: Any = Field(default=True, exclude=True, repr=False)
    auth_header: str | None = None
    """The header that carries the key; default `Authorization`."""
    auth_scheme: str | None = None
    """What stands before the key in it; default `Bearer`, may be empty."""
    retry_budget: str | None = "shared"
    retry_image_timeouts: bool = False
    max_connections: int | None = None
    max_response_bytes: int | None = None
    on_retry: Callable[[Any], object] | None = Field(default=None, exclude=True, repr=False)
    media_fetcher: Any = Field(default=None, exclude=True, repr=False)
    """A `gemway.MediaFetcher` for media that messages name by http(s) URL; without one the URLs are sent."""
    late_system: LateSystem = "merge"
    """What becomes of system messages after others: part of the instruction, the user's words, or an error."""
    count_tokens: bool = False
    """Whether `get_num_tokens_from_messages` asks the gateway; some bill a count as a generation."""
    streaming: bool | None = None

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    """The most tokens of an answer, thoughts included."""
    stop: list[str] | None = None
    seed: int | None = None
    n: int | None = None
    """How many answers to one prompt."""
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_modalities: list[Any] | None = None
    """`"TEXT"`, `"IMAGE"`, `"AUDIO"`."""
    image_config: Any = None
    aspect_ratio: str | None = None
    image_size: str | None = None
    thinking_budget: int | None = None
    """Tokens for thinking (Gemini 2.5); 0 is off, -1 the model's choice."""
    thinking_level: str | None = None
    """How hard to think (Gemini 3 and later)."""
    include_thoughts: bool | None = None
    media_resolution: Any = None
    speech_config: Any = None
    response_mime_type: str | None = None
    response_schema: Any = None
    response_json_schema: Any = None
    response_format: Any = None
    generation_config: Any = None
    """What is left of a `generation_config` after its known options have found their fields."""
    safety_settings: Any = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    tool_config: Any = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    strict: bool | None = None

    _clients: dict[str, tuple[tuple[Any, ...], Any]] = PrivateAttr(default_factory=dict)
    _memory: ConfigMemory = PrivateAttr(default_factory=ConfigMemory)
    _key_is_from_environment: bool = PrivateAttr(default=False)
    _own_profile: bool = PrivateAttr(default=False)

    if TYPE_CHECKING:
        # Every name that `_canonical` accepts, so that mypy and pyright accept it too.
        def __init__(  # noqa: PLR0913 - the options of the model, under all their names
            self,
            *,
            model: str | None = None,
            model_name: str | None = None,
            model_id: str | None = None,
            api_key: str | SecretStr | Callable[[], Any] | None = None,
            google_api_key: str | SecretStr | Callable[[], Any] | None = None,
            gemini_api_key: str | SecretStr | Callable[[], Any] | None = None,
            openai_api_key: str | SecretStr | Callable[[], Any] | None = None,
            anthropic_api_key: str | SecretStr | Callable[[], Any] | None = None,
            base_url: str | None = None,
            api_base: str | None = None,
            openai_api_base: str | None = None,
            anthropic_api_url: str | None = None,
            client_options: str | Mapping[str, Any] | None = None,
            http_options: Any = None,
            auth: httpx.Auth | Any | None = None,
            default_headers: Mapping[str, str | SecretStr] | None = None,
            headers: Mapping[str, str | SecretStr] | None = None,
            additional_headers: Mapping[str, str | SecretStr] | None = None,
            timeout: float | httpx.Timeout | Any | None = None,
            request_timeout: float | httpx.Timeout | Any | None = None,
            default_request_timeout: float | None = None,
            max_retries: int | None = None,
            retries: int | None = None,
            deadline: float | None = None,
            extra_body: Mapping[str, Any] | None = None,
            model_kwargs: Mapping[str, Any] | None = None,
            additional_kwargs: Mapping[str, Any] | None = None,
            inline_data_casing: Literal["camel", "snake"] = "camel",
            schema_dialect: Literal["json_schema", "openapi"] = "json_schema",
            http_client: Any = None,
            http_async_client: Any = None,
            async_http_client: Any = None,
            proxy: str | None = None,
            openai_proxy: str | None = None,
            anthropic_proxy: str | None = None,
            verify: Any = True,
            auth_header: str | None = None,
            auth_scheme: str | None = None,
            retry_budget: str | None = "shared",
            retry_image_timeouts: bool = False,
            max_connections: int | None = None,
            max_response_bytes: int | None = None,
            on_retry: Callable[[gemway.RetryEvent], object] | None = None,
            media_fetcher: gemway.MediaFetcher | None = None,
            late_system: LateSystem = "merge",
            count_tokens: bool = False,
            streaming: bool | None = None,
            stream_usage: bool | None = None,
            temperature: float | None = None,
            top_p: float | None = None,
            top_k: int | None = None,
            max_tokens: int | None = None,
            max_output_tokens: int | None = None,
            max_completion_tokens: int | None = None,
            max_tokens_to_sample: int | None = None,
            stop: str | Sequence[str] | None = None,
            stop_sequences: str | Sequence[str] | None = None,
            seed: int | None = None,
            n: int | None = None,
            candidate_count: int | None = None,
            presence_penalty: float | None = None,
            frequency_penalty: float | None = None,
            logprobs: bool | None = None,
            response_logprobs: bool | None = None,
            top_logprobs: int | None = None,
            response_modalities: str | Sequence[Any] | None = None,
            modalities: str | Sequence[Any] | None = None,
            image_config: Any = None,
            aspect_ratio: str | None = None,
            image_size: str | None = None,
            thinking_budget: int | None = None,
            thinking_level: str | None = None,
            reasoning_effort: str | None = None,
            effort: str | None = None,
            include_thoughts: bool | None = None,
            thinking: Mapping[str, Any] | None = None,
            reasoning: Mapping[str, Any] | None = None,
            thinking_config: Any = None,
            output_config: Mapping[str, Any] | None = None,
            media_resolution: Any = None,
            speech_config: Any = None,
            response_mime_type: str | None = None,
            response_schema: Any = None,
            response_json_schema: Any = None,
            response_format: Any = None,
            generation_config: Any = None,
            safety_settings: Any = None,
            cached_content: str | None = None,
            labels: Mapping[str, str] | None = None,
            tool_config: Any = None,
            tool_choice: Any = None,
            function_call: Any = None,
            parallel_tool_calls: bool | None = None,
            strict: bool | None = None,
            # Options of other providers without a meaning here: accepted, and warned about once.
            organization: str | None = None,
            openai_organization: str | None = None,
            service_tier: str | None = None,
            user: str | None = None,
            store: bool | None = None,
            use_responses_api: bool | None = None,
            use_previous_response_id: bool | None = None,
            include_response_headers: bool | None = None,
            logit_bias: Mapping[Any, Any] | None = None,
            disabled_params: Mapping[str, Any] | None = None,
            default_query: Mapping[str, Any] | None = None,
            verbosity: str | None = None,
            betas: Sequence[str] | None = None,
            context_management: Any = None,
            vertexai: bool | None = None,
            project: str | None = None,
            location: str | None = None,
            transport: str | None = None,
            credentials: Any = None,
            api_version: str | None = None,
            convert_system_message_to_human: bool | None = None,
            is_chat_model: bool | None = None,
            # LangChain's own
            name: str | None = None,
            cache: BaseCache | bool | None = None,
            verbose: bool = False,
            callbacks: Callbacks = None,
            tags: list[str] | None = None,
            metadata: dict[str, Any] | None = None,
            custom_get_token_ids: Callable[[str], list[int]] | None = None,
            rate_limiter: BaseRateLimiter | None = None,
            disable_streaming: bool | Literal["tool_calling"] = False,
            output_version: str | None = None,
            profile: ModelProfile | None = None,
        ) -> None: ...

    else:

        def __init__(self, **kwargs: Any) -> None:
            is_restored = kwargs.pop("is_restored", False)
            options = _canonical(kwargs, type(self))
            options["model"] = gemway.resolve_model(options.get("model"))
            options["base_url"] = gemway.resolve_base_url(options.get("base_url"))
            is_from_environment = _find_key(options, lenient=is_restored)
            super().__init__(**options)
            self._key_is_from_environment = is_from_environment
            self._own_profile = "profile" in options
            self._check(needs_key=not is_restored)
            self._add_version("langchain-gemway", gemway.__version__)

    def _check(self, *, needs_key: bool) -> None:
        """Raise for settings that cannot work, before anything is sent."""
        media_dialect(self.schema_dialect)
        if self.late_system not in {"merge", "inline", "error"}:
            raise ConfigurationError(f'late_system must be "merge", "inline" or "error", not {self.late_system!r}')
        self._memory.config(self._options(), self.model, self.schema_dialect)
        if needs_key or self.api_key is not None:
            self._client()

    # What LangChain asks about the model

    @property
    def _llm_type(self) -> str:
        return "chat-gemway"

    @property
    def model_name(self) -> str:
        """The model's name, under the name that ChatOpenAI gives it."""
        return self.model

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model": self.model, "base_url": self.base_url, **_plain(self._options())}

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        params = {**self._identifying_params, "_type": self._llm_type, "stop": stop or self.stop}
        return {**params, **traced(kwargs)} if kwargs else params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = LangSmithParams(
            ls_provider="google_genai", ls_model_name=kwargs.get("model") or self.model, ls_model_type="chat"
        )
        temperature = kwargs.get("temperature", self.temperature)
        if temperature is not None:
            params["ls_temperature"] = temperature
        limit = kwargs.get("max_tokens") or kwargs.get("max_output_tokens") or self.max_tokens
        if limit is not None:
            params["ls_max_tokens"] = limit
        if stops := stop or self.stop:
            params["ls_stop"] = [stops] if isinstance(stops, str) else stops
        return params

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        for output in llm_outputs:
            for name, count in ((output or {}).get("token_usage") or {}).items():
                if name in usage:
                    usage[name] += count
        return {"token_usage": usage, "model_name": self.model}

    def _resolve_model_profile(self) -> ModelProfile | None:
        return to_profile(self.model)

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"api_key": _FROM_ENVIRONMENT}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        return {"is_restored": True}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can serialise the model: yes, without its secrets."""
        return True

    # Calls

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            call = self._call(messages, stop, kwargs)
            body = fetched(call.body, self.media_fetcher)
            response = self._client(call.changes).generate_content(call.model, body, **call.options)
            return to_chat_result(response, call.reading)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            call = self._call(messages, stop, kwargs)
            body = await afetched(call.body, self.media_fetcher)
            response = await self._async_client(call.changes).generate_content(call.model, body, **call.options)
            return to_chat_result(response, call.reading)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for message in self._message_chunks(messages, stop, kwargs):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks = self._amessage_chunks(messages, stop, kwargs)
        try:
            async for message in chunks:
                chunk = ChatGenerationChunk(message=message)
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            await chunks.aclose()

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[dict[str, Any]]:
        """Yield the answer as LangChain's protocol events (v3), each block finished as soon as it ends."""
        writer = EventWriter(kwargs.get("model") or self.model, _message_id(run_manager))
        for message in self._message_chunks(messages, stop, kwargs, v1=True):
            yield from writer.write(message)

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the answer as LangChain's protocol events (v3), each block finished as soon as it ends."""
        writer = EventWriter(kwargs.get("model") or self.model, _message_id(run_manager))
        chunks = self._amessage_chunks(messages, stop, kwargs, v1=True)
        try:
            async for message in chunks:
                for event in writer.write(message):
                    yield event
        finally:
            await chunks.aclose()

    def _message_chunks(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, v1: bool | None = None
    ) -> Iterator[AIMessageChunk]:
        with langchain_errors():
            call = self._call(messages, stop, kwargs, v1=v1)
            reader = ChunkReader(call.reading)
            body = fetched(call.body, self.media_fetcher)
            stream = self._client(call.changes).stream_generate_content(call.model, body, **call.options)
            with stream:
                for response in stream:
                    if (chunk := reader.read(response)) is not None:
                        yield chunk
            yield from reader.end()

    async def _amessage_chunks(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, v1: bool | None = None
    ) -> AsyncGenerator[AIMessageChunk, None]:
        with langchain_errors():
            call = self._call(messages, stop, kwargs, v1=v1)
            reader = ChunkReader(call.reading)
            body = await afetched(call.body, self.media_fetcher)
            stream = self._async_client(call.changes).stream_generate_content(call.model, body, **call.options)
            async with stream:
                async for response in stream:
                    if (chunk := reader.read(response)) is not None:
                        yield chunk
            for chunk in reader.end():
                yield chunk

    def _call(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, v1: bool | None = None
    ) -> _Call:
        """Return the request for *messages*, with a call's options over the model's."""
        changes = to_changes(kwargs) if kwargs else {}
        options = self._options()
        if changes:
            options = gemway.override(options, changes)
        if stop is not None:
            options["stop"] = stop
        model = changes.get("model") or self.model
        dialect = media_dialect(changes.get("schema_dialect") or self.schema_dialect)
        config = self._memory.config(options, model, dialect)
        late_system = changes.get("late_system") or self.late_system
        body, tools = to_body(messages, options, config, model=model, late_system=late_system, dialect=dialect)
        reading = to_reading(body, model=model, v1=self.output_version == "v1" if v1 is None else v1, tools=tools)
        return _Call(model, body, changes, reading)

    def _options(self) -> dict[str, Any]:
        """Return the options of requests that are set."""
        values = self.__dict__
        return {name: value for name in REQUEST_OPTIONS if (value := values[name]) is not None}

    # Tools and structured output

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with *tools* to call.

        Args:
            tools: LangChain tools, functions, pydantic classes, TypedDicts, JSON Schemas with a title, the dicts of
                OpenAI, Anthropic and Bedrock, Google's declarations and built-in tools (`{"googleSearch": {}}`).
            tool_choice: `"auto"`, `"none"`, `"any"`, a tool's name or several, or the dict of another provider.
            strict: whether calls must follow their schemas.
            parallel_tool_calls: accepted; False cannot be said to Gemini.

        Raises:
            ConfigurationError: for a tool that cannot be described, and a *tool_choice* that names none of them.
        """
        bound = to_bound_tools(tools, self.schema_dialect) or BoundTools([])
        if tool_choice is not None and bound:
            gemway.to_tool_config(tool_choice, names=bound.names)
        given = {"tool_choice": tool_choice, "strict": strict, "parallel_tool_calls": parallel_tool_calls}
        named = {name: value for name, value in given.items() if value is not None}
        return self.bind(tools=bound, **named, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        include_raw: bool = False,
        method: Method = "json_schema",
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        allow_none: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable whose results follow *schema*: instances of a pydantic class, dicts of anything else.

        Args:
            schema: a pydantic class, a TypedDict, a JSON Schema or an OpenAI function.
            include_raw: return `{"raw", "parsed", "parsing_error"}` instead.
            method: `"json_schema"` binds the answer to the schema, `"json_mode"` only to JSON,
                `"function_calling"` forces a call.
            strict: whether calls must follow their schemas.
            tools: tools to offer beside (Gemini 3 and later).
            allow_none: with `"function_calling"`, return None for an answer without a call.

        Results of an answer that is cut off, refused or no object are errors, never half an object:
        `OutputParserException`, for refusals LangChain's `ModelRefusalError`.
        """
        if schema is None and method != "json_mode":
            raise ValueError(f"method {method!r} needs a schema")
        described = _described(schema)
        traced_format = {"kwargs": {"method": method, "strict": strict}, "schema": schema or {"title": "answer"}}
        if method == "function_calling":
            name = described["title"]
            function = {"type": "function", "function": _as_function(schema, described)}
            llm = self.bind_tools(
                [function, *(tools or ())],
                tool_choice=name if not tools else "any",
                strict=strict,
                ls_structured_output_format=traced_format,
                **kwargs,
            )
            parser = AnswerParser(build=to_builder(schema), tool=name, allow_none=allow_none)
        elif method in {"json_schema", "json_mode"}:
            wanted = (
                {"response_mime_type": "application/json"}
                if method == "json_mode"
                else {_SCHEMA_OPTION[self.schema_dialect]: described}
            )
            bound: Any = self.bind_tools(tools, strict=strict) if tools else self
            llm = bound.bind(**wanted, **kwargs, ls_structured_output_format=traced_format)
            parser = AnswerParser(build=to_builder(schema))
        else:
            raise ValueError(f"unknown method {method!r}; use json_schema, json_mode or function_calling")
        return _with_raw(llm, parser) if include_raw else llm | parser

    # Tokens

    def get_token_ids(self, text: str) -> list[int]:
        """Return a number for each estimated token of *text*. Made here: Gemini's own ids are not public."""
        return self.custom_get_token_ids(text) if self.custom_get_token_ids else token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens *text* has."""
        return len(self.get_token_ids(text))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return about how many tokens a prompt has, with its system messages, tools and pictures.

        With `count_tokens=True` the gateway is asked; where it cannot count, the estimate is returned.
        """
        call = self._call(messages, None, {"tools": tools} if tools else {})
        if self.count_tokens and (counted := self._counted(call)) is not None:
            return counted
        return estimate(call.body, model=call.model)

    def _counted(self, call: _Call) -> int | None:
        with langchain_errors():
            try:
                return self._client().count_tokens(call.model, call.body)
            except gemway.APIStatusError as error:
                if error.status_code in {404, 405, 501}:
                    return None
                raise

    # Connections and copies

    def _client(self, changes: Mapping[str, Any] | None = None) -> Client:
        return cast("Client", self._made("sync", Client, "http_client", changes))

    def _async_client(self, changes: Mapping[str, Any] | None = None) -> AsyncClient:
        return cast("AsyncClient", self._made("async", AsyncClient, "http_async_client", changes))

    def _made(self, kind: str, cls: type, http_client: str, changes: Mapping[str, Any] | None) -> Any:
        """Return the client for the settings of now, a new one only if they have changed."""
        values = self.__dict__
        given = (*[values[name] for name in CLIENT_OPTIONS], values[http_client])
        if changes and not _CLIENT_CHANGES.isdisjoint(changes):
            return cls(**_client_options({**values, **changes}, http_client))
        known = self._clients.get(kind)
        if known and known[0] == given:
            return known[1]
        client = cls(**_client_options(values, http_client))
        self._clients[kind] = (given, client)
        return client

    def close(self) -> None:
        """Give the connections of blocking calls back. A later call opens new ones."""
        if known := self._clients.get("sync"):
            known[1].close()

    async def aclose(self) -> None:
        """Give all connections back. A later call opens new ones."""
        self.close()
        if known := self._clients.get("async"):
            await known[1].aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "api_key" and isinstance(value, str):
            value = SecretStr(value)
        elif name == "default_headers" and isinstance(value, Mapping):
            value = _secret_headers(value)
        super().__setattr__(name, value)
        if not name.startswith("_"):
            vars(self).pop("_serialized", None)  # made of the settings, once
            if name == "api_key":
                self._key_is_from_environment = False
            elif name == "model" and not self._own_profile:
                self.profile = self._resolve_model_profile()

    def __getstate__(self) -> dict[Any, Any]:
        state: dict[Any, Any] = super().__getstate__()
        values = {**state["__dict__"], "http_client": None, "http_async_client": None, "on_retry": None}
        if self._key_is_from_environment:
            values["api_key"] = None  # looked up again where the pickle is opened
        private = {**(state.get("__pydantic_private__") or {}), "_clients": {}}
        return {**state, "__dict__": values, "__pydantic_private__": private}

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._clients = {}
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied = self.__copy__()
        values = vars(copied)
        values.update({name: copy.deepcopy(one, memo) for name, one in values.items() if isinstance(one, dict | list)})
        return copied


_SCHEMA_OPTION = {"json_schema": "response_json_schema", "openapi": "response_schema"}
_CLIENT_CHANGES = frozenset(CLIENT_OPTIONS) - {"timeout", "max_retries", "deadline", "default_headers"} | {
    "http_client",
    "http_async_client",
}


def _canonical(kwargs: Mapping[str, Any], cls: type[ChatGemway]) -> dict[str, Any]:
    """Return the options of the constructor by the names of the fields."""
    known = (set(cls.model_fields) - gemway.OPTIONS.keys()) | {"stream_usage"}
    options = gemway.canonical(kwargs, known=known, where=cls.__name__)
    options.pop("stream_usage", None)
    if "retry_budget" in kwargs:
        options["retry_budget"] = kwargs["retry_budget"]
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    elif options.get("stop") is not None:
        options["stop"] = list(options["stop"])
    if isinstance(options.get("response_modalities"), str):
        options["response_modalities"] = [options["response_modalities"]]
    if headers := options.get("default_headers"):
        options["default_headers"] = _secret_headers(headers)
    profile = options.get("profile")
    if profile and profile == to_profile(profile.get("name") or ""):
        del options["profile"]  # made here, for the model of that name; copies may ask for another
    return options


def _secret_headers(headers: Mapping[str, Any]) -> dict[str, SecretStr]:
    return {name: value if isinstance(value, SecretStr) else SecretStr(value) for name, value in headers.items()}


def _find_key(options: dict[str, Any], *, lenient: bool) -> bool:
    """Put the key among the options, and return whether the environment gave it."""
    key = options.get("api_key")
    if isinstance(key, str):
        options["api_key"] = SecretStr(key)
    if key is not None or options.get("auth") is not None:
        return False
    try:
        options["api_key"] = SecretStr(gemway.environment_key().reveal())
    except ConfigurationError:
        if not lenient:
            raise
    return True


def _client_options(values: Mapping[str, Any], http_client: str) -> dict[str, Any]:
    """Return the arguments of a client."""
    given = {name: values[name] for name in CLIENT_OPTIONS if values.get(name) is not None}
    given["headers"] = given.pop("default_headers", None)
    return {**given, "retry_budget": values["retry_budget"], "http_client": values.get(http_client)}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as JSON data where they are classes or enumerations."""
    return {name: _plain_value(value) for name, value in options.items()}


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(getattr(key, "value", key)): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    if isinstance(value, type):
        return value.__name__
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", exclude_none=True)
    return str(getattr(value, "value", value))


def _message_id(run_manager: Any) -> str | None:
    return f"lc_run--{run_manager.run_id}" if run_manager else None


def _described(schema: Any) -> dict[str, Any]:
    """Return the JSON Schema for a schema of any form, with its name as `title`."""
    if schema is None:
        return {"title": "answer"}
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return {"title": schema.__name__, **schema.model_json_schema()}
    if isinstance(schema, dict) and "properties" in schema and "title" in schema:
        return dict(schema)
    return convert_to_json_schema(schema)


def _as_function(schema: Any, described: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {name: value for name, value in described.items() if name not in {"title", "description"}}
    return {"name": described["title"], "description": described.get("description", ""), "parameters": parameters}


def _with_raw(llm: Runnable[Any, Any], parser: AnswerParser) -> Runnable[LanguageModelInput, Any]:
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")
