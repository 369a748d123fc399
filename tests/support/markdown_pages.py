"""The project's pages: their code blocks and their links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import source_tree as source

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it begins in, and the `text` block right below it, if any."""

    language: str
    code: str
    line: int
    output: str | None = None


def pages() -> list[Path]:
    """Return README, the other pages of the root, docs, and the READMEs of packages and examples."""
    patterns = ("*.md", "docs/**/*.md", "packages/*/README.md", "examples/**/*.md")
    return sorted(path for pattern in patterns for path in source.ROOT.glob(pattern))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of *page*."""
    text = page.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    for match, below in zip(found, [*found[1:], None], strict=False):
        output = None
        if below and below["info"].strip() == "text" and not text[match.end() : below.start()].strip():
            output = below["code"]
        code = re.sub(f"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        yield Block(match["info"].strip().split(" ")[0], code, text.count("\n", 0, match.start()) + 1, output)


def links(page: Path) -> list[str]:
    """Return the relative links of *page*, without anchors."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [match["target"].split("#")[0] for match in _LINK.finditer(text)]
    return [target for target in targets if target and not re.match(r"[a-z]+:", target)]


def install_line(page: Path) -> list[str]:
    """Return the requirements of the first `pip install` in a shell block of *page*."""
    for block in blocks(page):
        if block.language in ("bash", "sh"):
            for line in block.code.splitlines():
                if line.startswith("pip install "):
                    return shlex.split(line, comments=True)[2:]
    return []
