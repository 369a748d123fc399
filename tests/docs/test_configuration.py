"""The configuration page names every option that there is."""

from __future__ import annotations

import inspect
import re

import gemway
import source_tree as source
from gemway._option_reader import COMPOSED
from gemway._options import ALIASES, IGNORED, OPTIONS, ROWS

TABLES = ("The client's options", "Options of an answer")
PAGE = (source.ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def missing(names: object) -> list[str]:
    return sorted(name for name in names if f"`{name}`" not in PAGE)


def test_options_of_the_clients_are_described():
    """Every argument of `Client` stands on the page."""
    parameters = inspect.signature(gemway.Client).parameters.values()

    assert missing(one.name for one in parameters if one.kind is not one.VAR_KEYWORD) == []


def test_options_of_the_models_are_described():
    """Every canonical option, every alias and every option that is ignored stands on the page."""
    assert missing(OPTIONS) == []
    assert missing(ALIASES) == []
    assert missing(COMPOSED) == []
    assert missing(IGNORED) == []


def test_every_alias_stands_beside_what_it_means():
    """The table of aliases is the code's table."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]

    for alias, option in ALIASES.items():
        assert any(f"`{alias}`" in row and row.endswith(f"| `{option}` |") for row in rows), alias


def test_nothing_else_is_described():
    """The tables of options name no option that the code does not have, and no option is named twice in one of them."""
    tables = [PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0] for title in TABLES]
    named = [re.findall(r"`(\w+)`", row.split("|")[1]) for table in tables for row in table.splitlines() if "|" in row]
    options = [name for names in named for name in names]

    assert sorted(set(options) - ROWS.keys() - ALIASES.keys()) == []
    assert sorted(options) == sorted(set(options))
