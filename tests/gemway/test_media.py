"""Pictures and other media as parts."""

import base64
import copy
import io
from pathlib import Path

import pytest
from gemway._exceptions import UnsupportedContentError
from gemway._image import Image
from gemway._media import inline_part, remote_urls, split_data_url, to_part, with_media
from hypothesis import given
from hypothesis import strategies as st

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PNG_TEXT = base64.b64encode(PNG).decode()
PNG_PART = {"inlineData": {"mimeType": "image/png", "data": PNG_TEXT}}


@pytest.mark.parametrize(
    "media",
    [
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        Image(PNG),
        Image(PNG_TEXT),
        f"data:image/png;base64,{PNG_TEXT}",
        f"data:;base64,{PNG_TEXT}",
        f"  data:image/png;base64,{PNG_TEXT}\n",
        f"data:image/png;base64,{base64.urlsafe_b64encode(PNG).decode().rstrip('=')}",
    ],
    ids=["bytes", "bytearray", "memoryview", "Image", "Image of text", "data URL", "untyped", "spaces", "url-safe"],
)
def test_media_in_hand_is_sent_inline(media):
    """Whatever holds the bytes, standard base64 and the true type go out."""
    assert to_part(media) == PNG_PART


def test_a_path_is_read(tmp_path: Path):
    """A `pathlib.Path` is read at once; the bytes decide, the ending helps where they say nothing."""
    picture, notes = tmp_path / "photo.jpg", tmp_path / "notes.md"
    picture.write_bytes(PNG)
    notes.write_text("# Hello")

    assert to_part(picture) == PNG_PART
    assert to_part(notes)["inlineData"]["mimeType"] == "text/markdown"


def test_a_pillow_image_is_encoded():
    """In its own format, or in the one asked for."""
    pil = pytest.importorskip("PIL.Image")
    made = pil.new("RGB", (4, 3), "red")
    buffer = io.BytesIO()
    made.save(buffer, "JPEG")

    assert to_part(made)["inlineData"]["mimeType"] == "image/png"
    assert to_part(pil.open(buffer))["inlineData"]["mimeType"] == "image/jpeg"
    assert to_part(made, mime_type="image/jpg")["inlineData"]["mimeType"] == "image/jpeg"


class Drawing:
    """Quacks like a Pillow image."""

    format = None

    def save(self, file, format):
        if format != "PNG":
            raise KeyError(format)
        file.write(PNG)


def test_a_pillow_like_object_is_enough():
    """No Pillow is imported; a format that it cannot write is a clear error."""
    assert to_part(Drawing()) == PNG_PART
    with pytest.raises(UnsupportedContentError, match="convert it first"):
        to_part(Drawing(), mime_type="image/heic")


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("https://host/a/cat.JPG?w=1#x", {"mimeType": "image/jpeg"}),
        ("http://host/report.pdf", {"mimeType": "application/pdf"}),
        ("gs://bucket/film.mp4", {"mimeType": "video/mp4"}),
        ("https://www.youtube.com/watch?v=abc", {}),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc", {}),
        ("files/abc-123", {}),
    ],
)
def test_addresses_go_by_reference(address, file):
    """Nothing is fetched; the type is told where the ending tells it."""
    assert to_part(address) == {"fileData": {**file, "fileUri": address}}


def test_a_told_type_wins():
    """`mime_type=` is believed for bytes, addresses and data URLs."""
    assert to_part(PNG, mime_type="image/webp")["inlineData"]["mimeType"] == "image/webp"
    assert to_part("https://host/x", mime_type="image/png")["fileData"]["mimeType"] == "image/png"
    assert to_part("data:text/plain;base64,AAAA", mime_type="image/png")["inlineData"]["mimeType"] == "image/png"


@pytest.mark.parametrize("told", ["application/octet-stream", "image/*", "", None])
def test_a_type_that_says_nothing_is_found_in_the_bytes(told):
    """Servers and browsers send such types."""
    assert inline_part(PNG, told) == PNG_PART
    assert inline_part(PNG_TEXT, told) == PNG_PART


def test_a_common_misnomer_is_put_right():
    """There is no image/jpg."""
    assert inline_part(PNG, "image/jpg")["inlineData"]["mimeType"] == "image/jpeg"


