"""A picture, changed twice in a conversation."""

from gemway import Image
from gemway.google import google_options
from google import genai
from google.genai import types

client = genai.Client(**google_options())

chat = client.chats.create(
    model="gemini-3.1-flash-image-preview", config=types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
)
for number, wish in enumerate(("A cottage by a lake", "Make it winter", "Add a dog in the snow")):
    response = chat.send_message(wish)
    for part in response.candidates[0].content.parts:
        if part.inline_data:
            image = Image(part.inline_data.data, part.inline_data.mime_type)
            print(image.save(f"cottage-{number}.png", rename=True))
