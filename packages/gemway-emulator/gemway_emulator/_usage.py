"""Count tokens the way bills look: a plausible, deterministic number per word, picture and page. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from gemway_emulator._models import Model

Part = dict[str, Any]

# Google's tokenizer is not public. A token here is up to six word characters or one other sign, with the space before it.
_TOKEN = re.compile(r"\s*(?:\w{1,6}|[^\w\s])|\s+$", re.UNICODE)
# Per picture, page, and second of sound or film: ai.google.dev/gemini-api/docs/tokens. A sound or film counts as
# one second, since nothing here decodes it. Pictures made by Gemini 3: ai.google.dev/gemini-api/docs/pricing.
_INPUT_TOKENS = {"IMAGE": 258, "AUDIO": 32, "VIDEO": 263, "DOCUMENT": 258}
_CACHED_TOKENS = 1024
THOUGHTS = "THOUGHTS"
_OUTPUT_TOKENS = {"512": 747, "1K": 1120, "2K": 1120, "4K": 2000}


def tokens(text: str) -> list[str]:
    """Split *text* into tokens that join back to it."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """The number of tokens in *text*."""
    return len(tokens(text))


def prompt_tokens(body: dict[str, Any]) -> dict[str, int]:
    """Tokens of a normalised request per modality; system instruction and tools count as text."""
    totals = {"TEXT": cached_tokens(body)}
    for content in (*body.get("contents", []), body.get("systemInstruction") or {}):
        _add_part_tokens(totals, content.get("parts", []))
    if tools := body.get("tools"):
        totals["TEXT"] += count(json.dumps(tools))
    return totals


def cached_tokens(body: dict[str, Any]) -> int:
    """How many of the prompt's tokens come from `cachedContent`."""
    return _CACHED_TOKENS if body.get("cachedContent") else 0


def details(totals: dict[str, int]) -> list[dict[str, Any]]:
    """`promptTokensDetails` and its kin."""
    return [{"modality": name, "tokenCount": number} for name, number in totals.items() if number]


def answer_tokens(parts: list[Part], model: Model, size: str) -> Counter[str]:
    """Tokens of an answer per modality, and of its `THOUGHTS`; *size* is that of a picture, such as "2K"."""
    totals: Counter[str] = Counter()
    image = 1290 if model.generation < 3 else _OUTPUT_TOKENS.get(size, 1120)
    _add_part_tokens(totals, [part for part in parts if "inlineData" in part or not part.get("thought")], image=image)
    thoughts = [part for part in parts if part.get("thought") and "inlineData" not in part]
    totals[THOUGHTS] = sum(count(_countable_text(part)) for part in thoughts)
    return totals


def _countable_text(part: Part) -> str:
    if "text" in part:
        return str(part["text"] or "")
    return json.dumps({name: value for name, value in part.items() if name not in ("inlineData", "thoughtSignature")})


def _add_part_tokens(totals: dict[str, int], parts: list[Part], *, image: int = _INPUT_TOKENS["IMAGE"]) -> None:
    for part in parts:
        blob = part.get("inlineData") or part.get("fileData")
        if blob is None:
            totals["TEXT"] += count(_countable_text(part))
            _add_part_tokens(totals, (part.get("functionResponse") or {}).get("parts") or [])
            continue
        kind = (blob.get("mimeType") or "").partition("/")[0].upper()
        name = kind if kind in _INPUT_TOKENS else "DOCUMENT"
        totals[name] = totals.get(name, 0) + (image if name == "IMAGE" else _INPUT_TOKENS[name])
