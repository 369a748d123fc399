"""Rerankers, extractors, evaluators, indices, graphs, memories, programs. Each runs inside a running loop, too."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any, Literal

import pytest
from llama_index.core import (
    DocumentSummaryIndex,
    KeywordTableIndex,
    PropertyGraphIndex,
    SummaryIndex,
    TreeIndex,
)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.evaluation import (
    AnswerRelevancyEvaluator,
    ContextRelevancyEvaluator,
    CorrectnessEvaluator,
    FaithfulnessEvaluator,
    PairwiseComparisonEvaluator,
    RelevancyEvaluator,
)
from llama_index.core.extractors import (
    DocumentContextExtractor,
    KeywordExtractor,
    QuestionsAnsweredExtractor,
    SummaryExtractor,
    TitleExtractor,
)
from llama_index.core.indices.document_summary import DocumentSummaryIndexLLMRetriever
from llama_index.core.indices.property_graph import (
    DynamicLLMPathExtractor,
    SchemaLLMPathExtractor,
    SimpleLLMPathExtractor,
)
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.memory import ChatSummaryMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.postprocessor import LLMRerank, StructuredLLMRerank
from llama_index.core.postprocessor.rankGPT_rerank import RankGPTRerank
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.storage.docstore import SimpleDocumentStore
from pydantic import BaseModel

BUILT = "When was the Eiffel Tower built?"
LONG = "How long is the Danube in kilometres?"
ANSWER = "The Eiffel Tower was built in 1889 by Gustave Eiffel."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def _top(nodes: list[Any]) -> str:
    return nodes[0].get_content()


def llm_rerank(world: Any) -> None:
    assert "Danube" in _top(LLMRerank(llm=world.llm, top_n=1).postprocess_nodes(world.nodes, query_str=LONG))


def structured_llm_rerank(world: Any) -> None:
    reranker = StructuredLLMRerank(llm=world.llm, top_n=2)
    assert any("Danube" in node.get_content() for node in reranker.postprocess_nodes(world.nodes, query_str=LONG))


def rank_gpt(world: Any) -> None:
    assert "Danube" in _top(RankGPTRerank(llm=world.llm, top_n=1).postprocess_nodes(world.nodes, query_str=LONG))


def _extracted(world: Any, extractor: Any, key: str) -> str:
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), extractor])
    nodes = pipeline.run(documents=world.documents[:1], show_progress=False)
    return str(nodes[0].metadata[key])


def title_extractor(world: Any) -> None:
    assert "Eiffel" in _extracted(world, TitleExtractor(llm=world.llm), "document_title")


def keyword_extractor(world: Any) -> None:
    assert "eiffel" in _extracted(world, KeywordExtractor(llm=world.llm), "excerpt_keywords").lower()


def question_extractor(world: Any) -> None:
    assert "?" in _extracted(
        world, QuestionsAnsweredExtractor(llm=world.llm, questions=2), "questions_this_excerpt_can_answer"
    )


def summary_extractor(world: Any) -> None:
    assert "Eiffel" in _extracted(world, SummaryExtractor(llm=world.llm), "section_summary")


def context_extractor(world: Any) -> None:
    docstore = SimpleDocumentStore()
    docstore.add_documents(world.documents)
    extractor = DocumentContextExtractor(
        docstore=docstore, llm=world.llm, max_context_length=64_000, num_workers=2, show_progress=False
    )
    nodes = SentenceSplitter().get_nodes_from_documents(world.documents[:1])
    assert extractor.process_nodes(nodes)[0].metadata["context"].strip()


def faithfulness(world: Any) -> None:
    result = FaithfulnessEvaluator(llm=world.llm).evaluate(response=ANSWER, contexts=[world.documents[0].text])
    assert result.passing


def unfaithful(world: Any) -> None:
    response = "Penguins love skiing on Mars."
    assert (
        not FaithfulnessEvaluator(llm=world.llm).evaluate(response=response, contexts=[world.documents[0].text]).passing
    )


def relevancy(world: Any) -> None:
    evaluator = RelevancyEvaluator(llm=world.llm)
    assert evaluator.evaluate(query=BUILT, response=ANSWER, contexts=[world.documents[0].text]).passing


def correctness(world: Any) -> None:
    result = CorrectnessEvaluator(llm=world.llm).evaluate(query=BUILT, response=ANSWER, reference=ANSWER)
    assert result.score >= 4


def context_relevancy(world: Any) -> None:
    result = ContextRelevancyEvaluator(llm=world.llm).evaluate(query=BUILT, contexts=[world.documents[0].text])
    assert result.score > 0


def answer_relevancy(world: Any) -> None:
    assert AnswerRelevancyEvaluator(llm=world.llm).evaluate(query=BUILT, response=ANSWER).score > 0


def pairwise(world: Any) -> None:
    result = PairwiseComparisonEvaluator(llm=world.llm).evaluate(
        query=BUILT, response=ANSWER, second_response="I do not know.", reference=ANSWER
    )
    assert result.score is not None


def summary_index(world: Any) -> None:
    assert "1889" in str(SummaryIndex.from_documents(world.documents).as_query_engine(llm=world.llm).query(BUILT))


def summary_index_llm_retriever(world: Any) -> None:
    index = SummaryIndex.from_documents(world.documents)
    nodes = index.as_retriever(retriever_mode="llm", llm=world.llm).retrieve(LONG)
    assert any("Danube" in node.get_content() for node in nodes)


def tree_index(world: Any) -> None:
    index = TreeIndex.from_documents(world.documents, llm=world.llm, num_children=2)
    assert str(index.as_query_engine(llm=world.llm, retriever_mode="all_leaf").query(BUILT)).count("1889")
    assert index.as_retriever(retriever_mode="select_leaf", llm=world.llm).retrieve(BUILT)


def keyword_table(world: Any) -> None:
    index = KeywordTableIndex.from_documents(world.documents, llm=world.llm)
    assert "2850" in str(index.as_query_engine(llm=world.llm).query(LONG))


def document_summary(world: Any) -> None:
    index = DocumentSummaryIndex.from_documents(world.documents, llm=world.llm, embed_model=world.embed_model)
    assert "Danube" in index.get_document_summary("rivers")
    nodes = DocumentSummaryIndexLLMRetriever(index, llm=world.llm).retrieve(LONG)
    assert any("Danube" in node.get_content() for node in nodes)


def knowledge_graph(world: Any) -> None:
    from llama_index.core import KnowledgeGraphIndex

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still used
        index = KnowledgeGraphIndex.from_documents(world.documents[:1], llm=world.llm, max_triplets_per_chunk=3)
    assert "eiffel" in str(index.index_struct.table).lower()


def _graph(world: Any, extractor: Any) -> str:
    index = PropertyGraphIndex.from_documents(
        world.documents[:1],
        llm=world.llm,
        embed_model=world.embed_model,
        kg_extractors=[extractor],
        embed_kg_nodes=False,
        show_progress=False,
    )
    return str(index.property_graph_store.get_triplets(entity_names=None) or index.property_graph_store.graph.triplets)


def simple_paths(world: Any) -> None:
    assert "Eiffel" in _graph(world, SimpleLLMPathExtractor(llm=world.llm, num_workers=1))


def schema_paths(world: Any) -> None:
    extractor = SchemaLLMPathExtractor(
        llm=world.llm,
        possible_entities=Literal["BUILDING", "CITY"],
        possible_relations=Literal["STANDS_IN"],
        strict=False,
        num_workers=1,
    )
    nodes = extractor(SentenceSplitter().get_nodes_from_documents(world.documents[:1]), show_progress=False)
    assert nodes[0].metadata["nodes"]


def dynamic_paths(world: Any) -> None:
    assert "Eiffel" in _graph(world, DynamicLLMPathExtractor(llm=world.llm, num_workers=1))


def summary_memory(world: Any) -> None:
    memory = ChatSummaryMemoryBuffer.from_defaults(llm=world.llm, token_limit=30)
    for message in [*world.history, ChatMessage(content=world.documents[1].text), *world.history]:
        memory.put(message)
    messages = memory.get()
    assert messages[0].role == "system"
    assert "Danube" in str(messages[0].content)


def text_program(world: Any) -> None:
    program = LLMTextCompletionProgram.from_defaults(
        output_cls=Person, prompt_template_str="Ann is {age} years old.", llm=world.llm
    )
    assert program(age=5) == Person(name="Ann", age=5)


def function_program(world: Any) -> None:
    program = FunctionCallingProgram.from_defaults(Person, "Ann is {age} years old.", llm=world.llm)
    assert program(age=5) == Person(name="Ann", age=5)


def function_program_stream(world: Any) -> None:
    program = FunctionCallingProgram.from_defaults(
        Person, "Ann is {age} years old.", llm=world.llm, tool_choice="required"
    )
    assert list(program.stream_call(age=5))[-1] == Person(name="Ann", age=5)


def structured_llm(world: Any) -> None:
    messages = [ChatMessage(content="Ann is 5 years old.")]
    assert world.llm.as_structured_llm(Person).chat(messages).raw == Person(name="Ann", age=5)


def predict_and_call(world: Any) -> None:
    assert "42" in str(world.llm.predict_and_call([world.multiply], "Multiply 6 and 7"))


CASES = {
    case.__name__.replace("_", " "): case
    for case in (
        *(llm_rerank, structured_llm_rerank, rank_gpt),
        *(title_extractor, keyword_extractor, question_extractor, summary_extractor, context_extractor),
        *(faithfulness, unfaithful, relevancy, correctness, context_relevancy, answer_relevancy, pairwise),
        *(summary_index, summary_index_llm_retriever, tree_index, keyword_table, document_summary, knowledge_graph),
        *(simple_paths, schema_paths, dynamic_paths, summary_memory),
        *(text_program, function_program, function_program_stream, structured_llm, predict_and_call),
    )
}


# llama-index-core itself calls asyncio.run there, whatever the model.
NOT_IN_A_LOOP = {simple_paths, schema_paths, dynamic_paths}


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "inside a running loop"])
@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
def test_component(world: Any, case: Callable[[Any], None], inside: bool) -> None:
    """The component does its work, judged by what it returns."""
    if inside and case in NOT_IN_A_LOOP:
        pytest.skip("llama-index-core's property graphs call asyncio.run and cannot work inside a running loop")
    if not inside:
        case(world)
        return

    async def main() -> None:
        case(world)

    asyncio.run(main())


@pytest.mark.parametrize("kind", [SimpleLLMPathExtractor, SchemaLLMPathExtractor, DynamicLLMPathExtractor])
async def test_async_path_extractors(world: Any, kind: Any) -> None:
    """What cannot work synchronously inside a loop works with `acall`."""
    nodes = SentenceSplitter().get_nodes_from_documents(world.documents[:1])

    found = await kind(llm=world.llm, num_workers=2).acall(nodes, show_progress=False)

    assert "nodes" in found[0].metadata or "relations" in found[0].metadata


async def test_memory_with_facts(world: Any) -> None:
    """A memory whose block keeps facts of the messages that it forgets."""
    from llama_index.core.memory import FactExtractionMemoryBlock, Memory

    memory = Memory.from_defaults(
        token_limit=80,
        token_flush_size=20,
        chat_history_token_ratio=0.5,
        memory_blocks=[FactExtractionMemoryBlock(name="facts", llm=world.llm, max_facts=10)],
    )
    try:
        for _ in range(4):
            await memory.aput_messages([ChatMessage(content="My name is Ann and I live in Vienna."), world.history[1]])
        found = await memory.aget()
    finally:
        if (engine := memory.sql_store._async_engine) is not None:
            await engine.dispose()

    assert "Ann" in str([message.content for message in found if message.role == "system"])
