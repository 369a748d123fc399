"""LlamaIndex: an agent with a tool of yours and the picture tools."""

import asyncio

from gateway import IMAGE_MODEL, MODEL, configure
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.gemway import Gemway
from llama_index.tools.gemway import GemwayToolSpec


def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"It is sunny in {city}, 21 degrees."


QUESTION = "Use get_weather for Paris, and use generate_image to paint 'a lighthouse in a storm'."


async def main() -> None:
    """Ask the agent, and show which tools it called."""
    pictures = GemwayToolSpec(model=IMAGE_MODEL)
    agent = FunctionAgent(tools=[get_weather, *pictures.to_tool_list()], llm=Gemway(model=MODEL))
    answer = await agent.run(QUESTION)
    for call in answer.tool_calls:
        kinds = [block.block_type for block in call.tool_output.blocks]
        print(f"{call.tool_name}({call.tool_kwargs}) -> {kinds}")
    print(answer)


configure()
asyncio.run(main())
