"""The exercises through LangChain, for any chat model; and `Floor`, a chat model that answers from memory.

What Floor costs is LangChain's own: no adapter can be cheaper.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import workload
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from workload import PROMPT, Person


class Exercises:
    """What a user of LangChain does. `model` makes the chat model for a scenario."""

    def __init__(self, model: Callable[[str], Any]) -> None:
        self._model = model

    def text(self) -> Callable[[], str]:
        model = self._model("text")
        return lambda: model.invoke(PROMPT).text

    def a_text(self, scenario: str = "text") -> Callable[[], Any]:
        model = self._model(scenario)

        async def ask() -> str:
            return str((await model.ainvoke(PROMPT)).text)

        return ask

    def tools(self) -> Callable[[], str]:
        model = self._model("tool").bind_tools(workload.tool_schemas())
        return lambda: model.invoke(PROMPT).tool_calls[0]["name"]

    def history(self, messages: int = 201, tools: bool = True) -> Callable[[], str]:
        model, turns = self._model("text"), conversation(messages)
        if tools:
            model = model.bind_tools(workload.tool_schemas())
        return lambda: model.invoke(turns).text

    def structured(self) -> Callable[[], Person]:
        model = self._model("person").with_structured_output(Person)
        return lambda: model.invoke(PROMPT)

    def picture_out(self, megabytes: float = 4) -> Callable[[], bytes]:
        model = self._model(f"picture-{megabytes}")
        return lambda: picture_of(model.invoke(PROMPT))

    def picture_received(self, megabytes: float = 4) -> Callable[[], Any]:
        """As `picture_out`, without the user's decoding."""
        model = self._model(f"picture-{megabytes}")
        return lambda: model.invoke(PROMPT)

    def picture_in(self, megabytes: float = 4) -> Callable[[], str]:
        model, png = self._model("text"), workload.picture(megabytes)

        def ask() -> str:
            data = base64.b64encode(png).decode()
            picture = {"type": "image", "base64": data, "mime_type": "image/png"}
            return str(model.invoke([HumanMessage([{"type": "text", "text": PROMPT}, picture])]).text)

        return ask

    def stream(self, scenario: str = "chunks-1000") -> Callable[[], Iterator[str]]:
        model = self._model(scenario)
        return lambda: (chunk.text for chunk in model.stream(PROMPT))

    def a_stream(self, scenario: str = "chunks-1000") -> Callable[[], AsyncIterator[str]]:
        model = self._model(scenario)

        async def ask() -> AsyncIterator[str]:
            async for chunk in model.astream(PROMPT):
                yield chunk.text

        return ask


def conversation(messages: int) -> list[BaseMessage]:
    """Return the conversation of the workload as LangChain's messages."""
    written: list[BaseMessage] = []
    for kind, text in workload.turns(messages):
        if kind == "user":
            written.append(HumanMessage(text))
        elif kind == "model":
            written.append(AIMessage(text))
        elif kind == "call":
            call = {"name": workload.CALL_NAME, "args": workload.CALL_ARGUMENTS, "id": text, "type": "tool_call"}
            written.append(AIMessage("", tool_calls=[call]))
        else:
            written.append(ToolMessage(workload.CALL_RESULT, tool_call_id=text, name=workload.CALL_NAME))
    return written


def picture_of(message: Any) -> bytes:
    """Return the picture of a message, in either of the shapes that LangChain has had for it."""
    for block in message.content:
        if block["type"] == "image_url":
            return base64.b64decode(block["image_url"]["url"].partition(",")[2])
        if block["type"] == "image":
            return base64.b64decode(block["base64"])
    raise AssertionError("the answer holds no picture")


class Floor(BaseChatModel):
    """Answers from memory."""

    scenario: str

    @property
    def _llm_type(self) -> str:
        return "floor"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **options)

    def with_structured_output(self, schema: Any, **options: Any) -> Any:
        return self.bind(schema=schema.model_json_schema()) | PydanticOutputParser(pydantic_object=schema)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(**self._answer(), **_metadata(50)))])

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(**self._answer(), **_metadata(50)))])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks():
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks():
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _answer(self) -> dict[str, Any]:
        kind, _, size = self.scenario.partition("-")
        if kind == "tool":
            call = {"name": workload.CALL_NAME, "args": workload.CALL_ARGUMENTS, "id": "call-0", "type": "tool_call"}
            return {"content": "", "tool_calls": [call]}
        if kind == "picture":
            data = base64.b64encode(workload.picture(float(size))).decode()
            return {"content": [{"type": "image", "base64": data, "mime_type": "image/png"}]}
        return {"content": json.dumps(workload.PERSON) if kind == "person" else workload.TEXT}

    def _chunks(self) -> Iterator[ChatGenerationChunk]:
        count = int(self.scenario.partition("-")[2])
        for number in range(count):
            last = {**_metadata(count), "chunk_position": "last"} if number == count - 1 else {}
            yield ChatGenerationChunk(message=AIMessageChunk(content=workload.WORD.format(number), **last))


def _metadata(tokens: int) -> dict[str, Any]:
    return {
        "usage_metadata": {"input_tokens": 12, "output_tokens": tokens, "total_tokens": 12 + tokens},
        "response_metadata": {"finish_reason": "STOP", "model_name": workload.MODEL, "model_provider": "floor"},
    }
