"""Thought signatures: issued by Gemini 3, required back, recognised when altered."""

from __future__ import annotations

import base64

import pytest
from gemway_emulator import reply

FLASH3 = "gemini-3-flash-preview"
PAINTER = "gemini-3.1-flash-image-preview"
WEATHER = [
    {
        "functionDeclarations": [
            {
                "name": "get_weather",
                "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
            }
        ]
    }
]


@pytest.fixture
def history(ask, say):
    """A conversation in which gemini-3 has just called get_weather, as (contents, call part)."""
    question = say("What is the weather in Paris?")
    [part] = ask.parts({"contents": [question], "tools": WEATHER}, FLASH3)
    return question, part


def answered(question, part, say):
    result = {"functionResponse": {"name": "get_weather", "response": {"result": "sunny"}}}
    return {"contents": [question, say(part, role="model"), say(result)], "tools": WEATHER}


def test_the_first_call_of_a_step_is_signed_and_every_call_has_an_id(emulator, ask):
    """Gemini 3: parallel calls carry one signature, on the first."""
    emulator.enqueue(reply.tool_calls([("f", {}), ("g", {}), ("h", {})]))
    parts = ask.parts("x", FLASH3)

    assert ["thoughtSignature" in part for part in parts] == [True, False, False]
    assert len({part["functionCall"]["id"] for part in parts}) == 3
    assert base64.b64decode(parts[0]["thoughtSignature"], validate=True)


def test_older_models_neither_sign_nor_number(emulator, ask):
    """Gemini 2.5: no signature, no id."""
    emulator.enqueue(reply.tool_call("f"))

    assert ask.parts("x", "gemini-2.5-flash") == [{"functionCall": {"name": "f", "args": {}}}]


def test_a_returned_signature_is_accepted(ask, say, history):
    """Byte for byte, or re-encoded URL-safe and unpadded, as Google's Python clients do."""
    question, part = history
    urlsafe = part["thoughtSignature"].replace("+", "-").replace("/", "_").rstrip("=")
    assert urlsafe != part["thoughtSignature"]

    assert ask.post(answered(question, part, say), FLASH3).status_code == 200
    assert ask.post(answered(question, part | {"thoughtSignature": urlsafe}, say), FLASH3).status_code == 200


def test_strict_mode_compares_text(emulator, ask, say, history):
    """Re-encoding is caught, and so are signatures issued elsewhere."""
    question, part = history
    emulator.strict_signatures = True
    urlsafe = part["thoughtSignature"].replace("+", "-").replace("/", "_")

    assert ask.post(answered(question, part, say), FLASH3).status_code == 200
    assert (
        "thought signature"
        in ask.refusal(answered(question, part | {"thoughtSignature": urlsafe}, say), FLASH3)["message"]
    )
    assert (
        "thought signature"
        in ask.refusal(answered(question, part | {"thoughtSignature": "Zm9yZWlnbg=="}, say), FLASH3)["message"]
    )


def test_an_altered_signature_is_refused(ask, say, history):
    """A call this emulator signed must come back with its own signature."""
    question, part = history
    other = base64.b64encode(b"something else").decode()

    assert (
        "Invalid thought signature"
        in ask.refusal(answered(question, part | {"thoughtSignature": other}, say), FLASH3)["message"]
    )


def test_a_foreign_signature_on_a_foreign_call_is_accepted(ask, say):
    """What was never issued here cannot be judged."""
    part = {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}, "thoughtSignature": "Zm9yZWlnbg=="}

    assert ask.post(answered(say("weather?"), part, say), FLASH3).status_code == 200


def test_the_same_call_in_another_conversation_is_foreign(ask, say, history):
    """A signature for one question does not bind the same call after another question."""
    _, part = history

    assert (
        ask.post(answered(say("Umbrella?"), part | {"thoughtSignature": "Zm9yZWlnbg=="}, say), FLASH3).status_code
        == 200
    )


