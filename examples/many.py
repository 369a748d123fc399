"""Ask many questions at once: one AsyncClient, as many requests in flight as you allow."""

import asyncio

from gateway import MODEL, configure
from gemway import APIError, AsyncClient

IN_FLIGHT = 8


async def ask(client: AsyncClient, number: int, gate: asyncio.Semaphore) -> str:
    """Return one answer, or its error: one failure must not lose the others."""
    question = f"Item {number} costs {number * 3} euros. How much does item {number} cost?"
    async with gate:
        try:
            response = await client.generate_content(
                MODEL, {"contents": [{"role": "user", "parts": [{"text": question}]}]}
            )
        except APIError as error:
            return f"failed: {error}"
    return response.text


async def main() -> None:
    """Ask 20 questions and print the answers in their order."""
    gate = asyncio.Semaphore(IN_FLIGHT)
    async with AsyncClient() as client:
        answers = await asyncio.gather(*(ask(client, number, gate) for number in range(1, 21)))
    for answer in answers:
        print(answer)


configure()
asyncio.run(main())
