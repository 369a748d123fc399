"""Agents: they call the right tool with the right arguments and say what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import BaseModel

TASK = "Multiply 6 and 7"
PNG = b"\x89PNG\r\n\x1a\nrest"


class Product(BaseModel):
    """The product of two numbers."""

    value: int


async def _run(agent: Any, task: Any = TASK, **options: Any) -> tuple[str, list[ToolCallResult]]:
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)  # core's default leaves a database open
    handler = agent.run(task, **{"memory": memory, **options})
    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    return str(await handler), results


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_agent(world: Any, kind: Any, streaming: bool) -> None:
    """One tool, one call, the answer."""
    answer, results = await _run(kind(llm=world.llm, tools=[world.multiply], streaming=streaming))

    assert [(result.tool_name, result.tool_output.content) for result in results] == [("multiply", "42")]
    assert "42" in answer


async def test_agent_with_initial_tool_choice(world: Any) -> None:
    """The first step must call the named tool."""
    agent = FunctionAgent(llm=world.llm, tools=[world.multiply], initial_tool_choice="multiply")

    _, results = await _run(agent)

    assert results[0].tool_name == "multiply"


async def test_agent_with_output_cls(world: Any) -> None:
    """An object at the end."""
    agent = FunctionAgent(llm=world.llm, tools=[world.multiply], output_cls=Product)

    output = await agent.run(TASK, memory=ChatMemoryBuffer.from_defaults(token_limit=100_000))

    assert isinstance(output.get_pydantic_model(Product), Product)


async def test_agent_sees_a_picture(world: Any) -> None:
    """A message with a picture is answered."""
    message = ChatMessage(blocks=[TextBlock(text="What is this?"), ImageBlock(image=PNG, image_mimetype="image/png")])

    answer, _ = await _run(FunctionAgent(llm=world.llm, tools=[world.multiply]), message)

    assert answer.strip()


async def test_agent_with_query_engines(world: Any) -> None:
    """Tools that are query engines: the right one is asked."""
    answer, results = await _run(
        FunctionAgent(llm=world.llm, tools=world.engine_tools), "How long is the Danube river?"
    )

    assert "rivers" in [result.tool_name for result in results]
    assert "2850" in answer


async def test_agent_remembers(world: Any) -> None:
    """Two runs with one memory are one conversation."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=10_000)
    agent = FunctionAgent(llm=world.llm, tools=[world.multiply])

    await _run(agent, "My name is Ann. The Danube is 2850 kilometres long.", memory=memory)
    answer, _ = await _run(agent, "How long is the Danube in kilometres?", memory=memory)

    assert len(memory.get_all()) >= 4
    assert "2850" in answer


async def test_workflow_from_tools(world: Any) -> None:
    """The kind of agent that fits the model."""
    answer, results = await _run(AgentWorkflow.from_tools_or_functions([world.multiply], llm=world.llm))

    assert results
    assert "42" in answer


async def test_workflow_hands_over(world: Any) -> None:
    """The first agent cannot multiply and hands over to the one that can."""
    clerk = FunctionAgent(
        name="clerk",
        description="Takes tasks and hands them to others",
        llm=world.llm,
        tools=[],
        can_handoff_to=["calculator"],
        system_prompt="You cannot calculate. Hand off every task to the agent calculator.",
    )
    calculator = FunctionAgent(
        name="calculator", description="Multiplies numbers", llm=world.llm, tools=[world.multiply], can_handoff_to=[]
    )

    task = "Hand off to the agent calculator: multiply 6 and 7"
    answer, results = await _run(AgentWorkflow(agents=[clerk, calculator], root_agent="clerk"), task)

    assert [result.tool_name for result in results] == ["handoff", "multiply"]
    assert "42" in answer


async def test_code_act(world: Any) -> None:
    """Code is written, run, and its output used."""
    ran: list[str] = []

    def execute(code: str) -> str:
        import contextlib
        import io

        ran.append(code)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {"multiply": lambda a, b: a * b})
        return printed.getvalue()

    answer, _ = await _run(CodeActAgent(llm=world.llm, tools=[world.multiply], code_execute_fn=execute))

    assert ran
    assert "42" in answer
