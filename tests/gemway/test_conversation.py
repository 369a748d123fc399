"""Any history of a framework becomes a conversation that Gemini accepts, and nothing of it is lost."""

import copy
import json
from collections import Counter

import pytest
from gemway import ConfigurationError, UnsupportedContentError
from gemway._body import encode
from gemway._capabilities import capabilities
from gemway._conversation import (
    SENTINEL,
    _arrange_anything,
    _keep_if_in_order,
    _keep_order_if_valid,
    _merge_neighbours,
    _results_behind_calls,
    arrange,
    with_sentinels,
)
from gemway.types import GenerateContentRequest
from hypothesis import given
from hypothesis import strategies as st
from wire_recordings import ABSENT, answers, chunks_of, recordings

GEMINI_2 = "gemini-2.5-flash"
GEMINI_3 = "gemini-3-pro-preview"
NO_PREFILL = "gemini-3.6-flash"
IMAGES_3 = "gemini-3-pro-image"
FOREIGN = "claude-opus-4"
MODELS = [GEMINI_2, GEMINI_3, NO_PREFILL, IMAGES_3, FOREIGN]

OPENING = {"role": "user", "parts": [{"text": "(No earlier message.)"}]}
PROMPT = {"role": "user", "parts": [{"text": "Continue."}]}


def user(*parts) -> dict:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def model(*parts) -> dict:
    return {**user(*parts), "role": "model"}


def call(name="f", call_id=None, *, signature=None, server_id=None, **args) -> dict:
    payload = {"id": server_id} if server_id else {}
    part = {"functionCall": {**payload, "name": name, "args": args}}
    return part | ({"call_id": call_id} if call_id else {}) | ({"thoughtSignature": signature} if signature else {})


def result(said="done", call_id=None, *, name=None, parts=None) -> dict:
    payload = {"name": name} if name else {}
    payload |= {"response": {"output": said}} | ({"parts": parts} if parts else {})
    return {"functionResponse": payload} | ({"call_id": call_id} if call_id else {})


def picture(data="AAAA", **more) -> dict:
    return {"inlineData": {"mimeType": "image/png", "data": data}, **more}


def sent(said="done", name="f", **payload) -> dict:
    """The functionResponse part that goes on the wire."""
    return {"functionResponse": {"response": {"output": said}, "name": name, **payload}}


def not_executed(name="f") -> dict:
    return {"functionResponse": {"response": {"error": "not executed"}, "name": name}}


# Roles


def test_a_legal_conversation_stays_as_it_is():
    """Nothing is added, moved or copied."""
    contents = [user("hi"), model("hello"), user("draw", picture())]

    arranged = arrange(contents, model=GEMINI_3)

    assert arranged == contents
    assert arranged[2]["parts"][1] is contents[2]["parts"][1]


def test_neighbours_of_one_role_are_joined_part_by_part():
    """Signed parts stay parts of their own (ai.google.dev, Thought signatures)."""
    contents = [user("a"), user("b"), model({"text": "c", "thoughtSignature": "S"}), model("d"), user("e")]

    assert arrange(contents, model=GEMINI_3) == [
        user("a", "b"),
        model({"text": "c", "thoughtSignature": "S"}, "d"),
        user("e"),
    ]


@pytest.mark.parametrize("role", ["user", "function", "tool", None])
def test_every_role_but_the_models_is_the_users(role):
    """`function` is the old spelling of a content with results."""
    assert arrange([{"role": role, "parts": [{"text": "a"}]}], model=GEMINI_3) == [user("a")]


@pytest.mark.parametrize("contents", [[], [user()], [user(""), model(""), {"role": "user", "parts": None}]])
def test_nothing_said_is_nothing_sent(contents):
    """Empty texts and contents without parts are left out."""
    assert arrange(contents, model=GEMINI_3) == []


def test_empty_turns_do_not_part_neighbours():
    """What an empty turn separated is joined."""
    assert arrange([user("a"), model(""), user("b")], model=GEMINI_3) == [user("a", "b")]


@pytest.mark.parametrize("first", [model("hello"), model(call("f", "1"))], ids=["text", "call"])
def test_a_conversation_begins_with_the_user(first):
    """Trimmed histories begin with the model; a call must follow a user turn (gemini-cli#3814)."""
    arranged = arrange([first, user("go on")], model=GEMINI_2)

    assert arranged[0] == OPENING
    assert arranged[1]["role"] == "model"


def test_a_trailing_answer_is_a_prefill_where_the_model_takes_one():
    """It stays last."""
    assert arrange([user("a"), model("b")], model=GEMINI_2) == [user("a"), model("b")]


