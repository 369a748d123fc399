"""Which functions the emulator calls, with which arguments, and when it stops."""

from __future__ import annotations

import json

import pytest

WEATHER = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}
ADD = {
    "name": "add",
    "description": "Add two numbers",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
MAIL = {
    "name": "send_email",
    "description": "Send an email",
    "parameters": {
        "type": "OBJECT",
        "properties": {"to": {"type": "STRING", "format": "email"}, "subject": {"type": "STRING"}},
        "required": ["to", "subject"],
    },
}
TIMES = {"name": "multiply", "description": "Multiply two numbers", "parametersJsonSchema": ADD["parametersJsonSchema"]}
NOTHING = {"name": "list_files", "description": "List all files"}
PLACE = {"name": "Place", "description": "Place(city: str)", "parameters": WEATHER["parameters"]}


def with_tools(text, *tools, mode=None, allowed=None, after=()):
    body = {
        "contents": [{"role": "user", "parts": [{"text": text}]}, *after],
        "tools": [{"functionDeclarations": list(tools)}],
    }
    if mode:
        calling = {"mode": mode, **({"allowedFunctionNames": allowed} if allowed else {})}
        body["toolConfig"] = {"functionCallingConfig": calling}
    return body


def calls(parts):
    return [(part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part]


def history(*steps):
    """Model calls and their results, as contents."""
    turns = []
    for name, args, result in steps:
        turns.append({"role": "model", "parts": [{"functionCall": {"name": name, "args": args}}]})
        turns.append({"role": "user", "parts": [{"functionResponse": {"name": name, "response": result}}]})
    return turns


@pytest.mark.parametrize("mode", [None, "AUTO", "VALIDATED", "ANY"])
def test_the_tool_the_prompt_asks_for_is_called_once(ask, mode):
    """With every required argument; in all modes but NONE."""
    body = with_tools("What is the weather in Paris? Use the get_weather tool.", ADD, WEATHER, mode=mode)

    assert calls(ask.parts(body)) == [("get_weather", {"city": "Paris"})]


def test_mode_none_is_text(ask):
    """However much the prompt begs."""
    [part] = ask.parts(with_tools("Use the get_weather tool for Paris", WEATHER, mode="NONE"))

    assert part["text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's the weather like in New York?", ("get_weather", {"city": "New York"})),
        ("How warm is the weather at Rio de Janeiro", ("get_weather", {"city": "Rio"})),
        ("Please call the add function with a=5 and b=-2", ("add", {"a": 5, "b": -2})),
        (
            "Send an email to ada@example.org with subject 'Lunch'",
            ("send_email", {"to": "ada@example.org", "subject": "Lunch"}),
        ),
        ("list files", ("list_files", {})),
        ("What is the weather in San Francisco, CA?", ("get_weather", {"city": "San Francisco"})),
        ("multiply 7 by 6", ("multiply", {"a": 7, "b": 6})),
    ],
)
def test_a_fitting_tool_is_called_with_values_of_the_prompt(ask, text, expected):
    """By name, or by the words of the name."""
    assert calls(ask.parts(with_tools(text, WEATHER, ADD, MAIL, NOTHING, TIMES))) == [expected]


@pytest.mark.parametrize(
    "text", ["Hello!", "Tell me a joke about cats.", "Who wrote Faust?", "Do not use the get_weather tool, just say hi"]
)
def test_no_tool_is_called_when_none_fits(ask, text):
    """Mode AUTO is no obligation."""
    assert calls(ask.parts(with_tools(text, WEATHER, ADD, MAIL))) == []


def test_any_always_calls_and_only_allowed_names(ask):
    """Even for a prompt that fits nothing."""
    assert len(calls(ask.parts(with_tools("Hello!", WEATHER, ADD, mode="ANY")))) == 1
    assert (
        calls(ask.parts(with_tools("What is the weather in Oslo?", WEATHER, ADD, mode="ANY", allowed=["add"])))[0][0]
        == "add"
    )


def test_no_call_is_repeated_for_one_text(ask):
    """Mode ANY too answers with text once every allowed function was called, so that no loop runs for ever."""
    done = history(("get_weather", {"city": "Paris"}, {"result": "sunny"}))

    for mode in ("AUTO", "ANY"):
        assert "sunny" in ask.text(with_tools("Use get_weather for Paris", WEATHER, mode=mode, after=done))


def test_any_prefers_what_was_not_called_yet(ask):
    """So that loops over `create_agent(response_format=...)` end."""
    done = history(("get_weather", {"city": "Paris"}, {"result": "sunny"}))
    body = with_tools("What is the weather in Paris?", WEATHER, PLACE, mode="ANY", after=done)

    assert calls(ask.parts(body)) == [("Place", {"city": "Paris"})]


def test_after_a_result_comes_text_with_its_value(ask):
    """Whatever the shape the client wraps the value in."""
    for result in (
        {"result": "sunny, 21"},
        {"output": "sunny, 21"},
        {"return_value": "sunny, 21"},
        {"name": "get_weather", "content": "sunny, 21"},
    ):
        body = with_tools(
            "What is the weather in Paris? Use the get_weather tool.",
            WEATHER,
            after=history(("get_weather", {"city": "Paris"}, result)),
        )
        [part] = ask.parts(body)
        assert "sunny, 21" in part["text"]


