"""Who takes part: the floors, ours, and the peers, which are left out where they are not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from workload import KEY, MODEL


@dataclass(frozen=True)
class Contender:
    """One implementation, measured in a process of its own.

    Attributes:
        family: `http`, `langchain` or `llama-index`: whose exercises it does, and which floors it is compared with.
        model: module and class of its chat model, or of its exercises in the family `http`.
        options: what the model's constructor gets, besides the address.
        address: the constructor's name for the address.
        only: the exercises it takes part in; empty means all.
        hidden: modules that are to look as if they were not installed.
    """

    family: str
    model: str
    options: dict[str, Any] | None = None
    address: str = "base_url"
    only: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    is_peer: bool = False


_OURS = {"model": MODEL, "api_key": KEY, "temperature": 0.7, "max_response_bytes": 2**30}
_BEARER = {"Authorization": f"Bearer {KEY}"}

CONTENDERS = {
    "httpx": Contender("http", "over_http:Httpx"),
    "gemway": Contender("http", "over_http:Core"),
    "gemway+aiohttp": Contender("http", "over_http:CoreOverAiohttp", only=("a_text", "a_stream")),
    "langchain": Contender("langchain", "over_langchain:Floor"),
    "langchain-gemway": Contender("langchain", "langchain_gemway:ChatGemway", _OURS),
    "langchain-google-genai": Contender(
        "langchain",
        "langchain_google_genai:ChatGoogleGenerativeAI",
        {"model": MODEL, "google_api_key": "unused", "temperature": 0.7, "additional_headers": _BEARER},
        # Google's client prefers aiohttp where it is installed; installing this package does not bring it along.
        hidden=("aiohttp",),
        is_peer=True,
    ),
    "llama-index": Contender("llama-index", "over_llama_index:Floor"),
    "llama-index-llms-gemway": Contender("llama-index", "llama_index.llms.gemway:Gemway", _OURS),
    "llama-index-llms-google-genai": Contender(
        "llama-index",
        "llama_index.llms.google_genai:GoogleGenAI",
        # Without max_tokens and context_window its constructor asks the gateway for its models.
        {"model": MODEL, "api_key": "unused", "temperature": 0.7, "max_tokens": 1024, "context_window": 200_000},
        address="http_options",
        is_peer=True,
    ),
}
FRAMEWORKS = {
    "http": "pydantic",
    "langchain": "langchain_core.language_models.chat_models",
    "llama-index": "llama_index.core.llms",
}
"""What is loaded anyway in a program that uses the family."""


def load(contender: Contender) -> Callable[..., Any]:
    """Return the class of a contender's model. Raises ImportError where it is not installed."""
    module, _, name = contender.model.partition(":")
    for hidden in contender.hidden:
        sys.modules[hidden] = None  # type: ignore[assignment]  # Python's own way to say: not importable
    loaded: Callable[..., Any] = getattr(import_module(module), name)
    return loaded


def build(contender: Contender, model: Callable[..., Any], address: str, scenario: str) -> Any:
    """Return a chat model that asks for *scenario*."""
    if contender.options is None:
        return model(scenario=scenario)
    url = f"{address}/{scenario}"
    if contender.address == "http_options":
        return model(**contender.options, http_options={"base_url": url, "headers": _BEARER})
    return model(**contender.options, **{contender.address: url})


def exercises(contender: Contender, address: str) -> Any:
    """Return the exercises of a contender."""
    model = load(contender)
    if contender.family == "http":
        return model(address)
    family = import_module("over_" + contender.family.replace("-", "_"))
    return family.Exercises(partial(build, contender, model, address))