@pytest.mark.parametrize(
    ("media", "advice"),
    [
        (b"who knows", "pass mime_type="),
        (b"", "empty"),
        ("/home/me/cat.png", "pathlib.Path"),
        ("cat.png", "pathlib.Path"),
        ("file:///home/me/cat.png", "pathlib.Path"),
        ("C:\\cat.png", "pathlib.Path"),
        (PNG_TEXT, "decoded bytes"),
        ("data:image/png;base64,%%%", "pass bytes"),
        ("data:image/png;base64,", "pass bytes"),
        ("data:image/gif", "data: URL"),
        (42, "of type int"),
        (None, "of type NoneType"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_advice(media, advice):
    """Paths in strings are never read, and the media itself is not in the message."""
    with pytest.raises(UnsupportedContentError, match=advice) as caught:
        to_part(media)

    assert not (isinstance(media, str) and len(media) > 3 and media in str(caught.value))


def test_clean_base64_is_passed_on_as_the_same_object():
    """A picture of 30 MB is neither decoded nor copied."""
    text = base64.b64encode(bytes(300_000)).decode()

    assert inline_part(text, "image/png")["inlineData"]["data"] is text


@given(st.binary(min_size=1), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes]))
def test_base64_goes_out_in_the_standard_alphabet(data, encode):
    """Any spelling of base64 text gives the same part as the bytes."""
    text = encode(data).decode()
    expected = inline_part(data, "image/png")

    assert inline_part(text, "image/png") == expected
    assert inline_part(text.strip().rstrip("="), "image/png") == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,AAAA", ("image/png", "AAAA")),
        ("DATA:Image/PNG;charset=utf-8;BASE64,AAAA", ("image/png", "AAAA")),
        ("data:;base64,AAAA", ("", "AAAA")),
        ("data:,a%20b", ("text/plain", base64.b64encode(b"a b").decode())),
        ("data:text/html,<p>,", ("text/html", base64.b64encode(b"<p>,").decode())),
    ],
)
def test_data_urls_are_taken_apart(url, expected):
    """As RFC 2397 has them, base64 or not."""
    assert split_data_url(url) == expected


@given(st.binary())
def test_data_urls_round_trip(data):
    """What is put together comes apart again."""
    text = base64.b64encode(data).decode()

    assert split_data_url(f"data:image/png;base64,{text}") == ("image/png", text)


def by_reference(*uris: str) -> list[dict]:
    return [{"fileData": {"fileUri": uri}} for uri in uris]


CONTENTS = [
    {"role": "user", "parts": [{"text": "look"}, *by_reference("https://a/1.png", "gs://b/2.png", "http://c/3")]},
    {"role": "model", "parts": [{"text": "nice"}]},
    {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "f", "response": {}, "parts": by_reference("https://a/4.png")}},
            *by_reference("https://a/1.png", "https://youtu.be/x", "https://www.youtube.com/watch?v=x"),
            *by_reference("https://generativelanguage.googleapis.com/v1beta/files/x", "http://["),
        ],
    },
]


def test_addresses_that_a_fetcher_can_load_are_found_once():
    """Also inside function responses; what Google reads from its own side is left to Google."""
    assert remote_urls(CONTENTS) == ["https://a/1.png", "http://c/3", "https://a/4.png"]


def test_fetched_media_takes_the_place_of_its_address():
    """Everywhere it is named, siblings kept, the arguments unchanged."""
    before = copy.deepcopy(CONTENTS)
    contents = [
        *CONTENTS,
        {"role": "user", "parts": [{**by_reference("https://a/4.png")[0], "videoMetadata": {"fps": 1}}]},
    ]

    replaced = with_media(contents, {"https://a/4.png": ("image/png", PNG), "https://a/1.png": ("", PNG)})

    assert replaced[0]["parts"][1] == PNG_PART
    assert replaced[0]["parts"][2:] == CONTENTS[0]["parts"][2:]
    assert replaced[2]["parts"][0]["functionResponse"]["parts"] == [PNG_PART]
    assert replaced[3]["parts"] == [{**PNG_PART, "videoMetadata": {"fps": 1}}]
    assert before == CONTENTS


def test_nothing_fetched_changes_nothing():
    """The contents come back as they are."""
    assert with_media(CONTENTS, {}) is CONTENTS
