"""A story, streamed."""

from gemway.google import google_options
from google import genai

client = genai.Client(**google_options())

for chunk in client.models.generate_content_stream(
    model="gemini-2.5-flash", contents="Tell me a story about a magic backpack."
):
    print(chunk.text, end="", flush=True)
print()
