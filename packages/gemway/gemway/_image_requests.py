"""Requests for pictures, and the checks of their answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from gemway._capabilities import capabilities
from gemway._conversation import arrange
from gemway._exceptions import EmptyResponseError, UnsupportedContentError
from gemway._json import JsonObject
from gemway._media import to_part
from gemway._protocol import WireRequest, model_path
from gemway._response import FINISH_PROBLEMS, raise_if_blocked, words_of
from gemway._warnings import warn
from gemway._wire_options import to_generation_config
from gemway.types import Content, GenerateContentResponse, Part

IMAGE_MODEL: Final = "gemini-3.1-flash-image-preview"
_RATIO_TOLERANCE: Final = 0.05
_TRY_AGAIN: Final = "try again (models sometimes return no image) or rephrase the prompt"


def image_request(
    prompt: str,
    model: str,
    aspect_ratio: str | None,
    image_size: str | None,
    images: object,
    *,
    with_text: bool,
    history: Iterable[Any] = (),
) -> WireRequest:
    """Return the request for one picture."""
    if not isinstance(prompt, str):
        raise UnsupportedContentError(f"the prompt must be text, not {type(prompt).__name__}")
    if not prompt.strip():
        raise UnsupportedContentError("the prompt is empty; describe the image you want")
    model_path(model)  # a name that cannot be sent is an error before anything else is read
    if "image" not in capabilities(model).outputs:
        warn(f"{model} is not known to generate images; sending the request anyway")
    # With TEXT among the modalities, image models may answer with text alone.
    config: JsonObject = {"response_modalities": ["TEXT", "IMAGE"] if with_text else ["IMAGE"]}
    image_config = {"aspect_ratio": aspect_ratio, "image_size": image_size}
    if any(image_config.values()):
        config["image_config"] = {name: value for name, value in image_config.items() if value}
    if isinstance(history, (str, Mapping)) or not isinstance(history, Iterable):
        raise UnsupportedContentError(f"history must be a list of earlier turns, not {type(history).__name__}")
    pictures = [part for image in _list_of_images(images) for part in _picture_parts(image)]
    contents = [*map(_earlier_turn, history), {"role": "user", "parts": [{"text": prompt}, *pictures]}]
    return WireRequest(
        contents=arrange(contents, model=model) if len(contents) > 1 else contents,
        generationConfig=to_generation_config(config, model=model),
    )


def _list_of_images(images: object) -> Iterable[Any]:
    """Return *images* as a list, also if it is a single picture."""
    single = isinstance(images, (str, bytes, bytearray, memoryview, GenerateContentResponse))
    return [images] if single or not isinstance(images, Iterable) else images


def _picture_parts(image: object) -> list[JsonObject]:
    """Return the part of one picture, or of each picture of an earlier answer."""
    if not isinstance(image, GenerateContentResponse):
        return [to_part(image)]
    if not image.images:
        raise UnsupportedContentError("the earlier answer among images= holds no picture")
    return [to_part(picture) for picture in image.images]


def _earlier_turn(entry: object) -> JsonObject:
    """Return one earlier turn: a text of the user, an answer of the model, or a content."""
    if isinstance(entry, str):
        return {"role": "user", "parts": [{"text": entry}]}
    if isinstance(entry, GenerateContentResponse):
        # Signed parts go back exactly as they came: Gemini 3 checks the signatures of text and images.
        return {"role": "model", "parts": [part.to_dict() for part in entry.parts if not _is_unsigned_thought(part)]}
    if isinstance(entry, (Content, Mapping)):
        try:
            return Content.model_validate(entry).model_dump(exclude_none=True)
        except ValidationError as error:
            message = f"an earlier turn in history= is not a content: {error.errors(include_input=False)[0]['msg']}"
        raise UnsupportedContentError(message)
    raise UnsupportedContentError(
        f"cannot use a {type(entry).__name__} as an earlier turn; history= takes prompts as text, the responses to them,"
        " and contents as types.Content or dict"
    )


def _is_unsigned_thought(part: Part) -> bool:
    """Whether *part* is a thought without signature. The model need not see it again, and thought pictures are megabytes."""
    return bool(part.thought) and not part.thought_signature


def require_pictures(response: GenerateContentResponse, aspect_ratio: str | None) -> GenerateContentResponse:
    """Return *response* if it holds a picture, or raise an error with the reason why there is none."""
    # First the refusal: a blocked answer has no picture either, but trying again would not help.
    raise_if_blocked(response)
    if not response.images:
        advice = FINISH_PROBLEMS.get(str(response.finish_reason), _TRY_AGAIN)
        if url := _url_instead_of_picture(response):
            advice = f"the gateway names a picture by URL instead, which is not fetched: {url}"
        raise EmptyResponseError(
            f"the answer holds no picture (finish reason {response.finish_reason}){words_of(response)}; {advice}",
            finish_reason=response.finish_reason,
            response=response,
        )
    if aspect_ratio:
        _compare_ratio(response, aspect_ratio)
    return response


# Of bounded length, so that no text of a gateway can make the search slow.
_MARKDOWN_PICTURE: Final = re.compile(r"!\[[^\]\n]{0,200}\]\((https?://[^\s)]{1,2000})\)")


def _url_instead_of_picture(response: GenerateContentResponse) -> str | None:
    """Return the URL that a gateway sent instead of a picture, or None.

    flow2api answers with `fileData` if it could not load the picture, gemini-balance with a Markdown image.
    """
    for part in response.parts:
        file = part.file_data
        if file and file.file_uri and (file.mime_type or "image/").lower().startswith("image/"):
            return file.file_uri
    markdown = _MARKDOWN_PICTURE.search(response.text)
    return markdown[1] if markdown else None


def _compare_ratio(response: GenerateContentResponse, aspect_ratio: str) -> None:
    """Warn where a gateway ignored the ratio (new-api issues 1999 and 2470)."""
    try:
        wide, high = (float(side) for side in aspect_ratio.split(":"))
        sizes = [(image.width, image.height) for image in response.images]
        wrong = [size for size in sizes if abs(size[0] / size[1] * high / wide - 1) > _RATIO_TOLERANCE]
    except (ValueError, ZeroDivisionError):
        return
    # Google's table gives 792x168 for 21:9 at 512 pixels, although that is another ratio, so it counts as right.
    if wrong and (aspect_ratio, wrong[0]) != ("21:9", (792, 168)):
        warn(
            f"asked for a picture of {aspect_ratio} and got {wrong[0][0]}x{wrong[0][1]} pixels;"
            " the gateway may ignore imageConfig"
        )
