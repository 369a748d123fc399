"""The blocking client and its asyncio twin are equal after the substitutions below, which docs/design.md shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import source_tree as source

# In _async_client.py -> in _client.py, applied from the top. Names in an import line may change their order.
SUBSTITUTIONS = (
    ("AsyncGenerator[T, None]", "Generator[T, None, None]"),
    ("AsyncGenerator[Any, None]", "Generator[Any, None, None]"),
    ("AsyncGenerator", "Generator"),
    ("AsyncIterator", "Iterator"),
    ("AsyncClient", "Client"),
    ("AsyncStream", "Stream"),
    ("AsyncTransport", "SyncTransport"),
    ("async ", ""),
    ("await ", ""),
    ("aclose", "close"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("__aiter__", "__iter__"),
    ("anext", "next"),
)
# The same for the two halves of what Google's client sends with.
SENDERS = (
    ("AsyncGenerator[bytes, None]", "Generator[bytes, None, None]"),
    ("AsyncSender", "Sender"),
    ("AsyncByteStream", "SyncByteStream"),
    *SUBSTITUTIONS,
)
BLOCKING, ASYNCIO = (source.folder("gemway") / name for name in ("_client.py", "_async_client.py"))


def substituted(path: Path, table: Iterable[tuple[str, str]]) -> str:
    """Return the text of *path* with the substitutions of *table* applied, from the top."""
    text = path.read_text(encoding="utf-8")
    for asyncio, blocking in table:
        text = text.replace(asyncio, blocking)
    return text


def body(text: str) -> list[str]:
    """Return the lines below the module's docstring, import lists sorted."""
    return [_sorted_import(line) for line in text.splitlines()[1:]]


def _sorted_import(line: str) -> str:
    if found := re.fullmatch(r"(from \S+ import )(.+)", line):
        return found[1] + ", ".join(sorted(found[2].split(", ")))
    return line


def test_the_clients_are_twins():
    """What one client does, the other does in the same words."""
    text = substituted(ASYNCIO, SUBSTITUTIONS)

    assert body(text) == body(BLOCKING.read_text(encoding="utf-8"))


def test_the_senders_of_googles_client_are_twins():
    """What the blocking half of Google's client is sent with, its asyncio half is sent with in the same words."""
    blocking, asyncio = (source.folder("gemway") / "google" / name for name in ("_sending.py", "_async_sending.py"))

    assert body(substituted(asyncio, SENDERS)) == body(blocking.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("asyncio", "blocking"), SUBSTITUTIONS, ids=str)
def test_the_table_is_needed_and_published(asyncio, blocking):
    """Every row is used by the code and stands in the design page."""
    page = (source.ROOT / "docs" / "design.md").read_text(encoding="utf-8")

    assert asyncio in ASYNCIO.read_text(encoding="utf-8")
    assert f"| `{asyncio}` | {f'`{blocking}`' if blocking else '(nothing)'} |" in page
