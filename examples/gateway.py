"""Where the examples send their questions: your gateway if one is configured, else an emulator on this machine."""

from __future__ import annotations

import atexit
import os

from gemway_emulator import Emulator

# The emulator that configure() started; None with a gateway of yours.
_emulator: Emulator | None = None
MODEL = os.environ.get("GEMWAY_MODEL", "gemini-2.5-flash")
IMAGE_MODEL = os.environ.get("GEMWAY_IMAGE_MODEL", "gemini-3.1-flash-image-preview")
EMBEDDING_MODEL = os.environ.get("GEMWAY_EMBEDDING_MODEL", "gemini-embedding-001")


def configure(*, chunk_delay: float = 0.0) -> str:
    """Return the gateway's address, after starting an emulator and naming it in the environment if there is none.

    Args:
        chunk_delay: seconds that the emulator waits between the pieces of a streamed answer, so that it can be seen.
    """
    global _emulator  # noqa: PLW0603 - one for the whole program
    names = [name for name in ("GEMWAY_BASE_URL", "GEMWAY_API_KEY") if os.environ.get(name)]
    if len(names) == 1:
        raise SystemExit(f"{names[0]} is set alone; set GEMWAY_BASE_URL and GEMWAY_API_KEY, or neither")
    if not names:
        _emulator = Emulator(chunk_delay=chunk_delay).start()
        atexit.register(_emulator.stop)
        os.environ.update(GEMWAY_BASE_URL=_emulator.base_url, GEMWAY_API_KEY=_emulator.api_key)
        # A proxy that the machine is set up for cannot reach a server on this machine.
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    return os.environ["GEMWAY_BASE_URL"]


def is_emulated() -> bool:
    """Return whether an emulator answers, which has no language model."""
    return _emulator is not None
