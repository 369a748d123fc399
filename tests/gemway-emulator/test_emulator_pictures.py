"""Pictures: real PNGs of the documented size, drawn from the prompt, edited from the input."""

from __future__ import annotations

import base64
import io
import time

import pytest
from gemway_emulator import Emulator
from PIL import Image, ImageStat

FLASH = "gemini-3.1-flash-image-preview"
PRO = "gemini-3-pro-image-preview"
OLD = "gemini-2.5-flash-image"


def request(text, *parts, modalities=("IMAGE",), **image_config):
    config = {"responseModalities": list(modalities)} if modalities else {}
    if image_config:
        config["imageConfig"] = image_config
    return {"contents": [{"role": "user", "parts": [{"text": text}, *parts]}], "generationConfig": config}


def opened(part):
    picture = Image.open(io.BytesIO(base64.b64decode(part["inlineData"]["data"], validate=True)))
    assert part["inlineData"]["mimeType"] == "image/png" == Image.MIME[picture.format]
    picture.load()
    return picture.convert("RGB")


def inline(picture, kind="PNG"):
    stream = io.BytesIO()
    picture.save(stream, kind)
    return {"inlineData": {"mimeType": f"image/{kind.lower()}", "data": base64.b64encode(stream.getvalue()).decode()}}


@pytest.mark.parametrize(
    ("model", "ratio", "size", "pixels"),
    [
        (FLASH, None, None, (1024, 1024)),
        (FLASH, "16:9", "2K", (2752, 1536)),
        (FLASH, "9:16", "1K", (768, 1376)),
        (FLASH, "21:9", "512", (792, 168)),
        (FLASH, "3:4", "512", (448, 600)),
        (FLASH, "8:1", "1K", (3072, 384)),
        (FLASH, "4:5", "4K", (3712, 4608)),
        (PRO, "5:4", "2K", (2304, 1856)),
        (OLD, "16:9", None, (1344, 768)),
        (OLD, "16:9", "2K", (1344, 768)),
        (OLD, None, None, (1024, 1024)),
    ],
)
def test_the_documented_pixel_size(ask, model, ratio, size, pixels):
    """The table of ai.google.dev; gemini-2.5-flash-image has one size per ratio."""
    options = {name: value for name, value in (("aspectRatio", ratio), ("imageSize", size)) if value}
    [part] = ask.parts(request("a neon fox", **options), model)

    assert opened(part).size == pixels


def test_image_alone_gives_one_picture_and_no_text(ask):
    """`["IMAGE"]`."""
    assert [list(part)[0] for part in ask.parts(request("a fox"), FLASH)] == ["inlineData"]


@pytest.mark.parametrize(
    "modalities",
    [("TEXT", "IMAGE"), ("IMAGE", "TEXT"), ("Text", "Image"), None],
    ids=["text-image", "image-text", "capitalised", "default"],
)
def test_text_and_image_give_both(ask, modalities):
    """Also by default on image models; the text describes the drawing."""
    text, picture = ask.parts(request("a neon fox", modalities=modalities), FLASH)

    assert "a neon fox" in text["text"]
    assert opened(picture).size == (1024, 1024)


def test_text_alone_from_an_image_model(ask):
    """`["TEXT"]` draws nothing."""
    assert "inlineData" not in ask.parts(request("hello", modalities=["TEXT"]), FLASH)[0]


def test_pictures_are_deterministic_and_differ_by_prompt(ask):
    """The same prompt draws the same bytes."""
    one, again, other = (
        ask.parts(request(text), FLASH)[0]["inlineData"]["data"] for text in ("a fox", "a fox", "an owl")
    )

    assert one == again != other


def test_the_prompt_is_written_on_the_picture(ask):
    """White letters on a dark band across the middle."""
    picture = opened(ask.parts(request("a neon fox, cinematic"), FLASH)[0])
    band = picture.crop((100, 400, 924, 624))

    colours = {colour for _, colour in band.getcolors(1 << 16)}
    assert (255, 255, 255) in colours
    assert (20, 20, 28) in colours


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_edit_changes_the_input_and_keeps_it_recognisable(ask, kind):
    """At the 1K size of its form (3:2, Google's table), tinted by the colour word, the two halves still apart."""
    source = Image.new("RGB", (300, 200), (10, 10, 10))
    source.paste((240, 240, 240), (150, 0, 300, 200))
    [part] = ask.parts(request("make it red", inline(source, kind)), FLASH)
    edited = opened(part)

    assert edited.size == (1264, 848)
    left, right = (ImageStat.Stat(edited.crop(box)).mean for box in ((0, 0, 590, 420), (670, 0, 1264, 420)))
    assert left[0] > left[1] + 50  # redder than it was
    assert right[1] > left[1] + 50  # and still light on the right


