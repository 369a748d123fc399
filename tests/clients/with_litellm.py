"""LiteLLM's SDK: completion with its gemini provider, streams, tools, schemas, pictures, errors."""

from __future__ import annotations

import base64
import json

import litellm
from checks import BASE_URL, DUMMY, HEADERS, MODELS, OSLO, PAINTER, WEATHER, fails, get_weather, run, size_of
from pydantic import BaseModel

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": get_weather.__doc__,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Place(BaseModel):
    """A place."""

    city: str
    country: str


def ask(messages: list | str, model: str = MODELS[0], headers: dict[str, str] = HEADERS, **options: object) -> object:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return litellm.completion(
        model=f"gemini/{model}",
        messages=messages,
        api_base=f"{BASE_URL}/v1beta",
        api_key=DUMMY,
        extra_headers=headers,
        num_retries=0,
        **options,
    )


def chat() -> None:
    for model in MODELS:
        answer = ask(OSLO, model)
        assert answer.choices[0].message.content == "Oslo is the capital of Norway."
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.total_tokens > 0


def stream() -> None:
    for model in MODELS:
        chunks = list(ask(OSLO, model, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Oslo is the capital of Norway."
        assert len(chunks) >= 2


def tools() -> None:
    for model in MODELS:
        messages = [{"role": "user", "content": WEATHER}]
        first = ask(messages, model, tools=[TOOL]).choices[0].message
        (call,) = first.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        result = get_weather(**json.loads(call.function.arguments))
        messages += [first.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": result}]
        assert "21 degrees in Paris" in ask(messages, model, tools=[TOOL]).choices[0].message.content


def schema() -> None:
    answer = ask("city: Oslo, country: Norway", response_format=Place)
    assert Place.model_validate_json(answer.choices[0].message.content) == Place(city="Oslo", country="Norway")


def pictures(answer: object) -> list[bytes]:
    urls = [image["image_url"]["url"] for image in answer.choices[0].message.images or []]
    return [base64.b64decode(url.partition(",")[2], validate=True) for url in urls]


def picture() -> None:
    (data,) = pictures(ask("a neon fox, cinematic", PAINTER, modalities=["image", "text"]))
    assert size_of(data) == (1024, 1024)


def edit() -> None:
    (data,) = pictures(ask("a fox", PAINTER, modalities=["image", "text"]))
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    content = [{"type": "text", "text": "now in blue"}, {"type": "image_url", "image_url": {"url": url}}]
    (changed,) = pictures(ask([{"role": "user", "content": content}], PAINTER, modalities=["image", "text"]))
    assert changed != data


def errors() -> None:
    fails(lambda: ask("hi", headers={"Authorization": "Bearer wrong"}), "AuthenticationError")
    fails(lambda: ask("hi", "no-such-model"), "NotFoundError")


run({check.__name__: check for check in (chat, stream, tools, schema, picture, edit, errors)})
