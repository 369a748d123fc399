"""Facts about a model for LangChain's agents and middleware: its profile, and estimates of tokens. Pure.

Profiles come from the core's table. Tokens are estimated without a server and without a tokenizer: Gemini's are about
four letters of a word, one ideograph, or one sign (ai.google.dev, Understand and count tokens), and media cost a fixed
number each. Good to some 20 % for prose.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, cast

from gemway import capabilities
from langchain_core.language_models import ModelProfile
from pydantic_core import to_json

WireData = Mapping[str, Any]


def to_profile(model: str) -> ModelProfile:
    """Return the profile of *model*, by its name or the known name inside it."""
    able = capabilities(model)
    inputs, outputs = able.inputs, able.outputs
    profile: dict[str, object] = {
        "name": model,
        "max_input_tokens": able.input_tokens,
        "max_output_tokens": able.output_tokens,
        "image_url_inputs": "image" in inputs,
        "image_tool_message": able.tools and "image" in inputs,
        "pdf_tool_message": able.tools and "pdf" in inputs,
        "reasoning_output": able.thinking is not None,
        "tool_calling": able.tools,
        "tool_choice": able.tools,
        "tool_call_streaming": able.tools,
        "structured_output": able.structured_output,
        "attachment": "image" in inputs,
        "temperature": able.sampling,
        "mid_conversation_system_messages": False,
        "mid_conversation_tools": False,
        **{f"{medium}_inputs": medium in inputs for medium in ("text", "image", "audio", "video", "pdf")},
        **{f"{medium}_outputs": medium in outputs for medium in ("text", "image", "audio", "video")},
    }
    if able.thinking_levels:
        profile["reasoning_effort_levels"] = list(able.thinking_levels)
    if able.default_thinking_level:
        profile["reasoning_effort_default"] = able.default_thinking_level
    profile_keys = _known_profile_keys()
    return cast("ModelProfile", {key: value for key, value in profile.items() if key in profile_keys})


@lru_cache(maxsize=1)
def _known_profile_keys() -> frozenset[str]:
    # Keys differ between versions of langchain-core, and it warns about those that it does not know.
    return frozenset(ModelProfile.__annotations__)


# Tokens


def token_ids(text: str) -> list[int]:
    """Return a number for each estimated token; equal pieces get equal numbers."""
    return [zlib.crc32(piece.encode("utf-8", "surrogatepass")) for piece in _TOKEN_PATTERN.findall(text)]


def estimate_tokens(body: WireData, *, model: str) -> int:
    """Return about how many tokens the prompt of a wire request has: contents, system instruction and tools."""
    total = sum(len(_TOKEN_PATTERN.findall(text)) for text in _texts_in_request(body))
    for content in body.get("contents") or ():
        total += _TOKENS_PER_CONTENT + sum(_media_tokens(part, model) for part in content["parts"])
    return total


_TOKEN_PATTERN: Final = re.compile(
    r"[A-Za-z]{1,5}|\d{1,3}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_A-Za-z]{1,3}|[^\w\s]|_|\n+"
)
_TOKENS_PER_CONTENT: Final = 3


def _texts_in_request(body: WireData) -> Iterator[str]:
    for content in [*(body.get("contents") or ()), body.get("systemInstruction") or {}]:
        for part in content.get("parts") or ():
            if "text" in part:
                yield part["text"]
            elif call := part.get("functionCall") or part.get("functionResponse"):
                yield to_json({name: value for name, value in call.items() if name != "parts"}).decode()
    if tools := body.get("tools"):
        yield to_json(tools).decode()


# Google counts a picture as 258 tokens up to Gemini 2.5 and as 1,120 from Gemini 3 on, a page of a document as 258, and a
# second of sound as 32 and of video as 263 (ai.google.dev, Token counting; Media resolution). How long sound and video
# are is not known here; one minute is assumed.
_MEDIA_TOKENS: Final = {"image": 258, "application": 258, "audio": 32 * 60, "video": 263 * 60}
_TOKENS_OF_A_NEWER_PICTURE: Final = 1120


def _media_tokens(part: WireData, model: str) -> int:
    inner = (part.get("functionResponse") or {}).get("parts") or ()
    total = sum(_media_tokens(one, model) for one in inner)
    blob = part.get("inlineData") or part.get("fileData")
    if blob is not None:
        family = (blob.get("mimeType") or "image/").partition("/")[0]
        is_newer = family == "image" and capabilities(model).generation >= 3
        total += _TOKENS_OF_A_NEWER_PICTURE if is_newer else _MEDIA_TOKENS.get(family, 258)
    return total
