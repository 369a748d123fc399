"""Talk about pictures: one in the question as a data URL, one that a tool hands back."""

import base64
import io
from typing import Literal

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from PIL import Image, ImageDraw

SALES = {"north": [3, 5, 8], "south": [9, 4, 2]}


def png(values: list[int]) -> str:
    """Draw a bar chart and return it in base64."""
    image = Image.new("RGB", (40 * len(values) + 10, 120), "white")
    draw = ImageDraw.Draw(image)
    for index, value in enumerate(values):
        draw.rectangle((40 * index + 10, 110 - 10 * value, 40 * index + 40, 110), fill="steelblue")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@tool
def draw_sales_chart(region: Literal["north", "south"]) -> list:
    """Draw a chart of the sales of a region."""
    values = SALES[region]
    return [
        {"type": "text", "text": f"Sales chart of region {region}: {values}"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png(values)}"}},
    ]


SETTINGS = {"HARM_CATEGORY_DANGEROUS_CONTENT": "BLOCK_ONLY_HIGH", "HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"}
llm = ChatGoogleGenerativeAI(model="gemini-1.5-flash", safety_settings=SETTINGS, top_p=0.9, transport="rest")
llm_with_tools = llm.bind_tools([draw_sales_chart])

history: list = [SystemMessage(content="You describe charts in one sentence.")]


def ask(content: str | list) -> str:
    """Ask with the whole history, and run tools until there is an answer."""
    history.append(HumanMessage(content=content))
    for _ in range(4):
        reply: AIMessage = llm_with_tools.invoke(history, stop=["\n\n\n"])
        history.append(reply)
        if not reply.tool_calls:
            break
        for call in reply.tool_calls:
            print("calling", call["name"], call["args"])
            result: ToolMessage = draw_sales_chart.invoke(call)
            history.append(result)
    return reply.content if isinstance(reply.content, str) else reply.text


if __name__ == "__main__":
    first = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png([1, 2, 3])}"}}
    print("A:", ask([{"type": "text", "text": "What do you see?"}, first]))
    print("A:", ask("Now draw the sales chart of the south."))
    for chunk in llm.stream([HumanMessage(content=["Describe it in one word.", first])]):
        print(chunk.content, end="")
    print()