def test_a_trailing_answer_is_followed_up_where_the_model_takes_no_prefill():
    """These models refuse a conversation that ends with the model."""
    assert arrange([user("a"), model("b")], model=NO_PREFILL) == [user("a"), model("b"), PROMPT]


# Empty signed parts


def test_an_empty_signed_part_signs_the_part_before():
    """Streams end so; the text itself was not signed."""
    contents = [user("a"), model("b", {"text": "", "thoughtSignature": "S"}), user("c")]

    assert arrange(contents, model=GEMINI_3)[1] == model({"text": "b", "thoughtSignature": "S"})


@pytest.mark.parametrize(
    "before",
    [
        {"text": "b", "thoughtSignature": "T"},
        {"text": "hm", "thought": True},
        {"functionCall": {"name": "f"}, "thoughtSignature": "T"},
        {"executableCode": {"code": "1"}},
    ],
    ids=["signed text", "thought", "call", "code"],
)
def test_an_empty_signed_part_stays_where_it_has_nothing_to_sign(before):
    """Signatures are never moved to another kind of part and never overwritten."""
    empty = {"text": "", "thoughtSignature": "S"}

    assert arrange([user("a"), model(before, empty), user("c")], model=GEMINI_3)[1]["parts"][-1] == empty


# Calls and results


def test_parallel_results_follow_in_call_order():
    """One content of calls, one content with their results, whatever order they came in."""
    contents = [
        user("a"),
        model("two calls", call("f", "1"), call("g", "2")),
        user(result("second", "2")),
        user(result("first", "1")),
        model("done"),
        user("b"),
    ]

    assert arrange(contents, model=GEMINI_2) == [
        user("a"),
        model("two calls", call("f"), call("g")),
        user(sent("first", "f"), sent("second", "g")),
        model("done"),
        user("b"),
    ]


def test_a_result_gets_its_calls_name():
    """Frameworks leave the name out or put another one there."""
    contents = [
        user("a"),
        model(call("f", "1"), call("g", "2")),
        user(result("x", "2", name="agent"), result("y", "1")),
    ]

    assert arrange(contents, model=GEMINI_2)[2] == user(sent("y", "f"), sent("x", "g"))


def test_only_the_servers_ids_are_sent():
    """They go with call and result; the framework's stay at home."""
    contents = [
        user("a"),
        model(call("f", "x1", server_id="s1"), call("g", "x2")),
        user(result("1", "x1"), result("2", "x2")),
    ]

    arranged = arrange(contents, model=GEMINI_2)

    assert arranged[1] == model(call("f", server_id="s1"), call("g"))
    assert arranged[2] == user(sent("1", "f", id="s1"), sent("2", "g"))


def test_unanswered_calls_are_answered():
    """An interrupted call would make the whole conversation refused."""
    contents = [user("a"), model(call("f", "1"), call("g", "2")), user(result("x", "2"), "never mind")]

    assert arrange(contents, model=GEMINI_2)[2] == user(not_executed("f"), sent("x", "g"), "never mind")


def test_the_model_asked_before_any_result():
    """A history that ends with calls gets its answers and ends with the user."""
    assert arrange([user("a"), model(call("f", "1"))], model=NO_PREFILL)[2:] == [user(not_executed())]


def test_a_late_result_moves_to_its_call():
    """The model may have spoken after the first of two results."""
    contents = [
        user("a"),
        model(call("f", "1"), call("g", "2")),
        user(result("1", "1")),
        model("got one"),
        user(result("2", "2"), "and now?"),
    ]

    assert arrange(contents, model=GEMINI_2) == [
        user("a"),
        model(call("f"), call("g")),
        user(sent("1", "f"), sent("2", "g")),
        model("got one"),
        user("and now?"),
    ]


def test_after_a_late_result_the_model_is_asked_to_go_on():
    """Otherwise it would take its own words as the beginning of its answer."""
    contents = [
        user("a"),
        model(call("f", "1"), call("g", "2")),
        user(result("1", "1")),
        model("got one"),
        user(result("2", "2")),
    ]

    assert arrange(contents, model=GEMINI_2)[3:] == [model("got one"), PROMPT]


def test_the_model_called_after_each_of_two_parallel_replies():
    """Each reply may have brought a further call; every call keeps its result."""
    contents = [
        user("a"),
        model(call("f", "1"), call("g", "2")),
        user(result("1", "1")),
        model(call("h", "3")),
        user(result("2", "2"), result("3", "3")),
    ]

    assert arrange(contents, model=GEMINI_2) == [
        user("a"),
        model(call("f"), call("g")),
        user(sent("1", "f"), sent("2", "g")),
        model(call("h")),
        user(sent("3", "h")),
    ]


