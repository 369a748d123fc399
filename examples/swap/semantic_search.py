"""Search a product catalogue by meaning: documents in an in-memory store, scores, filters and diverse results."""

import asyncio

from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

CATALOGUE = {
    "tent": "A tent for two hikers. It weighs 1.9 kg and stands in rain and wind.",
    "stove": "A gas stove for camping. It boils a litre of water in four minutes.",
    "lamp": "A headlamp with a battery that lasts 40 hours.",
    "kayak": "An inflatable kayak for lakes and slow rivers. It fits in a backpack.",
    "boots": "Leather boots for hikers, waterproof, with a soft sole.",
    "kettle": "A kettle that boils water for camping on any gas stove.",
}

embeddings = OpenAIEmbeddings(model="text-embedding-3-small", dimensions=512, chunk_size=100, max_retries=3)

store = InMemoryVectorStore(embeddings)


async def main() -> None:
    documents = [Document(id=name, page_content=text, metadata={"name": name}) for name, text in CATALOGUE.items()]
    await store.aadd_documents(documents)

    for question in ("What boils water?", "How many hours does the battery of a headlamp last?"):
        best, score = store.similarity_search_with_score(question, k=1)[0]
        print(f"{question} -> {best.metadata['name']} ({score:.2f})")

    dry = await store.asimilarity_search("waterproof boots for hikers", k=1, filter=lambda each: each.id != "boots")
    print("without boots:", dry[0].metadata["name"])

    diverse = store.max_marginal_relevance_search("boils water on a gas stove for camping", k=2, fetch_k=4)
    print("diverse:", sorted(each.metadata["name"] for each in diverse))

    width = len(embeddings.embed_query("a headlamp"))
    print("width:", width)


if __name__ == "__main__":
    asyncio.run(main())
