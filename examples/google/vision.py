"""A question about a picture, answered with one of a few words."""

import enum
import io

from gemway.google import google_options
from google import genai
from google.genai import types
from PIL import Image


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


picture = io.BytesIO()
Image.new("RGB", (64, 64), "green").save(picture, "PNG")
client = genai.Client(**google_options())

response = client.models.generate_content(
    model="gemini-2.5-flash",
    contents=[types.Part.from_bytes(data=picture.getvalue(), mime_type="image/png"), "Which color is this?"],
    config=types.GenerateContentConfig(response_mime_type="text/x.enum", response_schema=Color),
)
print(response.text)
