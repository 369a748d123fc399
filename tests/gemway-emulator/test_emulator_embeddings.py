"""Embeddings: the three routes as Google and OpenAI answer them, what gateways make of them, and vectors that mean something."""

from __future__ import annotations

import base64
import io
import math
from array import array
from pathlib import Path

import httpx
import pytest
from gemway_emulator import Emulator, reply
from PIL import Image, ImageDraw

MODEL = "gemini-embedding-001"
NEWER = "gemini-embedding-2"
DATA = Path(__file__).parents[2] / "examples" / "data"

QUESTIONS = {
    "What did the Dog see in the water?": "the-dog-and-the-shadow",
    "How did the Crow bring the water in the pitcher within his reach?": "the-crow-and-the-pitcher",
    "What did the Mouse gnaw with his teeth to set the Lion free?": "the-lion-and-the-mouse",
    "Who fell asleep during the race?": "the-hare-and-the-tortoise",
    "Why did the Grasshopper not treasure up food during the summer?": "the-ants-and-the-grasshopper",
    "Why did the Fox say that the Grapes are sour?": "the-fox-and-the-grapes",
    "What was stuck in the throat of the wolf?": "the-wolf-and-the-crane",
    "What happens to a liar when he tells the truth?": "the-boy-who-cried-wolf",
    "Why did they kill the hen?": "the-goose-with-the-golden-eggs",
    "How did a father teach his sons to hold together?": "the-bundle-of-sticks",
    "How did the sun make the traveler undress?": "the-north-wind-and-the-sun",
    "Why do reeds survive the wind while the oak falls?": "the-oak-and-the-reeds",
}


def nearness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def embed(http, *texts, model=MODEL, **options):
    """The vectors of *texts*, over the batch route."""
    requests = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **options} for text in texts]
    response = http.post(f"/v1beta/models/{model}:batchEmbedContents", json={"requests": requests})
    assert response.status_code == 200, response.text
    return [entry["values"] for entry in response.json()["embeddings"]]


def picture(colour, shape="ellipse"):
    """A PNG of one *shape* in *colour* on white, as base64."""
    image = Image.new("RGB", (96, 96), "white")
    getattr(ImageDraw.Draw(image), shape)((16, 16, 80, 80), fill=colour)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_one_vector_for_each_request_in_order(http, emulator):
    """The batch route answers as many single calls would: unit vectors of the model's full width."""
    vectors = embed(http, "one", "two", "three")
    body = {"model": f"models/{MODEL}", "content": {"parts": [{"text": "two"}]}, "taskType": "RETRIEVAL_QUERY"}
    single = http.post(f"/v1beta/models/{MODEL}:embedContent", json=body).json()

    assert single == {"embedding": {"values": vectors[1]}}
    assert [len(vector) for vector in vectors] == [3072] * 3
    assert all(math.hypot(*vector) == pytest.approx(1) for vector in vectors)


@pytest.mark.parametrize("dimensions", [1, 10, 256, 768, 3000])
def test_any_number_of_dimensions(http, emulator, dimensions):
    """A short vector has length 1 and points where the beginning of the long one does."""
    (short,) = embed(http, "a ship sails on the sea", outputDimensionality=dimensions)
    (whole,) = embed(http, "a ship sails on the sea")

    start = whole[:dimensions]
    assert len(short) == dimensions
    assert math.hypot(*short) == pytest.approx(1)
    assert not any(start) or nearness(short, start) == pytest.approx(math.hypot(*start))


