"""Requests that gemway builds itself, and what their answers must hold. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Final

from gemway._exceptions import ContentBlockedError, EmptyResponseError, UnsupportedContentError
from gemway._media import to_part
from gemway._options import to_generation_config
from gemway._protocol import WireRequest
from gemway.types import GenerateContentResponse

IMAGE_MODEL: Final = "gemini-3.1-flash-image-preview"
MAX_PAGES: Final = 100
# Finish reasons that mean: a filter took the answer (ai.google.dev, FinishReason).
BLOCKED: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "LANGUAGE",
        "ESCALATION",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)


def image_request(
    prompt: str, model: str, aspect_ratio: str | None, image_size: str | None, images: Iterable[Any], *, with_text: bool
) -> WireRequest:
    """Return the request for one picture."""
    if not prompt or not prompt.strip():
        raise UnsupportedContentError("the prompt is empty: say what the picture is to show")
    config: dict[str, Any] = {"response_modalities": ["TEXT", "IMAGE"] if with_text else ["IMAGE"]}
    asked = (("aspect_ratio", aspect_ratio), ("image_size", image_size))
    image_config = {name: value for name, value in asked if value}
    if image_config:
        config["image_config"] = image_config
    parts = [{"text": prompt}, *(to_part(image) for image in images)]
    return WireRequest(
        contents=[{"role": "user", "parts": parts}], generationConfig=to_generation_config(config, model=model)
    )


def with_pictures(response: GenerateContentResponse, aspect_ratio: str | None) -> GenerateContentResponse:
    """Return *response* if it holds a picture; raise what its lack means."""
    refuse_blocked(response)
    if not response.images:
        words = f": {response.text}" if response.text else ""
        raise EmptyResponseError(
            f"the answer holds no picture (finish reason {response.finish_reason}){words}",
            finish_reason=response.finish_reason,
            response=response,
        )
    if aspect_ratio:
        _compare_ratio(response, aspect_ratio)
    return response


def refuse_blocked(response: GenerateContentResponse) -> None:
    """Raise `ContentBlockedError` if the prompt or the answer was blocked."""
    candidate = response.candidates[0] if response.candidates else None
    reason = response.block_reason or response.finish_reason
    if response.block_reason or (reason in BLOCKED and not response.images):
        words: str | None = (candidate.finish_message if candidate else None) or response.text
        feedback = response.prompt_feedback
        words = words or (feedback.block_reason_message if feedback else None)
        what = "prompt" if response.block_reason else "answer"
        raise ContentBlockedError(
            f"the {what} was blocked ({reason}){f': {words}' if words else ''}", reason=str(reason), response=response
        )


def _compare_ratio(response: GenerateContentResponse, aspect_ratio: str) -> None:
    """Warn where a gateway ignored the ratio (new-api issues 1999 and 2470)."""
    image = response.images[0]
    try:
        wide, high = (float(side) for side in aspect_ratio.split(":"))
        got = image.width / image.height
    except (ValueError, ZeroDivisionError):
        return
    # 21:9 at 512 pixels is documented as 792x168; the table is Google's, so what it says is right.
    if (image.width, image.height) != (792, 168) and abs(got / (wide / high) - 1) > 0.05:
        warnings.warn(
            f"asked for a picture of {aspect_ratio} and got {image.width}x{image.height} pixels;"
            " the gateway may ignore imageConfig",
            stacklevel=4,
        )
