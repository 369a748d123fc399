"""Bind answers to a pydantic model: the schema out, whole and partial objects in, and core's events around it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from llama_index.core.base.llms.types import ChatResponse, ToolCallBlock
from llama_index.core.bridge.pydantic import BaseModel, ValidationError
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]  # its public address
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from llama_index.llms.gemway._tools import to_wire_tools
from pydantic_core import from_json, to_json

from gemway import BLOCKED, Dialect, response_schema

dispatcher = get_dispatcher(__name__)


class ResponseFormat(dict[str, Any]):
    """OpenAI's `response_format` for a model, with the wire's entries of generationConfig at hand."""

    def __init__(self, output_cls: type[BaseModel], dialect: Dialect) -> None:
        schema = output_cls.model_json_schema()
        super().__init__(type="json_schema", json_schema={"name": output_cls.__name__, "schema": schema})
        self.entries = response_schema(schema, dialect=dialect)


_formats: Final[WeakKeyDictionary[type, dict[Dialect, ResponseFormat]]] = WeakKeyDictionary()


def response_format(output_cls: type[BaseModel], dialect: Dialect) -> ResponseFormat:
    """Return the response format for *output_cls*, made once."""
    known = _formats.setdefault(output_cls, {})
    if dialect not in known:
        known[dialect] = ResponseFormat(output_cls, dialect)
    return known[dialect]


class OutputStrategy:
    """How the model is asked for an object of one class, and how its answer is read.

    One rule decides whether an answer is an object, for whole answers and for streams: `to_object`.
    """

    def __init__(self, output_cls: type[BaseModel], dialect: Dialect) -> None:
        self.output_cls = output_cls
        self._dialect: Dialect = dialect

    def call_options(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the options of the call, on top of the *given* ones."""
        raise NotImplementedError

    def to_object(self, response: ChatResponse | None) -> Any:
        """Return the object in *response*. Raises ValueError, quoting the answer, if it is missing or unfinished."""
        raise NotImplementedError

    def partial_value(self, response: ChatResponse) -> Any:
        """Return as much of the object as plain JSON as *response* holds so far, or None."""
        raise NotImplementedError

    def partial_reader(self) -> Callable[[ChatResponse], Any]:
        """Return a function that turns each response of a stream into a partial object, or None if nothing is new.

        A partial object is flexible (every field optional) until it satisfies the class. That it satisfies the class
        does not mean that it is finished: `{"total": 1234` may go on with a 5.
        """
        flexible: type[FlexibleModel] = create_flexible_model(self.output_cls)
        before: Any = None

        def read(response: ChatResponse) -> Any:
            nonlocal before
            value = self.partial_value(response)
            if not value or value == before:
                return None
            before = value
            try:
                return self.output_cls.model_validate_json(to_json(value))
            except ValidationError:
                return flexible.model_validate(value)

        return read


class JsonStrategy(OutputStrategy):
    """The answer is JSON text that follows the class's schema."""

    def call_options(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**(given or {}), "response_format": response_format(self.output_cls, self._dialect)}

    def to_object(self, response: ChatResponse | None) -> Any:
        text = (response.message.content or "") if response else ""
        try:
            return read_json_answer(text, self.output_cls, is_cut=_is_cut(response))
        except ValidationError as error:
            raise ValueError(_describe_mismatch(error, self.output_cls, response, text)) from error

    def partial_value(self, response: ChatResponse) -> Any:
        return _partial_json_object(response.message.content or "")


