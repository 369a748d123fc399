"""A picture, changed twice in a conversation."""

import itertools
from pathlib import Path

from gemway.google import google_options
from google import genai
from google.genai import types

client = genai.Client(**google_options())

chat = client.chats.create(
    model="gemini-3.1-flash-image-preview", config=types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
)
names = (Path(f"cottage-{number}.png") for number in itertools.count(1))
for wish in ("A cottage by a lake", "Make it winter", "Add a dog in the snow"):
    response = chat.send_message(wish)
    for part in response.candidates[0].content.parts:
        if part.inline_data:
            path = next(name for name in names if not name.exists())
            part.as_image().save(str(path))
            print(path)
