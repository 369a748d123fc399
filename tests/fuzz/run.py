"""Feed mutants of recorded answers to the core and to both adapters: nothing untyped, no hang, no growth.

`nox -s fuzz`, or `python tests/fuzz/run.py --core 30000 --adapters 10000 --seed 1 --seconds 600`. The core's parser is
fed directly, in pieces of random size, as the clients feed it. The adapters are fed over real HTTP on 127.0.0.1: a
server answers each call of ChatGemway and of Gemway with the next mutant; half of the adapters' mutants go to each.
A mutant that failed is written to `out/fuzz/` and named with its seed. Exit code 1 if anything was found.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "fuzz")]

import wire_recordings as wire  # noqa: E402
from fault_server import FaultServer, full, play  # noqa: E402
from gemway import Client, GemwayError  # noqa: E402
from gemway._protocol import generate_content  # noqa: E402
from gemway._response import ResponseParser, StreamParser  # noqa: E402
from gemway.adapters import Accumulator  # noqa: E402
from mutants import Mutant, mutants  # noqa: E402

MODEL = "gemini-2.5-flash"
TOOL = {"name": "f", "description": "x", "parameters": {"type": "object", "properties": {}}}
QUESTION = {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"functionDeclarations": [TOOL]}]}
LONGEST_SECONDS = 10.0  # of processor time for one mutant of at most some 100 kB
MOST_GROWTH = 60.0  # megabytes from a tenth of the way to the end
LIMIT = 2**20


class Exchange:
    """What a client hands to the parser: the status and headers of one mutant."""

    url = "http://127.0.0.1/fuzz"
    arrived = 0.0
    redact = staticmethod(str)

    def __init__(self, mutant: Mutant) -> None:
        self.status = mutant.status
        self.headers = mutant.headers


class Core:
    """Feeds the parser of the core, and folds what comes out."""

    def __init__(self) -> None:
        client = Client(api_key="k", base_url="http://127.0.0.1:9", max_response_bytes=LIMIT)
        self._settings = client._setup.settings

    def __call__(self, mutant: Mutant) -> None:
        random = Random(mutant.number)  # noqa: S311 - repeatable on purpose
        call = generate_content(
            MODEL, QUESTION, self._settings, stream=mutant.streams, text_chunks=random.random() < 0.5
        )
        kind = StreamParser if mutant.streams and mutant.status < 300 else ResponseParser
        parser = kind(call, Exchange(mutant), self._settings, silence=60.0, expires=None)
        accumulator, size = Accumulator(), random.choice((7, 100, 4096, 65536))
        try:
            for at in range(0, len(mutant.body), size):
                for message in parser.feed(mutant.body[at : at + size], 0.0):
                    add(accumulator, message)
            for message in parser.finish():
                add(accumulator, message)
        except GemwayError as error:
            str(error), repr(error)
            if hasattr(error, "partial"):
                parser.interrupted(error)
            raise
        accumulator.finish()
        response = accumulator.response()
        response.model_dump_json()
        _ = response.text, response.thoughts, response.function_calls, response.finish_reason, response.images


def add(accumulator: Accumulator, message: object) -> None:
    """Fold a message of either kind."""
    (accumulator.add_text if type(message).__name__ == "TextChunk" else accumulator.add)(message)  # type: ignore[arg-type]  # by its name


class Adapter:
    """Asks one adapter over HTTP; the server answers with the mutant."""

    def __init__(self, server: FaultServer, ask: Callable[[bool], object]) -> None:
        self._server = server
        self._ask = ask

    def __call__(self, mutant: Mutant) -> None:
        self._server.default = play(full(mutant.body, mutant.status, **mutant.headers))
        self._ask(mutant.streams)


def langchain(server: FaultServer) -> Adapter:
    """Return ChatGemway, asked with a tool."""
    from langchain_gemway import ChatGemway

    model = ChatGemway(
        model=MODEL, api_key="k", base_url=server.base_url, max_retries=0, max_response_bytes=LIMIT, retry_budget=None
    ).bind_tools([TOOL])
    return Adapter(server, lambda streams: list(model.stream("x")) if streams else model.invoke("x"))


def llama_index(server: FaultServer) -> Adapter:
    """Return Gemway, asked for a chat."""
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.gemway import Gemway

    model = Gemway(
        model=MODEL, api_key="k", base_url=server.base_url, max_retries=0, max_response_bytes=LIMIT, retry_budget=None
    )
    question = [ChatMessage(content="x")]
    return Adapter(server, lambda streams: list(model.stream_chat(question)) if streams else model.chat(question))


def memory() -> float:
    """Return the resident memory in megabytes."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4 / 1024


class Session:
    """Runs mutants, and notes what is wrong."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._seed = seed
        self._ends = time.monotonic() + seconds
        self.faults = 0

    def run(self, name: str, feed: Callable[[Mutant], None], count: int) -> None:
        """Feed *count* mutants, or as many as the time allows, and print what came of them."""
        outcomes: Counter[str] = Counter()
        start, slowest = time.monotonic(), 0.0
        base, done = 0.0, 0
        for mutant in mutants(wire.answers(), count, self._seed):
            if time.monotonic() > self._ends:
                break
            began = time.process_time()
            outcomes[self._outcome(name, feed, mutant)] += 1
            slowest = max(slowest, time.process_time() - began)
            done += 1
            if done == max(1, count // 10):
                base = memory()
        growth = memory() - base if base else 0.0
        self._judge(name, "took too long", slowest > LONGEST_SECONDS)
        self._judge(name, "grew", growth > MOST_GROWTH)
        print(
            f"{name}: {done:,} of {count:,} mutants in {time.monotonic() - start:.0f} s; slowest {slowest:.2f} s of"
            f" processor time; {growth:+.1f} MB\n   {dict(outcomes.most_common())}",
            flush=True,
        )

    def _outcome(self, name: str, feed: Callable[[Mutant], None], mutant: Mutant) -> str:
        try:
            feed(mutant)
        except GemwayError as error:
            return type(error).__name__
        except Exception as error:  # noqa: BLE001 - this is what the session looks for
            self.faults += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"UNTYPED {name} {mutant.number}: {type(error).__name__}: {str(error)[:150]} at {place}", flush=True)
            folder = ROOT / "out" / "fuzz"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}-{self._seed}-{mutant.number}").write_bytes(mutant.body)
            return f"UNTYPED {type(error).__name__}"
        return "answer"

    def _judge(self, name: str, what: str, is_wrong: bool) -> None:  # noqa: FBT001 - a verdict
        if is_wrong:
            self.faults += 1
            print(f"WRONG {name} {what}", flush=True)


def main() -> int:
    """Run the session. Returns 1 if it found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, default=30_000)
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1200.0)
    chosen = parser.parse_args()
    if not wire.recordings():
        print(wire.ABSENT)
        return 0
    warnings.simplefilter("ignore")
    session = Session(chosen.seed, chosen.seconds)
    session.run("core", Core(), chosen.core)
    with FaultServer() as server:
        session.run("langchain", langchain(server), chosen.adapters // 2)
        session.run("llama-index", llama_index(server), chosen.adapters // 2)
    print(f"{session.faults} faults")
    return 1 if session.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
