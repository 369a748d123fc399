"""The picture API of the core: what may go in, what comes out, and what a refusal says."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import sys
import time
import warnings
from pathlib import Path

import pytest
from gemway import (
    AsyncClient,
    Client,
    ContentBlockedError,
    EmptyResponseError,
    GemwayError,
    Image,
    StreamInterruptedError,
    UnsupportedContentError,
    fold,
)
from gemway.adapters import Accumulator, TextChunk
from gemway.types import GenerateContentResponse
from gemway_emulator import Emulator, reply
from PIL import Image as pil

MODEL = "gemini-3.1-flash-image-preview"


def drawn(size: tuple[int, int] = (64, 36), kind: str = "PNG", colour: str = "teal", **options) -> bytes:
    """Return the file of a picture in one colour."""
    buffer = io.BytesIO()
    pil.new("RGB", size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def sent(emulator) -> list[dict]:
    """Return the inline data of the newest request."""
    parts = [part for content in emulator.requests[-1].json["contents"] for part in content["parts"]]
    return [part["inlineData"] for part in parts if "inlineData" in part]


# What goes in

PNG = drawn()


@pytest.mark.parametrize(
    ("give", "mime_type"),
    [
        pytest.param(lambda folder: PNG, "image/png", id="bytes"),
        pytest.param(lambda folder: bytearray(PNG), "image/png", id="bytearray"),
        pytest.param(lambda folder: saved(folder / "in.png", PNG), "image/png", id="path"),
        pytest.param(
            lambda folder: saved(folder / "misnamed.png", drawn(kind="JPEG")), "image/jpeg", id="wrong ending"
        ),
        pytest.param(
            lambda folder: f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "image/png", id="data URL"
        ),
        pytest.param(lambda folder: pil.open(io.BytesIO(PNG)), "image/png", id="Pillow"),
        pytest.param(lambda folder: pil.new("RGB", (9, 9)), "image/png", id="Pillow without format"),
        pytest.param(lambda folder: Image(PNG), "image/png", id="Image"),
        pytest.param(
            lambda folder: Image(base64.urlsafe_b64encode(PNG).decode().rstrip("=")), "image/png", id="base64"
        ),
    ],
)
def test_inputs(client, emulator, tmp_path, give, mime_type):
    """Each kind of picture arrives as inline data of the right type, alone or in a list."""
    picture = give(tmp_path)

    client.generate_image("make it blue", images=[picture])
    listed = sent(emulator)
    client.generate_image("make it blue", images=picture)

    assert listed == sent(emulator)
    assert [blob["mimeType"] for blob in listed] == [mime_type]
    assert base64.b64decode(listed[0]["data"], validate=True)


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_an_earlier_result_goes_in(client, emulator):
    """A response can be given instead of its picture; the bytes are the same."""
    first = client.generate_image("a neon fox", image_size="512")

    client.generate_image("make it blue", images=first)

    assert [base64.b64decode(blob["data"]) for blob in sent(emulator)] == [first.images[0].data]


def test_several_pictures_keep_their_order(client, emulator):
    """Image-to-image with several inputs: the prompt, then the pictures as they were given."""
    pictures = [drawn(colour=colour) for colour in ("red", "green", "blue")]

    client.generate_image("join them", images=pictures)

    parts = emulator.requests[-1].json["contents"][0]["parts"]
    assert parts[0] == {"text": "join them"}
    assert [base64.b64decode(blob["data"]) for blob in sent(emulator)] == pictures


@pytest.mark.parametrize(
    ("picture", "advice"),
    [
        pytest.param("fox.png", "pathlib.Path", id="a path as text"),
        pytest.param("/tmp/fox.png", "pathlib.Path", id="an absolute path as text"),
        pytest.param("file:///tmp/fox.png", "pathlib.Path", id="a file: URL"),
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"no picture at all, only text", "mime_type", id="unknown bytes"),
        pytest.param(17, "int", id="a number"),
        pytest.param(GenerateContentResponse(candidates=[]), "no picture", id="an answer without picture"),
    ],
)
def test_what_cannot_go_in(client, emulator, picture, advice):
    """It is refused before anything is sent, and the message names what can be given."""
    with pytest.raises(UnsupportedContentError, match=advice):
        client.generate_image("make it blue", images=[picture])

    assert len(emulator.requests) == 0


def test_a_missing_file_is_named(client, tmp_path):
    """A path that leads nowhere is Python's own error."""
    with pytest.raises(FileNotFoundError, match="missing"):
        client.generate_image("make it blue", images=[tmp_path / "missing.png"])


