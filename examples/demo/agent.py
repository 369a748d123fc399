"""A LangChain agent that calls a function and the picture tool."""

from __future__ import annotations

from typing import Any

from examples.demo.report import Exchange, Report
from examples.demo.screen import Screen
from examples.gateway import IMAGE_MODEL, MODEL

TITLE = "A LangChain agent with two tools"
QUESTION = "Use get_weather for Zurich, and use generate_image to paint 'a lighthouse in a storm'."


def run(screen: Screen, report: Report) -> None:
    """Let the agent work, and show each of its steps."""
    with screen.working("loading LangGraph"):
        from langchain.agents import create_agent
        from langchain_core.tools import tool
        from langchain_gemway import ChatGemway, GenerateImage

    @tool
    def get_weather(city: str) -> str:
        """Get the current weather in a city."""
        return f"It is sunny in {city}, 21 degrees."

    agent = create_agent(ChatGemway(model=MODEL), [get_weather, GenerateImage(model=IMAGE_MODEL)])
    exchange = report.exchange(TITLE, QUESTION)
    screen.prompt(QUESTION)
    for step in agent.stream({"messages": [("human", QUESTION)]}, stream_mode="updates"):
        for update in step.values():
            for message in update["messages"]:
                _show_step(message, exchange, screen, report)


def _show_step(message: Any, exchange: Exchange, screen: Screen, report: Report) -> None:
    for call in getattr(message, "tool_calls", ()):
        exchange.steps.append(f"calls {call['name']}({', '.join(f'{k}={v!r}' for k, v in call['args'].items())})")
        screen.note(exchange.steps[-1])
    if message.type == "tool":
        pictures = [
            report.keep(exchange, image, f"agent-{index}") for index, image in enumerate(message.artifact or [])
        ]
        result = ", ".join(f"{picture.path} ({picture.width}x{picture.height})" for picture in pictures) or message.text
        exchange.steps.append(f"{message.name} -> {result}")
        screen.note(exchange.steps[-1])
    elif message.type == "ai":
        exchange.count(message.usage_metadata)
        if message.text:
            exchange.answer = message.text
            screen.answer(message.text)
