"""Importing costs nothing that is not needed yet. Each import is measured in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOADED = "import sys, json; {}; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
HEAVY = {"google", "openai", "anthropic", "tiktoken", "PIL", "httpx2", "aiohttp", "torch", "transformers"}


def loaded(statement: str) -> set[str]:
    """Return the top-level modules that are loaded after *statement*."""
    command = [sys.executable, "-c", LOADED.format(statement)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return set(json.loads(run.stdout))


def test_the_core_loads_no_http_client():
    """httpx is imported at the first call, not before."""
    constructing = "import gemway; gemway.Client(api_key='k', base_url='https://gateway.example')"

    assert not loaded(constructing) & {"httpx", "httpcore", "h11", "anyio", "PIL", "langchain_core", "llama_index"}


@pytest.mark.parametrize(
    ("framework", "adapter", "ours"),
    [
        (
            "import langchain_core.language_models.chat_models, langchain_core.tools, langchain_core.output_parsers",
            "import langchain_gemway",
            {"gemway", "langchain_gemway"},
        ),
        ("import llama_index.core", "import llama_index.llms.gemway", {"gemway"}),
        ("import llama_index.core", "import llama_index.tools.gemway", {"gemway"}),
    ],
    ids=["langchain_gemway", "llama_index.llms.gemway", "llama_index.tools.gemway"],
)
def test_adapters_add_nothing_heavy_to_their_framework(framework, adapter, ours):
    """An adapter loads what its framework has loaded, itself and the core, and the standard library."""
    added = loaded(adapter) - loaded(framework)

    assert not added & HEAVY
    assert {name for name in added - ours if name not in sys.stdlib_module_names} == set()