class ToolCallStrategy(OutputStrategy):
    """The answer is the arguments of a tool call that the model must make."""

    def call_options(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        kept = {name: value for name, value in (given or {}).items() if name not in _SET_BY_PROGRAMS}
        tools = to_wire_tools([self.output_cls], dialect=self._dialect)
        return {**kept, "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}

    def to_object(self, response: ChatResponse | None) -> Any:
        call = _first_call(response)
        if call is None:  # some models write the JSON as text all the same
            return JsonStrategy(self.output_cls, self._dialect).to_object(response)
        if _is_cut(response):
            # Streamed arguments arrive in pieces, and what a cut stream leaves of them looks like a whole call.
            raise ValueError(f"the arguments of {call.tool_name} are unfinished; the answer was: {call.tool_kwargs}")
        arguments = call.tool_kwargs
        try:
            # As JSON, so that dates, UUIDs and the like pass in strict classes too.
            return self.output_cls.model_validate_json(arguments if isinstance(arguments, str) else to_json(arguments))
        except ValidationError as error:
            raise ValueError(_describe_mismatch(error, self.output_cls, response, arguments)) from error

    def partial_value(self, response: ChatResponse) -> Any:
        call = _first_call(response)
        spelled = call.tool_kwargs if call else response.message.content or ""
        return _partial_json_object(spelled) if isinstance(spelled, str) else spelled


def _first_call(response: ChatResponse | None) -> ToolCallBlock | None:
    blocks = response.message.blocks if response else ()
    return next((block for block in blocks if isinstance(block, ToolCallBlock)), None)


def _is_cut(response: ChatResponse | None) -> bool:
    reason = response.additional_kwargs.get("finish_reason") if response else None
    return reason == "MAX_TOKENS" or reason in BLOCKED


def objects(responses: Iterable[ChatResponse], strategy: OutputStrategy) -> Generator[Any, None, None]:
    """Yield the object as it grows; the last one is whole. Raises ValueError if the answer does not finish one."""
    read_partial, latest, response = strategy.partial_reader(), None, None
    for response in responses:
        if (partial := read_partial(response)) is not None:
            latest = partial
            yield latest
    if (whole := strategy.to_object(response)) != latest:
        yield whole


async def aobjects(
    responses: AsyncGenerator[ChatResponse, None], strategy: OutputStrategy
) -> AsyncGenerator[Any, None]:
    """Yield the object as it grows, as `objects` does."""
    read_partial, latest, response = strategy.partial_reader(), None, None
    async with aclosing(responses):
        async for response in responses:
            if (partial := read_partial(response)) is not None:
                latest = partial
                yield latest
    if (whole := strategy.to_object(response)) != latest:
        yield whole


class Predicted:
    """Takes the object of one structured call, for its end event."""

    output: Any = None

    def __call__(self, output: Any) -> None:
        self.output = output


@contextmanager
def structured_events(output_cls: type[Any], prompt: Any, prompt_args: dict[str, Any]) -> Iterator[Predicted]:
    """Tell of a structured call as core does: its start, and its end with the object."""
    predicted = Predicted()
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))
    yield predicted
    dispatcher.event(LLMStructuredPredictEndEvent(output=predicted.output))


# LlamaIndex's programs remove these from llm_kwargs too: they set them themselves.
_SET_BY_PROGRAMS: Final = frozenset({"tool_required", "tool_choice", "allow_parallel_tool_calls"})


def _describe_mismatch(
    error: ValidationError, output_cls: type[BaseModel], response: ChatResponse | None, answer: Any
) -> str:
    faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in error.errors())
    reason = response.additional_kwargs.get("finish_reason") if response else None
    cut = " (cut off by max_tokens)" if reason == "MAX_TOKENS" else ""
    return f"the answer{cut} is no {output_cls.__name__}: {faults}; the answer was: {answer}"


# JSON in an answer

_decoder: Final = json.JSONDecoder()
# Each place where JSON might start costs a look; a text with more braces than this holds no answer in JSON.
_MOST_STARTS: Final = 32


def read_json_answer(text: str, output_cls: type[BaseModel], *, is_cut: bool) -> Any:
    """Return the object that *text* spells, whatever stands around the JSON: words, a fence, a second copy.

    Only a finished JSON value counts: if *is_cut*, a bare number or word may have lost its end.
    Raises ValidationError if there is none.
    """
    stripped = text.strip().lstrip("\ufeff")
    try:
        value = output_cls.model_validate_json(stripped)
    except ValidationError as error:
        complaint = error
    else:
        if not is_cut or stripped[:1] in {"{", "[", '"'}:
            return value
        return output_cls.model_validate_json("")  # raises: the text ends here
    for found in _json_values(stripped):
        try:
            return output_cls.model_validate_json(found)
        except ValidationError as error:
            complaint = error
        if found[0] == "[" and len(items := json.loads(found)) == 1:  # some models wrap the one object in a list
            try:
                return output_cls.model_validate_json(to_json(items[0]))
            except ValidationError:
                continue
    raise complaint


def _json_values(text: str) -> Iterator[str]:
    """Yield the finished objects and lists in *text*, outermost ones only.

    A value that begins as JSON and breaks off ends the search: what follows lies inside it, and a piece of an answer
    is not the answer.
    """
    at = 0
    for _ in range(_MOST_STARTS):
        start = min((place for place in (text.find("{", at), text.find("[", at)) if place >= 0), default=-1)
        if start < 0:
            return
        try:
            _, end = _decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            if text[start + 1 : error.pos].strip():
                return
            end = start + 1  # a brace among words
        except RecursionError:
            return
        else:
            yield text[start:end]
        at = end


def _partial_json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that *text* begins with, as far as it goes."""
    start = text.find("{")
    if start < 0 or text.lstrip()[:1] == "[":
        return None
    try:
        value = from_json(text[start:], allow_partial="trailing-strings")
    except ValueError:  # something follows the object
        return None
    return value if isinstance(value, dict) else None
