"""ChatGemway: LangChain's chat model for Gemini-native gateways with Bearer auth.

A call is prepared, sent and read here, in that order. Messages, tools, schemas and answers are converted by the pure
modules next to this one; retries, connections and the options that LlamaIndex shares are the core's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gemway
from gemway.adapters import (
    SECRET_OPTIONS,
    ModelOptions,
    OtherNames,
    WireRequest,
    accepts,
    fingerprint,
    hide_secrets,
    to_tool_config,
    warn_once,
)
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import PrivateAttr

from langchain_gemway._errors import langchain_errors
from langchain_gemway._events import EventWriter
from langchain_gemway._messages import LateSystem, to_contents
from langchain_gemway._profiles import estimate_tokens, to_profile, token_ids
from langchain_gemway._responses import (
    AnswerContext,
    ChunkReader,
    to_chat_result,
    to_generation_chunk,
)
from langchain_gemway._structured import (
    AnswerParser,
    Method,
    describes_objects,
    to_answer_function,
    to_builder,
    to_json_schema,
    with_raw_message,
)
from langchain_gemway._tools import BoundTools, to_bound_tools

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_LLM_TYPE: Final = "chat-gemway"
# LangChain puts some options of its own among those of a call. They are for LangChain, and are not sent.
_LANGCHAINS: Final = frozenset({"stream", "stream_usage", "ls_structured_output_format", "structured_output_format"})
_CALL_ONLY: Final = frozenset({"late_system"})
_CALL_NAMES: Final = _LANGCHAINS | _CALL_ONLY
_UNTRACED: Final = SECRET_OPTIONS | {name for name, field in ModelOptions.model_fields.items() if field.exclude}


class ChatOptions(ModelOptions, BaseChatModel):
    """Every option of ChatGemway as a field. Type checkers read the constructor of ChatGemway from this class."""

    late_system: LateSystem = "merge"
    """What becomes of system messages after others: part of the instruction, the user's words, or an error."""
    count_tokens: bool = False
    """Whether `get_num_tokens_from_messages` asks the gateway; some bill a count as a generation."""
    streaming: bool | None = None

    _own_profile: bool = PrivateAttr(default=False)

    @classmethod
    def _read_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        # Usage always comes with a stream, so ChatOpenAI's switch for it changes nothing.
        values = super()._read_options({name: value for name, value in options.items() if name != "stream_usage"})
        profile = values.get("profile")
        if profile and profile == to_profile(profile.get("name") or ""):
            # Made here, for the model of that name. A copy that asks for another model needs another profile.
            del values["profile"]
        return values

    def _check_options(self, *, needs_key: bool) -> None:
        super()._check_options(needs_key=needs_key)
        self._own_profile = self.profile != to_profile(self.model)
        self._add_version("langchain-gemway", gemway.__version__)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return to_profile(self.model)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            # LangChain keeps the serialised form of a model, made once; with it tracers would show the old settings.
            vars(self).pop("_serialized", None)
            if name == "model" and not self._own_profile:
                self.profile = self._resolve_model_profile()

    # Serialisation

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"api_key": "GEMWAY_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        # Part of the key of LangChain's cache: a model that searches must not get the answer of one that does not.
        tools = to_bound_tools(self.tools, self.schema_dialect)
        return {"is_restored": True, "tools": [*tools]} if tools else {"is_restored": True}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can serialise the model: yes, without its secrets."""
        return True


if TYPE_CHECKING:

    class _Constructor(OtherNames, ChatOptions):
        """Every option by every name, for type checkers."""


class PreparedRequest(NamedTuple):
    """One request, ready to be sent, and the context that its answer is read in.

    Attributes:
        model: the model to ask.
        body: the request.
        changes: the options of this call, by their canonical names.
        options: those of them that the core's client takes for one call.
        context: for reading the answer.
    """

    model: str
    body: WireRequest
    changes: Mapping[str, Any]
    options: dict[str, Any]
    context: AnswerContext


class ChatGemway(ChatOptions):
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

    if TYPE_CHECKING:

        @accepts(_Constructor)
        def __init__(self, **options: Any) -> None: ...

    # Facts about the model for LangChain

    @property
    def _llm_type(self) -> str:
        return _LLM_TYPE

    @property
    def model_name(self) -> str:
        """The model's name, under the name that ChatOpenAI gives it."""
        return self.model

    # Caches and tracers store the results of these methods, so every one of them hides secrets first.

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        params: dict[str, Any] = {"model": self.model, "base_url": self.base_url, "_type": _LLM_TYPE}
        for name, value in self._request_options().items():
            if name == "tools":
                # As the model sees them: the objects themselves may hold connections and passwords.
                params |= {"tools": [*bound]} if (bound := to_bound_tools(value, self.schema_dialect)) else {}
            elif name != "extra_body":
                params[name] = _to_plain_json(value)
        params["stop"] = stop or self.stop
        params.update({name: value for name, value in kwargs.items() if name not in _UNTRACED})
        return params

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        params = self._get_invocation_params()
        return {name: value for name, value in params.items() if name != "_type" and value is not None}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        # LangSmith prices and groups models by provider; the model behind the gateway is Google's.
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
            params["ls_stop"] = [stops] if isinstance(stops, str) else [*stops]
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Return the key of LangChain's cache for this model and these options, without secrets: caches store it."""
        hide_secrets(kwargs, known=_CALL_NAMES)
        # Digests tell secrets apart without showing them.
        options = {name: fingerprint(one) if name in SECRET_OPTIONS else one for name, one in kwargs.items()}
        # Dumps of the model leave these out, but they may change the answer.
        hidden = {"default_headers": self.default_headers, "extra_body": self.extra_body}
        if any(hidden.values()):
            options["model_secrets"] = fingerprint({name: value for name, value in hidden.items() if value})
        return super()._get_llm_string(stop, **options)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        usages = [output["token_usage"] for output in llm_outputs if output and output.get("token_usage")]
        if not usages:  # streamed: LangChain passes no output, and the messages have their usage themselves
            return {"model_name": self.model}
        names = ("input_tokens", "output_tokens", "total_tokens")
        return {"token_usage": {name: sum(usage[name] for usage in usages) for name in names}, "model_name": self.model}

    # Calls

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)  # first, so that no frame of a traceback shows them
        with langchain_errors():
            request = self._prepare(messages, stop, kwargs)
            body = self._with_media(request.body, request.options)
            response = self._client(request.changes).generate_content(request.model, body, **request.options)
            return to_chat_result(response, request.context)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        with langchain_errors():
            request = self._prepare(messages, stop, kwargs)
            body = await self._awith_media(request.body, request.options)
            response = await self._async_client(request.changes).generate_content(
                request.model, body, **request.options
            )
            return to_chat_result(response, request.context)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        with langchain_errors():
            request = self._prepare(messages, stop, kwargs)
        for message in self._message_chunks(request):
            chunk = to_generation_chunk(message)
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
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        with langchain_errors():
            request = self._prepare(messages, stop, kwargs)
        # An async generator is not closed when the loop over it is left, and with it the connection would stay open
        # until the garbage collector comes (PEP 525). So it is closed here.
        chunks = self._amessage_chunks(request)
        try:
            async for message in chunks:
                chunk = to_generation_chunk(message)
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
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        with langchain_errors():
            request = self._prepare(messages, stop, kwargs, events=True)
        writer = EventWriter(request.model, _message_id(run_manager), cites_later=request.context.searches)
        for message in self._message_chunks(request):
            yield from writer.write(message)

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the answer as LangChain's protocol events (v3), each block finished as soon as it ends."""
        if kwargs:
            hide_secrets(kwargs, known=_CALL_NAMES)
        with langchain_errors():
            request = self._prepare(messages, stop, kwargs, events=True)
        writer = EventWriter(request.model, _message_id(run_manager), cites_later=request.context.searches)
        chunks = self._amessage_chunks(request)
        try:
            async for message in chunks:
                for event in writer.write(message):
                    yield event
        finally:
            await chunks.aclose()

    def _message_chunks(self, request: PreparedRequest) -> Iterator[AIMessageChunk]:
        with langchain_errors():
            reader = ChunkReader(request.context)
            body = self._with_media(request.body, request.options)
            stream = self._client(request.changes).stream_chunks(request.model, body, **request.options)
            with stream:
                for response in stream:
                    if (chunk := reader.read(response)) is not None:
                        yield chunk
            yield from reader.end()

    async def _amessage_chunks(self, request: PreparedRequest) -> AsyncGenerator[AIMessageChunk, None]:
        with langchain_errors():
            reader = ChunkReader(request.context)
            body = await self._awith_media(request.body, request.options)
            stream = self._async_client(request.changes).stream_chunks(request.model, body, **request.options)
            async with stream:
                async for response in stream:
                    if (chunk := reader.read(response)) is not None:
                        yield chunk
            for chunk in reader.end():
                yield chunk

    def _prepare(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, events: bool = False
    ) -> PreparedRequest:
        """Return the request for *messages*, with a call's options over the model's."""
        call_options = {name: value for name, value in kwargs.items() if name not in _LANGCHAINS} if kwargs else kwargs
        changes = self._changed_by(call_options, known=_CALL_ONLY, where="ChatGemway")
        options, model = changes.options, changes.model
        if stop is not None:
            options["stop"] = stop
        if options.get("parallel_tool_calls") is False:
            warn_once("parallel_tool_calls", "Gemini has no equivalent of parallel_tool_calls=False; it is ignored")
        late_system = changes.given.get("late_system") or self.late_system
        contents, system = to_contents(messages, model=model, late_system=late_system)
        body = WireRequest(contents=contents)
        if system:
            body["systemInstruction"] = {"parts": system}
        tools = to_bound_tools(options["tools"], changes.dialect) if "tools" in options else None
        if tools:
            body["tools"] = tools.wire
        if (tools or "tool_config" in options) and (tool_config := _tool_config_for(options, tools, model)):
            body["toolConfig"] = tool_config
        if options:
            body = self._add_options(body, options, self._generation_config(options, model, changes.dialect))
        # In a stream of protocol events content is always standard blocks.
        context = AnswerContext(model, body, v1=events or self.output_version == "v1", tools=tools)
        return PreparedRequest(model, body, changes.given, changes.call, context)

    # Tools and structured output

    def bind(self, **kwargs: Any) -> Any:
        """Return the model with options for every call. Secrets among them are masked in the repr of the result."""
        hide_secrets(kwargs, known=kwargs)
        return super().bind(**kwargs)

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
            parallel_tool_calls: accepted. Gemini has no equivalent of False, which is ignored with a warning.

        Raises:
            ConfigurationError: for a tool that cannot be described, and a *tool_choice* that names none of them.
        """
        hide_secrets(kwargs, known=_CALL_NAMES)
        bound = to_bound_tools(tools, self.schema_dialect) or BoundTools([])
        # A choice that names none of the tools is an error here, where the user's line is near, not at the first call.
        if tool_choice is not None and bound:
            to_tool_config(tool_choice, names=bound.names)
        named = {"tool_choice": tool_choice, "strict": strict, "parallel_tool_calls": parallel_tool_calls}
        options = {name: value for name, value in named.items() if value is not None}
        runnable: Runnable[LanguageModelInput, AIMessage] = self.bind(tools=bound, **options, **kwargs)
        return runnable

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
            schema: a pydantic class, a TypedDict, a JSON Schema or an OpenAI function. A RootModel, `list[int]`,
                an enumeration and schemas of arrays or words are answered with a list or a word.
            include_raw: return `{"raw", "parsed", "parsing_error"}` instead.
            method: `"json_schema"` binds the answer to the schema, `"json_mode"` only to JSON,
                `"function_calling"` forces a call.
            strict: whether calls must follow their schemas.
            tools: more tools for the model to call before it answers (Gemini 3 and later).
            allow_none: with `"function_calling"`, return None for an answer without a call.

        Results of an answer that is cut off, refused or no object are errors, never half an object:
        `OutputParserException`, for refusals LangChain's `ModelRefusalError`.
        """
        hide_secrets(kwargs, known=_CALL_NAMES)
        if method not in _METHODS or (schema is None and method != "json_mode"):
            raise ValueError(f"method={method!r} and schema={schema!r} do not go together; methods: {_METHODS}")
        shape = to_json_schema(schema)
        # LangChain converts the traced schema at every call, and a JSON Schema costs it half as much as a class.
        is_object = describes_objects(shape)
        traced_schema = convert_to_json_schema(schema) if schema and is_object else shape
        traced_format = {"kwargs": {"method": method, "strict": strict}, "schema": traced_schema}
        # With `function_calling` the answer is the arguments of a forced call: also for models without JSON Schema, and
        # next to other tools, of which the model may then call any.
        name = shape["title"] if method == "function_calling" else None
        if name:
            offered = [{"type": "function", "function": to_answer_function(shape)}, *(tools or ())]
            kwargs["tool_choice"] = "any" if tools else name
        else:
            offered = [*(tools or ())]
            mime_type = {"response_mime_type": "application/json"}
            kwargs |= mime_type if method == "json_mode" else {_SCHEMA_OPTION[self.schema_dialect]: shape}
        # `ls_structured_output_format` is LangChain's: it shows the schema in traces and is not sent.
        bound: Any = self.bind_tools(offered, strict=strict) if offered else self
        llm = bound.bind(**kwargs, ls_structured_output_format=traced_format)
        words = frozenset(word for word in shape.get("enum", ()) if isinstance(word, str))
        parser = AnswerParser(
            build=to_builder(schema), tool=name, is_object=is_object, words=words, allow_none=allow_none
        )
        return with_raw_message(llm, parser) if include_raw else llm | parser

    # Tokens

    def get_token_ids(self, text: str) -> list[int]:
        """Return a number for each estimated token of *text*. They are not Gemini's own ids, which are not public."""
        return self.custom_get_token_ids(text) if self.custom_get_token_ids else token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens *text* has."""
        return len(self.get_token_ids(text))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return about how many tokens a prompt has, with its system messages, tools and pictures.

        You can pass any list of messages, even an empty one or a piece of a conversation. With `count_tokens=True`
        the gateway counts; if it cannot, you get the estimate.
        """
        with langchain_errors():
            # Not as arranged for sending: trimming compares parts of a conversation, and must not count the
            # turns that are added to make one of them a conversation that Gemini accepts.
            contents, system = to_contents(messages, model=self.model, arranged=False)
        parts = [*system, *(part for content in contents for part in content["parts"])]
        if all(part.get("text") == "" for part in parts):
            return 0
        if self.count_tokens:
            counted = self._count_at_gateway(self._prepare(messages, None, {"tools": tools} if tools else {}))
            if counted is not None:
                return counted
        offered = to_bound_tools(tools or self.tools, self.schema_dialect)
        body = {"contents": contents, "systemInstruction": {"parts": system}, "tools": offered and offered.wire}
        return estimate_tokens(body, model=self.model)

    def _count_at_gateway(self, request: PreparedRequest) -> int | None:
        with langchain_errors():
            try:
                return self._client().count_tokens(request.model, request.body)
            except gemway.APIStatusError as error:
                # Many gateways do not have the route `:countTokens`.
                if error.status_code in {404, 405, 501}:
                    return None
                raise


