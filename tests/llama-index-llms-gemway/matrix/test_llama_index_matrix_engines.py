"""Query engines, chat engines, routers, retrievers: each answers from the documents. Sync cases run in a loop, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import PromptTemplate, SQLDatabase
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.indices.query.query_transform.base import HyDEQueryTransform, StepDecomposeQueryTransform
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import (
    CitationQueryEngine,
    FLAREInstructQueryEngine,
    MultiStepQueryEngine,
    NLSQLTableQueryEngine,
    RetrieverQueryEngine,
    RouterQueryEngine,
    SimpleMultiModalQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.retrievers import QueryFusionRetriever, VectorIndexAutoRetriever
from llama_index.core.schema import ImageNode, NodeWithScore, QueryBundle
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.selectors.utils import get_selector_from_llm
from llama_index.core.vector_stores.types import MetadataInfo, VectorStoreInfo
from pydantic import BaseModel

BUILT = "When was the Eiffel Tower built?"
LONG = "How long is the Danube in kilometres?"


class Fact(BaseModel):
    """A fact that answers the question."""

    answer: str


def _respond(world: Any, mode: ResponseMode, **options: Any) -> str:
    engine = world.index.as_query_engine(llm=world.llm, response_mode=mode, similarity_top_k=2, **options)
    return str(engine.query(BUILT))


def response_mode(mode: ResponseMode) -> Callable[[Any], None]:
    def case(world: Any) -> None:
        assert "1889" in _respond(world, mode)

    return case


def streaming_query(world: Any) -> None:
    response = world.index.as_query_engine(llm=world.llm, streaming=True).query(BUILT)
    assert "1889" in "".join(response.response_gen)


def generation(world: Any) -> None:
    assert _respond(world, ResponseMode.GENERATION).strip()


def structured_answer_filtering(world: Any) -> None:
    assert "1889" in _respond(world, ResponseMode.REFINE, structured_answer_filtering=True)


def tree_summarize_output_cls(world: Any) -> None:
    synthesizer = get_response_synthesizer(llm=world.llm, response_mode=ResponseMode.TREE_SUMMARIZE, output_cls=Fact)
    response = synthesizer.synthesize(BUILT, world.index.as_retriever(similarity_top_k=1).retrieve(BUILT))
    assert "1889" in response.response.answer


def structured_llm_engine(world: Any) -> None:
    response = world.index.as_query_engine(llm=world.llm.as_structured_llm(Fact), similarity_top_k=1).query(BUILT)
    assert "1889" in str(response)


def _router(world: Any, selector: Any) -> str:
    return str(RouterQueryEngine(selector=selector, query_engine_tools=world.engine_tools, llm=world.llm).query(LONG))


def router_llm_single(world: Any) -> None:
    assert "2850" in _router(world, LLMSingleSelector.from_defaults(llm=world.llm))


def router_llm_multi(world: Any) -> None:
    assert "2850" in _router(world, LLMMultiSelector.from_defaults(llm=world.llm))


def router_pydantic_single(world: Any) -> None:
    assert "2850" in _router(world, PydanticSingleSelector.from_defaults(llm=world.llm))


def router_pydantic_multi(world: Any) -> None:
    assert "2850" in _router(world, PydanticMultiSelector.from_defaults(llm=world.llm))


def router_by_model(world: Any) -> None:
    assert "2850" in _router(world, get_selector_from_llm(world.llm, is_multi=False))


def sub_questions(world: Any) -> None:
    engine = SubQuestionQueryEngine.from_defaults(
        world.engine_tools,
        llm=world.llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=world.llm),
        use_async=False,
        verbose=False,
    )
    assert "2850" in str(engine.query(LONG))


def hyde(world: Any) -> None:
    transform = HyDEQueryTransform(llm=world.llm, include_original=True)
    engine = TransformQueryEngine(world.index.as_query_engine(llm=world.llm), transform)
    assert "1889" in str(engine.query(BUILT))


def multi_step(world: Any) -> None:
    engine = MultiStepQueryEngine(
        world.index.as_query_engine(llm=world.llm),
        query_transform=StepDecomposeQueryTransform(llm=world.llm),
        index_summary="Facts about towers, rivers and bees",
        num_steps=2,
    )
    assert "1889" in str(engine.query(BUILT))


def citation(world: Any) -> None:
    response = CitationQueryEngine.from_args(world.index, llm=world.llm, similarity_top_k=2).query(BUILT)
    assert "1889" in str(response)
    assert response.source_nodes[0].node.get_content().startswith("Source 1:")


def flare(world: Any) -> None:
    engine = FLAREInstructQueryEngine(world.index.as_query_engine(llm=world.llm), llm=world.llm, max_iterations=2)
    assert str(engine.query(BUILT)).strip()


def fusion(world: Any) -> None:
    retriever = QueryFusionRetriever(
        [world.index.as_retriever(similarity_top_k=1)], llm=world.llm, num_queries=3, use_async=False
    )
    assert "Danube" in retriever.retrieve(LONG)[0].get_content()


def fusion_engine(world: Any) -> None:
    retriever = QueryFusionRetriever([world.index.as_retriever()], llm=world.llm, num_queries=2, use_async=True)
    assert "2850" in str(RetrieverQueryEngine.from_args(retriever, llm=world.llm).query(LONG))


def auto_retriever(world: Any) -> None:
    topic = MetadataInfo(name="topic", type="str", description="one of towers, rivers, bees")
    retriever = VectorIndexAutoRetriever(
        world.index,
        vector_store_info=VectorStoreInfo(content_info="facts", metadata_info=[topic]),
        llm=world.llm,
        similarity_top_k=3,
    )
    assert any("Danube" in node.get_content() for node in retriever.retrieve("the length of the Danube"))


def sql(world: Any) -> None:
    from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert

    engine = create_engine("sqlite:///:memory:")
    metadata = MetaData()
    cities = Table("cities", metadata, Column("name", String(20), primary_key=True), Column("population", Integer))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(cities), [{"name": "Vienna", "population": 2005760}])
    query = NLSQLTableQueryEngine(SQLDatabase(engine, include_tables=["cities"]), tables=["cities"], llm=world.llm)
    try:
        assert "2005760" in str(query.query("What is the population of Vienna?")).replace(",", "")
    finally:
        engine.dispose()


def multi_modal(world: Any) -> None:
    class Pictures:
        def retrieve(self, query: Any) -> list[NodeWithScore]:
            return [NodeWithScore(node=ImageNode(image=PNG, image_mimetype="image/png"), score=1.0)]

    text = world.index.as_retriever(similarity_top_k=1).retrieve(BUILT)
    engine = SimpleMultiModalQueryEngine(retriever=Pictures(), multi_modal_llm=world.llm)  # type: ignore[arg-type]
    response = engine.synthesize(QueryBundle(BUILT), [*text, *Pictures().retrieve(BUILT)])
    assert "1889" in str(response)


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def predict(world: Any) -> None:
    prompt = PromptTemplate("Context: {context}\nQuestion: {question}\nAnswer:")
    context = world.documents[0].text
    assert "1889" in world.llm.predict(prompt, context=context, question=BUILT)
    assert "1889" in "".join(world.llm.stream(prompt, context=context, question=BUILT))


_MODES = (
    ResponseMode.REFINE,
    ResponseMode.COMPACT,
    ResponseMode.SIMPLE_SUMMARIZE,
    ResponseMode.TREE_SUMMARIZE,
    ResponseMode.ACCUMULATE,
    ResponseMode.COMPACT_ACCUMULATE,
)
CASES: dict[str, Callable[[Any], None]] = {
    **{f"response mode {mode.value}": response_mode(mode) for mode in _MODES},
    "response mode generation": generation,
    "streaming query": streaming_query,
    "structured answer filtering": structured_answer_filtering,
    "tree summarize with output_cls": tree_summarize_output_cls,
    "engine on a structured LLM": structured_llm_engine,
    "router LLM single": router_llm_single,
    "router LLM multi": router_llm_multi,
    "router pydantic single": router_pydantic_single,
    "router pydantic multi": router_pydantic_multi,
    "router chosen by the model": router_by_model,
    "sub-questions": sub_questions,
    "HyDE": hyde,
    "multi-step": multi_step,
    "citations": citation,
    "FLARE": flare,
    "fusion": fusion,
    "fusion engine": fusion_engine,
    "auto-retriever": auto_retriever,
    "NL to SQL": sql,
    "multi-modal engine": multi_modal,
    "predict and stream": predict,
}


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "inside a running loop"])
@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
def test_engine(world: Any, case: Callable[[Any], None], inside: bool) -> None:
    """The component answers from the documents."""
    if not inside:
        case(world)
        return

    async def main() -> None:
        case(world)

    asyncio.run(main())


CHAT_MODES = ("best", "context", "condense_question", "condense_plus_context", "simple")


def chat_engine(world: Any, mode: str) -> Any:
    """Return an engine that has talked about the Danube already."""
    memory = ChatMemoryBuffer.from_defaults(chat_history=world.history, token_limit=10_000)
    if mode == "simple":
        return SimpleChatEngine.from_defaults(llm=world.llm, system_prompt=world.documents[1].text, memory=memory)
    return world.index.as_chat_engine(chat_mode=mode, llm=world.llm, memory=memory)


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "inside a running loop"])
@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("mode", CHAT_MODES)
def test_chat_engine(world: Any, mode: str, streamed: bool, inside: bool) -> None:
    """A chat engine answers from the documents, whole and word by word."""

    def talk() -> str:
        engine = chat_engine(world, mode)
        if not streamed:
            return str(engine.chat(LONG))
        return "".join(engine.stream_chat(LONG).response_gen)

    async def main() -> str:
        return talk()

    assert "2850" in (asyncio.run(main()) if inside else talk())


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("mode", CHAT_MODES)
async def test_async_chat_engine(world: Any, mode: str, streamed: bool) -> None:
    """The same for asyncio."""
    engine = chat_engine(world, mode)
    if streamed:
        response = await engine.astream_chat(LONG)
        answer = "".join([token async for token in response.async_response_gen()])
    else:
        answer = str(await engine.achat(LONG))

    assert "2850" in answer


@pytest.mark.parametrize("mode", _MODES, ids=lambda mode: mode.value)
async def test_async_query(world: Any, mode: ResponseMode) -> None:
    """`aquery` in every response mode."""
    engine = world.index.as_query_engine(llm=world.llm, response_mode=mode, similarity_top_k=2)

    assert "1889" in str(await engine.aquery(BUILT))


async def test_async_streaming_query(world: Any) -> None:
    """A streamed answer of `aquery`."""
    response = await world.index.as_query_engine(llm=world.llm, streaming=True, use_async=True).aquery(BUILT)

    assert "1889" in "".join([token async for token in response.async_response_gen()])
