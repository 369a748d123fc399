"""Recorded traffic with pictures: what real models sent is read, and what was sent to them is sent again."""

from __future__ import annotations

import base64

import pytest
import wire_recordings as wire
from gemway import Client, fold
from gemway.adapters import arrange
from gemway.types import GenerateContentResponse

pytestmark = pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)
ASK = {"contents": [{"role": "user", "parts": [{"text": "replay"}]}]}


def tagged(tag: str) -> list[dict]:
    return [record for record in wire.answers() if tag in record["tags"]]


@pytest.fixture(scope="module")
def base_url():
    with wire.replay() as url:
        yield url


def ask(base_url: str, record: dict, request: dict = ASK) -> GenerateContentResponse:
    with Client(base_url=f"{base_url}/r/{record['id']}", api_key=wire.KEY, max_retries=0) as client:
        if record["endpoint"] == "generateContent":
            return client.generate_content(record["model"], request)
        return fold(client.stream_generate_content(record["model"], request))


def test_every_recorded_picture_is_read(base_url):
    """Number, type, bytes and signature of each picture that is no thought; its size where the bytes are whole."""
    records, pictures, sizes = tagged("image_out"), 0, 0
    for record in records:
        response, facts = ask(base_url, record), wire.facts_of(record)
        expected = [(kind, data) for kind, data in facts.media if kind.startswith("image/")]
        got = [(image.mime_type, image.base64) for image in response.images]
        assert [kind for kind, _ in got] == [kind for kind, _ in expected], record["id"]
        for image, (_, data) in zip(response.images, expected, strict=True):
            assert image.data == base64.b64decode(data + "=" * (-len(data) % 4)), record["id"]
            pictures += 1
            try:
                sizes += image.width > 0 < image.height
            except ValueError:
                pass  # the recording holds a placeholder instead of the picture
        signatures = [part.thought_signature for part in response.parts if part.thought_signature]
        assert signatures == facts.signatures, record["id"]
    print(f"\n{len(records)} answers with {pictures} pictures, {sizes} of them with a readable size")

    assert records


def test_every_recorded_answer_with_a_picture_can_go_back():
    """As history, with each signature in its place."""
    for record in tagged("image_out"):
        for chunk in wire.chunks_of(record):
            response = GenerateContentResponse.model_validate(chunk)
            if not response.images:
                continue
            contents = [*ASK["contents"], response.candidates[0].content.to_dict(), *ASK["contents"]]
            arranged = arrange(contents, model=record["model"])
            sent = [
                part["thoughtSignature"] for turn in arranged for part in turn["parts"] if "thoughtSignature" in part
            ]
            assert sent == [part.thought_signature for part in response.parts if part.thought_signature], record["id"]


def test_every_recorded_request_with_a_picture_is_accepted(base_url):
    """Contents that real clients sent pass our door in either spelling, and the answer is read."""
    records = [record for record in tagged("image_in") if (record["request"] or {}).get("contents")]
    for record in records:
        response, facts = ask(base_url, record, {"contents": record["request"]["contents"]}), wire.facts_of(record)
        assert response.text == facts.text, record["id"]
    print(f"\n{len(records)} requests with pictures")

    assert records