def test_an_empty_prompt_is_refused(client):
    """There is nothing to draw."""
    with pytest.raises(UnsupportedContentError, match="prompt is empty"):
        client.generate_image("  ")


# What is asked


@pytest.mark.parametrize("with_text", [False, True])
def test_modalities(client, emulator, with_text):
    """`["IMAGE"]`, or `["TEXT", "IMAGE"]` if the model is to write as well. No option is invented."""
    response = client.generate_image("a neon fox", with_text=with_text)

    wanted = ["TEXT", "IMAGE"] if with_text else ["IMAGE"]
    assert emulator.requests[-1].json["generationConfig"] == {"responseModalities": wanted}
    assert bool(response.text) is with_text


def test_flash_25_takes_no_size_unless_asked(client, emulator):
    """gemini-2.5-flash-image has no imageSize: only the user sends one, and is told."""
    client.generate_image("a fox", model="gemini-2.5-flash-image", aspect_ratio="16:9")
    unasked = emulator.requests[-1].json["generationConfig"]["imageConfig"]
    with pytest.warns(UserWarning, match="none is documented"):
        client.generate_image("a fox", model="gemini-2.5-flash-image", image_size="2K")

    assert unasked == {"aspectRatio": "16:9"}
    assert emulator.requests[-1].json["generationConfig"]["imageConfig"] == {"imageSize": "2K"}


def test_unknown_ratios_and_models_pass_with_a_warning():
    """The gateway decides, not we."""
    with Emulator(validate=False) as emulator, Client(base_url=emulator.base_url, api_key="sk-local") as client:
        emulator.enqueue(reply.image(width=70, height=50), reply.image(PNG))
        with pytest.warns(UserWarning, match="unusual aspect ratio '7:5'"):
            client.generate_image("a fox", aspect_ratio="7:5")
        with pytest.warns(UserWarning, match="gemini-9-brush is not known to generate images"):
            client.generate_image("a fox", model="gemini-9-brush")
        first, second = emulator.requests

    assert first.json["generationConfig"]["imageConfig"] == {"aspectRatio": "7:5"}
    assert second.path == "/v1beta/models/gemini-9-brush:generateContent"


@pytest.mark.parametrize(("given", "size"), [("2k", "2K"), ("512px", "512"), ("0.5K", "512")])
def test_sizes_are_written_as_google_reads_them(client, emulator, given, size):
    """`"2k"` and `"512px"` would be a 400."""
    client.generate_image("a fox", image_size=given)

    assert emulator.requests[-1].json["generationConfig"]["imageConfig"] == {"imageSize": size}


# What comes back


@pytest.mark.parametrize(
    ("data", "mime_type", "extension"),
    [
        pytest.param(drawn(), "image/png", ".png", id="PNG"),
        pytest.param(drawn(kind="JPEG"), "image/jpeg", ".jpg", id="JPEG"),
        pytest.param(drawn(kind="WEBP", lossless=True), "image/webp", ".webp", id="lossless WebP"),
        pytest.param(drawn(kind="WEBP"), "image/webp", ".webp", id="WebP"),
        pytest.param(drawn(kind="JPEG", exif=b"Exif\0\0" + b"x" * 60_000), "image/jpeg", ".jpg", id="JPEG with EXIF"),
    ],
)
@pytest.mark.parametrize("told", ["application/octet-stream", None], ids=["untold", "told"])
def test_results(client, emulator, tmp_path, data, mime_type, extension, told):
    """Bytes, type, pixels and file name are right, whatever the gateway calls them, without Pillow."""
    emulator.enqueue(reply.image(data, mime_type=told or mime_type))

    image = client.generate_image("a fox").images[0]

    assert (image.data, image.mime_type, image.width, image.height) == (data, mime_type, 64, 36)
    assert image.save(tmp_path / "fox") == tmp_path / f"fox{extension}"
    assert (tmp_path / f"fox{extension}").read_bytes() == data
    assert image.to_pil().size == (64, 36)


