"""Judge answers with the model that gave them: are they faithful to their sources, and to the question?

This needs a real model. The emulator has none, so its verdicts would mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from llama_index.core import Settings
from llama_index.core.evaluation import FaithfulnessEvaluator, RelevancyEvaluator
from llama_index.core.llms import LLM

from examples.rag.answering import citations, query_engine
from examples.rag.errors import RagError
from examples.rag.library import Library
from examples.rag.pieces import splitter


@dataclass(frozen=True)
class Verdict:
    """The answer to one question, and the judgement of it."""

    question: str
    answer: str
    sources: list[str]
    faithful: bool
    relevant: bool


def read_questions(path: Path) -> list[str]:
    """Return the lines of a file that are neither empty nor a comment (#)."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise RagError(f"cannot read the questions: {error}") from error
    questions = [line for line in lines if line and not line.startswith("#")]
    if not questions:
        raise RagError(f"there is no question in {path}; write one a line")
    return questions


def evaluate(library: Library, llm: LLM, questions: Iterable[str]) -> Iterator[Verdict]:
    """Answer each question and yield the model's judgement of the answer. Asks the model three times a question."""
    # The evaluators make an index of the sources with whatever stands in Settings: OpenAI's models, if nothing does.
    Settings.llm, Settings.embed_model = llm, library.embedding
    Settings.node_parser = splitter(library.recipe.chunk_size)
    engine = query_engine(library, llm)
    faithfulness, relevancy = FaithfulnessEvaluator(llm=llm), RelevancyEvaluator(llm=llm)
    for question in questions:
        answer = engine.query(question)
        yield Verdict(
            question=question,
            answer=str(answer),
            sources=[source.place for source in citations(answer.source_nodes)],
            faithful=bool(faithfulness.evaluate_response(response=answer).passing),
            relevant=bool(relevancy.evaluate_response(query=question, response=answer).passing),
        )


def write(verdicts: list[Verdict], path: Path, *, model: str, embedding: str) -> dict[str, float]:
    """Write the verdicts as JSON, and return the shares of answers that are faithful and relevant (0 to 1)."""
    shares = {
        "faithfulness": sum(verdict.faithful for verdict in verdicts) / len(verdicts),
        "relevancy": sum(verdict.relevant for verdict in verdicts) / len(verdicts),
    }
    report = {"model": model, "embedding": embedding, **shares, "verdicts": [asdict(verdict) for verdict in verdicts]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return shares
