"""Whoever runs the install line of a page has everything that the page imports. `nox -s installs` really runs them all."""

from __future__ import annotations

import ast
import shlex
import sys

import markdown_pages as markdown
import pytest
import source_tree as source

# What a distribution brings, apart from the module of its own name.
BRINGS = {
    "langchain": {"langchain", "langgraph", "langchain_core", "pydantic"},
    "google-genai": {"google"},
    "llama-index-retrievers-bm25": {"llama_index.retrievers.bm25", "llama_index.core"},
    "gemway": {"gemway", "pydantic", "httpx"},
    "gemway-emulator": {"gemway_emulator", "httpx"},
    "langchain-gemway": {"langchain_gemway", "langchain_core", "pydantic"},
    "llama-index-llms-gemway": {"llama_index.llms.gemway", "llama_index.core", "sqlalchemy", "pydantic"},
    "llama-index-tools-gemway": {"llama_index.tools.gemway", "llama_index.core"},
    "llama-index-embeddings-gemway": {"llama_index.embeddings.gemway", "llama_index.core"},
}
PAGES = [page for page in markdown.pages() if any(block.language == "python" for block in markdown.blocks(page))]


def imported(page) -> set[str]:
    """Return the modules that the Python of *page* imports, without the standard library's."""
    names: set[str] = set()
    for block in markdown.blocks(page):
        if block.language == "python":
            for node in ast.walk(ast.parse(block.code)):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module or "")
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


@pytest.mark.parametrize("page", PAGES, ids=source.shown)
def test_the_install_line_brings_what_the_page_imports(page):
    """Each page with Python has a line that installs, from a clone, every package that its programs use."""
    installed: set[str] = set()
    for requirement in markdown.install_line(page):
        name = requirement.removeprefix("./packages/").partition("[")[0]
        assert name not in source.PACKAGES or requirement.startswith("./packages/"), "ours are on no index yet"
        installed |= BRINGS.get(name, {name})

    def is_installed(module: str) -> bool:
        return any(module == one or module.startswith(f"{one}.") for one in installed)

    assert sorted(name for name in imported(page) if not is_installed(name)) == []


def test_requirements_of_packages_name_each_other():
    """A line that installs an adapter installs the core beside it, which is on no index."""
    for page in PAGES:
        line = markdown.install_line(page)
        if any(requirement.startswith("./packages/l") for requirement in line):
            assert any(shlex.quote(one).strip("'").startswith("./packages/gemway") for one in line), page