def _tool_config_for(options: Mapping[str, Any], tools: BoundTools | None, model: str) -> dict[str, Any] | None:
    tool_config = options.get("tool_config")
    if tools is None:
        return to_tool_config(None, names=(), tool_config=tool_config) if tool_config is not None else None
    config = to_tool_config(
        options.get("tool_choice"), names=tools.names, strict=options.get("strict"), tool_config=tool_config
    )
    # Google refuses functions next to its own tools without this (ai.google.dev, Tool combination), and then sends the
    # server's calls too, which go back with the history.
    if tools.names and tools.server_tools and gemway.capabilities(model).tools_with_server_tools:
        return {"includeServerSideToolInvocations": True, **(config or {})}
    return config


_METHODS = ("json_schema", "json_mode", "function_calling")
_SCHEMA_OPTION = {"json_schema": "response_json_schema", "openapi": "response_schema"}


def _to_plain_json(value: Any) -> Any:
    """Return an option as JSON data: tracers and caches store it, and enumerations and classes are options too."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(getattr(key, "value", key)): _to_plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain_json(item) for item in value]
    if isinstance(value, type):
        return value.__name__
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", exclude_none=True)
    return str(getattr(value, "value", value))


def _message_id(run_manager: Any) -> str | None:
    return f"lc_run--{run_manager.run_id}" if run_manager else None
