"""Run the emulator from the command line: `python -m gemway_emulator --port 8080 --api-key sk-local`."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemway_emulator import MISBEHAVIOURS, Emulator, record


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; prints the base URL first."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    try:
        emulator = _made(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        emulator.start()
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    print(emulator.base_url, flush=True)
    # A wait without a limit would keep signals from being handled on some platforms.
    while not ended.wait(0.5):
        pass
    emulator.stop()
    return 0


def _made(options: argparse.Namespace) -> Emulator:
    place = {"port": options.port, "host": options.host, "prefix": options.prefix}
    if options.record:
        if not options.upstream_gemini:
            raise ValueError("--record needs --upstream-gemini, the gateway to pass requests on to")
        return record(options.record, upstream=options.upstream_gemini, api_key=options.api_key, **place)
    key = options.api_key or "sk-local"
    if options.replay:
        return Emulator.replay(options.replay, api_key=key, **place)
    names = ("respond", "any_model", "strict_signatures", "delay", "chunk_delay", "latency", "seed", "misbehave")
    rest = {name: getattr(options, name) for name in (*names, "upstream", "upstream_model", "upstream_key")}
    return Emulator(api_key=key, models=options.model, **place, **rest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gemway-emulator", description="A local Gemini-native gateway with Bearer auth."
    )
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--api-key", help="the Bearer token to accept (default: sk-local; with --record GEMWAY_API_KEY)"
    )
    parser.add_argument("--prefix", default="", help="path to serve under, such as /gw")
    parser.add_argument("--model", action="append", default=[], help="one more model name to serve; may be repeated")
    parser.add_argument("--any-model", action="store_true", help="serve every model name")
    parser.add_argument("--respond", type=_named, metavar="MODULE:FUNCTION", help="a function that answers requests")
    parser.add_argument("--strict-signatures", action="store_true", help="compare thought signatures as text")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds between stream events")
    parser.add_argument("--latency", help="seconds before answers, as a distribution: p50=800ms,p95=4s")
    parser.add_argument("--seed", type=int, default=0, help="of --latency (default: 0)")
    parser.add_argument("--upstream", metavar="URL", help="an OpenAI-compatible server that answers, with its /v1")
    parser.add_argument("--upstream-model", metavar="NAME", help="the model to ask there")
    parser.add_argument("--upstream-key", metavar="KEY", help="the key of that server")
    parser.add_argument("--record", metavar="TAPE", help="write a tape of the requests to --upstream-gemini")
    parser.add_argument("--upstream-gemini", metavar="URL", help="the real gateway to record")
    parser.add_argument("--replay", metavar="TAPE", help="answer from a tape")
    parser.add_argument(
        "--misbehave",
        action="append",
        default=[],
        choices=sorted(MISBEHAVIOURS),
        metavar="NAME",
        help="may be repeated",
    )
    return parser


def _named(text: str) -> Any:
    """The function that `module:function` names, looked for in the working directory too."""
    module, colon, name = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"write module:function, not {text!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
