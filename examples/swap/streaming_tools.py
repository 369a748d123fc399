"""A tool-calling loop that streams to a user interface: thoughts, text and calls arrive while they are written."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool


@tool
async def get_stock_price(symbol: str) -> str:
    """Get the current price of a stock, given its ticker symbol."""
    await asyncio.sleep(0)
    return f"{symbol.upper()} is at {100 + len(symbol)}.50 dollars"


@tool
async def get_company_news(company: str) -> str:
    """Get the latest news about a company."""
    await asyncio.sleep(0)
    return f"{company} opens a new factory in Toledo."


@dataclass
class Screen:
    """The user's screen. A real one would push to a websocket."""

    thoughts: str = ""
    text: str = ""
    calls: list[str] = field(default_factory=list)
    tokens: int = 0


class TokenCounter(AsyncCallbackHandler):
    """Counts events, for the progress bar."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    async def on_llm_new_token(self, token: str | list, **kwargs: Any) -> None:
        self.screen.tokens += 1


tools = [get_stock_price, get_company_news]
THINKING = {"type": "enabled", "budget_tokens": 1024}
llm = ChatAnthropic(model_name="claude-sonnet-4-5", max_tokens_to_sample=4096, timeout=None, thinking=THINKING)
llm_with_tools = llm.bind_tools(tools, tool_choice={"type": "auto"})


async def stream_reply(messages: list[BaseMessage], screen: Screen) -> AIMessageChunk:
    reply: AIMessageChunk | None = None
    async for chunk in llm_with_tools.astream(messages, config={"callbacks": [TokenCounter(screen)]}):
        blocks = [{"type": "text", "text": chunk.content}] if isinstance(chunk.content, str) else chunk.content
        for block in blocks:
            if block["type"] == "thinking":
                screen.thoughts += block.get("thinking", "")
            elif block["type"] == "text":
                screen.text += block["text"]
                print(block["text"], end="", flush=True)
        for call in chunk.tool_call_chunks:
            if call["name"]:
                screen.calls.append(call["name"])
                print(f"\n[{call['name']} ...]")
        reply = chunk if reply is None else reply + chunk
    assert reply is not None
    return reply


async def run(question: str) -> Screen:
    screen = Screen()
    messages: list[BaseMessage] = [SystemMessage(content="You assist a broker."), HumanMessage(content=question)]
    for _ in range(5):
        reply = await stream_reply(messages, screen)
        messages.append(reply)
        if not reply.tool_calls:
            break
        by_name = {each.name: each for each in tools}
        messages += await asyncio.gather(*(by_name[call["name"]].ainvoke(call) for call in reply.tool_calls))
    print()
    return screen


if __name__ == "__main__":
    seen = asyncio.run(run("Use get_stock_price for ACME and use get_company_news for 'Initech'."))
    print("calls:", ", ".join(seen.calls))
    print("thoughts:", bool(seen.thoughts), "- pieces:", seen.tokens > 2)
