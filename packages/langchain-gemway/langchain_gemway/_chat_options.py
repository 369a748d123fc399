"""The options of ChatGemway: the shared ones, LangChain's and its own, and what LangChain stores and traces of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import gemway
from gemway.adapters import SECRET_OPTIONS, ModelOptions, hide_secrets
from langchain_core.language_models import BaseChatModel, ModelProfile
from pydantic import PrivateAttr

from langchain_gemway._messages import LateSystem
from langchain_gemway._profiles import to_profile
from langchain_gemway._tools import to_bound_tools

UNTRACED: Final = SECRET_OPTIONS | {name for name, field in ModelOptions.model_fields.items() if field.exclude}
# What LangChain itself puts among the options of a call, for itself.
LANGCHAINS: Final = frozenset({"stream", "stream_usage", "ls_structured_output_format", "structured_output_format"})
CALL_ONLY: Final = frozenset({"late_system"})


class ChatOptions(ModelOptions, BaseChatModel):
    """Every option of ChatGemway as a field."""

    late_system: LateSystem = "merge"
    """What becomes of system messages after others: part of the instruction, the user's words, or an error."""
    count_tokens: bool = False
    """Whether `get_num_tokens_from_messages` asks the gateway; some bill a count as a generation."""
    streaming: bool | None = None

    _own_profile: bool = PrivateAttr(default=False)

    @classmethod
    def _read_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        # Usage always comes with a stream, so that ChatOpenAI's switch for it is true without a word.
        values = super()._read_options({name: value for name, value in options.items() if name != "stream_usage"})
        profile = values.get("profile")
        if profile and profile == to_profile(profile.get("name") or ""):
            del values["profile"]  # made here, for the model of that name; copies may ask for another
        return values

    def _check_options(self, *, needs_key: bool) -> None:
        super()._check_options(needs_key=needs_key)
        self._own_profile = self.profile != to_profile(self.model)
        self._add_version("langchain-gemway", gemway.__version__)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return to_profile(self.model)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            vars(self).pop("_serialized", None)  # made of the settings, once
            if name == "model" and not self._own_profile:
                self.profile = self._resolve_model_profile()

    # Serialisation

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"api_key": "GEMWAY_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        # Part of the key of LangChain's cache: a model that searches must not get the answer of one that does not.
        tools = to_bound_tools(self.tools, self.schema_dialect)
        return {"is_restored": True, "tools": [*tools]} if tools else {"is_restored": True}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can serialise the model: yes, without its secrets."""
        return True


def hide_call_secrets(kwargs: dict[str, Any]) -> None:
    """Mask the secrets among the options of a call, in place; the first line of whatever takes such options."""
    hide_secrets(kwargs, known=LANGCHAINS | CALL_ONLY)
