"""How answers end, and what is made of odd ones: never a mute end, never an error without a name."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gemway
import pytest
from gemway_emulator import Emulator, reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_gemway import ChatGemway, GenerateImage

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYAAAAAIAAeIhvDMAAAAASUVORK5CYII="

Make = Callable[..., ChatGemway]


def body(parts: list[Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **more}
    return {"candidates": [{**candidate, "finishReason": finish} if finish else candidate]}


def whole(model: ChatGemway, emulator: Emulator, answer: dict[str, Any]) -> AIMessage:
    emulator.enqueue(reply.raw(200, json.dumps(answer)))
    return model.invoke("go")


def streamed(model: ChatGemway, emulator: Emulator, answer: dict[str, Any]) -> AIMessage:
    emulator.enqueue(reply.stream([answer]))
    first, *rest = model.stream("go")
    return sum(rest, first)


def as_events(model: ChatGemway, emulator: Emulator, answer: dict[str, Any]) -> AIMessage:
    emulator.enqueue(reply.stream([answer]))
    return model.stream_events("go", version="v3").output


WAYS = {"invoke": whole, "stream": streamed, "v3 events": as_events}
all_ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())

# ai.google.dev, FinishReason: those that say neither "done" nor "blocked".
EARLY = [
    *("UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"),
    *("NO_IMAGE", "IMAGE_OTHER", "OTHER", "A_REASON_OF_TOMORROW"),
]


@all_ways
@pytest.mark.parametrize("finish", EARLY)
@pytest.mark.parametrize("parts", [[], [{"text": "I was about to"}]], ids=["nothing", "some text"])
def test_an_early_end_is_a_warning(chat: Make, emulator: Emulator, way: Any, finish: str, parts: list[Any]) -> None:
    """It names the reason and the server's words: an agent would take the answer for its last."""
    answer = body(parts, finish, finishMessage="The server's words.")

    with pytest.warns(UserWarning, match=rf"(?s){finish}.*The server's words") as caught:
        message = way(chat(), emulator, answer)

    assert len(caught) == 1
    assert message.response_metadata["finish_reason"] == finish
    assert message.text == "".join(part["text"] for part in parts)


NOTHING = {"STOP": [*WAYS.values()], None: [whole]}  # a stream without a reason was interrupted: that is an error


@pytest.mark.parametrize(("finish", "way"), [(finish, way) for finish, ways in NOTHING.items() for way in ways])
def test_an_answer_with_nothing_in_it_is_a_warning(chat: Make, emulator: Emulator, way: Any, finish: Any) -> None:
    """Also where the gateway names no reason."""
    with pytest.warns(UserWarning, match="answered with nothing"):
        way(chat(), emulator, body([], finish))


@all_ways
@pytest.mark.parametrize("finish", ["STOP", "MAX_TOKENS"])
def test_usual_ends_are_no_warnings(chat: Make, emulator: Emulator, way: Any, finish: str) -> None:
    """Text that stops, at its end or at the limit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning)
        way(chat(), emulator, body([{"text": "Hi"}], finish))


CALL = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}
# Reason -> what langchain-core 1.8.4 calls it (its `_finish_reason.py`), and whether the answer is whole.
NORMALIZED: list[tuple[list[Any], str, dict[str, str]]] = [
    ([{"text": "Hi"}], "STOP", {"normalized_finish_reason": "stop"}),
    ([CALL], "STOP", {"normalized_finish_reason": "tool_call"}),
    ([{"text": "Hi"}, CALL], "STOP", {"normalized_finish_reason": "tool_call"}),
    ([{"text": "Hi"}], "MAX_TOKENS", {"normalized_finish_reason": "length", "finish_state": "incomplete"}),
    ([{"text": "Hi"}], "SAFETY", {"normalized_finish_reason": "refusal"}),
    ([], "PROHIBITED_CONTENT", {"normalized_finish_reason": "refusal"}),
    ([{"text": "Hi"}], "OTHER", {}),
]


@all_ways
@pytest.mark.parametrize(
    ("parts", "finish", "expected"), NORMALIZED, ids=[f"{end} {p}"[:40] for p, end, _ in NORMALIZED]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_end_is_named_in_the_words_of_every_provider(
    chat: Make, emulator: Emulator, way: Any, parts: list[Any], finish: str, expected: dict[str, str]
) -> None:
    """Google's own reason stays; a reason that LangChain has no word for gets none."""
    metadata = way(chat(), emulator, body(parts, finish)).response_metadata

    assert metadata["finish_reason"] == finish
    assert {
        name: metadata[name] for name in ("normalized_finish_reason", "finish_state") if name in metadata
    } == expected