def test_an_edit_to_a_given_size_pads(ask):
    """aspectRatio and imageSize hold for edits too."""
    [part] = ask.parts(
        request("brighter", inline(Image.new("RGB", (300, 200))), aspectRatio="16:9", imageSize="1K"), FLASH
    )

    assert opened(part).size == (1376, 768)


def test_the_newest_picture_is_edited(ask, say):
    """In a chat: what the model drew last, unless the user brings another."""
    question = say("a blue owl")
    drawn = ask.parts({"contents": [question]}, FLASH)
    edited = opened(
        ask.parts({"contents": [question, say(*drawn, role="model"), say("add the word green")]}, FLASH)[-1]
    )

    assert edited.size == (1024, 1024)
    brought = inline(Image.new("RGB", (64, 48), "white"))
    talk = {"contents": [question, say(*drawn, role="model"), say("darker", brought)]}
    assert opened(ask.parts(talk, FLASH)[-1]).size == (1200, 896)


def test_an_input_that_is_no_picture_is_ignored(ask):
    """Undecodable pixels are no reason to fail: a fresh picture comes."""
    part = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}

    assert opened(ask.parts(request("a fox", part), FLASH)[0]).size == (1024, 1024)


def test_usage_counts_pictures_by_the_table(ask):
    """Output tokens per size, under modality IMAGE; input pictures too."""
    for model, size, tokens in ((FLASH, "512", 747), (FLASH, "1K", 1120), (FLASH, "4K", 2000), (OLD, "1K", 1290)):
        usage = ask.json(request("a fox", imageSize=size, aspectRatio="1:1"), model)["usageMetadata"]
        assert usage["candidatesTokenCount"] == tokens
        assert usage["candidatesTokensDetails"] == [{"modality": "IMAGE", "tokenCount": tokens}]

    usage = ask.json(request("edit", inline(Image.new("RGB", (8, 8)))), FLASH)["usageMetadata"]
    assert {detail["modality"] for detail in usage["promptTokensDetails"]} == {"TEXT", "IMAGE"}


def test_a_picture_is_one_event_of_a_stream(ask):
    """However large."""
    chunks = ask.stream(request("a fox", modalities=("TEXT", "IMAGE")), FLASH)
    with_picture = [chunk for chunk in chunks if "inlineData" in chunk["candidates"][0]["content"]["parts"][0]]

    assert len(with_picture) == 1
    assert with_picture[0] is chunks[-1]
    assert opened(with_picture[0]["candidates"][0]["content"]["parts"][0]).size == (1024, 1024)


def test_thought_pictures_on_request(ask):
    """A switch of the emulator: a draft marked `thought` before the result."""
    import httpx

    body = request("a fox")
    body["generationConfig"]["thinkingConfig"] = {"includeThoughts": True}
    with Emulator(thought_images=True) as emulator:
        url = f"{emulator.base_url}/v1beta/models/{FLASH}:generateContent"
        parts = httpx.post(url, json=body, headers={"Authorization": "Bearer sk-local"}).json()["candidates"][0][
            "content"
        ]["parts"]

    kinds = [("inlineData" in part, part.get("thought", False)) for part in parts]
    assert kinds == [(False, True), (True, True), (True, False)]


def test_large_pictures_are_quick(ask):
    """A 4K picture is a second's work at most, even here."""
    began = time.perf_counter()
    ask.parts(request("a fox", aspectRatio="16:9", imageSize="4K"), FLASH)

    assert time.perf_counter() - began < 4


@pytest.mark.parametrize(
    "prompt", ["", "x", "é ü 你好 🦊", "word " * 500, "a" * 3000], ids=["empty", "one", "unicode", "long", "unbroken"]
)
def test_any_prompt_can_be_drawn(ask, prompt):
    """No text is too long or too foreign for the smallest picture."""
    assert opened(ask.parts(request(prompt or " ", aspectRatio="21:9", imageSize="512"), FLASH)[0]).size == (792, 168)
