"""Bind answers to a pydantic model: the schema out, whole and partial objects in, and core's events around it."""

from __future__ import annotations

import json
import re
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
from pydantic_core import from_json

from gemway import Dialect, response_schema

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


class Form:
    """How a model spells an object of one class."""

    def __init__(self, output_cls: type[BaseModel], dialect: Dialect) -> None:
        self.output_cls = output_cls
        self._dialect: Dialect = dialect

    def options(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the options of the call, on top of those that were *given*."""
        raise NotImplementedError

    def to_object(self, response: ChatResponse | None) -> Any:
        """Return the object that an answer spells. Raises ValueError, with the answer, where it spells none."""
        spelled = self._spelled(response) if response is not None else ""
        try:
            if isinstance(spelled, str):
                return self.output_cls.model_validate_json(_json_in(spelled))
            return self.output_cls.model_validate(spelled)
        except ValidationError as error:
            raise ValueError(_complaint(error, self.output_cls, response, spelled)) from error

    def partials(self) -> Callable[[ChatResponse], Any]:
        """Return what reads an answer under way: the object so far, flexible until it is whole; None for no news."""
        flexible: type[FlexibleModel] = create_flexible_model(self.output_cls)
        before: list[Any] = [None]

        def read(response: ChatResponse) -> Any:
            spelled = self._spelled(response)
            found = _so_far(spelled) if isinstance(spelled, str) else spelled
            if not found or found == before[0]:
                return None
            before[0] = found
            try:
                return self.output_cls.model_validate_json(json.dumps(found))
            except ValidationError:
                return flexible.model_validate(found)

        return read

    def _spelled(self, response: ChatResponse) -> Any:
        """Return the part of an answer that spells the object: text or call arguments."""
        raise NotImplementedError


class JsonForm(Form):
    """As JSON text, bound to the class's schema."""

    def options(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**(given or {}), "response_format": response_format(self.output_cls, self._dialect)}

    def _spelled(self, response: ChatResponse) -> Any:
        return response.message.content or ""


class CallForm(Form):
    """As the arguments of a call that the model must make."""

    def options(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        kept = {name: value for name, value in (given or {}).items() if name not in _OF_PROGRAMS}
        tools = to_wire_tools([self.output_cls], dialect=self._dialect)
        return {**kept, "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}

    def _spelled(self, response: ChatResponse) -> Any:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return calls[0].tool_kwargs if calls else response.message.content or ""


def objects(responses: Iterable[ChatResponse], form: Form) -> Generator[Any, None, None]:
    """Yield the object as it grows; the last one is whole. Raises ValueError where it cannot be."""
    partial, found, response = form.partials(), None, None
    for response in responses:
        if (grown := partial(response)) is not None:
            found = grown
            yield found
    if not isinstance(found, form.output_cls):
        yield form.to_object(response)


async def aobjects(responses: AsyncGenerator[ChatResponse, None], form: Form) -> AsyncGenerator[Any, None]:
    """Yield the object as it grows, as `objects` does."""
    partial, found, response = form.partials(), None, None
    async with aclosing(responses):
        async for response in responses:
            if (grown := partial(response)) is not None:
                found = grown
                yield found
    if not isinstance(found, form.output_cls):
        yield form.to_object(response)


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


# What core's programs take out of llm_kwargs, too: they say it themselves.
_OF_PROGRAMS: Final = frozenset({"tool_required", "tool_choice", "allow_parallel_tool_calls"})


def _complaint(error: ValidationError, output_cls: type[Any], response: ChatResponse | None, spelled: Any) -> str:
    faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in error.errors())
    reason = response.additional_kwargs.get("finish_reason") if response else None
    cut = " (cut off by max_tokens)" if reason == "MAX_TOKENS" else ""
    return f"the answer{cut} is no {output_cls.__name__}: {faults}; the answer was: {spelled}"


def _so_far(text: str) -> dict[str, Any] | None:
    """Return the JSON object that *text* begins with, as far as it goes."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        found = from_json(text[start:], allow_partial="trailing-strings")
    except ValueError:  # something follows the object
        return None
    return found if isinstance(found, dict) else None


def _json_in(text: str) -> str:
    """Return *text* without the fence or the words that some models put around JSON."""
    stripped = text.strip()
    if stripped[:1] in {"{", "["}:
        return stripped
    fenced = re.search(r"```(?:json)?\s*(.*?)```", stripped, re.DOTALL)
    if fenced:
        return fenced[1].strip()
    start, end = stripped.find("{"), stripped.rfind("}")
    return stripped[start : end + 1] if 0 <= start < end else stripped