def test_an_id_used_again_belongs_to_its_own_turn():
    """Some servers number the calls of each turn from one."""
    contents = [user("a")]
    for said in "xyz":
        contents += [model(call("f", "1", q=said)), user(result(said, "1"))]

    answers = arrange(contents, model=GEMINI_2)[2::2]

    assert answers == [user(sent("x")), user(sent("y")), user(sent("z"))]


def test_an_id_used_again_after_an_interrupted_call():
    """The result is the later call's; the earlier one was not executed."""
    contents = [user("a"), model(call("f", "1")), user("stop"), model(call("g", "1")), user(result("x", "1"))]

    arranged = arrange(contents, model=GEMINI_2)

    assert arranged[2] == user(not_executed("f"), "stop")
    assert arranged[4] == user(sent("x", "g"))


def test_calls_of_one_tool_without_ids_are_answered_in_order():
    """Name and order pair what has no id."""
    contents = [
        user("a"),
        model(call("f", q=1), call("g"), call("f", q=2)),
        user(result("g", name="g"), result("f1", name="f"), result("f2", name="f")),
    ]

    assert arrange(contents, model=GEMINI_2)[2] == user(sent("f1"), sent("g", "g"), sent("f2"))


def test_results_without_id_and_name_are_taken_in_order():
    """There is nothing else to go by."""
    contents = [user("a"), model(call("f"), call("g")), user(result("1"), result("2"))]

    assert arrange(contents, model=GEMINI_2)[2] == user(sent("1", "f"), sent("2", "g"))


def test_an_id_nobody_knows_is_paired_by_name_or_order():
    """A checkpoint may have renumbered the calls."""
    contents = [user("a"), model(call("f", "1"), call("g", "2")), user(result("x", "?", name="g"), result("y", "!"))]

    assert arrange(contents, model=GEMINI_2)[2] == user(sent("y", "f"), sent("x", "g"))


def test_a_second_result_is_told_as_text():
    """It is not taken for the result of another call of the same tool."""
    contents = [
        user("a"),
        model(call("f", "1"), call("f", "2")),
        user(result("x", "1", name="f"), result("y", "1", name="f")),
    ]

    assert arrange(contents, model=GEMINI_2)[2] == user(
        sent("x"), not_executed(), 'Result of an earlier call of the tool f: {"output": "y"}'
    )


def test_a_result_before_its_call_is_found():
    """Histories merged from several sources are out of order."""
    contents = [user("a", result("x", "1")), model(call("f", "1")), user("b")]

    assert arrange(contents, model=GEMINI_2) == [user("a"), model(call("f")), user(sent("x"), "b")]


def test_an_orphan_is_told_as_text_with_its_media():
    """Its call was trimmed away; a lone functionResponse would be refused."""
    orphan = result("sunny in Zürich", "9", name="weather", parts=[picture("FFFF")])

    assert arrange([user(orphan, picture("EEEE", call_id="9"), "thanks")], model=GEMINI_3) == [
        user(
            'Result of an earlier call of the tool weather: {"output": "sunny in Zürich"}',
            picture("FFFF"),
            picture("EEEE"),
            "thanks",
        )
    ]


def test_pictures_of_results_come_after_all_results():
    """Also with a late result; in call order; before what the user says."""
    contents = [
        user("a"),
        model(call("f", "1"), call("g", "2")),
        user("see", result("2", "2"), picture("BBBB", call_id="2")),
        model("one"),
        user(picture("AAAA", call_id="1"), result("1", "1"), "end"),
    ]

    assert arrange(contents, model=GEMINI_2)[2:] == [
        user(sent("1", "f"), sent("2", "g"), picture("AAAA"), picture("BBBB"), "see"),
        model("one"),
        user("end"),
    ]


def test_a_result_on_the_models_side_is_moved():
    """Some frameworks keep the results in the assistant's message."""
    contents = [user("a"), model(call("f", "1")), model("so", result("x", "1", name="other"))]

    assert arrange(contents, model=GEMINI_2) == [user("a"), model(call("f"), "so"), user(sent("x"))]


SERVER_PAIR = [
    {"functionCall": {"name": "mcp", "args": {}}},
    {"functionResponse": {"name": "mcp", "response": {"output": "1"}}},
]


@pytest.mark.parametrize("model_name", [GEMINI_2, GEMINI_3])
def test_what_the_server_called_and_answered_itself_stays_in_place(model_name):
    """A pair inside one model content is not the client's; toolCall and toolResponse neither."""
    echoed = [{"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB"}}, {"toolResponse": {"id": "t"}}]
    contents = [user("a"), model("let me see", *SERVER_PAIR, *echoed, "it is 1"), user("b")]

    assert arrange(contents, model=model_name) == contents


