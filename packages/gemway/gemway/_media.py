"""Turn pictures and other media into parts. Pure: reads a `pathlib.Path` it is handed, fetches nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from gemway._exceptions import UnsupportedContentError
from gemway._json import JsonObject
from gemway._sniff import TYPES_BY_ENDING, canonical_mime_type, clean_base64, decode_base64, sniff_mime_type

_REMOTE: Final = ("https://", "http://", "gs://")

# Read by Google from its own side; a fetcher would get a page or a refusal.
_GOOGLE_HOSTS: Final = frozenset(
    {"generativelanguage.googleapis.com", "youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"}
)


def to_part(media: object, *, mime_type: str | None = None) -> JsonObject:
    """Return the wire part for *media*: `inlineData` for bytes, `fileData` for a reference.

    Args:
        media: bytes, a `data:` URL, an http(s), `gs://` or Files API URI (sent by reference), a `pathlib.Path`
            (read now), a `gemway.Image` or a Pillow image.
        mime_type: for example `"image/png"`; if None it is detected from the bytes or the ending of the address.

    Raises:
        UnsupportedContentError: the type is unknown, or *media* is a string that names a local file.
    """
    if isinstance(media, str):
        return _part_from_address(media.strip(), mime_type)
    if isinstance(media, Path):
        return _part_from_file(media, mime_type)
    if isinstance(media, bytes | bytearray | memoryview):
        return _part_from_bytes(bytes(media), mime_type)
    # `gemway.Image`, and anything like it, without importing the class.
    if isinstance(encoded := getattr(media, "base64", None), str):
        return inline_part(encoded, mime_type or getattr(media, "mime_type", None))
    if hasattr(media, "save") and hasattr(media, "format"):
        return _part_from_pillow(media, mime_type)
    raise UnsupportedContentError(
        f"cannot send media of type {type(media).__name__}; pass bytes, a pathlib.Path, a URL, a gemway.Image or a PIL image"
    )


def _part_from_address(address: str, mime_type: str | None) -> JsonObject:
    scheme = address[:8].lower()
    if scheme.startswith("data:"):
        declared, encoded = split_data_url(address)
        return inline_part(encoded, mime_type or declared)
    if scheme.startswith(_REMOTE):
        return _reference_part(address, mime_type or _type_by_ending(address.partition("?")[0].partition("#")[0]))
    if scheme.startswith("files/"):  # a Files API name: `files/abc-123`
        return _reference_part(address, mime_type)
    # A path in a string is never opened: it may come from a model or a web form (CWE-73).
    raise UnsupportedContentError(
        "a string is sent as media only if it is a data:, http(s):// or gs:// URL or a Files API name; "
        "pass a pathlib.Path to read a local file, or decoded bytes"
    )


def _reference_part(uri: str, mime_type: str | None) -> JsonObject:
    return {"fileData": {"mimeType": mime_type, "fileUri": uri} if mime_type else {"fileUri": uri}}


def _part_from_file(path: Path, mime_type: str | None) -> JsonObject:
    encoded = BytesIO()  # in pieces: the file itself is never in memory as a whole
    with path.open("rb") as file:
        head = file.read(_PIECE)
        if not head:
            raise UnsupportedContentError(f"cannot send {path.name}: the file is empty")
        mime_type = _declared_or_sniffed_type(mime_type or sniff_mime_type(head) or _type_by_ending(path.name), head)
        encoded.write(b64encode(head))
        while piece := file.read(_PIECE):
            encoded.write(b64encode(piece))
    return {"inlineData": {"mimeType": mime_type, "data": encoded.getvalue().decode("ascii")}}


_PIECE: Final = 3 * 2**18  # whole groups of base64


def _part_from_bytes(data: bytes, mime_type: str | None) -> JsonObject:
    if not data:
        raise UnsupportedContentError("cannot send empty media: there are no bytes in it")
    media_type = _declared_or_sniffed_type(mime_type, data)
    return {"inlineData": {"mimeType": media_type, "data": b64encode(data).decode("ascii")}}


def _part_from_pillow(picture: Any, mime_type: str | None) -> JsonObject:
    """Encode a Pillow image in the format it was read from, else as PNG."""
    picture_format = (canonical_mime_type(mime_type) or "").rpartition("/")[2].upper() or picture.format
    buffer = BytesIO()
    try:
        picture.save(buffer, format=picture_format or "PNG")
    except (KeyError, OSError) as error:  # unknown format; pixels that the format cannot hold
        raise UnsupportedContentError(
            f"the PIL image cannot be written as {picture_format}: {error}; convert it first"
        ) from error
    return _part_from_bytes(buffer.getvalue(), mime_type)


def inline_part(data: bytes | str, mime_type: str | None) -> JsonObject:
    """Return an `inlineData` part from bytes or base64 text. Without a usable *mime_type* it is detected from the bytes.

    Clean base64 text is passed on as the same object; other spellings (url-safe, unpadded, on several lines, a
    `data:` URL, whose type then counts) are put into the standard alphabet.
    Raises UnsupportedContentError where the type is unknown or the text is no base64.
    """
    if not isinstance(data, str):
        return _part_from_bytes(data, mime_type)
    declared = canonical_mime_type(mime_type)
    # People pass whole data: URLs as base64; their type counts if no other was given.
    if declared is None and data[:5].lower() == "data:":
        type_of_url = data[5:].partition(",")[0].partition(";")[0]
        declared = _declared_or_sniffed_type(type_of_url, b"") if type_of_url else None
    try:
        encoded, reason = clean_base64(data), "it is empty"
    except ValueError as error:
        encoded, reason = "", str(error)
    if not encoded:
        raise UnsupportedContentError(f"the media's base64 text cannot be read ({reason}); pass bytes instead")
    # A declared type is believed, so most pictures are passed on without a look into them.
    if declared is None:
        declared = _declared_or_sniffed_type(None, decode_base64(encoded[:128]))
    return {"inlineData": {"mimeType": declared, "data": encoded}}


def _declared_or_sniffed_type(mime_type: str | None, head: bytes) -> str:
    """Return the declared type, or else the type that the bytes show."""
    if media_type := canonical_mime_type(mime_type) or sniff_mime_type(head):
        return media_type
    raise UnsupportedContentError("the type of the media cannot be detected from its bytes; pass mime_type=")


def _type_by_ending(path: str) -> str | None:
    return TYPES_BY_ENDING.get(path.rpartition(".")[2].lower())


def split_data_url(url: str) -> tuple[str, str]:
    """Return media type and base64 text of a `data:` URL (RFC 2397).

    The type is `""` where the URL names none. Base64 is passed on unread; percent-encoded text is encoded, and
    is `text/plain` unless the URL names one.
    """
    header, comma, payload = url.partition(",")
    if header[:5].lower() != "data:" or not comma:
        raise UnsupportedContentError("not a data: URL; it reads data:image/png;base64,iVBOR...")
    mime_type, *parameters = (field.strip() for field in header[5:].split(";"))
    if parameters and parameters[-1].lower() == "base64":
        return mime_type.lower(), payload
    return mime_type.lower() or "text/plain", b64encode(unquote_to_bytes(payload)).decode("ascii")


def remote_urls(contents: list[JsonObject]) -> list[str]:
    """Return the http(s) addresses in *contents* that a fetcher could load, each once, in order.

    Addresses that Google reads from its own side (Files API, YouTube, `gs://`) are not among them.
    """
    files = (part["fileData"] for part in _all_parts(contents) if "fileData" in part)
    return list(dict.fromkeys(file["fileUri"] for file in files if _can_be_fetched(file.get("fileUri"))))


def _all_parts(contents: list[JsonObject]) -> Iterator[JsonObject]:
    """Yield every part, those inside function responses included."""
    for content in contents:
        for part in content.get("parts") or ():
            yield part
            yield from (part.get("functionResponse") or {}).get("parts") or ()


def _can_be_fetched(uri: str | None) -> bool:
    if not uri or not uri[:8].lower().startswith(("https://", "http://")):
        return False
    try:
        # Google reads these itself; downloading a YouTube page would send its HTML instead of the video.
        return urlsplit(uri).hostname not in _GOOGLE_HOSTS
    except ValueError:  # not an address at all: the gateway rejects it
        return False


def with_media(contents: list[JsonObject], fetched: Mapping[str, tuple[str, bytes]]) -> list[JsonObject]:
    """Return *contents* with each address in *fetched* replaced by its `(mime_type, bytes)`; the rest unchanged."""
    if not fetched:
        return contents
    # Encoded once for each address, however often the conversation names it.
    inlined = {uri: _part_from_bytes(data, mime_type) for uri, (mime_type, data) in fetched.items()}
    return [_with_inlined(content, inlined) for content in contents]


def _with_inlined(holder: JsonObject, inlined: Mapping[str, JsonObject]) -> JsonObject:
    """Return a content or a function response with its parts replaced."""
    if "parts" not in holder:
        return holder
    return {**holder, "parts": [_with_media_inlined(part, inlined) for part in holder["parts"] or ()]}


def _with_media_inlined(part: JsonObject, inlined: Mapping[str, JsonObject]) -> JsonObject:
    if "functionResponse" in part:
        return {**part, "functionResponse": _with_inlined(part["functionResponse"], inlined)}
    media = inlined.get((part.get("fileData") or {}).get("fileUri") or "")
    if media is None:
        return part
    siblings = {key: value for key, value in part.items() if key != "fileData"}
    return {**siblings, **media}
