"""Detect the type of media: from the declared type, the bytes, or the base64 text. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import a2b_base64
from typing import Final
from urllib.parse import unquote

_HEADER_BYTES: Final = 64
_UNTOLD: Final = frozenset({"application/octet-stream", "binary/octet-stream"})

TYPES_BY_ENDING: Final = {
    **{ending: f"image/{ending}" for ending in ("png", "jpeg", "webp", "gif", "heic", "heif", "avif", "bmp", "tiff")},
    **{ending: f"video/{ending}" for ending in ("mp4", "mpeg", "webm", "avi")},
    **{ending: f"audio/{ending}" for ending in ("aac", "aiff", "flac", "ogg", "wav")},
    **{ending: f"text/{ending}" for ending in ("html", "css", "csv", "xml", "rtf")},
    "jpg": "image/jpeg",
    "tif": "image/tiff",
    "svg": "image/svg+xml",
    "mpg": "video/mpeg",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "3gp": "video/3gpp",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
    "pdf": "application/pdf",
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "htm": "text/html",
    "py": "text/x-python",
}
"""Media types by the endings of file names, in lower case and without the dot."""

# Names that people use for a type whose registered name is another.
_MISNOMERS: Final = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}
_LOWER_CASE_TYPES: Final = frozenset(TYPES_BY_ENDING.values()) | _MISNOMERS.keys()


def canonical_mime_type(declared: str | None) -> str | None:
    """Return a declared media type in its usual spelling, or None if it declares nothing.

    Gateways also send `IMAGE/PNG`, `png` and `.png`, and `image/*` or `application/octet-stream` for want of a type.
    Parameters stay, and so do unknown types: `audio/L16;codec=pcm;rate=24000` is nobody's to change.
    """
    if not declared:
        return None
    essence, semicolon, parameters = declared.strip().partition(";")
    lowered = essence.strip().lower()
    if "/" not in lowered:
        lowered = TYPES_BY_ENDING.get(lowered.lstrip("."), "*")
    if lowered in _UNTOLD or lowered.endswith("*"):
        return None
    if lowered in _LOWER_CASE_TYPES or lowered.startswith("image/"):
        essence = _MISNOMERS.get(lowered, lowered)
    return f"{essence}{semicolon}{parameters}"


_SIZE_BYTES: Final = 25  # no picture is shorter, and no size is later, JPEG and two kinds of WebP aside

_MAGIC: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\0\0\1\xba", "video/mpeg"),
    (0, b"\0\0\1\xb3", "video/mpeg"),
)

_CONTAINERS: Final = {
    (b"RIFF", b"WEBP"): "image/webp",
    (b"RIFF", b"WAVE"): "audio/wav",
    (b"RIFF", b"AVI "): "video/avi",
    (b"FORM", b"AIFF"): "audio/aiff",
    (b"FORM", b"AIFC"): "audio/aiff",
}

# Frame headers of raw audio: 11 sync bits, then version and layer (ISO/IEC 11172-3, 13818-7).
_AUDIO_FRAMES: Final = {
    **dict.fromkeys((0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB), "audio/mpeg"),
    **dict.fromkeys((0xF0, 0xF1, 0xF8, 0xF9), "audio/aac"),
}

# Brands of the `ftyp` box (mp4ra.org), the telling ones first: a HEIC file may call itself `mif1` and name
# `heic` only among its compatible brands.
_BRANDS: Final = (
    ((b"avif", b"avis"), "image/avif"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    ((b"mif1", b"msf1"), "image/heif"),
    ((b"qt  ",), "video/quicktime"),
    ((b"M4A ", b"M4B "), "audio/mp4"),
    ((b"3gp4", b"3gp5", b"3gp6", b"3gp7"), "video/3gpp"),
)


def sniff_mime_type(data: bytes) -> str | None:
    """Return the media type that the first 64 bytes of *data* announce, or None for text and the unknown."""
    head = bytes(data[:_HEADER_BYTES])
    for offset, magic, mime_type in _MAGIC:
        if head.startswith(magic, offset):
            return mime_type
    return (
        _CONTAINERS.get((head[:4], head[8:12])) or _iso_media(head) or _matroska_or_webm(head) or _bitmap_or_audio(head)
    )


def _iso_media(head: bytes) -> str | None:
    """Return the type of an MP4-like file, by its major brand and then by the compatible ones."""
    if head[4:8] != b"ftyp":
        return None
    end = min(len(head), int.from_bytes(head[:4], "big"))
    compatible = {head[at : at + 4] for at in range(16, end - 3, 4)}
    for brands in ({head[8:12]} - {b"mif1", b"msf1"}, compatible | {head[8:12]}):
        for names, mime_type in _BRANDS:
            if not brands.isdisjoint(names):
                return mime_type
    return "video/mp4"


def _matroska_or_webm(head: bytes) -> str | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return "video/x-matroska" if b"matroska" in head else "video/webm"


def _bitmap_or_audio(head: bytes) -> str | None:
    """Return the type of formats with a very short mark, which text could begin with by chance."""
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":  # reserved, always zero
        return "image/bmp"
    if len(head) > 3 and head[0] == 0xFF:
        return _AUDIO_FRAMES.get(head[1])
    return None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels, as the header of a PNG, JPEG, WebP or GIF states them, or None."""
    measure = _RULERS.get(sniff_mime_type(data) or "")
    size = measure(data) if measure and len(data) >= _SIZE_BYTES else None
    return size if size and all(size) else None


