"""One picture: its bytes and MIME type, how to save it and how it shows itself. Knows no requests."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from gemway._sniff import canonical_mime_type, clean_base64, decode_base64, picture_size, sniff_mime_type

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
}
# Types that a page or a notebook may show. SVG is not one of them: inline it is a document that can run scripts.
SHOWN_TYPES = frozenset(_EXTENSIONS)
_EXTENSIONS["image/svg+xml"] = ".svg"
_SAME = {".jpg": ".jpeg", ".tiff": ".tif"}
_PICTURE_SUFFIXES = {*_EXTENSIONS.values(), *_SAME.values()}
_UNKNOWN = "application/octet-stream"
_HEAD_DIGITS = 128
_HEADER_DIGITS = 2**16  # the size of a JPEG stands behind its metadata


class Image:
    """A picture that was generated, or one to send.

    Args:
        data: the bytes, or their base64 text in any alphabet (decoded on first use).
        mime_type: for example `"image/png"`; detected from the bytes if None.
    """

    def __init__(self, data: bytes | str, mime_type: str | None = None) -> None:
        self._encoded = data if isinstance(data, str) else None
        if not isinstance(data, str):
            self.__dict__["data"] = bytes(data)
        self._mime_type = mime_type

    @cached_property
    def data(self) -> bytes:
        """The bytes of the picture file. Raises `ValueError` if the server's base64 cannot be read."""
        return decode_base64(self._encoded or "")

    @property
    def base64(self) -> str:
        """The bytes as standard base64 text with padding. Text that is clean already is returned without a copy."""
        if self._encoded is not None:
            return clean_base64(self._encoded)
        return b64encode(self.data).decode("ascii")

    @cached_property
    def mime_type(self) -> str:
        """The MIME type: as declared, else as the bytes show it, else `application/octet-stream`."""
        if declared := canonical_mime_type(self._mime_type):
            return declared
        try:
            return sniff_mime_type(self._decode_beginning(_HEAD_DIGITS)) or _UNKNOWN
        except ValueError:  # not base64; `.data` raises the error
            return _UNKNOWN

    def _decode_beginning(self, digits: int) -> bytes:
        """Return the first bytes, decoded from about as many *digits* of base64, without decoding the rest."""
        if self._encoded is None or "data" in self.__dict__:
            return self.data
        start = self._encoded.find(",", 0, 256) + 1 if self._encoded[:5].lower() == "data:" else 0
        piece = "".join(self._encoded[start : start + digits].split())
        try:
            return decode_base64(piece[: len(piece) // 4 * 4])
        except ValueError:
            return self.data

    @cached_property
    def _read_size(self) -> tuple[int, int]:
        size = picture_size(self._decode_beginning(_HEADER_DIGITS)) or picture_size(self.data)
        if size is None:
            raise ValueError(f"the size of a {self.mime_type} picture cannot be read from its header; use to_pil()")
        return size

    @property
    def width(self) -> int:
        """Width in pixels, read from the file's header (PNG, JPEG, WebP, GIF)."""
        return self._read_size[0]

    @property
    def height(self) -> int:
        """Height in pixels, read from the file's header (PNG, JPEG, WebP, GIF)."""
        return self._read_size[1]

    def save(self, path: str | Path, *, overwrite: bool = False, rename: bool = False) -> Path:
        """Write the picture to a file and return its path.

        The extension becomes the right one: `fox.png` is written as `fox.jpg` if the picture is a JPEG, and a name
        without a picture's extension gets one.

        Args:
            path: the name of the file.
            overwrite: replace a file that already exists.
            rename: if the file already exists, write to the first free name: `fox-2.png`, `fox-3.png` and so on.

        Raises:
            FileExistsError: the file already exists, and neither *overwrite* nor *rename* is set.
        """
        target = self.fitting(path)
        data = self.data  # before a file is made: it may turn out to be no base64
        if overwrite:
            return _replace_file(target, data)
        number = 1
        while True:
            try:
                with target.open("xb") as file:
                    file.write(data)
            except FileExistsError as error:
                if not rename:
                    advice = "already exists; choose another name, or pass rename=True or overwrite=True"
                    raise FileExistsError(error.errno, advice, str(target)) from None
            except OSError:
                # A full disk leaves half a picture, which would take the name from the whole one. Where nothing was
                # made, the folder cannot be written, or the name is too long.
                if target.is_file():
                    target.unlink()
                raise
            else:
                return target
            number += 1
            fitting = self.fitting(path)
            target = fitting.with_name(f"{fitting.stem}-{number}{fitting.suffix}")

    def fitting(self, path: str | Path) -> Path:
        """Return *path* with the extension that fits the picture, as `save` uses it."""
        target = Path(path)
        extension = _EXTENSIONS.get(self.mime_type, "")
        if not extension or _extension_fits(target.suffix, extension):
            return target
        if target.suffix.lower() in _PICTURE_SUFFIXES:
            return target.with_suffix(extension)
        return target.with_name(target.name + extension)

    def to_pil(self) -> PILImage:
        """Return a Pillow image (needs `gemway[pillow]`)."""
        try:
            from PIL import Image as pil
        except ImportError as error:
            raise ImportError("Image.to_pil() needs Pillow: pip install 'gemway[pillow]'") from error
        from io import BytesIO

        return pil.open(BytesIO(self.data))

    def to_safe_base64(self) -> str | None:
        """Return base64 text that is safe inside HTML, or None if this is no picture that a page may show.

        `base64` passes a server's text on if it looks right; this one decodes and encodes all of it.
        """
        if self.mime_type not in SHOWN_TYPES:
            return None
        try:
            return b64encode(self.data).decode("ascii")
        except ValueError:
            return None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Show the picture in a notebook, without Pillow or IPython; as text if it is none that may be shown."""
        encoded = self.to_safe_base64()
        return {self.mime_type: encoded, "text/plain": repr(self)} if encoded else {"text/plain": repr(self)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.data, self.mime_type) == (other.data, other.mime_type)

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        mime_type = re.sub(r"[^\w/.;=+ -]", "?", self.mime_type[:80], flags=re.ASCII)  # a gateway's own words
        return f"<Image {mime_type} {self._byte_count:,} bytes>"

    @property
    def _byte_count(self) -> int:
        """The number of bytes; computed from the length of the base64 text while it is not decoded."""
        if self._encoded is None or "data" in self.__dict__:
            return len(self.data)
        return len(self._encoded.rstrip("=")) * 3 // 4


def _replace_file(target: Path, data: bytes) -> Path:
    """Write *data* to *target*, whose earlier content stays until all of it is written; return *target*."""
    place = target.resolve()  # a link goes on pointing to the file
    if place.exists() and not place.is_file():  # /dev/stdout
        place.write_bytes(data)
        return target
    # In the same folder, since a file cannot be renamed across file systems.
    beginning = place.with_name(f".{place.name[:100]}.{token_hex(4)}")
    try:
        with beginning.open("xb") as file:
            file.write(data)
        if place.exists():
            beginning.chmod(place.stat().st_mode)
        beginning.replace(place)
    except BaseException:  # a full disk, or Ctrl-C
        beginning.unlink(missing_ok=True)
        raise
    return target


def _extension_fits(suffix: str, extension: str) -> bool:
    return suffix.lower() in {extension, _SAME.get(extension, extension)}