def test_a_call_beside_a_server_pair_is_the_clients():
    """Also of the same name: the answer belongs to the nearest call before it."""
    contents = [user("a"), model(call("mcp", "1"), *SERVER_PAIR), user(result("mine", "1"))]

    assert arrange(contents, model=GEMINI_2)[1:] == [model(call("mcp"), *SERVER_PAIR), user(sent("mine", "mcp"))]


# Wrong types


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "contents must be a list of contents, not NoneType"),
        (5, "contents must be a list of contents, not int"),
        ("hello", "contents[0] must be an object with role and parts, not str"),
        ([None], "contents[0] must be an object with role and parts, not NoneType"),
        ([user("a"), {"role": "model", "parts": "hello"}], "contents[1].parts must be a list of parts, not str"),
        ([{"role": "user", "parts": 5}], "contents[0].parts must be a list of parts, not int"),
        ([{"role": "user", "parts": ["hello"]}], "contents[0].parts[0] must be an object, not str"),
        ([{"role": "user", "parts": [None]}], "contents[0].parts[0] must be an object, not NoneType"),
        (
            [{"role": "model", "parts": [{"functionCall": "f"}]}],
            "contents[0].parts[0].functionCall must be an object, not str",
        ),
        (
            [user("a"), model(call("f", "1")), {"role": "user", "parts": [{"functionResponse": 1, "call_id": "1"}]}],
            "contents[2].parts[0].functionResponse must be an object, not int",
        ),
        ([{"role": [], "parts": []}], "contents holds a role, an id or a name that is not text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_type_is_a_named_error(contents, message):
    """The error says which content, part or call is no object, and what it is."""
    with pytest.raises(UnsupportedContentError) as caught:
        arrange(contents, model=GEMINI_3)

    assert str(caught.value) == message


def test_a_model_that_is_no_text_is_a_named_error():
    """The model decides about signatures, so it must be a name."""
    with pytest.raises(ConfigurationError, match="model must be a name"):
        arrange([user("a")], model=None)


def test_contents_may_come_from_a_generator():
    """Any iterable of contents will do."""
    assert arrange(iter([user("a")]), model=GEMINI_3) == [user("a")]


# Signatures


def test_real_signatures_stay_on_their_own_parts():
    """Byte-identical, whatever the alphabet, also when results move."""
    contents = [
        user("a"),
        model(
            {"text": "hm", "thought": True, "thoughtSignature": "abc_-/+="},
            call("f", "1", signature="é\u2028"),
            call("g", "2"),
        ),
        user(result("2", "2"), result("1", "1")),
    ]

    assert arrange(contents, model=GEMINI_3)[1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "abc_-/+="},
        call("f", signature="é\u2028"),
        call("g"),
    ]


def test_the_current_turns_unsigned_calls_get_the_sentinel():
    """The first of each step; earlier turns and parallel calls do not (Thought signatures, FAQ)."""
    contents = [
        user("a"),
        model(call("f", "1")),
        user(result("x", "1")),
        model("done"),
        user("b"),
        model("first", call("f", "2"), call("g", "3")),
        user(result("x", "2"), result("y", "3")),
        model(call("h", "4", signature="REAL")),
        user(result("z", "4")),
        model(call("f", "5")),
        user(result("u", "5")),
    ]

    steps = [content["parts"] for content in arrange(contents, model=GEMINI_3) if content["role"] == "model"]

    signatures = [[part.get("thoughtSignature") for part in parts if "functionCall" in part] for parts in steps]
    assert signatures == [[None], [], [SENTINEL, None], ["REAL"], [SENTINEL]]


def test_a_word_beside_a_result_does_not_end_the_turn():
    """A sentinel too many is ignored, one too few is refused."""
    contents = [user("a"), model(call("f", "1")), user("never mind"), model(call("g", "2"))]

    arranged = arrange(contents, model=GEMINI_3)

    assert arranged[1] == model(call("f", signature=SENTINEL))


def test_a_signature_of_text_does_not_cover_the_call_behind_it():
    """Gemini 3 looks at the call's own part."""
    contents = [user("a"), model({"text": "b", "thoughtSignature": "S"}, call("f", "1"))]

    assert arrange(contents, model=GEMINI_3)[1]["parts"][1] == call("f", signature=SENTINEL)