def _png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _gif_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Read one of the three kinds of WebP (developers.google.com/speed/webp, RIFF container specification)."""
    kind = data[12:16]
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(data) < 30:
        return None
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk the segments of a JPEG to its frame header (ITU T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # tables, not frames
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


_RULERS: Final = {
    "image/png": _png_size,
    "image/jpeg": _jpeg_size,
    "image/webp": _webp_size,
    "image/gif": _gif_size,
}


def decode_base64(text: str) -> bytes:
    """Return the bytes behind base64 *text* as clients and gateways write it.

    Accepts both alphabets, missing padding, white space and a `data:...;base64,` prefix. Raises ValueError,
    without repeating the text, if it is not base64.
    """
    data = _decoded_at_once(text)
    return b64decode(standard_base64(text), validate=True) if data is None else data


def _decoded_at_once(text: str) -> bytes | None:
    """Return the bytes behind clean base64 *text* without a copy of the text, or None if it is not clean.

    `a2b_base64` reads text in place and skips characters that are no digits; the length shows whether it did.
    """
    try:
        data = a2b_base64(text)
    except ValueError:
        return None
    expected = len(text) // 4 * 3 - text[-2:].count("=")
    return data if len(text) % 4 == 0 and len(data) == expected else None


_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_EDGE: Final = 1024


def clean_base64(text: str) -> str:
    """Return *text* as standard base64, the same object if it looks clean already. Raises ValueError if it is none.

    A picture is megabytes of text, so only its ends are matched: that is where prefixes, line breaks (at every
    64th or 76th character) and padding show. The other alphabet can show anywhere.
    """
    edges = _BASE64.fullmatch(text[:_EDGE]) and _BASE64.fullmatch(text[-_EDGE:])
    if edges and len(text) % 4 == 0 and "-" not in text and "_" not in text:
        return text
    decode_base64(text)
    return standard_base64(text)


def standard_base64(text: str) -> str:
    """Return base64 *text* in the standard alphabet, padded, on one line and without a `data:` prefix."""
    if text[:5].lower() == "data:":
        header, _, text = text.partition(",")
        if not header.lower().endswith(";base64"):
            raise ValueError("not base64: a data: URL without ';base64,'")
    if "%" in text:
        text = unquote(text)
    digits = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    if len(digits) % 4 == 1:
        raise ValueError(f"not base64: {len(digits)} digits, one too many or cut off")
    return digits + "=" * (-len(digits) % 4)