def test_the_right_passage_comes_first(http, emulator):
    """At least nine of ten questions about the example texts find the text that answers them."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*.txt"))}
    stories = dict(zip(texts, embed(http, *texts.values(), taskType="RETRIEVAL_DOCUMENT"), strict=True))
    questions = embed(http, *QUESTIONS, taskType="RETRIEVAL_QUERY")

    first = [max(stories, key=lambda name: nearness(question, stories[name])) for question in questions]

    right = sum(found == wanted for found, wanted in zip(first, QUESTIONS.values(), strict=True))
    assert right >= 0.9 * len(QUESTIONS)
    assert first[0] == "the-dog-and-the-shadow"


def test_pictures_are_near_by_colour_and_shape(http, emulator):
    """A red disc is nearer to a darker red disc than to a blue one or a red frame, and to the word red than to blue."""
    pictures = [picture("red"), picture("firebrick"), picture("blue"), picture("red", "line")]
    parts = [{"inlineData": {"mimeType": "image/png", "data": data}} for data in pictures]
    requests = [{"content": {"parts": [part]}} for part in [*parts, {"text": "red"}, {"text": "blue"}]]
    answer = http.post(f"/v1beta/models/{NEWER}:batchEmbedContents", json={"requests": requests}).json()
    disc, darker, blue, line, red_word, blue_word = (entry["values"] for entry in answer["embeddings"])

    assert nearness(disc, darker) > max(nearness(disc, blue), nearness(disc, line))
    assert nearness(disc, red_word) > nearness(disc, blue_word)
    assert answer["usageMetadata"]["promptTokenDetails"][0]["modality"] in ("TEXT", "IMAGE")


def test_a_task_in_the_text_is_no_part_of_the_meaning(http, emulator):
    """gemini-embedding-2 reads the task in the text: query and document forms of one text are near."""
    query, document = embed(
        http, "task: search result | query: sour grapes", "title: none | text: sour grapes", model=NEWER
    )

    assert nearness(query, document) == pytest.approx(1)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "content: contents is not specified"),
        ({"content": {"parts": [{"text": ""}]}}, "contains an empty Part"),
        ({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3073}, "output_dimensionality"),
        ({"content": {"parts": [{"text": "a"}]}, "taskType": "GUESSING"}, "task_type"),
        ({"content": {"parts": [{"text": "a"}]}, "model": "models/text-embedding-004"}, "unexpected model name format"),
        ({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}, "embeds text only"),
    ],
    ids=["no content", "empty text", "too wide", "unknown task", "another model", "a picture for a text model"],
)
def test_a_request_that_cannot_be_embedded_is_named(http, emulator, request_, words):
    """A 400 in Google's form names the mistake, and in a batch the request."""
    good = {"content": {"parts": [{"text": "good"}]}}
    single = http.post(f"/v1beta/models/{MODEL}:embedContent", json=request_)
    batch = http.post(f"/v1beta/models/{MODEL}:batchEmbedContents", json={"requests": [good, request_]})

    for response in (single, batch):
        assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert words in response.json()["error"]["message"]
    assert "requests[1]" in batch.json()["error"]["message"]


def test_a_batch_has_at_most_a_hundred_requests(http, emulator):
    """One more is Google's 400; none at all is one too."""
    one = {"content": {"parts": [{"text": "a"}]}}
    url = f"/v1beta/models/{MODEL}:batchEmbedContents"

    assert http.post(url, json={"requests": [one] * 100}).status_code == 200
    assert "at most 100 requests" in http.post(url, json={"requests": [one] * 101}).json()["error"]["message"]
    assert http.post(url, json={}).status_code == 400


def test_models_do_one_thing(http, emulator):
    """A chat model does not embed and an embedding model does not chat: 404 in Google's words."""
    content = {"parts": [{"text": "a"}]}
    embedding = http.post(
        "/v1beta/models/gemini-2.5-flash:batchEmbedContents", json={"requests": [{"content": content}]}
    )
    chat = http.post(f"/v1beta/models/{MODEL}:generateContent", json={"contents": [content]})

    assert (embedding.status_code, chat.status_code) == (404, 404)
    assert "is not supported for embedContent" in embedding.json()["error"]["message"]
    assert "is not supported for generateContent" in chat.json()["error"]["message"]


def test_the_openai_form(http, emulator):
    """`/v1/embeddings`: a text or texts, floats or base64, dimensions, and usage; the same vectors as Google's form."""
    (vector,) = embed(http, "hello there", outputDimensionality=64)
    body = {"model": MODEL, "input": ["hello there", "bye"], "dimensions": 64}
    plain = http.post("/v1/embeddings", json=body).json()
    packed = http.post("/v1/embeddings", json={**body, "input": "hello there", "encoding_format": "base64"}).json()

    assert (plain["object"], plain["model"]) == ("list", MODEL)
    assert [(entry["object"], entry["index"]) for entry in plain["data"]] == [("embedding", 0), ("embedding", 1)]
    assert plain["data"][0]["embedding"] == vector
    assert array("f", base64.b64decode(packed["data"][0]["embedding"])).tolist() == pytest.approx(vector, abs=1e-6)
    assert plain["usage"]["prompt_tokens"] == plain["usage"]["total_tokens"] > packed["usage"]["total_tokens"] > 0


