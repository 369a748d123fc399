"""Structured answers: ways, modes, types and options."""

from __future__ import annotations

import datetime
import enum
import uuid
from decimal import Decimal

import pytest
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel, Field

PROMPT = PromptTemplate("Ann is {age} years old.")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class Colour(str, enum.Enum):
    red = "red"
    blue = "blue"


class Everything(BaseModel):
    """All kinds of fields."""

    id: uuid.UUID
    at: datetime.datetime
    price: Decimal
    colour: Colour
    scores: dict[str, int]
    level: int = Field(ge=1, le=5)
    note: str | None = None


class Tree(BaseModel):
    """A tree."""

    name: str
    children: list[Tree] = Field(default_factory=list)


MODES = [PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION, PydanticProgramMode.LLM]


async def _ask(llm: Gemway, method: str, output_cls=Person, prompt=PROMPT, **options):
    if method == "structured_predict":
        return [llm.structured_predict(output_cls, prompt, age=5, **options)]
    if method == "astructured_predict":
        return [await llm.astructured_predict(output_cls, prompt, age=5, **options)]
    if method == "stream_structured_predict":
        return list(llm.stream_structured_predict(output_cls, prompt, age=5, **options))
    return [item async for item in await llm.astream_structured_predict(output_cls, prompt, age=5, **options)]


METHODS = [f"{prefix}structured_predict" for prefix in ("", "a", "stream_", "astream_")]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
async def test_modes_and_methods(emulator: Emulator, gemway, mode, method: str, model: str) -> None:
    """Twelve ways to the same object, all of them inside a running loop."""
    llm = gemway(model, pydantic_program_mode=mode)

    found = await _ask(llm, method)

    assert found[-1] == Person(name="Ann", age=5)
    body = emulator.requests[-1].json
    assert ("tools" in body) == (mode == PydanticProgramMode.FUNCTION)
    assert ("responseJsonSchema" in body.get("generationConfig", {})) == (mode == PydanticProgramMode.DEFAULT)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_partial_objects_grow(emulator: Emulator, gemway, mode) -> None:
    """A stream of objects fills up field by field; the last one is whole."""
    emulator.enqueue(reply.text('{"name": "Ann Lee", "age": 5}', chunks=['{"name": "An', 'n Lee"', ', "age": 5', "}"]))
    llm = gemway(pydantic_program_mode=mode)

    found = list(llm.stream_structured_predict(Person, PROMPT, age=5))

    assert [item.name for item in found][:2] == ["An", "Ann Lee"]
    assert found[-1] == Person(name="Ann Lee", age=5)
    assert isinstance(found[-1], Person)


async def test_structured_llm(emulator: Emulator, llm: Gemway) -> None:
    """`as_structured_llm` chats, completes and streams objects."""
    structured = llm.as_structured_llm(Person)
    messages = [ChatMessage(content="Ann is 5 years old.")]

    assert structured.chat(messages).raw == Person(name="Ann", age=5)
    assert (await structured.achat(messages)).raw == Person(name="Ann", age=5)
    assert structured.complete("Ann is 5 years old.").raw == Person(name="Ann", age=5)
    assert list(structured.stream_chat(messages))[-1].raw == Person(name="Ann", age=5)
    assert [item async for item in await structured.astream_chat(messages)][-1].raw == Person(name="Ann", age=5)


def test_chat_prompts_and_braces(emulator: Emulator, llm: Gemway) -> None:
    """A chat prompt keeps its roles, and braces in a value are only text."""
    prompt = ChatPromptTemplate([ChatMessage(role="system", content="Be exact."), ChatMessage(content="{text}")])

    llm.structured_predict(Person, prompt, text="Ann {is} 5")

    body = emulator.requests[-1].json
    assert body["systemInstruction"]["parts"] == [{"text": "Be exact."}]
    assert body["contents"][0]["parts"] == [{"text": "Ann {is} 5"}]


def test_function_calling_program_streams(emulator: Emulator, gemway) -> None:
    """Core's own program finds the call in a stream."""
    emulator.enqueue(reply.tool_call("Person", {"name": "Ann", "age": 5}))
    program = FunctionCallingProgram.from_defaults(Person, llm=gemway(), prompt_template_str="Ann is {age}")

    assert list(program.stream_call(age=5))[-1] == Person(name="Ann", age=5)


EVERYTHING = Everything(
    id=uuid.UUID(int=7),
    at=datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.timezone.utc),
    price=Decimal("9.99"),
    colour=Colour.blue,
    scores={"a": 1},
    level=3,
)
TREE = Tree(name="root", children=[Tree(name="leaf")])


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("wanted", [EVERYTHING, TREE], ids=["everything", "recursive"])
def test_all_types_make_the_journey(emulator: Emulator, gemway, mode, wanted: BaseModel) -> None:
    """UUID, datetime, Decimal, Enum, dict, bounds, recursion."""
    if mode == PydanticProgramMode.FUNCTION:
        emulator.enqueue(reply.tool_call(type(wanted).__name__, wanted.model_dump(mode="json")))
    else:
        emulator.enqueue(reply.text(wanted.model_dump_json()))
    llm = gemway(pydantic_program_mode=mode)

    assert llm.structured_predict(type(wanted), PROMPT, age=5) == wanted


def test_the_emulator_reads_the_schema(emulator: Emulator, llm: Gemway) -> None:
    """A server that follows the schema makes a valid object of it."""
    assert isinstance(llm.structured_predict(Tree, PROMPT, age=5), Tree)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_callers_options_stay(emulator: Emulator, gemway, mode, method: str) -> None:
    """`llm_kwargs` reach the wire and are not changed."""
    options = {"temperature": 0.3, **({"tool_choice": "required"} if mode == PydanticProgramMode.FUNCTION else {})}
    before = dict(options)

    await _ask(gemway(pydantic_program_mode=mode), method, llm_kwargs=options)

    assert options == before
    assert emulator.requests[-1].json["generationConfig"]["temperature"] == 0.3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_answers_that_are_no_object(emulator: Emulator, gemway, mode, method: str) -> None:
    """The error quotes the answer and names the problem."""
    emulator.enqueue(reply.text('{"name": "Ann", "age": "young"}'))

    with pytest.raises(ValueError, match="young") as raised:
        await _ask(gemway(pydantic_program_mode=mode), method)

    assert "age" in str(raised.value)
    assert "Person" in str(raised.value)


@pytest.mark.parametrize(
    "text", ['```json\n{"name": "Ann", "age": 5}\n```', 'Here it is: {"name": "Ann", "age": 5} Enjoy!']
)
def test_words_around_the_object(emulator: Emulator, llm: Gemway, text: str) -> None:
    """Models of other families wrap JSON; it is found."""
    emulator.enqueue(reply.text(text))

    assert llm.structured_predict(Person, PROMPT, age=5) == Person(name="Ann", age=5)
