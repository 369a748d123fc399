"""Embeddings: batches, routes, checks, and what becomes of the answers when one of many requests fails."""

from __future__ import annotations

import array
import asyncio
import base64
import json
import math

import pytest
import wire_recordings as wire
from fault_server import failure, reply
from gemway import (
    AsyncClient,
    BadRequestError,
    Client,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    ResponseValidationError,
    UnsupportedContentError,
)
from gemway_emulator import Emulator
from gemway_emulator import reply as emulated

MODEL = "gemini-embedding-001"
ONE = {"embeddings": [{"values": [0.6, 0.8]}]}


@pytest.fixture(params=["blocking", "asyncio"])
def embed(request):
    """Call `embed_content` with either client."""

    def blocking(base_url, *args, **options):
        settings = {name: options.pop(name) for name in ("max_retries", "headers") if name in options}
        with Client(base_url=base_url, api_key="sk-local", **settings) as client:
            return client.embed_content(*args, **options)

    def in_a_loop(base_url, *args, **options):
        settings = {name: options.pop(name) for name in ("max_retries", "headers") if name in options}

        async def main():
            async with AsyncClient(base_url=base_url, api_key="sk-local", **settings) as client:
                return await client.embed_content(*args, **options)

        return asyncio.run(main())

    return blocking if request.param == "blocking" else in_a_loop


def embeddings(count: int) -> dict:
    return {"embeddings": [{"values": [float(place), 1.0]} for place in range(count)]}


def paths(server) -> list[str]:
    return [request.path for request in server.requests]


def test_many_texts_travel_in_batches_and_come_back_in_order(embed, emulator):
    """250 texts are three requests; the vector of each text is that of the text alone."""
    texts = [f"text number {place}" for place in range(250)]

    result = embed(emulator.base_url, MODEL, texts)

    assert sorted(len(entry.json["requests"]) for entry in emulator.requests) == [50, 100, 100]
    assert result.route == "batch"
    assert len(result.vectors) == 250
    assert result.vectors[137] == embed(emulator.base_url, MODEL, texts[137]).vectors[0]


def test_task_title_and_width_are_sent(embed, server):
    """The options of an embedding request have Google's names on the wire."""
    server.script(reply(ONE))

    embed(server.base_url, MODEL, "a text", task_type="retrieval_document", title="A title", output_dimensionality=2)

    assert server.requests[0].json["requests"] == [
        {
            "model": f"models/{MODEL}",
            "content": {"parts": [{"text": "a text"}]},
            "taskType": "RETRIEVAL_DOCUMENT",
            "title": "A title",
            "outputDimensionality": 2,
        }
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"task_type": "RETRIEVAL_QUERY"}, "task: search result | query: hello"),
        ({"task_type": "RETRIEVAL_DOCUMENT"}, "title: none | text: hello"),
        ({"task_type": "RETRIEVAL_DOCUMENT", "title": "custom"}, "title: custom | text: hello"),
        ({"task_type": "CLUSTERING"}, "task: clustering | query: hello"),
        ({"task_type": "SEMANTIC_SIMILARITY"}, "task: sentence similarity | query: hello"),
        ({"task_type": "QUESTION_ANSWERING"}, "task: question answering | query: hello"),
        ({}, "hello"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_gemini_embedding_2_reads_its_task_in_the_text(options, text, server):
    """The forms of Google's embeddings guide, as clients recorded them; no taskType is sent."""
    server.script(reply(ONE))
    with Client(base_url=server.base_url, api_key="sk-local") as client:
        client.embed_content("gemini-embedding-2", "hello", **options)

    sent = server.requests[0].json["requests"][0]
    assert sent["content"]["parts"] == [{"text": text}]
    assert "taskType" not in sent


def test_texts_and_pictures_make_one_input(embed, server):
    """A list inside the list is one input of several parts."""
    server.script(reply(embeddings(2)))
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)

    embed(server.base_url, "gemini-embedding-2", ["a text", ["a logo", picture]])

    first, second = server.requests[0].json["requests"]
    assert first["content"]["parts"] == [{"text": "a text"}]
    assert second["content"]["parts"][0] == {"text": "a logo"}
    assert second["content"]["parts"][1]["inlineData"]["mimeType"] == "image/png"


