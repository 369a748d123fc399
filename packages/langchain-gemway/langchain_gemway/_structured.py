"""Answers that follow a schema: the object, or an error that says why there is none. Pure.

A truncated answer, a refusal or a text where a call was due is never mended into an object.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from enum import Enum
from operator import itemgetter
from typing import Any, Final, Literal, cast, get_origin

from gemway.adapters import BLOCKED, inline_root_reference, restore_arguments
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_json_markdown, parse_partial_json
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from langchain_gemway._errors import ModelRefusalError

Method = Literal["json_schema", "json_mode", "function_calling"]


class AnswerParser(BaseTransformOutputParser[Any]):
    """Reads the object out of an answer.

    Attributes:
        build: makes the result of the JSON object, and raises `ValueError` for one that does not fit.
        tool: the name of the call whose arguments are the object; None where the object is the text.
        is_object: whether the schema is one of objects; if not, lists and bare values are answers too. A call then
            holds the answer in its argument `value`, since arguments are always an object.
        allow_none: whether an answer without a call is None rather than an error.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    build: Callable[[Any], Any]
    tool: str | None = None
    is_object: bool = True
    allow_none: bool = False

    @property
    def _type(self) -> str:
        return "gemway_answer"

    def parse(self, text: str) -> Any:
        """Return the object in *text*."""
        return self._built(_loaded(text), text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object of an answer; with *partial* the one so far, or None."""
        generation = result[0]
        if not isinstance(generation, ChatGeneration):
            return self.parse(generation.text)
        return self._so_far(generation.message) if partial else self._whole(generation.message)

    def _whole(self, message: BaseMessage) -> Any:
        _refuse_unfinished(message)
        if self.tool is None:
            return self.parse(str(message.text))
        calls = [call for call in getattr(message, "tool_calls", ()) if call["name"] == self.tool]
        if calls:
            args = calls[0]["args"]
            return self._built(self._answer_in(args), json.dumps(args, default=str))
        if self.allow_none:
            return None
        text = str(message.text)
        raise OutputParserException(f"the model did not call {self.tool!r}; it said: {text!r}", llm_output=text)

    def _so_far(self, message: BaseMessage) -> Any:
        """Return what there is while the answer streams in: growing dicts, objects once they are valid."""
        try:
            if self.tool is None:
                found = parse_partial_json(str(message.text).strip().removeprefix("```json").removeprefix("```"))
            else:
                calls = (c["args"] for c in getattr(message, "tool_calls", ()) if c["name"] == self.tool)
                found = next(map(self._answer_in, calls), None)
            grows = dict if self.is_object else (dict, list)  # half a word or number looks like a whole one
            return self.build(found) if isinstance(found, grows) and found else None
        except ValueError:
            return None

    def _answer_in(self, args: Mapping[str, Any]) -> Any:
        return args if self.is_object else args.get(VALUE)

    def _built(self, found: Any, text: str) -> Any:
        if self.is_object and not isinstance(found, Mapping):
            raise OutputParserException(f"the answer is no JSON object: {text!r}", llm_output=text)
        try:
            return self.build(dict(found) if isinstance(found, Mapping) else found)
        except ValueError as error:
            raise OutputParserException(f"the answer does not fit the schema: {error}", llm_output=text) from error

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        stream = _Growing(self)
        for chunk in input:
            yield from stream.add(chunk)
        yield from stream.end()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        stream = _Growing(self)
        async for chunk in input:
            for found in stream.add(chunk):
                yield found
        for found in stream.end():
            yield found


class _Growing:
    """The results of a stream: each once, and the whole answer checked at the end."""

    def __init__(self, parser: AnswerParser) -> None:
        self._parser = parser
        self._all: Any = None
        self._last: Any = None

    def add(self, chunk: str | BaseMessage) -> Iterator[Any]:
        piece = _to_generation(chunk)
        self._all = piece if self._all is None else self._all + piece
        found = self._parser.parse_result([self._all], partial=True) if isinstance(piece, ChatGeneration) else None
        yield from self._new(found)

    def end(self) -> Iterator[Any]:
        if self._all is not None:
            yield from self._new(self._parser.parse_result([self._all]))

    def _new(self, found: Any) -> Iterator[Any]:
        if found is not None and found != self._last:
            self._last = found
            yield found


def _to_generation(chunk: str | BaseMessage) -> Any:
    if isinstance(chunk, BaseMessageChunk):
        return ChatGenerationChunk(message=chunk)
    if isinstance(chunk, BaseMessage):
        return ChatGeneration(message=chunk)
    from langchain_core.outputs import GenerationChunk

    return GenerationChunk(text=chunk)


def _loaded(text: str) -> Any:
    """Return the JSON of *text*, which may stand in a fence of backticks. Nothing is mended."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return parse_json_markdown(text, parser=json.loads)
    except ValueError as error:
        raise OutputParserException(f"the answer is no valid JSON: {text!r}", llm_output=text) from error


def _refuse_unfinished(message: BaseMessage) -> None:
    """Raise if the answer is blocked or cut off."""
    metadata = message.response_metadata
    finish = metadata.get("finish_reason")
    blocked = (metadata.get("prompt_feedback") or {}).get("block_reason")
    if blocked or finish in BLOCKED:
        blocks = message.content if isinstance(message.content, list) else []
        words = next((b["refusal"] for b in blocks if isinstance(b, dict) and b.get("type") == "refusal"), None)
        raise ModelRefusalError(words or f"the answer was blocked: {blocked or finish}", raw_message=message)
    if finish == "MAX_TOKENS":
        text = str(message.text)
        raise OutputParserException(
            f"the answer was cut off at max_tokens before its object was complete: {text!r}", llm_output=text
        )
    if isinstance(message, AIMessage) and message.invalid_tool_calls and not message.tool_calls:
        said = message.invalid_tool_calls[0]["args"]
        raise OutputParserException(f"the model's call cannot be read: {said!r}", llm_output=said)


def to_builder(schema: Any) -> Callable[[Any], Any]:
    """Return what makes a result of JSON: an instance for a class (pydantic v1 or v2, an enumeration), else the JSON."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return _builder_of_model(schema)
    if isinstance(schema, type) and callable(parse := getattr(schema, "parse_obj", None)):
        return cast("Callable[[Any], Any]", parse)
    if (adapter := _adapter(schema)) is not None:
        return adapter.validate_python
    return lambda found: found


def _adapter(schema: Any) -> TypeAdapter[Any] | None:
    """Return pydantic's reader for a type that LangChain cannot describe: an enumeration, `list[int]`, `Literal[...]`."""
    is_enumeration = isinstance(schema, type) and issubclass(schema, Enum)
    return TypeAdapter(schema) if is_enumeration or get_origin(schema) is not None else None


def _builder_of_model(schema: type[BaseModel]) -> Callable[[dict[str, Any]], Any]:
    def build(found: dict[str, Any]) -> Any:
        # Validated as the JSON that it is: strict models take a date or an enum from JSON's text, not from Python's.
        try:
            return schema.model_validate_json(to_json(found))
        except PydanticSerializationError:  # half a surrogate
            return schema.model_validate(found)
        except ValidationError:
            restored = restore_arguments(found, schema.model_json_schema())
            if repr(restored) == repr(found):
                raise
        return schema.model_validate_json(to_json(restored))

    return build


def described(schema: Any) -> dict[str, Any]:
    """Return the JSON Schema for a schema of any form, with its name as `title`."""
    if schema is None:
        return {"title": "answer"}
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return {"title": schema.__name__, **inline_root_reference(schema.model_json_schema())}
    if isinstance(schema, dict) and "properties" in schema and "title" in schema:
        return dict(schema)
    if isinstance(schema, dict) and "properties" not in schema and not _OF_NO_OBJECT.isdisjoint(schema):
        return {"title": "answer", **schema}
    if (adapter := _adapter(schema)) is not None:
        return {"title": "answer", **adapter.json_schema()}
    return convert_to_json_schema(schema)


_OF_NO_OBJECT: Final = frozenset({"items", "enum", "const", "anyOf", "oneOf", "$ref"})
VALUE: Final = "value"


def describes_objects(schema: Mapping[str, Any]) -> bool:
    """Tell whether all answers that fit *schema* are JSON objects."""
    if "properties" in schema:
        return True
    return schema.get("type", "object") == "object" and _OF_NO_OBJECT.isdisjoint(schema)


def as_function(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OpenAI function whose arguments are the answer, or hold it where it is no object."""
    parameters = {name: value for name, value in schema.items() if name not in {"title", "description"}}
    if not describes_objects(schema):
        definitions: dict[str, Any] = {
            name: parameters.pop(name) for name in ("$defs", "definitions") if name in parameters
        }
        parameters = {"type": "object", "properties": {VALUE: parameters}, "required": [VALUE], **definitions}
    return {"name": schema["title"], "description": schema.get("description", ""), "parameters": parameters}


def with_raw(llm: Runnable[Any, Any], parser: AnswerParser) -> Runnable[LanguageModelInput, Any]:
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")