def test_the_servers_own_calls_get_no_sentinel():
    """They are not the client's to sign."""
    contents = [user("a"), model(*SERVER_PAIR, call("f", "1"))]

    assert arrange(contents, model=GEMINI_3)[1] == model(*SERVER_PAIR, call("f", signature=SENTINEL))


@pytest.mark.parametrize("model_name", [GEMINI_2, FOREIGN])
def test_nothing_is_injected_for_other_models(model_name):
    """Gemini 2.5 never checks, other providers do not know the word."""
    contents = [user("a"), model(call("f", "1")), user(result("x", "1"))]

    assert SENTINEL not in json.dumps(arrange(contents, model=model_name))


# Pictures of image models


def test_an_unsigned_picture_goes_to_the_user():
    """3.x image models refuse it as the model's (vercel/ai#12911); texts and signed pictures stay."""
    signed = picture("BBBB", thoughtSignature="S")
    contents = [user("draw"), model("here", picture("AAAA"), signed), user("blue, please")]

    assert arrange(contents, model=IMAGES_3) == [
        user("draw"),
        model({"text": "here", "thoughtSignature": SENTINEL}, signed),
        user(picture("AAAA"), "blue, please"),
    ]


def test_a_picture_alone_joins_its_neighbours():
    """Without it the model's turn is empty."""
    contents = [user("draw"), model(picture()), user("blue, please")]

    assert arrange(contents, model=IMAGES_3) == [user("draw", picture(), "blue, please")]


@pytest.mark.parametrize("model_name", [GEMINI_2, GEMINI_3, "gemini-2.5-flash-image", FOREIGN])
def test_other_models_keep_their_pictures(model_name):
    """Only 3.x image models check."""
    contents = [user("draw"), model("here", picture()), user("blue, please")]

    assert arrange(contents, model=model_name) == contents


def test_a_picture_signed_by_the_last_part_stays():
    """The empty signed part of the stream belongs to it."""
    contents = [user("draw"), model(picture(), {"text": "", "thoughtSignature": "S"}), user("blue")]

    assert arrange(contents, model=IMAGES_3)[1] == model(picture(thoughtSignature="S"))


# Text of image models


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (["Hello!"], [{"text": "Hello!", "thoughtSignature": SENTINEL}]),
        ([{"text": "he", "thoughtSignature": "S"}, "re"], [{"text": "he", "thoughtSignature": "S"}, "re"]),
        (["he", {"text": "re", "thoughtSignature": "S"}], ["he", {"text": "re", "thoughtSignature": "S"}]),
        ([{"text": "hm", "thought": True}], [{"text": "hm", "thought": True}]),
        (
            [{"text": "a", "thoughtSignature": "S"}, picture(thoughtSignature="T"), "edited"],
            [
                {"text": "a", "thoughtSignature": "S"},
                picture(thoughtSignature="T"),
                {"text": "edited", "thoughtSignature": SENTINEL},
            ],
        ),
    ],
    ids=["typed in", "streamed, first piece signed", "streamed, last piece signed", "a thought", "behind a picture"],
)
def test_image_models_get_no_unsigned_text(said, sent):
    """3.x image models answer 400 to text of the model without a signature (googleapis/js-genai#1116)."""
    assert arrange([user("a"), model(*said), user("b")], model=IMAGES_3)[1] == model(*sent)


@pytest.mark.parametrize("model_name", [GEMINI_2, GEMINI_3, "gemini-2.5-flash-image", FOREIGN])
def test_other_models_keep_their_text_unsigned(model_name):
    """A sentinel would be noise to them."""
    contents = [user("a"), model("Hello!"), user("b")]

    assert arrange(contents, model=model_name) == contents


def test_a_part_that_is_nothing_but_a_signature_signs_the_thought_before_it():
    """Relays of Claude send the signature of a thought in a part of its own (CLIProxyAPI)."""
    thought = {"text": "hm", "thought": True}
    contents = [user("a"), model(thought, {"thought": True, "thoughtSignature": "S"}, "b"), user("c")]

    assert arrange(contents, model=FOREIGN)[1] == model({**thought, "thoughtSignature": "S"}, "b")


# The retry after refused signatures


def test_refused_signatures_of_an_image_models_text_become_sentinels():
    """Unsigned, the text would be refused again."""
    contents = [user("draw"), model({"text": "here", "thoughtSignature": "S"}, "!"), user("blue")]

    retried = with_sentinels(contents, model=IMAGES_3)

    assert [part["thoughtSignature"] for part in retried[1]["parts"]] == [SENTINEL, SENTINEL]


