"""Answers that follow a schema: the object, or an error that explains why there is none. Pure.

A truncated answer, a refusal or a text where a call was due is never mended into an object.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from enum import Enum
from operator import itemgetter
from typing import Any, Final, Literal, TypeAlias, cast, get_origin

from gemway.adapters import BLOCKED_FINISH_REASONS, inline_root_reference, restore_arguments
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_json_markdown, parse_partial_json
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from langchain_gemway._errors import ModelRefusalError

Method = Literal["json_schema", "json_mode", "function_calling"]
Json: TypeAlias = Any
Result: TypeAlias = Any  # an instance of the user's class, or JSON
JsonSchema = dict[str, Json]
Builder = Callable[[Json], Result]


class AnswerParser(BaseTransformOutputParser[Result]):
    """Reads the object out of an answer.

    Attributes:
        build: makes the result of the JSON object, and raises `ValueError` for one that does not fit.
        tool: the name of the call whose arguments are the object; None if the object is the text.
        is_object: whether the schema is one of objects. If not, lists and bare values are answers too, and a call
            holds the answer in its argument `value`, since arguments are always an object.
        words: the texts that an enumeration allows; an answer may be one of them without quotes.
        allow_none: whether an answer without a call is None rather than an error.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    build: Builder
    tool: str | None = None
    is_object: bool = True
    words: frozenset[str] = frozenset()
    allow_none: bool = False

    @property
    def _type(self) -> str:
        return "gemway_answer"

    def parse(self, text: str) -> Result:
        """Return the object in *text*."""
        # With `text/x.enum` Google answers with the bare word (ai.google.dev, Structured output), as some models do
        # when they are asked for JSON.
        word = text.strip()
        return self._build_result(word if word in self.words else _load_json(text), text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Result:
        """Return the object of an answer; with *partial* the one so far, or None."""
        generation = result[0]
        if not isinstance(generation, ChatGeneration):
            return self.parse(generation.text)
        message = generation.message
        if partial:
            return self._parse_partial(message)
        _raise_if_unfinished(message)
        text = str(message.text)
        if self.tool is None:
            return self.parse(text)
        for args in self._arguments_of_calls(message):
            return self._build_result(self._answer_in(args), json.dumps(args, default=str))
        if self.allow_none:
            return None
        raise OutputParserException(f"the model did not call {self.tool!r}; it answered: {text!r}", llm_output=text)

    def _parse_partial(self, message: BaseMessage) -> Result:
        """Return the answer so far while it streams in: growing dicts, objects once they are valid."""
        try:
            if self.tool is None:
                text = str(message.text).strip().removeprefix("```json").removeprefix("```")
                answer = parse_partial_json(text)
            else:
                answer = next(map(self._answer_in, self._arguments_of_calls(message)), None)
            # Half a word or number looks like a whole one, so only containers are shown before their end.
            grows = dict if self.is_object else (dict, list)
            return self.build(answer) if isinstance(answer, grows) and answer else None
        except ValueError:
            return None

    def _arguments_of_calls(self, message: BaseMessage) -> Iterator[dict[str, Json]]:
        return (call["args"] for call in getattr(message, "tool_calls", ()) if call["name"] == self.tool)

    def _answer_in(self, args: Mapping[str, Json]) -> Json:
        return args if self.is_object else args.get(_VALUE)

    def _build_result(self, answer: Json, text: str) -> Result:
        if self.is_object and not isinstance(answer, Mapping):
            raise OutputParserException(f"the answer is not a JSON object: {text!r}", llm_output=text)
        try:
            return self.build(dict(answer) if isinstance(answer, Mapping) else answer)
        except ValueError as error:
            raise OutputParserException(f"the answer does not fit the schema: {error}", llm_output=text) from error

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Result]:
        results = _PartialResults(self)
        for chunk in input:
            yield from results.add(chunk)
        yield from results.finish()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Result]:
        results = _PartialResults(self)
        async for chunk in input:
            for result in results.add(chunk):
                yield result
        for result in results.finish():
            yield result


class _PartialResults:
    """The results of a stream: each once, and the whole answer checked at the end."""

    def __init__(self, parser: AnswerParser) -> None:
        self._parser = parser
        self._answer: Json = None  # the generations so far, added up
        self._latest: Result = None

    def add(self, chunk: str | BaseMessage) -> Iterator[Result]:
        generation = _to_generation(chunk)
        self._answer = generation if self._answer is None else self._answer + generation
        if isinstance(generation, ChatGeneration):
            yield from self._if_new(self._parser.parse_result([self._answer], partial=True))

    def finish(self) -> Iterator[Result]:
        if self._answer is not None:
            yield from self._if_new(self._parser.parse_result([self._answer]))

    def _if_new(self, result: Result) -> Iterator[Result]:
        if result is not None and result != self._latest:
            self._latest = result
            yield result


def _to_generation(chunk: str | BaseMessage) -> Generation:
    if isinstance(chunk, BaseMessageChunk):
        return ChatGenerationChunk(message=chunk)
    return ChatGeneration(message=chunk) if isinstance(chunk, BaseMessage) else GenerationChunk(text=chunk)


