"""A picture in a given shape and size, saved."""

from gemway import Image
from gemway.google import google_options
from google import genai
from google.genai import types

client = genai.Client(**google_options())

response = client.models.generate_content(
    model="gemini-3.1-flash-image-preview",
    contents="A fox in neon light, cinematic",
    config=types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="1K"),
    ),
)
for part in response.candidates[0].content.parts:
    if part.text:
        print(part.text)
    elif part.inline_data:
        path = Image(part.inline_data.data, part.inline_data.mime_type).save("fox.png", rename=True)
        print(f"{path}: {len(part.inline_data.data):,} bytes of {part.inline_data.mime_type}")
