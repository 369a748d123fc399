"""LlamaIndex: answers from documents that are searched by vectors and by words (BM25). One gateway serves both models."""

from pathlib import Path

from gateway import EMBEDDING_MODEL, MODEL, configure
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.embeddings.gemway import GemwayEmbedding
from llama_index.llms.gemway import Gemway
from llama_index.retrievers.bm25 import BM25Retriever

configure()
llm = Gemway(model=MODEL)
embedding = GemwayEmbedding(model=EMBEDDING_MODEL)  # any other embedding of LlamaIndex fits here
data = Path(__file__).with_name("data")
# The name of a file is for people; both models see the text alone.
reader = SimpleDirectoryReader(data, required_exts=[".txt"], file_metadata=lambda path: {"file_name": Path(path).name})
documents = reader.load_data()
nodes = TokenTextSplitter(chunk_size=256, chunk_overlap=32).get_nodes_from_documents(documents)

by_vectors = VectorStoreIndex(nodes, embed_model=embedding).as_retriever(similarity_top_k=4)
by_words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=4)
fused = QueryFusionRetriever(
    [by_vectors, by_words], llm=llm, num_queries=1, mode="reciprocal_rerank", similarity_top_k=2, use_async=False
)
engine = RetrieverQueryEngine.from_args(fused, llm=llm)

for question in ("How did the Crow bring the water in the pitcher within his reach?", "What wins the race?"):
    answer = engine.query(question)
    print(f"> {question}\n{answer}")
    print("  from:", ", ".join(source.metadata["file_name"] for source in answer.source_nodes), "\n")