def _load_json(text: str) -> Json:
    """Return the JSON of *text*, which may stand in a fence of backticks. Nothing is mended."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        # langchain-core's own reader completes cut JSON; with json.loads it only looks into the fence.
        return parse_json_markdown(text, parser=json.loads)
    except ValueError as error:
        raise OutputParserException(f"the answer is not valid JSON: {text!r}", llm_output=text) from error


def _raise_if_unfinished(message: BaseMessage) -> None:
    """Raise if the answer is blocked or cut off, or its call cannot be read."""
    metadata = message.response_metadata
    finish = metadata.get("finish_reason")
    block_reason = (metadata.get("prompt_feedback") or {}).get("block_reason")
    if block_reason or finish in BLOCKED_FINISH_REASONS:
        blocks = message.content if isinstance(message.content, list) else []
        words = next((b["refusal"] for b in blocks if isinstance(b, dict) and b.get("type") == "refusal"), None)
        raise ModelRefusalError(words or f"the answer was blocked: {block_reason or finish}", raw_message=message)
    if finish == "MAX_TOKENS":
        text = str(message.text)
        raise OutputParserException(
            f"the answer was cut off at max_tokens before its object was complete: {text!r}", llm_output=text
        )
    if isinstance(message, AIMessage) and message.invalid_tool_calls and not message.tool_calls:
        call = message.invalid_tool_calls[0]["args"]
        raise OutputParserException(f"the model's call cannot be read: {call!r}", llm_output=call)


# From a schema to results


def to_builder(schema: Any) -> Builder:
    """Return the function that turns JSON into a result: an instance for a class (pydantic v1 or v2, an enumeration), else the JSON."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return _builder_of_model(schema)
    if isinstance(schema, type) and callable(parse_v1 := getattr(schema, "parse_obj", None)):
        return cast("Builder", parse_v1)
    if (adapter := _adapter_for(schema)) is not None:
        return adapter.validate_python
    return lambda answer: answer


def _adapter_for(schema: object) -> TypeAdapter[Any] | None:
    """Return pydantic's reader for a type that LangChain cannot describe: an enumeration, `list[int]`, `Literal[...]`."""
    is_enumeration = isinstance(schema, type) and issubclass(schema, Enum)
    return TypeAdapter(schema) if is_enumeration or get_origin(schema) is not None else None


def _builder_of_model(schema: type[BaseModel]) -> Callable[[dict[str, Json]], BaseModel]:
    def build(answer: dict[str, Json]) -> BaseModel:
        # Validated as the JSON that it is: strict models take a date or an enum from JSON's text, not from Python's.
        try:
            return schema.model_validate_json(to_json(answer))
        except PydanticSerializationError:  # half a surrogate
            return schema.model_validate(answer)
        except ValidationError:
            # Models write numbers, lists and objects as text now and then, and the schema knows which type was meant. An
            # answer that is no better afterwards keeps its first error, which names the model's own words.
            restored = restore_arguments(answer, schema.model_json_schema())
            if repr(restored) == repr(answer):
                raise
        return schema.model_validate_json(to_json(restored))

    return build


# From a schema to a request


def to_json_schema(schema: Any) -> JsonSchema:
    """Return the JSON Schema for a schema of any form, with its name as `title`."""
    if schema is None:  # only `json_mode` goes without one
        return {"title": "answer"}
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return {"title": schema.__name__, **inline_root_reference(schema.model_json_schema())}
    if isinstance(schema, dict) and "properties" in schema and "title" in schema:
        return dict(schema)
    if isinstance(schema, dict) and "properties" not in schema and not _NOT_OF_OBJECTS.isdisjoint(schema):
        return {"title": "answer", **schema}
    if (adapter := _adapter_for(schema)) is not None:
        return {"title": "answer", **adapter.json_schema()}
    return convert_to_json_schema(schema)


# Keywords with which a JSON Schema without `properties` may describe something else than objects.
_NOT_OF_OBJECTS: Final = frozenset({"items", "enum", "const", "anyOf", "oneOf", "$ref"})
_VALUE: Final = "value"


def describes_objects(schema: Mapping[str, Json]) -> bool:
    """Whether all answers that fit *schema* are JSON objects."""
    if "properties" in schema:
        return True
    return schema.get("type", "object") == "object" and _NOT_OF_OBJECTS.isdisjoint(schema)


def to_answer_function(schema: JsonSchema) -> JsonSchema:
    """Return the OpenAI function whose arguments are the answer, or hold it as `value` if it is no object."""
    parameters = {name: value for name, value in schema.items() if name not in {"title", "description"}}
    if not describes_objects(schema):
        # References in a schema start at its root, so the definitions stay there.
        definitions: JsonSchema = {
            name: parameters.pop(name) for name in ("$defs", "definitions") if name in parameters
        }
        parameters = {"type": "object", "properties": {_VALUE: parameters}, "required": [_VALUE], **definitions}
    return {"name": schema["title"], "description": schema.get("description", ""), "parameters": parameters}


def with_raw_message(llm: Runnable[Any, Any], parser: AnswerParser) -> Runnable[LanguageModelInput, Any]:
    """Return a runnable that answers with `{"raw", "parsed", "parsing_error"}`, as `include_raw=True` asks for."""
    # The raw answer must survive an error of the parser, so the error is caught by a fallback, as in LangChain's own models.
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")
