"""Blocking modules and their asyncio twins are equal after the substitutions below, which docs/design.md shows."""

from __future__ import annotations

import re

import pytest
import source_tree as source

# In the asyncio module -> in its blocking twin, applied from the top. Names in an import line may change their order.
SUBSTITUTIONS = (
    ("AsyncGenerator[T, None]", "Generator[T, None, None]"),
    ("AsyncGenerator[Any, None]", "Generator[Any, None, None]"),
    ("AsyncGenerator[bytes, None]", "Generator[bytes, None, None]"),
    ("AsyncGenerator", "Generator"),
    ("AsyncIterator", "Iterator"),
    ("AsyncClient", "Client"),
    ("AsyncStream", "Stream"),
    ("AsyncChat", "Chat"),
    ("StopAsyncIteration", "StopIteration"),
    ("Async", "Sync"),
    ("_async_transport", "_transport"),
    ("async_", "sync_"),
    ('kind="async"', 'kind="sync"'),
    ("async ", ""),
    ("await ", ""),
    ("aclose", "close"),
    ("aread", "read"),
    ("asend", "send"),
    ("aiter_raw", "iter_raw"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("__aiter__", "__iter__"),
    ("anext", "next"),
)
PAIRS = {
    "_async_client": "_client",
    "_async_transport": "_transport",
    "google/_async_sending": "google/_sending",
}


def text_of(module: str) -> str:
    return (source.folder("gemway") / f"{module}.py").read_text(encoding="utf-8")


def body(text: str) -> list[str]:
    """Return the statements below the module's docstring: import lists sorted, and wherever their lines are broken."""
    imports, lines = [], []
    for line in text.split("\n", 1)[1].splitlines():
        if found := re.fullmatch(r"( *from \S+ import )(.+)", line):
            imports.append(found[1] + ", ".join(sorted(found[2].split(", "))))
        else:
            lines.append(line)
    code = re.sub(r"\(\s+", "(", re.sub(r",?\s+\)", ")", "\n".join(lines)))
    return [*sorted(imports), *re.sub(r",\n\s+", ", ", code).splitlines()]


@pytest.mark.parametrize(("asyncio", "blocking"), PAIRS.items(), ids=PAIRS)
def test_the_twins_are_equal(asyncio, blocking):
    """What one module does, the other does in the same words."""
    text = text_of(asyncio)
    for ours, theirs in SUBSTITUTIONS:
        text = text.replace(ours, theirs)

    assert body(text) == body(text_of(blocking))


@pytest.mark.parametrize(("asyncio", "blocking"), SUBSTITUTIONS, ids=str)
def test_the_table_is_needed_and_published(asyncio, blocking):
    """Every row is used by the code and stands in the design page."""
    page = (source.ROOT / "docs" / "design.md").read_text(encoding="utf-8")

    assert any(asyncio in text_of(module) for module in PAIRS)
    assert f"| `{asyncio}` | {f'`{blocking}`' if blocking else '(nothing)'} |" in page