def test_the_openai_form_takes_tokens(http, emulator):
    """Tokens stand for words: inputs that share tokens are near; a list of lists is several inputs."""
    tokens = {"model": MODEL, "input": [[464, 3290], [464, 3290, 7], [99, 98, 97]]}
    one, near, far = (entry["embedding"] for entry in http.post("/v1/embeddings", json=tokens).json()["data"])
    alone = http.post("/v1/embeddings", json={"model": MODEL, "input": [464, 3290]}).json()["data"]

    assert len(alone) == 1
    assert alone[0]["embedding"] == one
    assert nearness(one, near) > nearness(one, far) + 0.3


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"input": ""}, 400),
        ({"input": []}, 400),
        ({"input": [1.5]}, 400),
        ({"input": {"text": "a"}}, 400),
        ({"encoding_format": "int8"}, 400),
        ({"dimensions": 0}, 400),
        ({"model": "no-such-model"}, 404),
        ({"model": "gemini-2.5-flash"}, 404),
        ({"model": None}, 404),
    ],
    ids=str,
)
def test_the_openai_form_refuses_in_openai_words(http, emulator, change, status):
    """Errors have OpenAI's shape, also the one for a wrong key."""
    response = http.post("/v1/embeddings", json={"model": MODEL, "input": "a", **change})
    stranger = http.post("/v1/embeddings", json={}, headers={"Authorization": "Bearer wrong"})

    assert (response.status_code, response.json()["error"]["type"]) == (status, "invalid_request_error")
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.leaves_replies
def test_scripted_failures_reach_every_embedding_route(http, emulator):
    """`reply.error` and `reply.raw` are served by the embedding routes too; a text waits for a generation."""
    emulator.enqueue(reply.error(429), reply.raw(503, "busy"), reply.text("for the model"))
    body = {"content": {"parts": [{"text": "a"}]}}

    assert http.post(f"/v1beta/models/{MODEL}:embedContent", json=body).status_code == 429
    assert http.post("/v1/embeddings", json={"model": MODEL, "input": "a"}).text == "busy"
    assert http.post(f"/v1beta/models/{MODEL}:embedContent", json=body).status_code == 200
    assert emulator.pending == 1


@pytest.fixture
def routes(http):
    """The three routes, as functions that embed two texts, or one where the route takes one."""
    one, two = ({"content": {"parts": [{"text": text}]}} for text in ("one", "two"))
    return {
        "single": lambda: http.post(f"/v1beta/models/{MODEL}:embedContent", json=one),
        "batch": lambda: http.post(f"/v1beta/models/{MODEL}:batchEmbedContents", json={"requests": [one, two]}),
        "openai": lambda: http.post("/v1/embeddings", json={"model": MODEL, "input": ["one", "two"]}),
    }


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("no_embed_routes", {"single", "batch"}),
        ("no_batch_embed_route", {"batch"}),
        ("no_openai_embed_route", {"openai"}),
    ],
)
def test_routes_that_a_gateway_lacks(emulator, routes, name, missing):
    """Each route can be a 404 while the others answer."""
    emulator.misbehave = {name}

    assert {route for route, ask in routes.items() if ask().status_code == 404} == missing


def test_an_unknown_verb_may_run_a_generation(emulator, routes, http):
    """one-hub answers every verb it does not know with a generation, countTokens included."""
    emulator.misbehave = {"unknown_verbs_generate"}
    counted = http.post("/v1beta/models/gemini-2.5-flash:countTokens", json={"contents": [{"parts": [{"text": "a"}]}]})

    for answer in (routes["single"](), routes["batch"](), counted):
        assert answer.status_code == 200
        assert answer.json()["candidates"][0]["content"]["parts"][0]["text"]


def test_an_answer_may_be_empty_or_merged(emulator, routes):
    """200 without a body (CLIProxyAPI), and one vector for several texts."""
    emulator.misbehave = {"empty_embeddings"}
    assert {(answer.status_code, answer.content) for answer in (ask() for ask in routes.values())} == {(200, b"")}

    emulator.misbehave = {"merged_embeddings"}
    assert len(routes["batch"]().json()["embeddings"]) == len(routes["openai"]().json()["data"]) == 1


def test_an_answer_may_break_off(emulator, routes):
    """The connection ends in the middle of the vectors."""
    emulator.misbehave = {"truncated_embeddings"}

    for ask in routes.values():
        with pytest.raises(httpx.RemoteProtocolError):
            ask()


def test_added_models_embed_and_chat():
    """A name given with `models=` may do everything, on every route."""
    with Emulator(models=["house-model"]) as emulator:
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
        body = {"model": "house-model", "input": "hello"}
        embedding = httpx.post(f"{emulator.base_url}/v1/embeddings", json=body, headers=headers)
        chat = httpx.post(
            f"{emulator.base_url}/v1beta/models/house-model:generateContent",
            json={"contents": [{"parts": [{"text": "hello"}]}]},
            headers=headers,
        )

    assert (embedding.status_code, chat.status_code) == (200, 200)
    assert len(embedding.json()["data"][0]["embedding"]) == 768