def test_saving_never_overwrites_silently(tmp_path):
    """A file that is there stays, unless the user says otherwise; the error says how."""
    image, path = Image(drawn()), saved(tmp_path / "fox.png", b"precious")

    with pytest.raises(FileExistsError, match=r"overwrite=True.*fox\.png"):
        image.save(path)

    assert path.read_bytes() == b"precious"
    assert image.save(path, overwrite=True).read_bytes() == image.data


def test_a_free_name_is_chosen_on_request(tmp_path):
    """With rename=True nothing is lost and nothing is replaced, however often a program runs."""
    image = Image(PNG)

    written = [image.save(tmp_path / "fox", rename=True).name for _ in range(3)]

    assert written == ["fox.png", "fox-2.png", "fox-3.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_picture_for_which_there_is_no_room_can_be_saved_again(tmp_path):
    """No half picture stays to take the name, and the bytes are still there for another try."""
    import resource

    image = Image(drawn(size=(300, 300), kind="BMP"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            image.save(tmp_path / "fox")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert not list(tmp_path.iterdir())
    assert image.save(tmp_path / "fox").read_bytes() == image.data


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_picture_for_which_there_is_no_room_leaves_the_earlier_one(tmp_path):
    """`overwrite=True` replaces a file when all of the new picture is written, and not before."""
    import resource

    earlier, image = Image(PNG).save(tmp_path / "fox.bmp"), Image(drawn(size=(300, 300), kind="BMP"))
    earlier = earlier.rename(tmp_path / "fox.bmp")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            image.save(earlier, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert [path.name for path in tmp_path.iterdir()] == ["fox.bmp"]
    assert earlier.read_bytes() == PNG
    assert image.save(earlier, overwrite=True).read_bytes() == image.data


@pytest.mark.skipif(sys.platform == "win32", reason="makes a symbolic link")
def test_overwriting_keeps_links_and_rights(tmp_path):
    """A link still points to the file, whose mode is the one that it had."""
    file, link = Image(PNG).save(tmp_path / "fox.png"), tmp_path / "link.png"
    file.chmod(0o640)
    link.symlink_to(file)

    assert Image(drawn()).save(link, overwrite=True) == link

    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_bytes() == drawn()


@pytest.mark.parametrize("name", ["x" * 300, "no/such/folder/fox"], ids=["long", "no-folder"])
def test_a_place_that_cannot_be_written_loses_nothing(tmp_path, name):
    """The error is the system's, and the picture can be saved elsewhere."""
    image = Image(drawn())

    with pytest.raises(OSError, match="too long|No such file"):
        image.save(tmp_path / name)

    assert image.save(tmp_path / "fox").read_bytes() == image.data


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("fox.png", "fox.jpg"),
        ("fox.jpeg", "fox.jpeg"),
        ("fox.JPG", "fox.JPG"),
        ("fox", "fox.jpg"),
        ("fox.v2", "fox.v2.jpg"),
    ],
)
def test_the_extension_is_the_right_one(tmp_path, asked, written):
    """A JPEG is never written under a PNG's name; a name's own dots stay."""
    assert Image(drawn(kind="JPEG")).save(tmp_path / asked).name == written


def test_nothing_is_written_of_what_cannot_be_read(tmp_path):
    """Broken base64 raises, and leaves no empty file behind."""
    with pytest.raises(ValueError, match="base64"):
        Image("this is no base64!", "image/png").save(tmp_path / "fox.png")

    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_it():
    """The bundle holds the picture in its own type, and a text for terminals."""
    image = Image(PNG)

    assert image._repr_mimebundle_() == {
        "image/png": base64.b64encode(PNG).decode(),
        "text/plain": f"<Image image/png {len(PNG)} bytes>",
    }


def test_bytes_are_decoded_only_when_asked_for():
    """Type, pixels, size in bytes and the way back to the wire need no decoding."""
    text = base64.b64encode(drawn((640, 360))).decode()
    image = Image(text)

    assert (image.mime_type, image.width, image.height) == ("image/png", 640, 360)
    assert image.base64 is text
    assert repr(image) == f"<Image image/png {len(base64.b64decode(text)):,} bytes>"
    assert "data" not in vars(image)


def test_pictures_can_be_compared_and_pickled():
    """As values."""
    image = Image(PNG)

    assert image == Image(base64.b64encode(PNG).decode(), "image/png") == pickle.loads(pickle.dumps(image))
    assert len({image, Image(PNG)}) == 1


@pytest.mark.parametrize("misbehaviour", ["urlsafe_base64_images", "unpadded_base64_images", "data_url_images"])
def test_other_spellings_of_base64(client, emulator, misbehaviour):
    """URL-safe, unpadded and `data:`-prefixed pictures are read, and go back in the standard alphabet."""
    emulator.misbehave = [misbehaviour]

    first = client.generate_image("a neon fox", image_size="512")
    client.generate_image("make it blue", images=[first.images[0]])

    assert first.images[0].to_pil().size == (first.images[0].width, first.images[0].height) == (512, 512)
    assert base64.b64decode(sent(emulator)[0]["data"], validate=True) == first.images[0].data


URL = "https://pictures.example/fox.png"
BY_URL = {
    "fileData": [{"fileData": {"mimeType": "image/png", "fileUri": URL}}],
    "fileData and its address as text": [{"fileData": {"fileUri": URL}}, {"text": URL}],
    "a Markdown image": [{"text": f"Here: ![fox]({URL})"}],
}


@pytest.mark.parametrize("parts", BY_URL.values(), ids=BY_URL.keys())
def test_a_picture_that_comes_by_url_is_named(client, emulator, parts):
    """flow2api and gemini-balance answer so; the error says where the picture is, which nobody has fetched."""
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    emulator.enqueue(reply.raw(200, json.dumps({"candidates": [candidate]})))

    with pytest.raises(EmptyResponseError, match=rf"by URL instead, which is not fetched: {re.escape(URL)}"):
        client.generate_image("a fox", model=MODEL)


def test_thought_pictures_are_no_results(client, emulator):
    """Drafts that the model shows while it thinks are neither returned nor sent back."""
    draft = {"thought": True, "inlineData": {"mimeType": "image/png", "data": base64.b64encode(drawn((8, 8))).decode()}}
    final = {
        "inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()},
        "thoughtSignature": "c2ln",
    }
    emulator.enqueue(
        reply.stream(
            [{"candidates": [{"content": {"role": "model", "parts": [draft, final]}, "finishReason": "STOP"}]}]
        )
    )

    response = client.generate_image("a fox")
    emulator.strict_signatures = False
    client.generate_image("make it blue", history=["a fox", response])

    assert [image.data for image in response.images] == [PNG]
    assert [base64.b64decode(blob["data"]) for blob in sent(emulator)] == [PNG]


# A ratio that is not what was asked for


def test_another_ratio_is_warned_about(client, emulator):
    """More than 5 % off means that imageConfig was lost on the way; the warning names both and points at the caller."""
    emulator.enqueue(reply.image(width=1024, height=1024))

    with pytest.warns(UserWarning, match=r"16:9 and got 1024x1024") as caught:
        client.generate_image("a fox", aspect_ratio="16:9")

    assert caught[0].filename == __file__


async def test_another_ratio_is_warned_about_in_async_code(emulator):
    """The same, from a coroutine."""
    emulator.enqueue(reply.image(width=1024, height=1024))

    async with AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key) as client:
        with pytest.warns(UserWarning, match=r"16:9 and got 1024x1024") as caught:
            await client.generate_image("a fox", aspect_ratio="16:9")

    assert caught[0].filename == __file__


@pytest.mark.parametrize(("ratio", "size"), [("16:9", (1376, 768)), ("21:9", (792, 168)), ("1:1", (100, 104))])
def test_documented_pixels_are_right(client, emulator, ratio, size):
    """Google's own sizes are not exactly the ratio; 21:9 at 512 is even far off, and documented."""
    emulator.enqueue(reply.image(width=size[0], height=size[1]))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.generate_image("a fox", aspect_ratio=ratio)


# Refusals


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "SAFETY"])
def test_a_blocked_answer(client, emulator, reason):
    """The reason is Google's word, the message holds what the model said."""
    emulator.enqueue(reply.blocked(reason, prompt=False, message="Unable to show the generated image."))

    with pytest.raises(ContentBlockedError, match="Unable to show") as caught:
        client.generate_image("something else")

    assert caught.value.reason == reason
    assert caught.value.ratings