def test_refused_signatures_of_pictures_beside_calls():
    """The results still come first."""
    contents = [user("a"), model(picture(thoughtSignature="S"), call("f", signature="T")), user(sent(), "b")]

    assert with_sentinels(contents)[1:] == [model(call("f", signature=SENTINEL)), user(sent(), picture(), "b")]


def test_refused_signatures_are_replaced():
    """Calls of the current turn carry the sentinel, everything else goes unsigned; texts and order stay."""
    contents = [
        user("a"),
        model({"text": "b", "thoughtSignature": "1"}, call("f", signature="2")),
        user(sent()),
        model({"text": "done", "thoughtSignature": "3"}),
        user("c"),
        model({"text": "hm", "thoughtSignature": "4"}, call("f", signature="5"), call("g")),
        user(sent(), sent(name="g")),
    ]
    before = copy.deepcopy(contents)

    assert with_sentinels(contents) == [
        user("a"),
        model("b", call("f")),
        user(sent()),
        model("done"),
        user("c"),
        model("hm", call("f", signature=SENTINEL), call("g")),
        user(sent(), sent(name="g")),
    ]
    assert contents == before


def test_refused_signatures_of_pictures():
    """The pictures go to the user's side, where they need none."""
    contents = [user("draw"), model("here", picture(thoughtSignature="S")), user("blue")]

    assert with_sentinels(contents) == [user("draw"), model("here"), user(picture(), "blue")]


def test_a_signature_of_nothing_disappears():
    """An empty text without its signature is no part."""
    contents = [user("a"), model("b", {"text": "", "thoughtSignature": "S"}), user("c")]

    assert with_sentinels(contents)[1] == model("b")


@pytest.mark.parametrize("model_name", MODELS)
def test_without_signatures_another_try_is_the_same(model_name):
    """The caller sees that there is nothing to retry."""
    arranged = arrange([user("a"), model("b", picture(), call("f", "1")), user(result("x", "1"))], model=model_name)

    assert with_sentinels(arranged) == arranged


# Every history

ids = st.sampled_from(["1", "2", "3", None])
names = st.sampled_from(["f", "g"])
words = st.sampled_from(["", "a", "b", "ü"])
signatures = st.sampled_from([None, None, "S1", "S_-/+="])
texts = st.builds(
    lambda text, signature, thought: (
        {"text": text} | ({"thoughtSignature": signature} if signature else {}) | ({"thought": True} if thought else {})
    ),
    words,
    signatures,
    st.booleans(),
)
pictures = st.builds(lambda data, sig: picture(data) | ({"thoughtSignature": sig} if sig else {}), words, signatures)
calls = st.builds(
    lambda name, call_id, signature, server: call(
        name, call_id, signature=signature, server_id=server and call_id, q=1
    ),
    names,
    ids,
    signatures,
    st.booleans(),
)
results = st.builds(
    lambda said, call_id, name: result(said, call_id, name=name), words, ids, st.one_of(st.none(), names)
)
shown = st.builds(lambda data, call_id: picture(data) | ({"call_id": call_id} if call_id else {}), words, ids)
served = st.builds(
    lambda name: [{"functionCall": {"name": name}}, {"functionResponse": {"name": name, "response": {"output": "s"}}}],
    names,
)
echoes = st.just({"toolCall": {"id": "t"}})
model_parts = st.lists(st.one_of(texts, pictures, calls, calls, echoes), max_size=4)
user_parts = st.lists(st.one_of(words.map(lambda text: {"text": text}), shown, results, results), max_size=4)
histories = st.lists(
    st.one_of(
        st.builds(lambda parts, pair: model(*parts, *pair), model_parts, st.one_of(st.just([]), served)),
        user_parts.map(lambda parts: user(*parts)),
        user_parts.map(lambda parts: user(*parts)),
    ),
    max_size=8,
)
any_model = st.sampled_from(MODELS)


def every_part(contents: list[dict]) -> list[dict]:
    return [part for content in contents for part in content["parts"]]


def payloads(contents: list[dict]) -> Counter:
    """What was said, shown, called and answered, wherever it stands."""
    found = Counter()
    for part in every_part(contents):
        if "functionResponse" in part:
            found["result", json.dumps(part["functionResponse"]["response"])] += 1
        elif part.get("text", "").startswith("Result of an earlier call"):
            found["result", json.dumps(json.loads(part["text"].partition(": ")[2]))] += 1
        else:
            kept = {key: value for key, value in part.items() if key not in {"call_id", "thoughtSignature"}}
            found["part", json.dumps(kept)] += kept.get("text") != ""
    return +found


