"""LangChain: an agent with a tool of yours and one that makes pictures."""

from pathlib import Path

from gateway import IMAGE_MODEL, MODEL, configure
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_gemway import ChatGemway, GenerateImage


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"It is sunny in {city}, 21 degrees."


configure()
folder = Path("out")
folder.mkdir(exist_ok=True)
agent = create_agent(ChatGemway(model=MODEL), [get_weather, GenerateImage(model=IMAGE_MODEL)])

question = "Use get_weather for Paris, and use generate_image to paint 'a lighthouse in a storm'."
result = agent.invoke({"messages": [("human", question)]})

for message in result["messages"]:
    for call in getattr(message, "tool_calls", ()):
        print(f"calling {call['name']}({call['args']})")
    for number, image in enumerate(getattr(message, "artifact", None) or []):
        print("picture:", image.save(folder / f"agent-{number}.png", rename=True))
print(result["messages"][-1].text)
