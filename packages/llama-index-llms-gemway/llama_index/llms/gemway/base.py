"""`Gemway`, LlamaIndex's LLM for Gemini-native gateways: each method prepares a request, sends it, converts the answer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
from llama_index.core.bridge.pydantic import Field, field_serializer
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]  # its public address
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from llama_index.llms.gemway._messages import ToolResultMedia, to_contents
from llama_index.llms.gemway._responses import (
    AnswerContext,
    ChatResponseStream,
    to_acompletions,
    to_chat_response,
    to_completion_response,
    to_completions,
    to_tool_selections,
)
from llama_index.llms.gemway._structured import (
    JsonStrategy,
    OutputStrategy,
    PromptStrategy,
    ResponseFormat,
    ToolCallStrategy,
    astream_objects,
    response_format,
    stream_objects,
)
from llama_index.llms.gemway._tools import each_tool, to_wire_tools

from gemway import ConfigurationError, capabilities
from gemway.adapters import (
    OPTIONS,
    CallChanges,
    ModelOptions,
    OtherNames,
    TextChunk,
    WireRequest,
    accepts,
    arrange,
    hide_secrets,
    to_tool_config,
)

if TYPE_CHECKING:
    from llama_index.core.tools import BaseTool
    from typing_extensions import Self

dispatcher = get_dispatcher(__name__)

_CHANGED_BY_CALLS: Final = {"model", "schema_dialect", "timeout", "max_retries", "deadline", "default_headers"}
_CONSTRUCTOR_ONLY: Final = {name for name, place in OPTIONS.items() if place in {"client", "model"}} - _CHANGED_BY_CALLS


@dataclass(frozen=True)
class PreparedRequest:
    """One request, ready to send.

    Attributes:
        options: `timeout`, `max_retries`, `deadline` and `headers`, where this call changes them.
        context: the parts of the request that are needed to read the answer.
    """

    model: str
    body: WireRequest
    options: dict[str, Any]
    context: AnswerContext


# Secrets of calls

_Class = TypeVar("_Class", bound=type)
_HideSecrets = Callable[[dict[str, Any]], None]


def _hide_secrets_of_calls(cls: _Class) -> _Class:
    """Wrap the methods of *cls* that LlamaIndex reports, so that it reports masked options.

    LlamaIndex hands all arguments of these methods to every event handler and span. It wraps the methods as soon as
    the class exists, so a decorator of the class is the only way to be called before it.
    """
    for name, hide in _hiding_by_method().items():
        setattr(cls, name, _with_hidden_secrets(inspect.getattr_static(cls, name), hide))
    return cls


def _hiding_by_method() -> dict[str, _HideSecrets]:
    chats = ("chat", "achat", "stream_chat", "astream_chat")
    completions = ("complete", "acomplete", "stream_complete", "astream_complete")
    tool_calls = ("predict_and_call", "apredict_and_call", "_prepare_chat_with_tools")
    structured = ("structured_predict", "astructured_predict")
    structured_streams = ("stream_structured_predict", "astream_structured_predict")
    return {
        **dict.fromkeys(
            (*chats, *completions), functools.partial(hide_secrets, known={"messages", "prompt", "formatted"})
        ),
        **dict.fromkeys(tool_calls, _hide_known_secrets),
        **dict.fromkeys((*structured, *structured_streams), _hide_llm_kwargs),
    }


def _with_hidden_secrets(method: Any, hide: _HideSecrets) -> Callable[..., Any]:
    # Bound with `__get__`, as attribute access does it. Called with the model as its first argument, LlamaIndex's wrapper
    # takes the signature of a partial function each time, which costs 95 us.
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs:
                hide(kwargs)
            return await method.__get__(self)(*args, **kwargs)

    else:

        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs:
                hide(kwargs)
            return method.__get__(self)(*args, **kwargs)

    return call


def _hide_known_secrets(kwargs: dict[str, Any]) -> None:
    hide_secrets(kwargs, known=kwargs)


def _hide_llm_kwargs(kwargs: dict[str, Any]) -> None:
    """Mask the options in `llm_kwargs`. All other arguments are variables of the prompt, whatever their names."""
    if isinstance(options := kwargs.get("llm_kwargs"), Mapping):
        kwargs["llm_kwargs"] = options = dict(options)
        hide_secrets(options, known=options)


class GemwayOptions(ModelOptions, FunctionCallingLLM):
    """Every option of `Gemway` as a field: those that all models share, and LlamaIndex's own."""

    model: str = Field(default="", kw_only=False, description="The model's name at the gateway.")
    tool_result_media: ToolResultMedia = Field(
        default="auto", description="Where pictures of tool results go: inside the functionResponse, or after it."
    )
    context_window: int | None = Field(default=None, description="Tokens of prompt and answer; the model's if None.")
    is_function_calling_model: bool | None = Field(default=None, description="The model's if None.")


