"""A LlamaIndex RAG over a shelf of fables: vectors of the gateway's embedding model, fused with BM25."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo.report import Report
from examples.demo.screen import Screen
from examples.gateway import EMBEDDING_MODEL, MODEL

if TYPE_CHECKING:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.llms.gemway import Gemway

TITLE = "A LlamaIndex RAG over fourteen fables"
DATA = Path(__file__).parents[1] / "data"
QUESTIONS = (
    "How did the Crow bring the water in the pitcher within his reach?",
    "What did the Mouse gnaw with his teeth to set the Lion free?",
    "Where could the Country Mouse live in safety, and without fear?",
)


def run(screen: Screen, report: Report) -> None:
    """Index the fables and answer questions from them."""
    with screen.working("loading LlamaIndex"):
        from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
        from llama_index.llms.gemway import Gemway

    tokens = TokenCountingHandler()
    engine = _make_engine(screen, Gemway(model=MODEL), CallbackManager([tokens]))
    for question in QUESTIONS:
        exchange = report.exchange(TITLE, question)
        screen.prompt(question)
        answer = engine.query(question)
        exchange.answer = str(answer)
        exchange.steps = [
            f"found in {node.metadata['file_name']}, score {node.score:.3f}" for node in answer.source_nodes
        ]
        exchange.count(
            {"input_tokens": tokens.prompt_llm_token_count, "output_tokens": tokens.completion_llm_token_count}
        )
        tokens.reset_counts()
        screen.answer(exchange.answer)
        for step in exchange.steps:
            screen.note(step)


def _make_engine(screen: Screen, llm: Gemway, callbacks: CallbackManager) -> RetrieverQueryEngine:
    from llama_index.core import SimpleDirectoryReader, VectorStoreIndex, get_response_synthesizer
    from llama_index.core.node_parser import TokenTextSplitter
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.embeddings.gemway import GemwayEmbedding
    from llama_index.retrievers.bm25 import BM25Retriever

    # The name of a file is for people; both models see the text alone.
    reader = SimpleDirectoryReader(
        DATA, required_exts=[".txt"], file_metadata=lambda path: {"file_name": Path(path).name}
    )
    documents = reader.load_data()
    nodes = TokenTextSplitter(chunk_size=256, chunk_overlap=32).get_nodes_from_documents(documents)
    with screen.working(f"embedding {len(documents)} documents"):
        index = VectorStoreIndex(nodes, embed_model=GemwayEmbedding(model=EMBEDDING_MODEL))
    retrievers = [
        index.as_retriever(similarity_top_k=4),
        BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=4),
    ]
    fused = QueryFusionRetriever(
        retrievers, llm=llm, num_queries=1, mode="reciprocal_rerank", similarity_top_k=2, use_async=False
    )
    # The synthesizer gives its callbacks to the model: handed to the model alone, they would be replaced.
    synthesizer = get_response_synthesizer(llm=llm, callback_manager=callbacks)
    return RetrieverQueryEngine.from_args(fused, llm=llm, response_synthesizer=synthesizer)