@pytest.mark.parametrize(
    "sentinel",
    [
        "skip_thought_signature_validator",
        "context_engineering_is_the_way_to_go",
        "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",  # base64 of the first, as pydantic-ai sends it
    ],
)
def test_the_documented_sentinels_are_accepted(ask, say, history, sentinel):
    """They stand for a signature nobody has."""
    question, part = history

    assert ask.post(answered(question, part | {"thoughtSignature": sentinel}, say), FLASH3).status_code == 200


def test_a_missing_signature_in_the_current_turn_is_refused(ask, say, history):
    """With Google's words; older models do not ask for it."""
    question, part = history
    bare = {"functionCall": part["functionCall"]}

    assert (
        "Function call is missing a thought_signature in functionCall parts"
        in ask.refusal(answered(question, bare, say), FLASH3)["message"]
    )
    assert ask.post(answered(question, bare, say), "gemini-2.5-flash").status_code == 200


def test_earlier_turns_are_not_validated(ask, say, history):
    """Only the turn since the newest user text counts."""
    question, part = history
    talk = answered(question, {"functionCall": part["functionCall"]}, say)
    talk["contents"] += [say("It is sunny.", role="model"), say("Thanks!")]

    assert ask.post(talk, FLASH3).status_code == 200


def test_only_the_first_call_of_a_step_needs_one(ask, say):
    """Parallel calls: first signed, others bare."""
    calls = [{"functionCall": {"name": name, "args": {}}} for name in "fg"]
    calls[0]["thoughtSignature"] = "AAAA"
    results = [{"functionResponse": {"name": name, "response": {"result": 1}}} for name in "fg"]
    talk = {"contents": [say("x"), say(*calls, role="model"), say(*results)]}

    assert ask.post(talk, FLASH3).status_code == 200


def test_image_models_sign_pictures_and_want_the_signature_back(ask, say):
    """The picture and the text of a 3.x image model are signed; a picture in a model turn without signature is a 400."""
    question = say("a neon fox")
    text, picture = ask.parts({"contents": [question]}, PAINTER)
    assert text["thoughtSignature"]
    assert picture["thoughtSignature"]

    signed = {"contents": [question, say(text, picture, role="model"), say("make it green")]}
    lost = {
        "contents": [question, say(text, {"inlineData": picture["inlineData"]}, role="model"), say("make it green")]
    }
    assert ask.post(signed, PAINTER).status_code == 200
    message = ask.refusal(lost, PAINTER)["message"]
    assert message == "Image part is missing a thought_signature in content position 2, part position 2."
    assert ask.post(lost, "gemini-2.5-flash-image").status_code == 200


def test_text_of_gemini_3_is_signed_on_its_last_part(ask):
    """Also in a stream, where the last part is not empty."""
    assert ask.parts("Hello", FLASH3)[-1]["thoughtSignature"]
    last = ask.stream("Hello there, how are you?", FLASH3)[-1]["candidates"][0]["content"]["parts"][-1]
    assert last["thoughtSignature"]
    assert last["text"]


def test_scripted_signatures_are_sent_as_given_and_known(emulator, ask, say):
    """Whatever text a test chooses comes back accepted, in strict mode too, from turns and from scripted streams."""
    emulator.strict_signatures = True
    emulator.enqueue(reply.text("hi", signature="abc_-/+="))
    [part] = ask.parts("x", "gemini-2.5-flash")
    assert part == {"text": "hi", "thoughtSignature": "abc_-/+="}

    streamed = {"text": "", "thoughtSignature": "from a stream"}
    emulator.enqueue(
        reply.stream([{"candidates": [{"content": {"role": "model", "parts": [streamed]}, "finishReason": "STOP"}]}])
    )
    ask.stream("x")

    talk = {"contents": [say("x"), say(part, streamed, role="model"), say("y")]}
    assert ask.post(talk, "gemini-2.5-flash").status_code == 200


def test_a_call_can_be_scripted_without_signature_and_id(emulator, ask):
    """`False` leaves them out where the model would set them."""
    emulator.enqueue(reply.tool_call("f", {"a": 1}, id=False, signature=False))

    assert ask.parts("x", FLASH3) == [{"functionCall": {"name": "f", "args": {"a": 1}}}]
