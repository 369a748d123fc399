"""Every recorded exchange, through the core, says what the wire said."""

from __future__ import annotations

from collections import Counter

import pytest
import wire_recordings as wire
from gemway import APIStatusError, Client, fold
from gemway.types import GenerateContentResponse

pytestmark = pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)
ASK = {"contents": [{"role": "user", "parts": [{"text": "replay"}]}]}
# Streamed call arguments arrive in pieces; these recordings say what the pieces are, not the whole.
PIECEWISE = {record["id"] for record in wire.recordings() if "partial_args" in record["tags"]}


@pytest.fixture(scope="module", params=[0, 7], ids=["whole", "7-byte-pieces"])
def base_url(request):
    options = ("--chunk-bytes", str(request.param)) if request.param else ()
    with wire.replay(*options) as url:
        yield url


def ask(base_url: str, record: dict) -> GenerateContentResponse:
    with Client(base_url=f"{base_url}/r/{record['id']}", api_key=wire.KEY, max_retries=0) as client:
        if record["endpoint"] == "generateContent":
            return client.generate_content(record["model"], ASK)
        return fold(client.stream_generate_content(record["model"], ASK))


def facts_of(response: GenerateContentResponse) -> wire.Facts:
    facts = wire.Facts(text=response.text, thoughts=response.thoughts, finish=response.finish_reason)
    facts.total_tokens = response.usage_metadata.total_token_count if response.usage_metadata else None
    facts.calls = [(call.name, call.args or {}) for call in response.function_calls]
    for part in response.parts:
        if part.inline_data and not part.thought:
            facts.media.append((part.inline_data.mime_type or "", part.inline_data.data or ""))
        if part.thought_signature:
            facts.signatures.append(part.thought_signature)
    return facts


def test_every_answer_equals_the_wire(base_url):
    """Text, thoughts, calls, media, usage, finish reason and signatures of every real 2xx exchange."""
    wrong, seen = {}, Counter()
    for record in wire.answers():
        got, expected = facts_of(ask(base_url, record)), wire.facts_of(record)
        if record["id"] in PIECEWISE:
            got.calls = expected.calls = []
        seen[record["response_kind"]] += 1
        differing = [name for name in vars(expected) if getattr(got, name) != getattr(expected, name)]
        if differing:
            wrong[record["id"]] = {name: (getattr(got, name), getattr(expected, name)) for name in differing}
    print(f"{sum(seen.values())} answers ({dict(seen)}): {len(wrong)} differ")

    assert not wrong


def test_every_error_is_typed_and_keeps_its_status(base_url):
    """Every recorded error answer raises an APIStatusError with the recorded status and a message."""
    for record in wire.errors():
        with pytest.raises(APIStatusError) as caught:
            ask(base_url, record)

        assert caught.value.status_code == record["status"]
        assert caught.value.message
