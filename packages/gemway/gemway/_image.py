"""One picture: its bytes and MIME type, how to save it and how it shows itself. Knows no requests."""

from __future__ import annotations

import base64
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemway._sniff import decode_base64, picture_size, sniff_mime_type

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
_UNTOLD = {None, "", "application/octet-stream"}


class Image:
    """A picture that was generated, or one to send.

    Args:
        data: the bytes, or their base64 text in any alphabet (decoded only when asked for).
        mime_type: such as `"image/png"`; found in the bytes when it is not told.
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
        """The bytes as standard base64 text with padding."""
        return base64.b64encode(self.data).decode("ascii")

    @cached_property
    def mime_type(self) -> str:
        """The MIME type: as told, else as found in the bytes, else `application/octet-stream`."""
        if self._mime_type not in _UNTOLD:
            return str(self._mime_type)
        return sniff_mime_type(self._head) or "application/octet-stream"

    @property
    def _head(self) -> bytes:
        if self._encoded is None or "data" in self.__dict__:
            return self.data
        if self._encoded.startswith("data:"):
            return self.data
        return decode_base64(self._encoded[:128])

    @cached_property
    def _size(self) -> tuple[int, int]:
        size = picture_size(self.data)
        if size is None:
            raise ValueError(f"the size of a {self.mime_type} picture cannot be read from its header; use to_pil()")
        return size

    @property
    def width(self) -> int:
        """Width in pixels, read from the file's header (PNG, JPEG, WebP, GIF)."""
        return self._size[0]

    @property
    def height(self) -> int:
        """Height in pixels, read from the file's header (PNG, JPEG, WebP, GIF)."""
        return self._size[1]

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the picture to *path* and return where it is.

        A missing extension is added and a wrong one is followed by the right one. An existing file is
        never replaced unless *overwrite* is set: `FileExistsError`.
        """
        target = Path(path)
        extension = _EXTENSIONS.get(self.mime_type, "")
        if extension and not _extension_fits(target.suffix, extension):
            target = target.with_name(target.name + extension)
        with target.open("wb" if overwrite else "xb") as file:
            file.write(self.data)
        return target

    def to_pil(self) -> PILImage:
        """Return a Pillow image (needs `gemway[pillow]`)."""
        try:
            from PIL import Image as pil
        except ImportError as error:
            raise ImportError("Image.to_pil() needs Pillow: pip install 'gemway[pillow]'") from error
        from io import BytesIO

        return pil.open(BytesIO(self.data))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Show the picture in a notebook, without Pillow or IPython."""
        return {self.mime_type: self.base64, "text/plain": repr(self)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.data, self.mime_type) == (other.data, other.mime_type)

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"<Image {self.mime_type} {len(self.data):,} bytes>"


def _extension_fits(suffix: str, extension: str) -> bool:
    same = {".jpg": ".jpeg", ".tiff": ".tif"}
    return suffix.lower() in {extension, same.get(extension, extension)}
