"""Who is let in, and which paths there are."""

from __future__ import annotations

import httpx
import pytest
from gemway_emulator import Emulator, reply

MODEL = "gemini-2.5-flash"
HELLO = {"contents": [{"parts": [{"text": "hi"}]}]}


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Authorization": "Bearer sk-local"}, "", 200),
        ({"Authorization": "bearer sk-local"}, "", 200),
        ({"Authorization": "Bearer sk-local", "x-goog-api-key": "dummy"}, "", 200),
        ({"Authorization": "Bearer sk-local"}, "?key=dummy", 200),
        ({"Authorization": "Bearer wrong"}, "", 401),
        ({"Authorization": "Basic sk-local"}, "", 401),
        ({"Authorization": "sk-local"}, "", 401),
        ({"x-goog-api-key": "sk-local"}, "", 401),
        ({}, "?key=sk-local", 401),
        ({}, "", 401),
    ],
    ids=[
        "good",
        "lower-case-scheme",
        "dummy-google-key-beside",
        "dummy-key-in-query",
        "wrong",
        "basic",
        "bare",
        "google-key",
        "query-key",
        "none",
    ],
)
@pytest.mark.parametrize("path", [f"models/{MODEL}:generateContent", f"models/{MODEL}", "models"])
def test_only_the_bearer_token_counts(emulator, headers, query, status, path):
    """A good Bearer is let in whatever else is sent; nothing else is, on any route."""
    method = "POST" if ":" in path else "GET"
    response = httpx.request(
        method, f"{emulator.base_url}/v1beta/{path}{query}", json=HELLO if method == "POST" else None, headers=headers
    )

    assert response.status_code == status


def test_a_401_has_googles_shape(emulator):
    """code, status and message; the wrong key is not repeated."""
    response = httpx.get(f"{emulator.base_url}/v1beta/models", headers={"Authorization": "Bearer sk-wrong"})

    error = response.json()["error"]
    assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
    assert "sk-wrong" not in response.text


def test_a_401_consumes_no_reply(emulator, ask):
    """The queue is for those who may ask."""
    emulator.enqueue(reply.text("for the right key"))
    httpx.post(f"{emulator.base_url}/v1beta/models/{MODEL}:generateContent", json=HELLO)

    assert ask.text("hi") == "for the right key"


@pytest.mark.parametrize("version", ["v1beta", "v1"])
@pytest.mark.parametrize("name", [MODEL, f"models/{MODEL}"])
def test_v1_and_v1beta_are_the_same(http, emulator, version, name):
    """Every route exists under both versions, with and without the models/ prefix in the name."""
    assert http.post(f"/{version}/models/{name}:generateContent", json=HELLO).json()["modelVersion"] == MODEL
    assert http.post(f"/{version}/models/{name}:streamGenerateContent?alt=sse", json=HELLO).status_code == 200
    assert http.post(f"/{version}/models/{name}:countTokens", json=HELLO).json()["totalTokens"] > 0
    assert http.get(f"/{version}/models/{name}").json()["name"] == f"models/{MODEL}"
    assert http.get(f"/{version}/models").json()["models"]


def test_models_are_listed_page_by_page(http, emulator):
    """pageSize and nextPageToken, as pagers ask; without a size all come at once."""
    whole = [model["name"] for model in http.get("/v1beta/models").json()["models"]]

    names, token = [], ""
    while token is not None:
        page = http.get("/v1beta/models", params={"pageSize": 20, "pageToken": token}).json()
        names += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken")

    assert names == whole


def test_a_model_tells_its_windows(http, emulator):
    """inputTokenLimit and outputTokenLimit are those of the model table."""
    model = http.get("/v1beta/models/gemini-2.5-flash-image").json()

    assert (model["inputTokenLimit"], model["outputTokenLimit"]) == (32_768, 32_768)
    assert "generateContent" in model["supportedGenerationMethods"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1beta/models/no-such-model:generateContent"),
        ("POST", "/v1beta/models/no-such-model:streamGenerateContent?alt=sse"),
        ("GET", "/v1beta/models/no-such-model"),
        ("POST", f"/v1beta/models/{MODEL}:inventContent"),
        ("POST", f"/v1beta/models/{MODEL}"),
        ("GET", f"/v1beta/models/{MODEL}:generateContent"),
        ("PUT", f"/v1beta/models/{MODEL}:generateContent"),
        ("POST", f"/v1beta/v1beta/models/{MODEL}:generateContent"),
        ("POST", f"/models/{MODEL}:generateContent"),
        ("GET", "/v1beta"),
    ],
)
def test_what_is_not_served_is_a_404_in_googles_shape(http, emulator, method, path):
    """Unknown models, methods and paths answer NOT_FOUND, never 200 and never HTML."""
    response = http.request(method, path, json=HELLO if method == "POST" else None)

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (404, 404, "NOT_FOUND")