def client_calls(parts: list[dict]) -> list[dict]:
    """The calls of a model content that the server did not answer itself."""
    open_calls = []
    for part in parts:
        if "functionCall" in part:
            open_calls.append(part["functionCall"])
        elif "functionResponse" in part:
            at = max(at for at, one in enumerate(open_calls) if one["name"] == part["functionResponse"]["name"])
            del open_calls[at]
    return open_calls


@given(histories, any_model)
def test_nothing_is_lost(contents, model_name):
    """Every text, picture, call and result goes out, once; what is added is one of three known phrases."""
    before, after = payloads(contents), payloads(arrange(contents, model=model_name))

    assert not before - after
    added = after - before
    assert set(added) <= {
        ("result", '{"error": "not executed"}'),
        ("part", json.dumps(OPENING["parts"][0])),
        ("part", json.dumps(PROMPT["parts"][0])),
    }


@given(histories, any_model)
def test_every_arrangement_is_legal(contents, model_name):
    """Roles alternate, the user begins, and calls are followed at once by their results, in order, first."""
    arranged = arrange(contents, model=model_name)

    assert [content["role"] for content in arranged] == ["user", "model"] * (len(arranged) // 2) + ["user"] * (
        len(arranged) % 2
    )
    assert all(content["parts"] for content in arranged)
    for at, content in enumerate(arranged):
        if content["role"] == "user":
            asked = client_calls(arranged[at - 1]["parts"]) if at else []
            answers = [part["functionResponse"] for part in content["parts"][: len(asked)]]
            assert [(one["name"], one.get("id")) for one in asked] == [(one["name"], one.get("id")) for one in answers]
            assert not any("functionResponse" in part for part in content["parts"][len(asked) :])
        elif client_calls(content["parts"]):
            assert at + 1 < len(arranged)
    assert not any("call_id" in part for part in every_part(arranged))


@given(histories, any_model)
def test_arranging_twice_changes_nothing_more(contents, model_name):
    """What was arranged is accepted as it is."""
    arranged = arrange(contents, model=model_name)

    assert arrange(arranged, model=model_name) == arranged


@given(histories, any_model)
def test_arguments_are_left_alone(contents, model_name):
    """Cached parts may be shared between conversations, also with the retry."""
    before = copy.deepcopy(contents)

    arranged = arrange(contents, model=model_name)
    kept = copy.deepcopy(arranged)
    with_sentinels(arranged)

    assert contents == before
    assert arranged == kept


def test_an_empty_turn_between_neighbours_leaves_the_arguments_alone():
    """The user's turns are joined in a list of their own."""
    first, second = user("one"), user("two")

    assert arrange([first, model(""), second], model=GEMINI_2) == [user("one", "two")]
    assert first == user("one")


@given(histories, any_model)
def test_the_short_way_is_the_long_way(contents, model_name):
    """A dialogue that is in order is not taken apart; the result is the same as if it were."""
    accepts = capabilities(model_name)

    assert arrange(contents, model=model_name) == _arrange_anything(contents, model_name, accepts)


@given(st.lists(st.text(min_size=1), min_size=1), any_model)
def test_a_plain_dialogue_goes_the_short_way(texts, model_name):
    """Texts of user and model in turn: what they say is not touched, and the general way would give the same."""
    contents = [{"role": ("user", "model")[at % 2], "parts": [{"text": text}]} for at, text in enumerate(texts)]
    accepts = capabilities(model_name)
    ends_well = len(texts) % 2 == 1 or accepts.prefill

    assert (_keep_if_in_order(contents, accepts) is not None) == ends_well
    assert arrange(contents, model=model_name) == _arrange_anything(contents, model_name, accepts)


@given(histories)
def test_results_in_order_are_what_the_long_way_finds(contents):
    """Histories whose results stand where they belong are only looked through once."""
    turns = _merge_neighbours(
        ("model" if content["role"] in ("model", "assistant") else "user", content["parts"]) for content in contents
    )
    in_order = _keep_order_if_valid(turns)

    if in_order is not None:
        assert _merge_neighbours(in_order) == _merge_neighbours(_results_behind_calls(turns))


def test_an_agents_history_is_in_order():
    """Calls, then their results in the same order, then more."""
    turns = [
        ("user", [{"text": "go"}]),
        ("model", [call(call_id="1"), call("g", call_id="2")]),
        ("user", [result("a", call_id="1"), result("b", call_id="2"), {"text": "and?"}]),
        ("model", [{"text": "done"}]),
    ]

    in_order = _keep_order_if_valid(turns)

    assert in_order == _merge_neighbours(_results_behind_calls(turns))
    assert in_order[2][1] == [sent("a"), sent("b", name="g"), {"text": "and?"}]


