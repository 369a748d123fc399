"""Answers without content: which are errors, and which deserve a warning."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from llama_index.core.base.llms.types import ThinkingBlock

from gemway import BLOCKED, FINISH_PROBLEMS, EmptyResponseError, refuse_blocked
from gemway.types import GenerateContentResponse


def has_content(blocks: list[Any]) -> bool:
    return any(not isinstance(block, ThinkingBlock) and getattr(block, "text", " ") for block in blocks)


def judge_empty(response: GenerateContentResponse, max_tokens: int | None, kinds: set[str]) -> None:
    """Raise or warn about an answer that shows nothing, as its finish reason asks for.

    *kinds* are those of the parts that are not shown: thoughts, or what the server did by itself.
    """
    reason = response.finish_reason
    if response.block_reason or reason in BLOCKED:
        refuse_blocked(response)
    if reason == "MAX_TOKENS":
        usage = response.usage_metadata
        thoughts = (usage.thoughts_token_count if usage else None) or 0
        warnings.warn(
            f"the answer was cut off before its first visible word: {thoughts} tokens went into thoughts, and"
            f" max_tokens is {max_tokens or 'at its default'}; raise max_tokens or lower the thinking budget",
            stacklevel=_user_frame(),
        )
    elif reason == "STOP":
        if not kinds:
            warnings.warn("the model ended its turn without saying anything", stacklevel=_user_frame())
    elif kinds <= {"thinking"}:
        raise _empty(response, reason)


def _empty(response: GenerateContentResponse, reason: str | None) -> EmptyResponseError:
    candidate = response.candidates[0] if response.candidates else None
    words = candidate.finish_message if candidate else None
    what = f"the answer is empty (finish reason {reason})" if candidate else "the answer holds no candidates"
    advice = FINISH_PROBLEMS.get(str(reason))
    told = "".join(f": {text}" for text in (words, advice) if text)
    return EmptyResponseError(f"{what}{told}", finish_reason=reason, response=response)


def warn_about_problem(response: GenerateContentResponse) -> None:
    """Warn about an answer that has content and yet went wrong, such as by a call of a tool that does not exist."""
    reason = response.finish_reason
    if advice := FINISH_PROBLEMS.get(str(reason)):
        warnings.warn(f"the answer ended with {reason}: {advice}", stacklevel=_user_frame())


def _user_frame() -> int:
    """Return the stacklevel of the first caller outside of LlamaIndex, to whom a warning speaks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("llama_index"):
        frame, level = frame.f_back, level + 1
    return level
