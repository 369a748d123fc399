"""Ask your own documents: `python -m examples.rag ingest FOLDER`, then ask, chat or evaluate.

Runs against the gateway of GEMWAY_BASE_URL and GEMWAY_API_KEY if both are set, else against an emulator on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from gemway import GemwayError

from examples.gateway import MODEL, configure, is_emulated
from examples.rag import settings
from examples.rag.errors import RagError, one_line
from examples.rag.screen import Screen

if TYPE_CHECKING:
    from llama_index.llms.gemway import Gemway

    from examples.rag.answering import Conversation

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the program."""
    options = _make_parser().parse_args(arguments)
    screen = Screen()
    try:
        return int(options.command(options, screen) or 0)
    except (RagError, GemwayError, OSError) as error:
        screen.error(one_line(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _run_ingest(options: argparse.Namespace, screen: Screen) -> int:
    from examples.rag.documents import find
    from examples.rag.ingestion import ingest
    from examples.rag.library import Library, Recipe

    sources = find(options.folder)
    recipe = Recipe(str(options.folder.resolve()), options.embedding, settings.CHUNK_SIZE)
    library = Library.continued(options.storage, recipe)
    outcome = ingest(library, sources, lambda waiting: screen.track(waiting, "embedding"))
    screen.outcome(outcome, library.count())
    return INTERRUPTED if outcome.left else 0


def _run_ask(options: argparse.Namespace, screen: Screen) -> None:
    from examples.rag.answering import citations, cited, query_engine
    from examples.rag.library import Library

    library = Library.open(options.storage)
    answer = query_engine(library, _connect_model(), streaming=True).query(options.question)
    text = screen.stream(answer.response_gen)
    screen.sources(citations(answer.source_nodes), cited(text))


def _run_chat(options: argparse.Namespace, screen: Screen) -> None:
    from examples.rag.answering import Conversation
    from examples.rag.library import Library

    conversation = Conversation(Library.open(options.storage), _connect_model())
    screen.note("Ask about the documents. /clear forgets the conversation, /exit ends.")
    try:
        while (question := screen.question()) not in (None, "/exit"):
            if question == "/clear":
                conversation.clear()
            elif question:
                asyncio.run(_answer_turn(conversation, question, screen))
    finally:
        asyncio.run(conversation.aclose())


async def _answer_turn(conversation: Conversation, question: str, screen: Screen) -> None:
    try:
        async for piece in conversation.ask(question):
            screen.piece(piece)
    except (RagError, GemwayError) as error:
        screen.error(one_line(error))
    else:
        screen.chat_sources(conversation.sources)


def _run_evaluate(options: argparse.Namespace, screen: Screen) -> None:
    from examples.rag.evaluation import evaluate, read_questions, write
    from examples.rag.library import Library

    library = Library.open(options.storage)
    questions = read_questions(options.questions)
    configure()
    if is_emulated():
        screen.note("skipped: only a real model can judge answers; set GEMWAY_BASE_URL and GEMWAY_API_KEY")
        return
    with closing(screen.track(questions, "asking and judging")) as tracked:
        verdicts = list(evaluate(library, _connect_model(), tracked))
    path = options.output or options.storage / "evaluation.json"
    shares = write(verdicts, path, model=MODEL, embedding=library.recipe.embedding)
    screen.verdicts(verdicts, shares)
    screen.note(f"written to {path}")


def _connect_model() -> Gemway:
    from llama_index.llms.gemway import Gemway

    configure(chunk_delay=0.02)
    return Gemway(model=MODEL)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.rag", description=__doc__.splitlines()[0])
    storage = argparse.ArgumentParser(add_help=False)
    storage.add_argument(
        "--storage", type=Path, default=settings.STORAGE, help=f"where the library is (default: {settings.STORAGE})"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("ingest", parents=[storage], help="read and embed what is new or has changed")
    command.add_argument("folder", type=Path, nargs="?", default=settings.DOCUMENTS, help="md, txt and pdf files")
    command.add_argument(
        "--embedding",
        default=settings.EMBEDDING,
        metavar="MODEL",
        help="an embedding model of the gateway, or module:Class",
    )
    command.set_defaults(command=_run_ingest)

    command = commands.add_parser("ask", parents=[storage], help="answer one question, with its sources")
    command.add_argument("question")
    command.set_defaults(command=_run_ask)

    command = commands.add_parser("chat", parents=[storage], help="talk about the documents")
    command.set_defaults(command=_run_chat)

    command = commands.add_parser(
        "evaluate", parents=[storage], help="judge answers: faithful? relevant? (needs a real model)"
    )
    command.add_argument("--questions", type=Path, default=settings.QUESTIONS, help="a file with one question a line")
    command.add_argument(
        "--output", type=Path, help="where to write the JSON (default: evaluation.json in the library)"
    )
    command.set_defaults(command=_run_evaluate)
    return parser


if __name__ == "__main__":
    sys.exit(main())
