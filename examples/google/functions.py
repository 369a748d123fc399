"""Python functions that the model calls by itself."""

from gemway.google import google_options
from google import genai
from google.genai import types

LIGHTS = {"brightness": 100, "color": "daylight"}


def set_light_values(brightness: int, color: str) -> dict[str, int | str]:
    """Set the brightness (0 to 100) and the color of the room's lights."""
    LIGHTS.update(brightness=brightness, color=color)
    return LIGHTS


client = genai.Client(**google_options())

chat = client.chats.create(
    model="gemini-2.5-flash", config=types.GenerateContentConfig(tools=[set_light_values], temperature=0)
)
print(chat.send_message("Turn the lights down to a romantic level.").text)
print(LIGHTS)
