"""What bytes are, told from the bytes alone."""

import base64
import struct

import pytest
from gemway._sniff import canonical_mime_type, decode_base64, picture_size, sniff_mime_type, standard_base64
from hypothesis import given
from hypothesis import strategies as st


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0\0\0\x08free"


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x02\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 30, 20) + bytes(20)
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9)
    + b"\xff\xff\xdb\x00\x04\0\0"  # a fill byte, then tables
    + b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", 200, 100) + bytes(12)
)  # fmt: skip
WEBP = {
    "lossy": b"RIFF\0\0\0\0WEBPVP8 " + bytes(4) + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 100, 50) + bytes(8),
    "lossless": b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 99 | 49 << 14) + bytes(8),
    "extended": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x63\0\0\x31\0\0" + bytes(8),
}

FILES = {
    "png": (PNG, "image/png"),
    "jpeg": (JPEG, "image/jpeg"),
    "gif": (GIF, "image/gif"),
    "webp": (WEBP["lossy"], "image/webp"),
    "bmp": (b"BM\x36\0\0\0\0\0\0\0\x36\0", "image/bmp"),
    "tiff, Intel": (b"II*\0\x08\0\0\0", "image/tiff"),
    "tiff, Motorola": (b"MM\0*\0\0\0\x08", "image/tiff"),
    "avif": (ftyp(b"avif", b"mif1", b"miaf"), "image/avif"),
    "avif by a compatible brand": (ftyp(b"mif1", b"mif1", b"avif"), "image/avif"),
    "heic": (ftyp(b"heic", b"mif1", b"heic"), "image/heic"),
    "heic by a compatible brand": (ftyp(b"mif1", b"mif1", b"heic"), "image/heic"),
    "heif": (ftyp(b"mif1", b"mif1"), "image/heif"),
    "mp4": (ftyp(b"isom", b"isom", b"mp41"), "video/mp4"),
    "mov": (ftyp(b"qt  ", b"qt  "), "video/quicktime"),
    "m4a": (ftyp(b"M4A ", b"isom"), "audio/mp4"),
    "3gp": (ftyp(b"3gp5", b"isom"), "video/3gpp"),
    "webm": (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "video/webm"),
    "mkv": (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "video/x-matroska"),
    "avi": (b"RIFF\0\0\0\0AVI LIST", "video/avi"),
    "mpeg": (b"\0\0\1\xba\x44", "video/mpeg"),
    "wav": (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
    "aiff": (b"FORM\0\0\0\0AIFFCOMM", "audio/aiff"),
    "flac": (b"fLaC\0\0\0\x22", "audio/flac"),
    "ogg": (b"OggS\0\x02", "audio/ogg"),
    "mp3 with tags": (b"ID3\x04\0", "audio/mpeg"),
    "mp3 frames": (b"\xff\xfb\x90\x64", "audio/mpeg"),
    "aac frames": (b"\xff\xf1\x50\x80", "audio/aac"),
    "pdf": (b"%PDF-1.7\n", "application/pdf"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "mime_type"), FILES.values(), ids=FILES)
def test_the_first_bytes_name_the_type(data, mime_type):
    """Each format is known by its mark, whatever follows."""
    assert sniff_mime_type(data) == mime_type
    assert sniff_mime_type(data + bytes(1000)) == mime_type


@pytest.mark.parametrize("data", [b"", b"BMW drives", b"{}", b"<html>", b"\xff\xfeU\0T\0F\0", b"RIFF", b"plain text"])
def test_what_is_no_media_has_no_type(data):
    """Text, even with an unlucky beginning, is not taken for media."""
    assert sniff_mime_type(data) is None


@given(st.binary(max_size=100))
def test_any_bytes_can_be_looked_at(data):
    """No bytes make it fail, and a size is two positive numbers."""
    sniff_mime_type(data)
    assert picture_size(data) is None or min(picture_size(data)) > 0


@given(st.sampled_from([PNG, GIF, JPEG, *WEBP.values()]), st.data())
def test_a_cut_picture_has_its_size_or_none(picture, data):
    """A file that ends early never reports a wrong size."""
    cut = picture[: data.draw(st.integers(0, len(picture)))]

    assert picture_size(cut) in {None, picture_size(picture)}


SIZES = {
    "png": (PNG, (640, 480)),
    "gif": (GIF, (30, 20)),
    "jpeg": (JPEG, (100, 200)),
    **{f"webp, {kind}": (data, (100, 50)) for kind, data in WEBP.items()},
}


@pytest.mark.parametrize(("data", "size"), SIZES.values(), ids=SIZES)
def test_the_header_tells_the_size(data, size):
    """Width comes first, in pixels."""
    assert picture_size(data) == size


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", PNG[:20], JPEG[:30], b"\xff\xd8\xff" + bytes(40)])
def test_no_size_where_the_header_has_none(data):
    """Other files and cut headers have no size."""
    assert picture_size(data) is None


SPELLINGS = {
    "standard": "//77",
    "url-safe": "__77",
    "mixed": "_/77",
    "with white space": " //\r\n77\t",
    "as data URL": "data:image/png;base64,//77",
    "as data URL in capitals": "DATA:;BASE64,__77",
    "percent-encoded": "data:image/png;base64,%2F%2F77",
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_base64_is_read_however_it_is_spelled(text):
    """Both alphabets, white space and a data: prefix are understood."""
    assert decode_base64(text) == b"\xff\xfe\xfb"
    assert standard_base64(text) == "//77"


@pytest.mark.parametrize("text", ["_w", "_w=", "_w==", "/w", "/w=="])
def test_padding_may_be_missing(text):
    """Unpadded and half padded text decodes."""
    assert decode_base64(text) == b"\xff"


@pytest.mark.parametrize("text", ["abcde", "ab*d", "data:text/plain,hello", "http://host/x", "äöü", "AA==BB=="])
def test_what_is_no_base64_is_a_value_error(text):
    """The error does not repeat the text, which may be large or private."""
    with pytest.raises(ValueError, match="base64|ASCII|padding|character|digits|data") as caught:
        decode_base64(text)

    assert text not in str(caught.value)


@given(st.binary(), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]), st.booleans())
def test_every_encoding_decodes_to_its_bytes(data, encode, padded):
    """What any client wrote is read back."""
    text = encode(data).decode()

    assert decode_base64(text if padded else text.rstrip("=")) == data


@pytest.mark.parametrize(
    ("declared", "canonical"),
    [
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        (" Image/Jpeg ", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("image/X-Own", "image/x-own"),
        ("png", "image/png"),
        (".JPG", "image/jpeg"),
        ("audio/L16;codec=pcm;rate=24000", "audio/L16;codec=pcm;rate=24000"),
        ("audio/x-wav", "audio/wav"),
        ("application/x-own", "application/x-own"),
        ("image/*", None),
        ("application/octet-stream", None),
        ("Binary/Octet-Stream", None),
        ("something", None),
        ("", None),
        (None, None),
    ],
    ids=str,
)
def test_declared_types_have_one_spelling(declared: str | None, canonical: str | None) -> None:
    """Types as gateways write them, in the spelling of the IANA registry; None for want of a type."""
    assert canonical_mime_type(declared) == canonical
