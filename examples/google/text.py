"""A question with a system instruction, and its token counts."""

from gemway.google import google_options
from google import genai
from google.genai import types

client = genai.Client(**google_options())

response = client.models.generate_content(
    model="gemini-2.5-flash",
    contents="Explain how a rainbow is made.",
    config=types.GenerateContentConfig(
        system_instruction="You explain things to children, in one sentence.",
        temperature=0.2,
        max_output_tokens=500,
    ),
)
print(response.text)
print(f"{response.usage_metadata.prompt_token_count} tokens in, {response.usage_metadata.total_token_count} in all")
