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
    options = vars(_create_parser().parse_args(arguments))
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    address = f"{options['host']}:{options['port']}"
    try:
        emulator = _build_emulator(**options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        emulator.start()
    except OSError as error:
        print(f"cannot listen on {address}: {error}", file=sys.stderr)
        return 1
    print(emulator.base_url, flush=True)
    # A wait without a limit would keep signals from being handled on some platforms.
    while not ended.wait(0.5):
        pass
    emulator.stop()
    return 0


def _build_emulator(
    *, record_to: str | None, upstream_gemini: str | None, replay: str | None, api_key: str | None, **options: Any
) -> Emulator:
    place = {name: options[name] for name in ("port", "host", "prefix")}
    if record_to:
        if not upstream_gemini:
            raise ValueError("--record needs --upstream-gemini, the gateway to pass requests on to")
        return record(record_to, upstream=upstream_gemini, api_key=api_key, **place)
    key = api_key or "sk-local"
    return Emulator.replay(replay, api_key=key, **place) if replay else Emulator(api_key=key, **options)


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gemway-emulator", description="A local Gemini-native gateway with Bearer auth."
    )
    add = parser.add_argument
    add("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--api-key", help="the Bearer token to accept (default: sk-local; with --record GEMWAY_API_KEY)")
    add("--prefix", default="", help="path to serve under, such as /gw")
    add("--model", action="append", default=[], dest="models", help="one more model name to serve; may be repeated")
    add("--any-model", action="store_true", help="serve every model name")
    add("--respond", type=_import_function, metavar="MODULE:FUNCTION", help="a function that answers requests")
    add("--strict-signatures", action="store_true", help="compare thought signatures as text")
    add("--delay", type=float, default=0.0, help="seconds before each answer")
    add("--chunk-delay", type=float, default=0.0, help="seconds between stream events")
    add("--latency", help="seconds before answers, as a distribution: p50=800ms,p95=4s")
    add("--seed", type=int, default=0, help="of --latency (default: 0)")
    add("--upstream", metavar="URL", help="an OpenAI-compatible server that answers, with its /v1")
    add("--upstream-model", metavar="NAME", help="the model to ask there")
    add("--upstream-key", metavar="KEY", help="the key of that server")
    add("--record", metavar="TAPE", dest="record_to", help="write a tape of the requests to --upstream-gemini")
    add("--upstream-gemini", metavar="URL", help="the real gateway to record")
    add("--replay", metavar="TAPE", help="answer from a tape")
    names = sorted(MISBEHAVIOURS)
    add("--misbehave", action="append", default=[], choices=names, metavar="NAME", help="may be repeated")
    return parser


def _import_function(text: str) -> Any:
    """The function that `module:function` names, looked for in the working directory too."""
    module, colon, name = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"write module:function, not {text!r}")
    # A console script starts without the working directory on its path, `python -m` with it.
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