def test_a_blocked_prompt(client, emulator):
    """Blocked before anything was drawn."""
    emulator.enqueue(reply.blocked("PROHIBITED_CONTENT", message="Not this."))

    with pytest.raises(ContentBlockedError, match=r"prompt was blocked \(PROHIBITED_CONTENT\): Not this"):
        client.generate_image("something else")


@pytest.mark.parametrize("reason", ["NO_IMAGE", "IMAGE_OTHER", "STOP"])
def test_no_picture(client, emulator, reason):
    """What the model said instead stands in the message, and the whole answer hangs on the error."""
    emulator.enqueue(reply.text("I would rather describe it.", finish_reason=reason))

    with pytest.raises(EmptyResponseError, match=f"{reason}.*I would rather describe it") as caught:
        client.generate_image("a fox")

    assert caught.value.finish_reason == reason
    assert caught.value.response.text == "I would rather describe it."
    assert isinstance(caught.value, GemwayError)


def test_the_servers_own_words_come_first(client, emulator):
    """`finishMessage` explains NO_IMAGE."""
    emulator.enqueue(reply.text("", finish_reason="NO_IMAGE", finish_message="You will not be charged. Rephrase."))

    with pytest.raises(EmptyResponseError, match="You will not be charged"):
        client.generate_image("a fox")


