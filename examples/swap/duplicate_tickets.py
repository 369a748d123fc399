"""Find support tickets that report the same thing: all texts embedded at once, compared by cosine."""

import math
import os
from itertools import combinations

from langchain_openai import OpenAIEmbeddings

TICKETS = {
    "T-1": "The printer on the second floor prints blank pages.",
    "T-2": "I cannot log in to the payroll system since Monday.",
    "T-3": "Blank pages come out of the printer on the second floor.",
    "T-4": "The coffee machine in the kitchen is broken.",
    "T-5": "Since Monday the payroll system does not let me log in.",
}
THRESHOLD = 0.6

embedder = OpenAIEmbeddings(model="text-embedding-3-large", api_key=os.environ["OPENAI_API_KEY"], request_timeout=30)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


def duplicates(tickets: dict[str, str]) -> list[tuple[str, str]]:
    vectors = dict(zip(tickets, embedder.embed_documents(list(tickets.values())), strict=True))
    return [pair for pair in combinations(tickets, 2) if cosine(vectors[pair[0]], vectors[pair[1]]) > THRESHOLD]


if __name__ == "__main__":
    for older, newer in duplicates(TICKETS):
        print(f"{newer} repeats {older}")