@pytest.mark.parametrize(
    "missing",
    [
        pytest.param(failure(404, "no such route"), id="404"),
        pytest.param(failure(405, "method not allowed"), id="405"),
        pytest.param(failure(501, "not implemented"), id="501"),
        # one-hub runs a generation for every verb that it does not know.
        pytest.param(reply({"candidates": [{"content": {"parts": [{"text": "Hello"}]}}]}), id="a generation"),
        # CLIProxyAPI answers 200 with an empty body.
        pytest.param(reply(b""), id="an empty body"),
        pytest.param(reply(b"<html><title>Dashboard</title></html>", content_type="text/html"), id="a page"),
    ],
)
def test_a_missing_route_is_found_out_once(missing, server):
    """Batch, single, OpenAI's form, in this order; what is no embedding counts as a missing route."""
    openai = {"data": [{"index": 0, "embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    server.script(missing, missing, reply(openai), reply(openai))
    with Client(base_url=server.base_url, api_key="sk-local", max_retries=0) as client:
        first = client.embed_content(MODEL, "hello")
        second = client.embed_content(MODEL, "hello")

    assert (first.route, second.route) == ("openai", "openai")
    assert paths(server) == [
        f"/v1beta/models/{MODEL}:batchEmbedContents",
        f"/v1beta/models/{MODEL}:embedContent",
        "/v1/embeddings",
        "/v1/embeddings",
    ]
    assert first.usage_metadata.prompt_token_count == 3


def test_an_unknown_model_is_no_missing_route(embed, server):
    """A 404 that names the model means the model: no other route is tried, and the names of the models are asked for."""
    server.script(failure(404, "models/no-such-model is not found for API version v1beta"))

    with pytest.raises(NotFoundError):
        embed(server.base_url, "no-such-model", "hello")

    assert paths(server) == ["/v1beta/models/no-such-model:batchEmbedContents", "/v1beta/models?pageSize=1000"]


def test_openais_form_in_base64_and_any_order(embed, server):
    """float32 numbers in base64 are read, and `index` decides the order."""
    vectors = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    encoded = [base64.b64encode(array.array("f", vector).tobytes()).decode() for vector in vectors]
    server.script(reply({"data": [{"index": place, "embedding": encoded[place]} for place in (2, 0, 1)]}))

    result = embed(server.base_url, MODEL, ["a", "b", "c"], embed_route="openai", output_dimensionality=2)

    assert [[round(number, 6) for number in vector] for vector in result.vectors] == vectors
    assert server.requests[0].json == {
        "model": MODEL,
        "input": ["a", "b", "c"],
        "encoding_format": "base64",
        "dimensions": 2,
    }


def test_the_single_route_asks_once_for_each_input(embed, server):
    """With embed_route="single" there is one request per input, and the vectors keep the inputs' order."""
    server.script(*(reply({"embedding": {"values": [float(place), 1.0]}}) for place in range(3)))

    result = embed(server.base_url, MODEL, ["a", "b", "c"], embed_route="single", concurrency=1, normalize=False)

    assert result.vectors == [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]


def test_short_vectors_are_normalised_unless_switched_off(embed, server):
    """Google normalises the full width only (ai.google.dev/gemini-api/docs/embeddings)."""
    server.script(reply({"embeddings": [{"values": [3.0, 4.0]}]}), reply({"embeddings": [{"values": [3.0, 4.0]}]}))

    normalised = embed(server.base_url, MODEL, "a", output_dimensionality=2).vectors[0]
    raw = embed(server.base_url, MODEL, "a", output_dimensionality=2, normalize=False).vectors[0]

    assert math.hypot(*normalised) == pytest.approx(1)
    assert raw == [3.0, 4.0]


def test_one_numpy_array(embed, emulator):
    """as_numpy=True gives float32 numbers in the shape (inputs, width)."""
    numpy = pytest.importorskip("numpy")

    vectors = embed(emulator.base_url, MODEL, ["a", "b", "c"], as_numpy=True, output_dimensionality=128).vectors

    assert vectors.shape == (3, 128)
    assert vectors.dtype == numpy.float32


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ({"embeddings": [{"values": [1.0, 2.0]}]}, "1 embeddings for 2 inputs"),
        ({"embeddings": [{"values": [1.0, 2.0]}, {"values": [1.0]}]}, "input 1 has 1 dimensions"),
        ({"embeddings": [{"values": [1.0, 2.0]}, {"values": [1.0, None]}]}, "input 1 holds something"),
        (
            {"embeddings": [{"values": [1.0, 2.0]}, {"values": [1.0, 1e999]}]},
            "input 1 holds numbers that are not finite",
        ),
        ({"embeddings": [{"values": [1.0, 2.0]}, {}]}, "without numbers"),
    ],
    ids=["merged into one", "another width", "no number", "infinite", "no vector"],
)
def test_wrong_vectors_are_errors(payload, complaint, embed, server):
    """The number of vectors, their widths and their numbers are checked; the error names the input."""
    server.script(reply(json.dumps(payload).encode()))

    with pytest.raises(ResponseValidationError, match=complaint):
        embed(server.base_url, MODEL, ["a", "b"], embed_route="batch")


def test_a_batch_that_is_too_large_is_halved(embed, server):
    """A 413 costs one more request, and no text."""
    server.script(failure(413, "request entity too large"), reply(embeddings(2)), reply(embeddings(2)))

    result = embed(server.base_url, MODEL, ["a", "b", "c", "d"], embed_route="batch", concurrency=1, normalize=False)

    assert [len(request.json["requests"]) for request in server.requests] == [4, 2, 2]
    assert result.vectors == [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]


def test_one_bad_input_is_named_and_the_others_are_kept(embed, server):
    """The error says which input was rejected; vectors that had arrived are in `.partial`, asked for once."""
    texts = [f"text {place}" for place in range(500)]
    texts[337] = "forbidden"

    async def judge(connection, request):
        asked = [one["content"]["parts"][0]["text"] for one in request.json["requests"]]
        action = failure(400, "content is not allowed") if "forbidden" in asked else reply(embeddings(len(asked)))
        await action(connection, request)

    server.default = judge
    with pytest.raises(BadRequestError, match="input 337 of 500") as caught:
        embed(server.base_url, MODEL, texts, concurrency=1)

    answered = [
        one["content"]["parts"][0]["text"]
        for request in server.requests
        if "forbidden" not in request.body.decode()
        for one in request.json["requests"]
    ]
    vectors = caught.value.partial.vectors
    assert caught.value.input_index == 337
    assert len(answered) == len(set(answered))
    assert sum(vector is not None for vector in vectors) == len(answered) >= 436
    assert vectors[337] is None


def test_a_429_in_the_middle_is_retried(embed, emulator):
    """One busy answer among five requests: every text has its vector."""
    emulator.enqueue(emulated.error(429, retry_after=0.05))

    result = embed(emulator.base_url, MODEL, [f"text {place}" for place in range(450)])

    assert len(result.vectors) == 450
    assert None not in result.vectors


def test_a_final_429_keeps_what_had_arrived(embed, server):
    """After the last retry the error has the vectors of the other batches in `.partial`."""
    server.script(reply(embeddings(2)), failure(429, "slow down"))

    with pytest.raises(RateLimitError) as caught:
        embed(server.base_url, MODEL, ["a", "b", "c", "d"], batch_size=2, max_retries=0, concurrency=1)

    assert [vector is not None for vector in caught.value.partial.vectors] == [True, True, False, False]


@pytest.mark.parametrize(
    ("contents", "options", "error"),
    [
        ([], {}, UnsupportedContentError),
        (["a", ""], {}, UnsupportedContentError),
        ("a", {"output_dimensionality": 0}, ConfigurationError),
        ("a", {"embed_route": "files"}, ConfigurationError),
        ("a", {"batch_size": 0}, ConfigurationError),
        ("a", {"concurrency": "many"}, ConfigurationError),
        ("a", {"temprature": 1}, TypeError),
    ],
    ids=["nothing", "empty text", "no width", "unknown route", "no batch", "concurrency as text", "unknown option"],
)
def test_wrong_arguments_send_nothing(contents, options, error, embed, server):
    """Mistakes are named before anything is sent."""
    with pytest.raises(error):
        embed(server.base_url, MODEL, contents, **options)

    assert server.requests == []


def test_pictures_need_a_native_route(server):
    """OpenAI's form holds texts only; the error says so."""
    with (
        Client(base_url=server.base_url, api_key="sk-local") as client,
        pytest.raises(UnsupportedContentError, match="takes texts"),
    ):
        client.embed_content(MODEL, b"\x89PNG\r\n\x1a\n" + bytes(20), embed_route="openai")


@pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)
def test_recorded_embeddings_equal_the_wire():
    """Every recorded embedding exchange: its vectors and its token count, or its error."""
    records = [record for record in wire.recordings() if record["endpoint"] in ("embedContent", "batchEmbedContents")]
    with wire.replay() as base_url:
        for record in records:
            route = "single" if record["endpoint"] == "embedContent" else "batch"
            entries = record["request"].get("requests") or [record["request"]]
            contents = [entry["content"] for entry in entries]
            with Client(base_url=f"{base_url}/r/{record['id']}", api_key=wire.KEY, max_retries=0) as client:
                if record["status"] >= 400:
                    with pytest.raises(NotFoundError):
                        client.embed_content(record["model"], contents, embed_route=route)
                    continue
                result = client.embed_content(record["model"], contents, embed_route=route, normalize=False)
            told = record["response"]
            recorded = told["embeddings"] if route == "batch" else [told["embedding"]]
            assert result.vectors == [entry["values"] for entry in recorded]
            count = (told.get("usageMetadata") or {}).get("promptTokenCount")
            assert (result.usage_metadata.prompt_token_count if result.usage_metadata else None) == count

    assert len(records) >= 18


def test_the_emulator_puts_near_texts_near_each_other():
    """Offline vectors mean something: texts that share words are nearer than others."""
    with Emulator() as emulator, Client(base_url=emulator.base_url, api_key=emulator.api_key) as client:
        ship, boat, tax = client.embed_content(
            MODEL, ["a ship sails on the sea", "the ship is on the open sea", "income tax law"]
        ).vectors

    def nearness(one, other):
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert nearness(ship, boat) > nearness(ship, tax)