@all_ways
def test_a_blocked_prompt_is_a_refusal_in_the_words_of_every_provider(chat: Make, emulator: Emulator, way: Any) -> None:
    """There is no finish reason then: nothing was begun."""
    metadata = way(chat(), emulator, {"promptFeedback": {"blockReason": "SAFETY"}}).response_metadata

    assert metadata["normalized_finish_reason"] == "refusal"
    assert metadata.get("finish_reason") is None


def test_the_last_event_tells_how_the_answer_ended(chat: Make, emulator: Emulator) -> None:
    """langchain-core 1.8.4 reads these members of the event, and puts them into the message."""
    emulator.enqueue(reply.stream([body([CALL])]))

    *_, last = chat()._stream_chat_model_events([HumanMessage("go")])

    assert (last["event"], last["finish_reason"], last["normalized_finish_reason"]) == (
        "message-finish",
        "STOP",
        "tool_call",
    )


EXTRAS: dict[str, dict[str, Any]] = {
    "nothing more": {},
    "safety ratings": {"safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]},
    "citations": {
        "groundingMetadata": {
            "groundingChunks": [{"web": {"uri": "https://one.example", "title": "One"}}],
            "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 2}, "groundingChunkIndices": [0]}],
        }
    },
    "a field of tomorrow": {"moodOfTheModel": "cheerful"},
}


@pytest.mark.parametrize("more", EXTRAS.values(), ids=EXTRAS.keys())
@pytest.mark.parametrize("options", [{}, {"include_thoughts": True}, {"output_version": "v1"}], ids=str)
def test_a_plain_answer_is_read_as_any_other(
    chat: Make, emulator: Emulator, options: dict[str, Any], more: dict[str, Any]
) -> None:
    """One text goes a shorter way than two: the message is the same."""
    model = chat(**options)

    one = whole(model, emulator, body([{"text": "Hi there"}], **more)).model_dump(exclude={"id"})
    two = whole(model, emulator, body([{"text": "Hi "}, {"text": "there"}], **more)).model_dump(exclude={"id"})

    for message in (one, two):
        message["response_metadata"].pop("request_id", None)
    assert one == two


# Pictures

THOUGHT = {"inlineData": {"mimeType": "image/png", "data": PNG}, "thought": True, "thoughtSignature": "c2lnbmVk"}


def pictures(message: AIMessage) -> list[str]:
    return [block["base64"] for block in message.content_blocks if block["type"] == "image"]


@all_ways
@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("model", ["gemini-2.5-flash-image", "gemini-3.1-flash-image-preview"])
def test_the_only_picture_is_shown_though_it_is_a_thought(
    chat: Make, emulator: Emulator, way: Any, output_version: str, model: str
) -> None:
    """And goes back once, as it came: Gemini 3 wants its signature."""
    asked = chat(model, output_version=output_version)
    message = way(asked, emulator, body([{"text": "Here."}, THOUGHT]))
    emulator.enqueue(reply.text("ok"))
    asked.invoke([HumanMessage("go"), message, HumanMessage("on")])

    # The first request of the second turn: the emulator knows only signatures that it made, and is asked once more.
    sent = [part for content in emulator.requests[1].json["contents"] for part in content["parts"]]
    assert pictures(message) == [PNG]
    assert [part for part in sent if "inlineData" in part] == [THOUGHT]


@all_ways
def test_drafts_are_no_pictures_beside_the_picture(chat: Make, emulator: Emulator, way: Any) -> None:
    """A model that thinks in pictures shows one at the end."""
    final = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(base64.b64decode(PNG) + b"x").decode()}}

    message = way(chat("gemini-3.1-flash-image-preview"), emulator, body([THOUGHT, final]))

    assert pictures(message) == [final["inlineData"]["data"]]