# A picture that a gateway hid in text


def hidden(text: str) -> dict:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}


DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        pytest.param(f"![image]({DATA_URL})", "", id="alone"),
        pytest.param(f"Here it is:\n\n![a fox]({DATA_URL})\n\nEnjoy.", "Here it is:\n\n\n\nEnjoy.", id="between texts"),
        pytest.param(f'![]({DATA_URL} "a title")', "", id="with a title"),
        pytest.param(f"  {DATA_URL}\n", "", id="a bare data URL"),
    ],
)
def test_a_hidden_picture_is_found(client, emulator, text, rest):
    """Markdown with a data: URL becomes a picture, and the text is what is left."""
    emulator.enqueue(reply.stream([hidden(text)]))

    response = client.generate_image("a fox", with_text=True)

    assert [image.data for image in response.images] == [PNG]
    assert response.text == rest


def test_a_hidden_picture_is_found_in_a_stream(client, emulator):
    """In one chunk at once; cut over several, in the folded answer."""
    text = f"Here: ![a fox]({DATA_URL}) done"
    emulator.enqueue(reply.stream([hidden(text)]), reply.stream([hidden(text[:50]), hidden(text[50:])]))
    request = {"contents": [{"parts": [{"text": "a fox"}]}]}

    whole = list(client.stream_generate_content(MODEL, request))
    pieces = list(client.stream_generate_content(MODEL, request))

    assert [image.data for chunk in whole for image in chunk.images] == [PNG]
    assert [image.data for image in fold(pieces).images] == [PNG]
    assert fold(pieces).text == fold(whole).text == "Here:  done"


def pieces_of(text: str, size: int) -> dict:
    """Return the scripted stream of *text*, so many characters a chunk, in which only the last one says STOP."""
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    whole = [hidden(piece) for piece in cut]
    for event in whole[:-1]:
        del event["candidates"][0]["finishReason"]
    return reply.stream(whole)


TWO = f'One ![a fox!]({DATA_URL}) two\n![]({DATA_URL} "b")![x](http://gateway.example/c.png) ![](data:image/png;base64,!!) end!['


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_hidden_pictures_are_found_however_a_stream_cuts_them(client, emulator, size):
    """Pictures come where they were hidden, what only looks like one stays text, and nothing is held back longer."""
    emulator.enqueue(pieces_of(TWO, size), pieces_of(TWO, size))
    request = {"contents": [{"parts": [{"text": "a fox"}]}]}
    rest = "One  two\n![x](http://gateway.example/c.png) ![](data:image/png;base64,!!) end!["

    chunks = list(client.stream_generate_content(MODEL, request))
    with client.stream_chunks(MODEL, request) as stream:
        folded = Accumulator()
        for chunk in stream:
            folded.add_text(chunk) if isinstance(chunk, TextChunk) else folded.add(chunk)

    assert [image.data for chunk in chunks for image in chunk.images] == [PNG, PNG]
    assert "".join(chunk.text for chunk in chunks) == rest
    assert fold(chunks).text == folded.response().text == rest
    assert [part.inline_data is None for part in folded.response().parts] == [True, False, True, False, True]


