"""Pictures and their ids: kept here, found in a conversation, shown to a model. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from io import IOBase
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock

from gemway import Image
from gemway.adapters import decode_base64

_ID: Final = re.compile(r"\bimg-[0-9a-f]{16}\b")
_ID_AS_WRITTEN: Final = re.compile(r"(?<![0-9a-z])(?:img-)?([0-9a-f]{16})(?![0-9a-z])")
_KEPT: Final = 64


class Gallery:
    """The newest pictures by their ids, at most 64. Safe to use from several threads.

    An id says what is in the picture, so that it is the same in every process and conversation.
    """

    def __init__(self) -> None:
        self._pictures: OrderedDict[str, Image] = OrderedDict()
        self._lock = Lock()

    def add(self, picture: Image) -> str:
        """Keep *picture* as the newest; return its id."""
        image_id = to_id(picture)
        with self._lock:
            self._pictures[image_id] = picture
            self._pictures.move_to_end(image_id)
            if len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
        return image_id

    def get(self, image_id: str) -> Image | None:
        """Return the picture with this id, if it is kept."""
        return self._pictures.get(image_id)

    def ids(self) -> list[str]:
        """Return the ids of all pictures, oldest first."""
        with self._lock:
            return list(self._pictures)

    def __getstate__(self) -> dict[str, Any]:
        return {"pictures": list(self._pictures.items())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._pictures = OrderedDict(state["pictures"])
        self._lock = Lock()


def to_id(picture: Image) -> str:
    """Return the id of a picture: a digest of its bytes."""
    return f"img-{hashlib.blake2b(picture.data, digest_size=8).hexdigest()}"


def to_blocks(image_id: str, picture: Image, words: str, *, with_picture: bool) -> list[TextBlock | ImageBlock]:
    """Return a text that describes a picture to the model, and the picture itself if the model is to see it."""
    facts = [f"image_id: {image_id}", picture.mime_type, *_size(picture)]
    text = f"{', '.join(facts)}\n{words}" if words else ", ".join(facts)
    if not with_picture:
        return [TextBlock(text=text)]
    # Past the validators, which would decode and encode megabytes that are base64 already.
    block = ImageBlock.model_construct(image=picture.base64.encode("ascii"), image_mimetype=picture.mime_type)
    return [TextBlock(text=text), block]


def _size(picture: Image) -> list[str]:
    try:
        return [f"{picture.width}x{picture.height} pixels"]
    except ValueError:  # a format whose header is not read
        return []


Picture: TypeAlias = Image | str
"""A picture at hand, or the address of one that only the gateway reads."""


def pictures_in(messages: Iterable[ChatMessage], gallery: Gallery) -> Iterator[Picture]:
    """Yield the pictures of a conversation, newest first: shown ones, and those of *gallery* that a text names."""
    for message in reversed(list(messages)):
        for block in reversed(message.blocks):
            if isinstance(block, ImageBlock):
                if (picture := _to_picture(block)) is not None:
                    yield picture
            elif isinstance(block, TextBlock):
                named = (gallery.get(image_id) for image_id in reversed(_ID.findall(block.text)))
                yield from (picture for picture in named if picture is not None)


def ids_in(messages: Sequence[ChatMessage]) -> set[str]:
    """Return the ids that the texts of a conversation name."""
    texts = (block.text for message in messages for block in message.blocks if isinstance(block, TextBlock))
    return {image_id for text in texts for image_id in _ID.findall(text)}


def to_ids(image_ids: Any) -> list[str]:
    """Return the ids that a model named: it is asked for a list, and writes a text, JSON, blanks and labels as well."""
    named = image_ids if isinstance(image_ids, list | tuple) else [image_ids]
    ids: list[str] = []
    for value in named:
        text = str(value or "").strip()
        matches = [f"img-{digits}" for digits in _ID_AS_WRITTEN.findall(text.lower())]
        ids += matches or ([text] if text.strip("[]\"' ") else [])
    return ids


def _to_picture(block: ImageBlock) -> Picture | None:
    """Return the picture of a block, or its address if that is all there is; None if it holds no picture."""
    url = str(block.url or "")
    try:
        if isinstance(block.image, IOBase):
            block.image.seek(0)
            picture = Image(block.image.read(), block.image_mimetype)
        elif block.image:
            picture = Image(decode_base64(block.image.decode("ascii")), block.image_mimetype)
        elif block.path:
            picture = Image(Path(block.path).read_bytes(), block.image_mimetype)
        elif url[:5].lower() == "data:":
            picture = Image(decode_base64(url), None)
        else:
            return url or None
    except (ValueError, OSError):  # no base64, or a file that is gone
        return None
    return picture if picture.mime_type.startswith("image/") else None
