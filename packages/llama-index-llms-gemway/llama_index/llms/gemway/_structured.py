"""Bind answers to a pydantic model: ask for its schema, and read whole and partial objects. No network."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Generic
from weakref import WeakKeyDictionary

from llama_index.core.base.llms.types import ChatResponse, ToolCallBlock
from llama_index.core.bridge.pydantic import BaseModel, ValidationError
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import Model
from llama_index.llms.gemway._record import JsonObject
from llama_index.llms.gemway._tools import to_wire_tools
from pydantic_core import from_json, to_json

from gemway import Dialect, response_schema
from gemway.adapters import BLOCKED_FINISH_REASONS


class ResponseFormat(JsonObject):
    """OpenAI's `response_format` for a model, with the wire's entries of generationConfig at hand."""

    def __init__(self, output_cls: type[BaseModel], dialect: Dialect) -> None:
        schema = output_cls.model_json_schema()
        super().__init__(type="json_schema", json_schema={"name": output_cls.__name__, "schema": schema})
        self.entries = response_schema(schema, dialect=dialect)


# Making and converting a schema costs more than the rest of a call, so it is done once per class.
_formats_by_class: Final[WeakKeyDictionary[type, dict[Dialect, ResponseFormat]]] = WeakKeyDictionary()


def response_format(output_cls: type[BaseModel], dialect: Dialect) -> ResponseFormat:
    """Return the response format for *output_cls*."""
    formats = _formats_by_class.setdefault(output_cls, {})
    if dialect not in formats:
        formats[dialect] = ResponseFormat(output_cls, dialect)
    return formats[dialect]


class OutputStrategy(ABC, Generic[Model]):
    """How the model is asked for an object of one class, and how its answer is read.

    One rule decides whether an answer is an object, for whole answers and for streams: `to_object`.
    """

    def __init__(self, output_cls: type[Model], dialect: Dialect) -> None:
        self.output_cls = output_cls
        self._dialect: Dialect = dialect

    def prepare_prompt(self, prompt: BasePromptTemplate) -> BasePromptTemplate:
        """Return *prompt* with the words that this way to ask needs; most need none."""
        return prompt

    @abstractmethod
    def call_options(self, changes: Mapping[str, Any] | None) -> JsonObject:
        """Return the options of the call: the user's *changes*, and those that bind the answer."""

    @abstractmethod
    def to_object(self, response: ChatResponse | None) -> Model:
        """Return the object in *response*. Raises ValueError, quoting the answer, if it is missing or unfinished."""

    @abstractmethod
    def partial_value(self, response: ChatResponse) -> JsonObject | None:
        """Return as much of the object as *response* holds so far, as plain JSON; None if that is nothing."""

    def partial_reader(self) -> Callable[[ChatResponse], Model | FlexibleModel | None]:
        """Return a function that turns each response of a stream into a partial object, or None if nothing is new.

        A partial object is flexible (every field optional) until it satisfies the class. An object that satisfies the
        class may still be unfinished: `{"total": 1234` may go on with a 5.
        """
        flexible_cls: type[FlexibleModel] = create_flexible_model(self.output_cls)
        value_before: JsonObject | None = None

        def read_partial(response: ChatResponse) -> Model | FlexibleModel | None:
            nonlocal value_before
            value = self.partial_value(response)
            if not value or value == value_before:
                return None
            value_before = value
            try:
                return self.output_cls.model_validate_json(to_json(value))
            except ValidationError:
                return flexible_cls.model_validate(value)

        return read_partial


class JsonStrategy(OutputStrategy[Model]):
    """The answer is JSON text that follows the class's schema."""

    def call_options(self, changes: Mapping[str, Any] | None) -> JsonObject:
        return {**(changes or {}), "response_format": response_format(self.output_cls, self._dialect)}

    def to_object(self, response: ChatResponse | None) -> Model:
        text = (response.message.content or "") if response else ""
        try:
            return read_json_answer(text, self.output_cls, is_cut=_is_cut_off(response))
        except ValidationError as error:
            raise ValueError(_describe_mismatch(error, self.output_cls, response, text)) from error

    def partial_value(self, response: ChatResponse) -> JsonObject | None:
        return _partial_json_object(response.message.content or "")


class PromptStrategy(JsonStrategy[Model]):
    """The prompt describes the schema, and the answer is JSON text, perhaps with other words around it.

    LlamaIndex's text completion programs work in this way for models without JSON mode and without tools. If an answer
    breaks off, their streams yield its beginning and end as if it were whole; this one raises, as their calls do.
    """

    def prepare_prompt(self, prompt: BasePromptTemplate) -> BasePromptTemplate:
        # The parser, once assigned, writes the schema into the prompt. The user's own prompt must not change.
        prompt = copy.copy(prompt)
        prompt.output_parser = PydanticOutputParser(output_cls=self.output_cls)
        return prompt

    def call_options(self, changes: Mapping[str, Any] | None) -> JsonObject:
        return dict(changes or {})