if TYPE_CHECKING:

    class _Constructor(OtherNames, GemwayOptions):
        """Every option by every name, for type checkers."""


@_hide_secrets_of_calls
class Gemway(GemwayOptions):
    """Gemini behind a Gemini-native gateway with Bearer auth.

        llm = Gemway(model="gemini-2.5-flash", api_key="sk-...", base_url="https://gateway.example")
        print(llm.complete("Hello"))

    Without arguments it reads `GEMWAY_API_KEY`, `GEMWAY_BASE_URL` and `GEMWAY_MODEL`. Options are read at each call, so
    you may change them at any time, and most can be passed to a single call. The names that OpenAI's, Anthropic's and
    Google's classes use for them (`api_base`, `max_output_tokens`, `reasoning_effort`, ...) are accepted too.

    Raises:
        ConfigurationError: no key, address or model, or options that cannot work.
        TypeError: an unknown option; the message names the nearest one.
    """

    if TYPE_CHECKING:

        @accepts(_Constructor)
        def __init__(self, **options: Any) -> None: ...

    else:

        def __init__(self, model: str | None = None, **options: Any) -> None:
            hide_secrets(options, known=type(self).model_fields)  # first, so that no traceback shows one
            super().__init__(model=model, **options)

    def _check_options(self, *, needs_key: bool) -> None:
        # What cannot work in any request is an error now rather than at the first call.
        self._prepare_request([ChatMessage(content="?")], {})
        super()._check_options(needs_key=needs_key)

    @classmethod
    def class_name(cls) -> str:
        return "Gemway"

    # LlamaIndex's components ask for it several times in each call, so it is kept for each combination of its options.

    @property
    def metadata(self) -> LLMMetadata:
        """The properties of the model that LlamaIndex's components look at. Never asks the network."""
        return _make_metadata(self.model, self.context_window, self.max_tokens, self.is_function_calling_model)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the options that were set, without secrets and LlamaIndex's own fields."""
        for name, field in type(self).model_fields.items():
            value = self.__dict__.get(name)
            if field.repr and value != field.get_default() and name not in LLM.model_fields:
                yield name, value

    def to_payload(self) -> dict[str, Any]:
        """The description of this model in events: no key, no headers."""
        return {"class_name": self.class_name(), **self.metadata.model_dump(), "base_url": self.base_url}

    # Chat

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = self._prepare_request(messages, kwargs)
        body = self._with_media(request.body, request.options)
        response = self._client().generate_content(request.model, body, **request.options)
        return to_chat_response(response, request.context)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = self._prepare_request(messages, kwargs)
        body = await self._awith_media(request.body, request.options)
        response = await self._async_client().generate_content(request.model, body, **request.options)
        return to_chat_response(response, request.context)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        request = self._prepare_request(messages, kwargs)
        return self._yield_responses(request, self._with_media(request.body, request.options))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        request = self._prepare_request(messages, kwargs)
        return self._ayield_responses(request, await self._awith_media(request.body, request.options))

    def _yield_responses(self, request: PreparedRequest, body: WireRequest) -> Generator[ChatResponse, None, None]:
        # A generator of its own, so that a request that cannot be sent fails at the call, not at the first chunk.
        responses = ChatResponseStream(request.context)
        with self._client().stream_chunks(request.model, body, **request.options) as chunks:
            for chunk in chunks:
                if isinstance(chunk, TextChunk):
                    yield responses.add_text(chunk)
                elif response := responses.add(chunk):
                    yield response
        if response := responses.finish():
            yield response

    async def _ayield_responses(
        self, request: PreparedRequest, body: WireRequest
    ) -> AsyncGenerator[ChatResponse, None]:
        responses = ChatResponseStream(request.context)
        async with self._async_client().stream_chunks(request.model, body, **request.options) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, TextChunk):
                    yield responses.add_text(chunk)
                elif response := responses.add(chunk):
                    yield response
        if response := responses.finish():
            yield response

    # Completion

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        request = self._prepare_request([ChatMessage(content=prompt)], kwargs)
        body = self._with_media(request.body, request.options)
        response = self._client().generate_content(request.model, body, **request.options)
        return to_completion_response(to_chat_response(response, request.context))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        request = self._prepare_request([ChatMessage(content=prompt)], kwargs)
        body = await self._awith_media(request.body, request.options)
        response = await self._async_client().generate_content(request.model, body, **request.options)
        return to_completion_response(to_chat_response(response, request.context))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        request = self._prepare_request([ChatMessage(content=prompt)], kwargs)
        return to_completions(self._yield_responses(request, self._with_media(request.body, request.options)))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        request = self._prepare_request([ChatMessage(content=prompt)], kwargs)
        return to_acompletions(self._ayield_responses(request, await self._awith_media(request.body, request.options)))

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
        # The user's own setting and the agent's may both forbid several calls at a time.
        parallel = allow_parallel_tool_calls and self.parallel_tool_calls is not False
        prepared = {"messages": messages, "parallel_tool_calls": parallel, **kwargs}
        if tools:
            # Converted here, and not with the other options, because the answer is read with the same tools.
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
        # LlamaIndex's own method sends these two events, and tracers expect them around the chat.
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
        # LlamaIndex's own method sends these two events, and tracers expect them around the chat.
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

    def _prepare_request(self, messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> PreparedRequest:
        """Return the request for *messages*, with the *options* of one call on top of the model's.

        Raises:
            TypeError: an unknown option, or one that only the constructor takes.
            ConfigurationError: options that cannot work.
            UnsupportedContentError: messages that cannot be sent.
        """
        changes = self._changed_by(options, where="Gemway.chat")
        for name in changes.given:
            if name in _CONSTRUCTOR_ONLY:
                raise TypeError(f"Gemway.chat got {name!r}, which only the constructor takes: Gemway({name}=...)")
        contents, system = to_contents(messages, model=changes.model, tool_result_media=self.tool_result_media)
        body = WireRequest(contents=arrange(contents, model=changes.model))
        if system:
            body["systemInstruction"] = system
        # A model without options and a call without any: nothing else can be in the request.
        if not changes.options:
            return PreparedRequest(changes.model, body, changes.call, AnswerContext())
        return self._add_call_options(body, changes)

    def _add_call_options(self, body: WireRequest, changes: CallChanges) -> PreparedRequest:
        """Return the request for *body* with its tools, its configuration and all else that options ask for."""
        options, schema_entries = changes.options, {}
        tools = to_wire_tools(options["tools"], dialect=changes.dialect) if options.get("tools") else None
        if tools:
            body["tools"] = tools
        if tool_config := to_tool_config(
            # Google refuses a mode for functions if no function is declared.
            options.get("tool_choice") if tools else None,
            names=tools.names if tools else (),
            strict=options.get("strict"),
            tool_config=options.get("tool_config"),
        ):
            body["toolConfig"] = tool_config
        answer_format = options.get("response_format")
        if isinstance(answer_format, type):
            answer_format = response_format(answer_format, changes.dialect)
        if isinstance(answer_format, ResponseFormat):
            # Its schema was converted when the format was made, once for all calls.
            schema_entries = answer_format.entries
            options = {name: value for name, value in options.items() if name != "response_format"}
        config = self._generation_config(options, changes.model, changes.dialect)
        body = self._add_options(body, options, {**config, **schema_entries} if schema_entries else config)
        context = AnswerContext(tools, options.get("parallel_tool_calls") is not False, options.get("max_tokens"))
        return PreparedRequest(changes.model, body, changes.call, context)

    # Storage

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Restore a model from `to_dict()`, which holds no key: that comes from `api_key=` or the environment."""
        # LlamaIndex passes everything on to the constructor, which then lets a missing key wait for the first call.
        return super().from_dict({**data, "is_restored": True}, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # By the constructor, as LlamaIndex's components do, so that every option is checked.
        self.__init__(is_restored=True, **state["__dict__"])  # type: ignore[misc]

    @field_serializer(
        "timeout", "image_config", "speech_config", "generation_config", "tool_config", check_fields=False
    )
    def _write_as_json(self, value: Any) -> Any:
        """Write Google's and httpx's objects as JSON."""
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", exclude_none=True)
        return getattr(value, "read", value)

    @field_serializer("response_schema", "response_format", check_fields=False)
    def _write_schema_as_json(self, value: Any) -> Any:
        return value.model_json_schema() if isinstance(value, type) and hasattr(value, "model_json_schema") else value


@lru_cache(maxsize=256)
def _make_metadata(model: str, context_window: int | None, max_tokens: int | None, calls: bool | None) -> LLMMetadata:
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