def test_an_unknown_model_is_refused_in_googles_words(ask, http):
    """404 NOT_FOUND as in recorded traffic, on every route; any_model opens the door."""
    name = "gemini-9.9-hyper-preview"
    error = ask.post("hi", name).json()["error"]

    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["message"] == (
        f"models/{name} is not found for API version v1beta, or is not supported for generateContent. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    assert ask.post("hi", name, "countTokens").status_code == 404
    assert http.get(f"/v1beta/models/{name}").status_code == 404
    with Emulator(any_model=True) as emulator:
        url = f"{emulator.base_url}/v1beta/models/{name}:generateContent"
        answer = httpx.post(url, json=HELLO, headers={"Authorization": "Bearer sk-local"})
    assert answer.json()["modelVersion"] == name


def test_other_models_and_a_prefix():
    """`models` adds names of the house; `prefix` moves the API under a path."""
    with Emulator(prefix="/gw/", models=["house-model"]) as emulator:
        headers = {"Authorization": "Bearer sk-local"}
        assert emulator.base_url.endswith("/gw")
        inside = httpx.post(
            f"{emulator.base_url}/v1beta/models/house-model:generateContent", json=HELLO, headers=headers
        )
        outside = httpx.post(
            f"{emulator.base_url[:-3]}/v1beta/models/{MODEL}:generateContent", json=HELLO, headers=headers
        )

    assert (inside.status_code, outside.status_code) == (200, 404)


def test_a_key_that_is_not_ascii_is_compared_safely():
    """A strange key neither breaks the comparison nor opens the door."""
    with Emulator(api_key="schlüssel") as emulator:
        url = f"{emulator.base_url}/v1beta/models"
        assert httpx.get(url, headers=[(b"Authorization", "Bearer schlüssel".encode("latin-1"))]).status_code == 200
        assert httpx.get(url, headers={"Authorization": "Bearer schl"}).status_code == 401


def test_count_tokens_knows_both_forms(http, emulator):
    """`contents` and `generateContentRequest` are counted alike; more text is more tokens."""
    url = f"/v1beta/models/{MODEL}:countTokens"
    bare = http.post(url, json=HELLO).json()["totalTokens"]
    wrapped = http.post(url, json={"generateContentRequest": {"model": f"models/{MODEL}", **HELLO}}).json()[
        "totalTokens"
    ]
    longer = http.post(url, json={"contents": [{"parts": [{"text": "hi there, how are you?"}]}]}).json()["totalTokens"]

    assert 0 < bare == wrapped < longer
    assert http.post(url, json={}).status_code == 400


def test_embeddings_put_related_texts_together(http, emulator):
    """Unit vectors of the size asked for; shared words make them near."""
    url = "/v1beta/models/gemini-embedding-001"

    def vector(text):
        body = {"content": {"parts": [{"text": text}]}, "outputDimensionality": 256}
        return http.post(f"{url}:embedContent", json=body).json()["embedding"]["values"]

    cat, kitten, tax = vector("the cat sleeps"), vector("a cat is sleeping"), vector("tax law of 1990")
    assert len(cat) == 256
    assert sum(a * a for a in cat) == pytest.approx(1)
    assert sum(a * b for a, b in zip(cat, kitten)) > sum(a * b for a, b in zip(cat, tax)) + 0.3
    batch = http.post(
        f"{url}:batchEmbedContents", json={"requests": [{"content": {"parts": [{"text": "the cat sleeps"}]}}]}
    )
    assert len(batch.json()["embeddings"][0]["values"]) == 3072
    assert http.post(f"{url}:embedContent", json={}).status_code == 400
