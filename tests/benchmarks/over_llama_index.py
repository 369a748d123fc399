"""The exercises through LlamaIndex, for any LLM with tools; and `Floor`, an LLM that answers from memory.

What Floor costs is LlamaIndex's own: no adapter can be cheaper.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any

import workload
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ImageBlock,
    LLMMetadata,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from workload import PROMPT, Person


class Exercises:
    """What a user of LlamaIndex does. `model` makes the LLM for a scenario."""

    def __init__(self, model: Callable[[str], Any]) -> None:
        self._model = model
        self._messages = [ChatMessage(role="user", content=PROMPT)]

    def text(self) -> Callable[[], str | None]:
        model = self._model("text")
        return lambda: model.chat(self._messages).message.content

    def a_text(self, scenario: str = "text") -> Callable[[], Any]:
        model = self._model(scenario)

        async def ask() -> str | None:
            return (await model.achat(self._messages)).message.content

        return ask

    def tools(self) -> Callable[[], str]:
        model, tools = self._model("tool"), function_tools()

        def ask() -> str:
            response = model.chat_with_tools(tools, user_msg=PROMPT)
            return model.get_tool_calls_from_response(response)[0].tool_name

        return ask

    def history(self, messages: int = 201, tools: bool = True) -> Callable[[], str | None]:
        model, turns, functions = self._model("text"), conversation(messages), function_tools()
        if not tools:
            return lambda: model.chat(turns).message.content
        return lambda: model.chat_with_tools(functions, chat_history=list(turns)).message.content

    def structured(self) -> Callable[[], Person]:
        model, prompt = self._model("person"), PromptTemplate(PROMPT)
        return lambda: model.structured_predict(Person, prompt)

    def picture_out(self, megabytes: float = 4) -> Callable[[], bytes]:
        model = self._model(f"picture-{megabytes}")

        def ask() -> bytes:
            blocks = model.chat(self._messages).message.blocks
            return next(block for block in blocks if isinstance(block, ImageBlock)).resolve_image().read()

        return ask

    def picture_received(self, megabytes: float = 4) -> Callable[[], Any]:
        """As `picture_out`, without the user's decoding."""
        model = self._model(f"picture-{megabytes}")
        return lambda: model.chat(self._messages)

    def picture_in(self, megabytes: float = 4) -> Callable[[], str | None]:
        model, png = self._model("text"), workload.picture(megabytes)

        def ask() -> str | None:
            blocks = [TextBlock(text=PROMPT), ImageBlock(image=png, image_mimetype="image/png")]
            return model.chat([ChatMessage(role="user", blocks=blocks)]).message.content

        return ask

    def stream(self, scenario: str = "chunks-1000") -> Callable[[], Iterator[str]]:
        model = self._model(scenario)
        return lambda: (response.delta or "" for response in model.stream_chat(self._messages))

    def a_stream(self, scenario: str = "chunks-1000") -> Callable[[], AsyncIterator[str]]:
        model = self._model(scenario)

        async def ask() -> AsyncIterator[str]:
            async for response in await model.astream_chat(self._messages):
                yield response.delta or ""

        return ask


def function_tools() -> list[FunctionTool]:
    """Return the tools of the workload as LlamaIndex's."""
    return [
        FunctionTool.from_defaults(fn=lambda **given: "", name=each.__name__, description=each.__doc__, fn_schema=each)
        for each in workload.tool_schemas()
    ]


def conversation(messages: int) -> list[ChatMessage]:
    """Return the conversation of the workload as LlamaIndex's messages."""
    written: list[ChatMessage] = []
    for kind, text in workload.turns(messages):
        if kind == "call":
            call = {"tool_name": workload.CALL_NAME, "tool_kwargs": workload.CALL_ARGUMENTS}
            written.append(ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id=text, **call)]))
        elif kind == "result":
            names = {"tool_call_id": text, "name": workload.CALL_NAME}
            written.append(ChatMessage(role="tool", content=workload.CALL_RESULT, additional_kwargs=names))
        else:
            written.append(ChatMessage(role="user" if kind == "user" else "assistant", content=text))
    return written


class Floor(FunctionCallingLLM):
    """Answers from memory."""

    scenario: str

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name="floor")

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **options: Any
    ) -> dict[str, Any]:
        messages = list(chat_history or ())
        if user_msg is not None:
            messages.append(ChatMessage(role="user", content=user_msg))
        return {"messages": messages, "tools": [_declaration(tool.metadata.fn_schema) for tool in tools]}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **options: Any
    ) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [
            ToolSelection(tool_id=call.tool_call_id or "", tool_name=call.tool_name, tool_kwargs=dict(call.tool_kwargs))
            for call in calls
        ]

    def structured_predict(self, output_cls: Any, prompt: Any, llm_kwargs: Any = None, **prompt_args: Any) -> Any:
        messages = prompt.format_messages(**prompt_args)
        answer = self.chat(messages, schema=output_cls.model_json_schema())
        return output_cls.model_validate_json(answer.message.content)

    @llm_chat_callback()
    def chat(self, messages: Any, **options: Any) -> ChatResponse:
        return self._answer()

    @llm_chat_callback()
    async def achat(self, messages: Any, **options: Any) -> ChatResponse:
        return self._answer()

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **options: Any) -> Iterator[ChatResponse]:
        return self._chunks()

    @llm_chat_callback()
    async def astream_chat(self, messages: Any, **options: Any) -> AsyncIterator[ChatResponse]:
        async def chunks() -> AsyncIterator[ChatResponse]:
            for chunk in self._chunks():
                yield chunk

        return chunks()

    def complete(self, *_: Any, **__: Any) -> CompletionResponse:
        raise NotImplementedError

    stream_complete = acomplete = astream_complete = complete  # type: ignore[assignment]  # no exercise uses them

    def _answer(self) -> ChatResponse:
        kind, _, size = self.scenario.partition("-")
        if kind == "tool":
            call = {"tool_name": workload.CALL_NAME, "tool_kwargs": workload.CALL_ARGUMENTS}
            return _response(ToolCallBlock(tool_call_id="call-0", **call))
        if kind == "picture":
            data = base64.b64encode(workload.picture(float(size)))
            # Its validators would decode and encode the picture again.
            return _response(ImageBlock.model_construct(block_type="image", image=data, image_mimetype="image/png"))
        return _response(TextBlock(text=json.dumps(workload.PERSON) if kind == "person" else workload.TEXT))

    def _chunks(self) -> Iterator[ChatResponse]:
        text = ""
        for number in range(int(self.scenario.partition("-")[2])):
            delta = workload.WORD.format(number)
            text += delta
            yield _response(TextBlock(text=text), delta)


def _response(block: Any, delta: str | None = None) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role="assistant", blocks=[block]), delta=delta)


@cache
def _declaration(schema: Any) -> dict[str, Any]:
    return {"name": schema.__name__, "description": schema.__doc__, "parameters": schema.model_json_schema()}
