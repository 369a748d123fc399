"""The page about other providers says what the code's tables say, and leaves nothing out."""

from __future__ import annotations

import re

import pytest
import source_tree as source
from gemway._option_reader import COMPOSED
from gemway._options import ALIASES, IGNORED, REFUSED
from langchain_gemway import ChatGemway
from llama_index.llms.gemway import Gemway

PAGE = (source.ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
CONFIGURATION = (source.ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def rows(title: str) -> list[tuple[list[str], str]]:
    """Return the tables whose heads end with *title*: the names of the first cell, the text of the second."""
    found: list[tuple[list[str], str]] = []
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            inside = False
        elif cells[-1] == title:
            inside = True
        elif inside and not line.startswith("|---"):
            found.append((re.findall(r"`(\w+)`", cells[0]), cells[-1]))
    return found


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    "table", [ALIASES, COMPOSED, IGNORED, REFUSED], ids=["aliases", "composed", "ignored", "refused"]
)
def test_every_name_is_on_a_page(table):
    """Who looks for the option of another provider finds it here or among the options."""
    assert [name for name in sorted(table) if f"`{name}`" not in PAGE + CONFIGURATION] == []


def test_renamed_options_are_the_codes():
    """Each row of the tables of names is an alias with what it stands for."""
    renamed = {(name, ours.strip("`")) for names, ours in rows("our name") for name in names}

    assert {(name, ALIASES.get(name)) for name, _ in renamed} == renamed
    assert sorted(ALIASES.keys() - {name for name, _ in renamed}) == []


def test_ignored_options_are_the_codes():
    """The table of what is ignored is complete, and holds nothing else."""
    listed = [
        name
        for line in section("Ignored with a warning").splitlines()
        if line.startswith("| ")
        for name in re.findall(r"`(\w+)`", line)
    ]

    assert sorted(listed) == sorted(IGNORED)


def test_refused_options_are_the_codes():
    """The table of what is refused is complete, and its advice names what the error names."""
    advice = {name: text for names, text in rows("write") for name in names}

    assert advice.keys() == REFUSED.keys()
    for name, text in advice.items():
        assert set(re.findall(r"(\w+)=", text)) <= {*re.findall(r"(\w+)=", REFUSED[name])}, name


@pytest.mark.parametrize("model", [ChatGemway, Gemway])
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_options_raise_with_advice(name, model, gateway_environment):
    """The error says what to write instead."""
    with pytest.raises(TypeError, match=re.escape(REFUSED[name])):
        model(model="gemini-2.5-flash", **{name: {"a": 1}})
