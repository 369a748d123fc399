"""Many questions at once with asyncio, and a stream among them."""

import asyncio

from gemway.google import google_options
from google import genai

client = genai.Client(**google_options())


async def ask(animal: str) -> str:
    response = await client.aio.models.generate_content(
        model="gemini-2.5-flash", contents=f"What does a {animal} eat? One word."
    )
    return f"{animal}: {response.text}"


async def main() -> None:
    for answer in await asyncio.gather(*map(ask, ("fox", "panda", "koala"))):
        print(answer)
    async for chunk in await client.aio.models.generate_content_stream(
        model="gemini-2.5-flash", contents="And a shark?"
    ):
        print(chunk.text, end="")
    print()
    await client.aio.aclose()


asyncio.run(main())