@given(histories, any_model)
def test_signatures_stay_with_their_parts(contents, model_name):
    """None is lost, changed or moved to another payload; one may join the unsigned text or picture before it."""

    def signed(parts: list[dict]) -> Counter:
        return Counter(part["thoughtSignature"] for part in parts if part.get("thoughtSignature", SENTINEL) != SENTINEL)

    def on_calls(parts: list[dict]) -> Counter:
        return Counter(
            (json.dumps(part["functionCall"]), signature)
            for part in parts
            if "functionCall" in part and (signature := part.get("thoughtSignature", SENTINEL)) != SENTINEL
        )

    parts, arranged = every_part(contents), every_part(arrange(contents, model=model_name))

    assert signed(parts) == signed(arranged)
    assert on_calls(parts) == on_calls(arranged)


@given(histories)
def test_the_retry_is_legal_and_unsigned(contents):
    """After it no signature of the server is left, and nothing else is lost."""
    arranged = arrange(contents, model=GEMINI_3)

    retried = with_sentinels(arranged)

    assert all(part.get("thoughtSignature", SENTINEL) == SENTINEL for part in every_part(retried))
    assert payloads(retried) == payloads(arranged)
    assert arrange(retried, model=NO_PREFILL)[: len(retried)] == retried


def test_the_retry_vouches_for_calls_that_became_current():
    """Pictures that move to the user's side can make an earlier call one of the current turn."""
    picture = {"inlineData": {"mimeType": "image/png", "data": ""}}
    contents = [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "call_id": "1"}]},
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [picture]},
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{**picture, "thoughtSignature": "S1"}]},
    ]

    retried = with_sentinels(arrange(contents, model=GEMINI_3))

    (call,) = [part for content in retried for part in content["parts"] if "functionCall" in part]
    assert call["thoughtSignature"] == SENTINEL


# Recorded conversations


def _recorded_conversations() -> list[list[dict]]:
    """Every recorded conversation, with the answer as its last turn, in the wire's spelling."""
    conversations = []
    for record in answers():
        request = record["request"] if isinstance(record["request"], dict) else {}
        contents = request.get("contents")
        if not isinstance(contents, list) or not all(isinstance(content, dict) for content in contents):
            continue
        said = [content for chunk in chunks_of(record) for content in _contents(chunk)]
        whole = GenerateContentRequest.model_validate({"contents": [*contents, *said]})
        conversations.append(whole.model_dump(exclude_none=True)["contents"])
    return conversations


def _contents(chunk: dict) -> list[dict]:
    candidates = chunk.get("candidates") or []
    return [
        {"role": "model", "parts": content["parts"]}
        for one in candidates[:1]
        if (content := one.get("content")) and content.get("parts")
    ]


def _with_ids(contents: list[dict]) -> list[dict]:
    """Return *contents* as an adapter hands them over: calls and results named by the framework's ids, in order."""
    waiting: list[str] = []
    named = []
    for number, content in enumerate(contents):
        parts = []
        for at, part in enumerate(content["parts"]):
            if "functionCall" in part:
                waiting.append(f"call-{number}-{at}")
                part = {**part, "call_id": waiting[-1]}
            elif "functionResponse" in part and waiting:
                part = {**part, "call_id": waiting.pop(0)}
            parts.append(part)
        named.append({**content, "parts": parts})
    return named


@pytest.mark.skipif(not recordings(), reason=ABSENT)
@pytest.mark.parametrize("name", [lambda contents: contents, _with_ids], ids=["as recorded", "with a framework's ids"])
def test_recorded_conversations_are_arranged_alike_on_both_ways(name):
    """The way for histories in order finds what the general way finds, in every recorded conversation."""
    in_order = 0
    for contents in map(name, _recorded_conversations()):
        turns = _merge_neighbours(("model" if one.get("role") == "model" else "user", one["parts"]) for one in contents)
        fast = _keep_order_if_valid(turns)
        if fast is not None:
            in_order += 1
            assert _merge_neighbours(fast) == _merge_neighbours(_results_behind_calls(turns))

    assert in_order > 300


@pytest.mark.skipif(not recordings(), reason=ABSENT)
@pytest.mark.parametrize("model_name", MODELS)
def test_recorded_conversations_are_sent_as_they_are_arranged(model_name):
    """Arranging is done once, and encoding changes nothing in what real traffic holds."""
    for contents in _recorded_conversations():
        arranged = arrange(contents, model=model_name)

        assert arrange(arranged, model=model_name) == arranged
        assert json.loads(bytes(encode({"contents": arranged}))) == json.loads(json.dumps({"contents": arranged}))
