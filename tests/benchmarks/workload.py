"""What is asked and answered, in plain data: the same for the server, the frameworks and raw HTTP."""

from __future__ import annotations

import random
import struct
import zlib
from enum import Enum
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

MODEL = "gemini-2.5-flash"
KEY = "sk-benchmark"
PROMPT = "What does a lighthouse keeper do all day? Two sentences."
TEXT = (
    "A lighthouse keeper trims and cleans the lamp, winds the clockwork that turns the lens, and writes the weather "
    "and every passing ship into the log. At night the keeper watches that the light never goes out."
)
PERSON = {
    "name": "Grace Hopper",
    "age": 85,
    "languages": ["COBOL", "FLOW-MATIC"],
    "home": {"city": "Arlington", "country": "United States"},
}
CALL_NAME = "search_07"
CALL_ARGUMENTS = {"query": "lighthouses on Brittany's coast", "limit": 3, "order": "newest", "near": {"city": "Brest"}}
CALL_RESULT = '{"found": 3, "names": ["Ar Men", "La Jument", "Kereon"]}'
TOOLS = 20
WORD = "light{:06d} "


class Order(str, Enum):
    """How results are sorted."""

    newest = "newest"
    nearest = "nearest"


class Place(BaseModel):
    """Somewhere on Earth."""

    city: str
    country: str | None = Field(None, description="ISO code of the country.")


class Person(BaseModel):
    """Somebody named in a text."""

    name: str = Field(description="First and last name.")
    age: int = Field(description="Age in years.")
    languages: list[str] = Field(default_factory=list, description="Programming languages.")
    home: Place | None = None


@cache
def tool_schemas() -> tuple[type[BaseModel], ...]:
    """Return the argument models of twenty tools, no two with the same name."""
    return tuple(
        create_model(
            f"search_{number:02d}",
            __doc__=f"Search collection {number} and return the best matches.",
            query=(str, Field(description="Words to look for.")),
            limit=(int, Field(10, ge=1, le=100, description="How many matches to return.")),
            order=(Order, Field(Order.newest, description="How matches are sorted.")),
            depth=(Literal["quick", "thorough"], "quick"),
            near=(Place | None, Field(None, description="Only matches around this place.")),
            tags=(list[str], Field(default_factory=list)),
        )
        for number in range(TOOLS)
    )


@cache
def declarations() -> list[dict[str, Any]]:
    """Return the tools as Gemini's JSON, ready to send."""
    return [
        {"name": each.__name__, "description": each.__doc__, "parametersJsonSchema": each.model_json_schema()}
        for each in tool_schemas()
    ]


def turns(messages: int) -> list[tuple[str, str]]:
    """Return a conversation as (kind, text): rounds of question, call, result and answer, then a last question.

    The text of a `call` or a `result` is the id that joins the two.
    """
    rounds = [
        turn
        for number in range(messages // 4)
        for turn in (
            ("user", f"Question {number}: which lighthouses can I visit this weekend?"),
            ("call", f"call-{number}"),
            ("result", f"call-{number}"),
            ("model", f"Answer {number}: Ar Men cannot be visited, La Jument only from the water."),
        )
    ]
    return [*rounds, ("user", PROMPT)]


def contents(messages: int) -> list[dict[str, Any]]:
    """Return the same conversation as Gemini's JSON."""
    written: list[dict[str, Any]] = []
    for kind, text in turns(messages):
        if kind == "call":
            part: dict[str, Any] = {"functionCall": {"id": text, "name": CALL_NAME, "args": CALL_ARGUMENTS}}
        elif kind == "result":
            result = {"output": CALL_RESULT}
            part = {"functionResponse": {"id": text, "name": CALL_NAME, "response": result}}
        else:
            part = {"text": text}
        written.append({"role": "model" if kind in ("call", "model") else "user", "parts": [part]})
    return written


@cache
def picture(megabytes: float) -> bytes:
    """Return a PNG that nothing can compress and that is *megabytes* (10**6 bytes) large in base64."""
    width = 1000
    height = max(1, round(megabytes * 1e6 * 3 / 4 / (3 * width)))
    noise = random.Random(5)
    rows = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def check(exercise: str, value: Any) -> None:
    """Raise AssertionError where an answer is not the right one: fast and wrong does not count."""
    exercise = exercise.removeprefix("a_")
    if exercise == "tools":
        assert value == CALL_NAME, value
    elif exercise == "structured":
        assert value.name == PERSON["name"], value
    elif exercise == "picture_out":
        assert value[:4] == b"\x89PNG", value[:20]
        assert value[-8:-4] == b"IEND", value[-20:]
    elif exercise == "stream":
        assert "".join(value) == "".join(map(WORD.format, range("".join(value).count(" ")))), value[:3]
    else:
        assert value == TEXT, value