class ToolCallStrategy(OutputStrategy[Model]):
    """The answer is the arguments of a tool call that the model must make."""

    def call_options(self, changes: Mapping[str, Any] | None) -> JsonObject:
        options = {name: value for name, value in (changes or {}).items() if name not in _SET_BY_PROGRAMS}
        tools = to_wire_tools([self.output_cls], dialect=self._dialect)
        return {**options, "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}

    def to_object(self, response: ChatResponse | None) -> Model:
        call = _first_call(response)
        if call is None:
            # Some models write the JSON as text although a call is required.
            return JsonStrategy(self.output_cls, self._dialect).to_object(response)
        if _is_cut_off(response):
            # Streamed arguments arrive in pieces, and what a cut stream leaves of them looks like a whole call.
            raise ValueError(f"the arguments of {call.tool_name} are unfinished; the answer was: {call.tool_kwargs}")
        arguments = call.tool_kwargs
        try:
            # As JSON, so that strict classes accept dates, UUIDs and the like.
            return self.output_cls.model_validate_json(arguments if isinstance(arguments, str) else to_json(arguments))
        except ValidationError as error:
            raise ValueError(_describe_mismatch(error, self.output_cls, response, arguments)) from error

    def partial_value(self, response: ChatResponse) -> JsonObject | None:
        call = _first_call(response)
        arguments = call.tool_kwargs if call else response.message.content or ""
        return _partial_json_object(arguments) if isinstance(arguments, str) else arguments


# LlamaIndex's programs remove these from llm_kwargs too: they set them themselves.
_SET_BY_PROGRAMS: Final = frozenset({"tool_required", "tool_choice", "allow_parallel_tool_calls"})


def _first_call(response: ChatResponse | None) -> ToolCallBlock | None:
    blocks = response.message.blocks if response else ()
    return next((block for block in blocks if isinstance(block, ToolCallBlock)), None)


def _is_cut_off(response: ChatResponse | None) -> bool:
    reason = response.additional_kwargs.get("finish_reason") if response else None
    return reason == "MAX_TOKENS" or reason in BLOCKED_FINISH_REASONS


def _describe_mismatch(
    error: ValidationError, output_cls: type[BaseModel], response: ChatResponse | None, answer: object
) -> str:
    places = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
    faults = "; ".join(f"{place}: {problem}" if place else problem for place, problem in places)
    reason = response.additional_kwargs.get("finish_reason") if response else None
    cut = " (cut off by max_tokens)" if reason == "MAX_TOKENS" else ""
    return f"the answer{cut} is not a valid {output_cls.__name__}: {faults}; the answer was: {answer}"


# Streams of objects


def stream_objects(
    responses: Iterable[ChatResponse], strategy: OutputStrategy[Model]
) -> Generator[Model | FlexibleModel, None, None]:
    """Yield the object as it grows; the last one is whole. Raises ValueError if the answer does not finish one."""
    read_partial, latest, response = strategy.partial_reader(), None, None
    for response in responses:
        if (partial := read_partial(response)) is not None:
            latest = partial
            yield latest
    if (whole := strategy.to_object(response)) != latest:
        yield whole


async def astream_objects(
    responses: AsyncGenerator[ChatResponse, None], strategy: OutputStrategy[Model]
) -> AsyncGenerator[Model | FlexibleModel, None]:
    """Yield the object as it grows, as `stream_objects` does."""
    read_partial, latest, response = strategy.partial_reader(), None, None
    async with aclosing(responses):
        async for response in responses:
            if (partial := read_partial(response)) is not None:
                latest = partial
                yield latest
    if (whole := strategy.to_object(response)) != latest:
        yield whole


# JSON in an answer

_json_decoder: Final = json.JSONDecoder()
# Trying to read JSON at each brace takes quadratic time; a text with more braces than this holds no answer in JSON.
_MOST_JSON_STARTS: Final = 32


def read_json_answer(text: str, output_cls: type[Model], *, is_cut: bool) -> Model:
    """Return the object in *text*, whatever surrounds the JSON: words, a fence, a second copy.

    Only a finished JSON value counts: if *is_cut*, a bare number or word may have lost its end.
    Raises ValidationError if there is none.
    """
    stripped = text.strip().lstrip("\ufeff")
    try:
        value = output_cls.model_validate_json(stripped)
    except ValidationError as error:
        mismatch = error
    else:
        if not is_cut or stripped[:1] in {"{", "[", '"'}:
            return value
        return output_cls.model_validate_json("")  # raises the error of a text that ends too early
    for candidate in _finished_json_values(stripped):
        try:
            return output_cls.model_validate_json(candidate)
        except ValidationError as error:
            mismatch = error
        if candidate[0] == "[" and len(items := json.loads(candidate)) == 1:
            # Some models put the one object into a list.
            try:
                return output_cls.model_validate_json(to_json(items[0]))
            except ValidationError:
                continue
    raise mismatch


def _finished_json_values(text: str) -> Iterator[str]:
    """Yield the finished objects and lists in *text*, outermost ones only.

    A value that begins as JSON and breaks off ends the search: everything after its beginning lies inside it, and a
    piece of an answer is not the answer.
    """
    position = 0
    for _ in range(_MOST_JSON_STARTS):
        starts = (text.find("{", position), text.find("[", position))
        start = min((place for place in starts if place >= 0), default=-1)
        if start < 0:
            return
        try:
            _, end = _json_decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            if text[start + 1 : error.pos].strip():
                return
            end = start + 1  # a brace among words
        except RecursionError:
            return
        else:
            yield text[start:end]
        position = end


def _partial_json_object(text: str) -> JsonObject | None:
    """Return the JSON object that *text* begins with, as far as it goes."""
    start = text.find("{")
    if start < 0 or text.lstrip()[:1] == "[":
        return None
    try:
        value = from_json(text[start:], allow_partial="trailing-strings")
    except ValueError:  # something follows the object
        return None
    return value if isinstance(value, dict) else None