def test_other_candidates_are_left_alone(client, emulator):
    """What is held back of the first one's text does not get into another's."""
    cut = f"![a fox]({DATA_URL})"
    said = [(0, cut[:30]), (1, "![hello"), (0, cut[30:]), (1, " there")]
    events = [{"candidates": [{"content": {"parts": [{"text": text}]}, "index": index}]} for index, text in said]
    ends = [{"candidates": [{"finishReason": "STOP", "index": index}]} for index in (0, 1)]
    emulator.enqueue(reply.stream([*events, *ends]))

    answer = fold(client.stream_generate_content(MODEL, {"contents": [{"parts": [{"text": "a fox"}]}]}))

    assert [image.data for image in answer.images] == [PNG]
    assert [part.text for part in answer.candidates[1].content.parts] == ["![hello there"]


def test_a_stream_that_breaks_off_inside_a_hidden_picture(client, emulator):
    """What came is in the error, as it came."""
    text = f"Here: ![a fox]({DATA_URL[:60]}"
    emulator.enqueue(
        reply.stream([{"candidates": [{"content": {"parts": [{"text": piece}]}}]} for piece in (text[:20], text[20:])])
    )

    with pytest.raises(StreamInterruptedError) as raised:
        list(client.stream_generate_content(MODEL, {"contents": [{"parts": [{"text": "a fox"}]}]}))

    assert raised.value.partial.text == text


def test_a_large_hidden_picture_takes_linear_time(client, emulator):
    """Each chunk is looked at once: 4,000 of them are no matter of seconds."""
    encoded = base64.b64encode(PNG + bytes(3 * 2**20)).decode()
    emulator.enqueue(pieces_of(f"![]({'data:image/png;base64,' + encoded})", 1000))

    began = time.thread_time()
    answer = fold(client.stream_generate_content(MODEL, {"contents": [{"parts": [{"text": "a fox"}]}]}))

    assert time.thread_time() - began < 5
    assert len(answer.images) == 1


def test_two_hidden_pictures_and_their_signature(client, emulator):
    """Order is kept; what was signed stays signed, on its last piece."""
    other = base64.b64encode(drawn(colour="red")).decode()
    answer = hidden(f"one ![]({DATA_URL}) two ![](data:image/png;base64,{other})")
    answer["candidates"][0]["content"]["parts"][0]["thoughtSignature"] = "c2lnbmVk"
    emulator.enqueue(reply.stream([answer]))

    response = client.generate_content(MODEL, {"contents": [{"parts": [{"text": "two"}]}]})

    assert [image.base64 for image in response.images] == [base64.b64encode(PNG).decode(), other]
    assert [part.thought_signature for part in response.parts] == [None, None, None, "c2lnbmVk"]


@pytest.mark.parametrize(
    "text",
    [
        "Write `![alt](data:image/png;base64,iVBOR...)` to embed one.",
        f"![alt](data:image/png;base64,{'QUJD' * 40})",
        "See ![alt](https://gateway.example/fox.png).",
        "The scheme data:image/png;base64, begins such a URL.",
    ],
)
def test_texts_about_pictures_stay_texts(client, emulator, text):
    """Only what holds the bytes of a picture is one."""
    emulator.enqueue(reply.stream([hidden(text)]))

    response = client.generate_content("gemini-2.5-flash", {"contents": [{"parts": [{"text": "how?"}]}]})

    assert (response.text, response.images) == (text, [])


# The asynchronous twin


async def test_the_async_client_makes_pictures(emulator, tmp_path):
    """The same call, awaited."""
    async with AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key) as client:
        first = await client.generate_image("a neon fox", aspect_ratio="16:9", image_size="512")
        second = await client.generate_image("make it blue", images=[first.images[0]], with_text=True)

    assert (first.images[0].width, first.images[0].height) == (688, 384)
    assert re.search("edited", second.text)
    assert second.images[0].save(tmp_path / "blue.png").exists()
