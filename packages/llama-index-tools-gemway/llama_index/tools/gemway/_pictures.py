"""Pictures and their ids: kept here, found in a conversation, shown to a model. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from io import IOBase
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock

from gemway import Image
from gemway.adapters import decode_base64

# An id is short enough for a model to copy, and long enough that no two pictures of a conversation share one.
_IMAGE_ID: Final = re.compile(r"\bimg-[0-9a-f]{16}\b")
# Models also write the digits without "img-", in brackets, in quotes or in a sentence.
_IMAGE_ID_AS_WRITTEN: Final = re.compile(r"(?<![0-9a-z])(?:img-)?([0-9a-f]{16})(?![0-9a-z])")
# Pictures take megabytes each, and an agent that runs for days must not fill the memory with them.
_MOST_PICTURES: Final = 64


class Gallery:
    """The newest pictures by their ids, at most 64. Safe to use from several threads.

    The id depends only on the bytes of the picture, so it is the same in every process and conversation.
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
            if len(self._pictures) > _MOST_PICTURES:
                self._pictures.popitem(last=False)
        return image_id

    def get(self, image_id: str) -> Image | None:
        """Return the picture with this id, if it is kept."""
        return self._pictures.get(image_id)

    def ids(self) -> list[str]:
        """Return the ids of all pictures, oldest first."""
        with self._lock:
            return list(self._pictures)

    # A lock cannot be pickled, and workers need the pictures: an agent may be restored in another process.

    def __getstate__(self) -> dict[str, list[tuple[str, Image]]]:
        return {"pictures": list(self._pictures.items())}

    def __setstate__(self, state: dict[str, list[tuple[str, Image]]]) -> None:
        self._pictures = OrderedDict(state["pictures"])
        self._lock = Lock()


def to_id(picture: Image) -> str:
    """Return the id of a picture: a digest of its bytes."""
    return f"img-{hashlib.blake2b(picture.data, digest_size=8).hexdigest()}"


def to_blocks(image_id: str, picture: Image, words: str, *, with_picture: bool) -> list[TextBlock | ImageBlock]:
    """Return a text that describes a picture to the model, and the picture itself if the model is to see it."""
    # An agent changes a picture by its id, so the id comes first; the words of the model that made it may be long.
    facts = [f"image_id: {image_id}", picture.mime_type, *_describe_size(picture)]
    text = f"{', '.join(facts)}\n{words}" if words else ", ".join(facts)
    if not with_picture:
        return [TextBlock(text=text)]
    # Without LlamaIndex's validators, which would decode and encode megabytes that are base64 already.
    block = ImageBlock.model_construct(image=picture.base64.encode("ascii"), image_mimetype=picture.mime_type)
    return [TextBlock(text=text), block]


def _describe_size(picture: Image) -> list[str]:
    try:
        return [f"{picture.width}x{picture.height} pixels"]
    except ValueError:  # a format whose header is not read
        return []


Picture: TypeAlias = Image | str
"""A picture at hand, or the address of one that only the gateway reads."""


def pictures_in(messages: Iterable[ChatMessage], gallery: Gallery) -> Iterator[Picture]:
    """Yield the pictures of a conversation, newest first: shown ones, and those of *gallery* that a text names."""
    # "The picture" means the latest one to users and models alike, so the search goes backwards.
    for message in reversed(list(messages)):
        for block in reversed(message.blocks):
            if isinstance(block, ImageBlock):
                if (picture := _picture_in_block(block)) is not None:
                    yield picture
            elif isinstance(block, TextBlock):
                named = (gallery.get(image_id) for image_id in reversed(_IMAGE_ID.findall(block.text)))
                yield from (picture for picture in named if picture is not None)


def ids_in(messages: Sequence[ChatMessage]) -> set[str]:
    """Return the ids that the texts of a conversation name."""
    texts = (block.text for message in messages for block in message.blocks if isinstance(block, TextBlock))
    return {image_id for text in texts for image_id in _IMAGE_ID.findall(text)}


def to_ids(image_ids: object) -> list[str]:
    """Return the ids that a model named. Models are asked for a list, but also write text, JSON, blanks and labels."""
    named = image_ids if isinstance(image_ids, list | tuple) else [image_ids]
    ids: list[str] = []
    for value in named:
        text = str(value or "").strip()
        matches = [f"img-{digits}" for digits in _IMAGE_ID_AS_WRITTEN.findall(text.lower())]
        # An unknown id is kept as it is, so that the error can quote it; empty brackets and quotes mean no id.
        ids += matches or ([text] if text.strip("[]\"' ") else [])
    return ids


def _picture_in_block(block: ImageBlock) -> Picture | None:
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
