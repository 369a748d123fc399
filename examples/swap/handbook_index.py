"""Index a handbook with LlamaIndex: the index is stored, loaded again and searched, blocking and with asyncio."""

import asyncio
from pathlib import Path

from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.embeddings.google_genai import GoogleGenAIEmbedding

HANDBOOK = {
    "holidays": "Every employee has 28 days of holiday. Unused days expire at the end of March.",
    "travel": "Train travel is booked in second class. Flights need the approval of the head of department.",
    "equipment": "A laptop is replaced after four years. Broken screens are repaired by the IT desk in room 204.",
    "remote": "Remote work is possible on three days a week. The core hours are from 10 to 15 o'clock.",
}
FOLDER = Path("handbook-index")

Settings.embed_model = GoogleGenAIEmbedding(model_name="gemini-embedding-001", embed_batch_size=32)
Settings.node_parser = TokenTextSplitter(chunk_size=128, chunk_overlap=0)


def build() -> None:
    documents = [Document(text=text, metadata={"page": page}) for page, text in HANDBOOK.items()]
    VectorStoreIndex.from_documents(documents).storage_context.persist(FOLDER)


async def search(question: str) -> str:
    index = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(FOLDER)))
    nodes = await index.as_retriever(similarity_top_k=1).aretrieve(question)
    return nodes[0].metadata["page"]


if __name__ == "__main__":
    build()
    for asked in ("Who approves flights?", "When do unused days of holiday expire?", "Who repairs broken screens?"):
        print(f"{asked} -> {asyncio.run(search(asked))}")
    print("width:", len(Settings.embed_model.get_text_embedding("handbook")))
