"""Models travel as JSON without their secrets, and come back the same."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import gemway
import pytest
from gemway_emulator import Emulator
from langchain_core.load import dumpd, load
from langchain_gemway import ChatGemway

Make = Callable[..., ChatGemway]


def loaded(data: Any, **options: Any) -> Any:
    """Load with our class named, as langchain-core asks of classes that are not its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # load is in beta
        return load(data, allowed_objects=[ChatGemway], valid_namespaces=["langchain_gemway"], **options)


def test_a_dumped_model_loads_the_same(gateway_environment: Emulator) -> None:
    """dumpd holds every setting but the secrets; load with the class named brings the model back."""
    model = ChatGemway(
        model="gemini-2.5-pro", temperature=0.3, default_headers={"x-team": "hidden"}, stop="END", thinking_budget=-1
    )
    data = json.loads(json.dumps(dumpd(model)))

    twin = loaded(data, secrets_from_env=True)

    assert "hidden" not in json.dumps(data)
    assert twin.dict() == model.dict()
    assert twin.invoke("Hello").text


def test_a_model_without_its_key_raises_at_the_first_call(gateway_environment: Emulator, monkeypatch: Any) -> None:
    """Loading where no key is known works; the first call names the way to give one."""
    data = dumpd(ChatGemway(model="gemini-2.5-pro"))
    monkeypatch.delenv("GEMWAY_API_KEY")

    twin = loaded(data, secrets_from_env=False)

    with pytest.raises(gemway.ConfigurationError, match="GEMWAY_API_KEY"):
        twin.invoke("Hello")


@pytest.mark.parametrize(
    ("missing", "names"),
    [("GEMWAY_API_KEY", "api_key="), ("GEMWAY_BASE_URL", "base_url="), ("GEMWAY_MODEL", "model=")],
)
def test_what_is_missing_is_named_at_construction(monkeypatch: pytest.MonkeyPatch, missing: str, names: str) -> None:
    """Neither argument nor variable: a ConfigurationError that names both."""
    for name in ("GEMWAY_API_KEY", "GEMWAY_BASE_URL", "GEMWAY_MODEL"):
        monkeypatch.setenv(name, "https://gateway.example")
    monkeypatch.delenv(missing)

    with pytest.raises(gemway.ConfigurationError, match=missing) as raised:
        ChatGemway()
    assert names in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"thinking_level": "low", "thinking_budget": 100},
        {"max_retries": -1},
        {"timeout": 0},
        {"base_url": "gateway.example"},
        {"api_key": "sk-\nline"},
        {"inline_data_casing": "kebab"},
        {"late_system": "drop"},
        {"schema_dialect": "xml"},
        {"temperature": 0.1, "model_name": "another"},
    ],
    ids=str,
)
def test_bad_values_are_refused_at_construction(chat: Make, options: dict[str, Any]) -> None:
    """Before anything is sent, as a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        chat(**options)
