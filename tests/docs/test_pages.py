"""What the pages say is true: their Python runs, prints what they show, and their links lead somewhere."""

from __future__ import annotations

import json
import re

import gemway.adapters
import markdown_pages as markdown
import pytest
import source_tree as source

PAGES = markdown.pages()
WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in markdown.blocks(page))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=source.shown)
def test_code_blocks_run(page, gateway_environment, monkeypatch, tmp_path, capsys):
    """The blocks of a page run from the top in one namespace; a `text` block below one is what it prints."""
    if "from google import genai" in page.read_text(encoding="utf-8"):
        pytest.importorskip("google.genai")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__page__"}
    for block in markdown.blocks(page):
        if block.language != "python":
            continue
        # Blank lines in front make tracebacks name the line of the page.
        code = compile("\n" * block.line + block.code, str(page), "exec", dont_inherit=True)
        exec(code, namespace)
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed.strip() == block.output.strip(), f"line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=source.shown)
def test_json_blocks_are_json(page):
    """What a page shows as JSON can be read as JSON."""
    for block in markdown.blocks(page):
        if block.language == "json":
            json.loads(block.code)


@pytest.mark.parametrize("page", PAGES, ids=source.shown)
def test_links_lead_somewhere(page):
    """Relative links name files that are there."""
    assert [target for target in markdown.links(page) if not (page.parent / target).exists()] == []


def test_every_page_of_the_site_is_in_its_menu():
    """No page of docs is lost."""
    menu = (source.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = source.ROOT / "docs"

    assert [page.name for page in sorted(docs.rglob("*.md")) if page.relative_to(docs).as_posix() not in menu] == []


def test_code_blocks_say_their_language():
    """A block without a language would be run by nobody."""
    bare = [
        f"{source.shown(page)}:{block.line}" for page in PAGES for block in markdown.blocks(page) if not block.language
    ]

    assert bare == []


def test_the_adapters_page_lists_every_name():
    """Whoever writes an adapter finds all names of `gemway.adapters` in the table of its page, and no others."""
    page = (source.ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page.partition("## All names")[2], re.MULTILINE)

    assert rows == sorted(gemway.adapters.__all__)