SPELLINGS = {
    "no MIME type": {"data": PNG},
    "a MIME type in capitals": {"mimeType": "IMAGE/PNG", "data": PNG},
    "only the subtype": {"mimeType": "png", "data": PNG},
    "no padding": {"mimeType": "image/png", "data": PNG.rstrip("=")},
    "the other alphabet": {"mimeType": "image/png", "data": PNG.replace("+", "-").replace("/", "_")},
    "line breaks": {"mimeType": "image/png", "data": "\r\n".join([PNG[:64], PNG[64:]])},
    "a data: URL": {"mimeType": "image/png", "data": f"data:image/png;base64,{PNG}"},
    "a data: URL, no MIME type": {"data": f"data:image/png;base64,{PNG}"},
}


@all_ways
@pytest.mark.parametrize("blob", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_pictures_are_read_however_they_are_spelled(
    chat: Make, emulator: Emulator, way: Any, blob: dict[str, str]
) -> None:
    """Received from a gateway, and sent by a user in a block."""
    model = chat("gemini-2.5-flash-image")
    block = {"type": "image", "base64": blob["data"], "mime_type": blob.get("mimeType", "application/octet-stream")}

    message = way(model, emulator, body([{"inlineData": blob}]))
    model.invoke([HumanMessage([block])])

    (shown,) = [block for block in message.content_blocks if block["type"] == "image"]
    assert (shown["base64"], shown["mime_type"]) == (PNG, "image/png")
    assert emulator.requests[-1].json["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}
    ]


@all_ways
@pytest.mark.parametrize("mime_type", ["audio/L16;rate=24000", "audio/pcm;rate=99999999999", "image/png", None])
def test_media_that_cannot_be_read_are_kept_as_they_came(
    chat: Make, emulator: Emulator, way: Any, mime_type: str | None
) -> None:
    """They are in the message as a non-standard block; the text beside them is not lost with them."""
    part = {"inlineData": {"mimeType": mime_type, "data": "!?"} if mime_type else {"data": "!?"}}

    message = way(chat(), emulator, body([{"text": "Listen: "}, part]))

    assert message.text == "Listen: "
    assert "!?" in str(message.content_blocks)


def test_the_tool_makes_a_picture_that_is_a_thought(emulator: Emulator) -> None:
    """`GenerateImage` hands over the only picture, whatever it is marked as."""
    emulator.enqueue(reply.raw(200, json.dumps(body([THOUGHT]))))
    tool = GenerateImage(base_url=emulator.base_url, api_key=emulator.api_key)

    message = tool.invoke({"name": tool.name, "args": {"prompt": "a fox"}, "id": "1", "type": "tool_call"})

    assert [picture.base64 for picture in message.artifact] == [PNG]


# Any answer at all

scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.sampled_from(["", "a", PNG]))
names = st.sampled_from(
    ["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse", "name", "id"]
    + ["args", "data", "mimeType", "fileUri", "executableCode", "code", "language", "codeExecutionResult", "outcome"]
    + ["toolCall", "toolResponse", "toolType", "partialArgs", "jsonPath", "willContinue", "output", "response"]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
answers = st.builds(
    body,
    st.lists(st.dictionaries(names, values, max_size=3), max_size=4),
    st.sampled_from(["STOP", None, "OTHER", "SAFETY", "MALFORMED_FUNCTION_CALL"]),
    groundingMetadata=st.none() | st.dictionaries(st.sampled_from(["groundingChunks", "groundingSupports"]), values),
)


@pytest.fixture(scope="module")
def models() -> Iterator[tuple[Emulator, list[ChatGemway]]]:
    with Emulator(validate=False) as emulator:
        address = {"base_url": emulator.base_url, "api_key": emulator.api_key, "max_retries": 0}
        made = [
            ChatGemway(model="gemini-2.5-flash", **address),
            ChatGemway(model="gemini-3.1-flash-image-preview", output_version="v1", **address),
        ]
        yield emulator, made
        for model in made:
            model.close()


@all_ways
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answer=answers)
@pytest.mark.filterwarnings("ignore")
def test_odd_answers_are_read_or_errors_of_ours(
    models: tuple[Emulator, list[ChatGemway]], way: Any, answer: dict[str, Any]
) -> None:
    """No AttributeError, KeyError, TypeError or pydantic error reaches the user; what is read can be sent again."""
    emulator, made = models
    for model in made:
        emulator.reset()
        try:
            message = way(model, emulator, answer)
            emulator.reset()
            model.invoke([HumanMessage("go"), message, HumanMessage("on")])
        except gemway.GemwayError:
            pass