def test_the_next_question_may_call_again(ask, say):
    """What was called counts since the newest user text only."""
    turns = [
        *history(("get_weather", {"city": "Paris"}, {"result": "sunny"})),
        say("It is sunny.", role="model"),
        say("And the weather in Rome?"),
    ]

    assert calls(ask.parts(with_tools("What is the weather in Paris?", WEATHER, after=turns))) == [
        ("get_weather", {"city": "Rome"})
    ]


def test_several_named_tools_are_called_in_parallel(ask):
    """In the order of the prompt, each with its own values."""
    body = with_tools("Use get_weather for Paris and use add with a=1 and b=2.", ADD, WEATHER)
    pairs = with_tools("Use get_weather for city: Paris and add for a: 1, b: 2", ADD, WEATHER)

    expected = [("get_weather", {"city": "Paris"}), ("add", {"a": 1, "b": 2})]
    assert calls(ask.parts(body)) == calls(ask.parts(pairs)) == expected


def test_named_steps_are_called_one_after_the_other(ask):
    """`then` makes two steps; after the last there is text."""
    text = "Use get_weather for Paris, then use send_email to tell bob@example.org."
    first = calls(ask.parts(with_tools(text, WEATHER, MAIL)))
    done = history(("get_weather", {"city": "Paris"}, {"result": "sunny"}))
    second = calls(ask.parts(with_tools(text, WEATHER, MAIL, after=done)))
    done += history(("send_email", {"to": "bob@example.org"}, {"result": "sent"}))

    assert [name for name, _ in first] == ["get_weather"]
    assert [name for name, _ in second] == ["send_email"]
    assert second[0][1]["to"] == "bob@example.org"
    assert "sent" in ask.text(with_tools(text, WEATHER, MAIL, after=done))


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("What is the value of magic_function(3)? Use the tool.", {"type": "OBJECT", "properties": {"input": {"type": "INTEGER"}}, "required": ["input"]}, {"input": 3}),
        ("Using the tool, generate a Pirate greeting.", {"type": "OBJECT", "properties": {"answer_style": {"type": "STRING"}}, "required": ["answer_style"]}, {"answer_style": "Pirate"}),
        ("Save the customer named '你好啊集团'", {"type": "object", "properties": {"customer_name": {"type": "string"}}, "required": ["customer_name"]}, {"customer_name": "你好啊集团"}),
        ("Go", {"type": "object", "properties": {"unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 2}}, "required": ["unit", "days"]}, {"unit": "C", "days": 2}),
        ("Draw a red fox in the snow", {"type": "object", "properties": {"prompt": {"type": "string"}, "aspect_ratio": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}, "required": ["prompt"]}, {"prompt": "Draw a red fox in the snow"}),
    ],
    ids=["parentheses", "style", "unicode", "constraints", "prompt"],
)  # fmt: skip
def test_arguments_fit_the_schema(ask, text, schema, expected):
    """In both dialects."""
    field = "parameters" if schema["type"].isupper() else "parametersJsonSchema"

    assert calls(ask.parts(with_tools(text, {"name": "the_tool", field: schema}, mode="ANY"))) == [
        ("the_tool", expected)
    ]


def test_snake_case_declarations_keep_their_schema(ask):
    """As google-genai and LiteLLM send them."""
    body = {
        "contents": [{"parts": [{"text": "add 3 and 4 with the add tool"}]}],
        "tools": [{"function_declarations": [{"name": "add", "parameters_json_schema": ADD["parametersJsonSchema"]}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["add"]}},
    }

    assert calls(ask.parts(body)) == [("add", {"a": 3, "b": 4})]


def test_thoughts_come_before_a_call(ask):
    """And the stream has them in an event of their own."""
    body = with_tools("What is the weather in Paris?", WEATHER) | {
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}}
    }

    assert [("thought" in part, "functionCall" in part) for part in ask.parts(body)] == [(True, False), (False, True)]
    assert len(ask.stream(body)) == 2


def test_pictures_in_tool_results_are_noticed(ask):
    """A medium next to or inside a function response is named."""
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    turns = history(("get_weather", {"city": "Paris"}, {"result": "see picture"}))
    turns[-1]["parts"].append(picture)

    assert "image/png" in ask.text(with_tools("Weather in Paris?", WEATHER, after=turns))
    turns[-1]["parts"] = [turns[-1]["parts"][0]]
    turns[-1]["parts"][0]["functionResponse"]["parts"] = [picture]
    assert "image/png" in ask.text(with_tools("Weather in Paris?", WEATHER, after=turns))


@pytest.mark.parametrize("text", ["Generate a poem about spring", "Write a letter"])
def test_a_verb_alone_is_no_reason_for_a_call(ask, text):
    """`generate a poem` is no case for generate_image."""
    tools = [{"name": name, "description": "x"} for name in ("generate_image", "write_file")]

    assert calls(ask.parts(with_tools(text, *tools))) == []


def test_structured_output_after_a_tool_uses_its_result(ask):
    """The final JSON of an agent holds what the tool found; before Gemini 3 its request may not declare tools."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
        "required": ["city", "degrees"],
    }
    body = with_tools(
        "What is the weather in Paris?",
        WEATHER,
        after=history(("get_weather", {"city": "Paris"}, {"result": "21 degrees"})),
    )
    body["generationConfig"] = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert "unsupported" in ask.refusal(body)["message"]

    del body["tools"]
    assert json.loads(ask.text(body)) == {"city": "Paris", "degrees": 21}
