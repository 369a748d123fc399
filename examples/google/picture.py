"""A picture in a given shape and size, saved."""

import itertools
from pathlib import Path

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
        names = (Path(f"fox-{number}.png") for number in itertools.count(1))
        path = next(name for name in names if not name.exists())
        part.as_image().save(str(path))
        print(f"{path}: {len(part.inline_data.data):,} bytes of {part.inline_data.mime_type}")
