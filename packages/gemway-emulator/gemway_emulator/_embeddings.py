"""Answer the three embedding routes, with vectors made without a model: near texts, near vectors. Pure.

Every feature of an input (a word, three letters of one, a colour, an edge) is hashed to one place in each block of the
vector, and the blocks double in size: 0-7, 8-15, 16-31, 32-63 and so on. The beginning of a vector therefore holds all
features too, only more coarsely, so that a short vector is the beginning of the long one, as with Google's models.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gemway_emulator import _usage
from gemway_emulator._errors import GoogleError, invalid_argument
from gemway_emulator._language import content_words, words
from gemway_emulator._media import name_colour, open_picture
from gemway_emulator._models import Model
from gemway_emulator._signatures import decode_blob

_BLOCKS = (0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)  # where each block begins; each is as long as all before it
_GRID = 8  # a picture is seen as 8 x 8 cells
_CONTRAST = 24  # of 765: how much a cell differs from the mean before its place counts
# gemini-embedding-2 reads its task in the text (ai.google.dev/gemini-api/docs/embeddings); it is no part of the meaning.
_TASK = re.compile(r"(?:task: [^|\n]*\| query: |title: [^|\n]*\| text: )")

# Limits that clients run into when they embed whole documents.
_MOST_REQUESTS = 100  # Google's 400: "at most 100 requests can be in one batch"
_MOST_INPUTS = 2048  # developers.openai.com/api/reference: embeddings, input

Json = dict[str, Any]


def answer_single(request: Json, model: Model) -> Json:
    """The answer to `:embedContent`."""
    _check_input(request, model, "EmbedContentRequest")
    return {"embedding": {"values": _embed_request(request, model)}} | _describe_usage([request], model)


def answer_batch(body: Json, model: Model, *, merged: bool = False) -> Json:
    """The answer to `:batchEmbedContents`; *merged* makes one vector of all contents, as some gateways do."""
    requests = body.get("requests") or []
    if not requests:
        raise invalid_argument("* BatchEmbedContentsRequest.requests: requests is not specified", field="requests")
    if len(requests) > _MOST_REQUESTS:
        raise invalid_argument(
            f"* BatchEmbedContentsRequest.requests: at most {_MOST_REQUESTS} requests can be in one batch"
        )
    for index, request in enumerate(requests):
        _check_input(request, model, f"BatchEmbedContentsRequest.requests[{index}]")
    if merged:
        parts = [part for request in requests for part in request["content"]["parts"]]
        requests = [{**requests[0], "content": {"parts": parts}}]
    return {"embeddings": [{"values": _embed_request(request, model)} for request in requests]} | _describe_usage(
        requests, model
    )


def answer_openai(body: Json, model: Model, *, merged: bool = False) -> Json:
    """The answer to OpenAI's `/v1/embeddings`."""
    texts, dimensions = _openai_texts(body.get("input")), body.get("dimensions")
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise GoogleError(400, f"Invalid value: '{form}'. Supported values are: 'float' and 'base64'.")
    if dimensions is not None and (type(dimensions) is not int or not 1 <= dimensions <= model.dimensions):
        raise GoogleError(400, f"Invalid value for 'dimensions': must be from 1 to {model.dimensions}.")
    texts = ["\n".join(texts)] if merged else texts
    vectors = [embed([{"text": text}], dimensions or model.dimensions) for text in texts]
    entries = [
        {"object": "embedding", "index": index, "embedding": vector if form == "float" else _encode_floats(vector)}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(map(_usage.count, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": entries, "model": body.get("model"), "usage": usage}


def _check_input(request: Json, model: Model, path: str) -> None:
    """Raise Google's 400 for one input that cannot be embedded."""
    parts, dimensions = (request.get("content") or {}).get("parts"), request.get("outputDimensionality")
    if request.get("model", f"models/{model.name}").removeprefix("models/") != model.name:
        raise invalid_argument(f"* {path}.model: unexpected model name format", field="model")
    if not parts:
        raise invalid_argument(f"* {path}.content: contents is not specified", field="content")
    if any(part.get("text") == "" or not part.keys() & {"text", "inlineData", "fileData"} for part in parts):
        raise invalid_argument(f"* {path}.content contains an empty Part.", field="content")
    if model.embeds_text_only and any("text" not in part for part in parts):
        raise invalid_argument(f"* {path}.content: models/{model.name} embeds text only", field="content")
    if dimensions is not None and not 1 <= dimensions <= model.dimensions:
        raise invalid_argument(
            f"* {path}.output_dimensionality: must be in the range [1, {model.dimensions}].",
            field="output_dimensionality",
        )


def _embed_request(request: Json, model: Model) -> list[float]:
    return embed(request["content"]["parts"], request.get("outputDimensionality") or model.dimensions)


def _describe_usage(requests: list[Json], model: Model) -> Json:
    """`usageMetadata`, which only gemini-embedding-2 and its previews send; Google spells the details in two ways."""
    if "embedding-2" not in model.name:
        return {}
    totals = _usage.prompt_tokens({"contents": [request["content"] for request in requests]})
    return {"usageMetadata": {"promptTokenCount": sum(totals.values()), "promptTokenDetails": _usage.details(totals)}}


def _openai_texts(value: Any) -> list[str]:
    """The inputs as texts: a text, texts, tokens, or lists of tokens. Tokens become words of their own."""
    listed = value if isinstance(value, list) and value and not isinstance(value[0], int) else [value]
    texts = []
    for item in listed:
        if isinstance(item, list) and item and all(type(token) is int for token in item):
            texts.append(" ".join(f"token{token}" for token in item))
        elif isinstance(item, str) and item:
            texts.append(item)
        else:
            raise GoogleError(400, "'$.input' is invalid. Please check the API reference.")
    if len(texts) > _MOST_INPUTS:
        raise GoogleError(400, f"'$.input' is invalid: at most {_MOST_INPUTS} inputs can be in one request.")
    return texts


def _encode_floats(vector: list[float]) -> str:
    """OpenAI's compact form: little-endian float32 numbers."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def embed(parts: list[dict[str, Any]], dimensions: int) -> list[float]:
    """Return the unit vector of *parts*, one input, with *dimensions* numbers."""
    features: Counter[str] = Counter()
    for part in parts:
        for feature, weight in _list_features(part):
            features[feature] += weight  # type: ignore[assignment]  # typeshed wants whole counts
    vector = [0.0] * dimensions
    for feature, weight in features.items():
        # A word that stands there four times means more, but not four times as much.
        strength = math.sqrt(weight)
        for place, value in _find_places(feature):
            if place >= dimensions:
                break
            vector[place] += strength * value
    # A text of signs alone has no feature, and clients divide by the length of a vector: it may not be zero.
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else [1.0, *vector[1:]]


@lru_cache(maxsize=50_000)
def _find_places(feature: str) -> tuple[tuple[int, float], ...]:
    """(place, value) of *feature* in each block. Larger blocks separate features better, so they weigh more."""
    bits = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=20).digest(), "big")
    places = []
    for number, start in enumerate(_BLOCKS):
        chunk = bits >> 16 * number & 0xFFFF
        size = min(max(start, 8), 1024)  # the last block ends at 3,072
        places.append((start + (chunk & 0x7FFF) % size, math.sqrt(size) * (1 if chunk & 0x8000 else -1)))
    return tuple(places)


def _list_features(part: dict[str, Any]) -> Iterator[tuple[str, float]]:
    if "text" in part:
        text = _TASK.sub("", part["text"], count=1)
        for stem in content_words(text) or words(text) or text.split():
            yield f"word {stem}", 1.0
            # Pieces of words bring `swim` near `swimming`, and words with typing errors near those without.
            padded = f" {stem} "
            for start in range(len(padded) - 2):
                yield f"piece {padded[start : start + 3]}", 0.02
        return
    data = decode_blob(part.get("inlineData") or {})
    picture = open_picture(data)
    if picture is None:  # sound, a document, a file by URI: the same bytes are near themselves
        yield f"file {part.get('fileData') or hashlib.sha256(data).hexdigest()}", 10.0
        return
    # The colours of a picture, also by the words for them, and where it is darker or brighter than its mean.
    cells = picture.resize((_GRID, _GRID)).tobytes()
    pixels = list(zip(cells[0::3], cells[1::3], cells[2::3], strict=True))
    mean = sum(cells) / len(pixels)
    for place, pixel in enumerate(pixels):
        yield f"word {name_colour(pixel)}", 1 / len(pixels)
        yield f"shade {[value // 52 for value in pixel]}", 1 / len(pixels)
        if abs(sum(pixel) - mean) > _CONTRAST:
            yield f"cell {place} {sum(pixel) > mean}", 1 / len(pixels)
