"""Rows that are texts to embed: many share a request, and each is still a row of its own."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gemway import Client
from gemway.batch import Generate, run
from gemway_emulator import Emulator, reply

MODEL = "gemini-embedding-001"


class Gateway(BaseHTTPRequestHandler):
    """Refuses a request for any text with "evil" in it, and does not say which."""

    protocol_version = "HTTP/1.1"
    sizes: list[int] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = [request["content"]["parts"][0]["text"] for request in body["requests"]]
        self.sizes.append(len(texts))
        if any("evil" in text for text in texts):
            self.send(400, {"error": {"code": 400, "message": "cannot embed this", "status": "INVALID_ARGUMENT"}})
            return
        vectors = [{"values": [float(len(text)), 1.0]} for text in texts]
        self.send(200, {"embeddings": vectors, "usageMetadata": {"promptTokenCount": 7 * len(texts) + 1}})

    def send(self, status: int, body: dict) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def gateway(monkeypatch):
    """The gateway above, in the environment."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GEMWAY_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GEMWAY_API_KEY", "sk-local")
    Gateway.sizes = []
    yield Gateway
    server.shutdown()
    server.server_close()


def sizes(emulator) -> list[int]:
    """Return how many texts each request held."""
    return [len(entry.json.get("requests", ())) for entry in emulator.requests]


def test_texts_share_requests(out, read, emulator):
    """A hundred texts are one request; each row has the vector that it would have alone."""
    rows = [{"id": number, "embed": f"text {number} " * (number % 7 + 1)} for number in range(250)]

    report = run(rows, out, model=MODEL, ordered=True)

    lines = read(out)
    asked = sizes(emulator)
    with Client() as client:
        alone = client.embed_content(MODEL, rows[123]["embed"]).vectors[0]
    assert sorted(asked) == [50, 100, 100]
    assert (report.done, report.calls) == (250, 3)
    assert [line["id"] for line in lines] == [str(number) for number in range(250)]
    assert lines[123]["embedding"] == pytest.approx(alone)


def test_a_text_that_is_refused_fails_alone(out, read, gateway):
    """The row has the error of its text, all others have vectors, and the tokens of the rows add up to those counted."""
    rows = [f"evil {number}" if number in {3, 40, 41} else f"text {number}" for number in range(120)]

    report = run(rows, out, model=MODEL, task="embed", ordered=True, config={"normalize": False})

    lines = read(out)
    assert (report.done, report.failed) == (117, 3)
    assert [number for number, line in enumerate(lines) if "error" in line] == [3, 40, 41]
    assert lines[3]["error"]["message"].startswith("400: cannot embed this")
    assert all(line["embedding"][0] == len(rows[number]) for number, line in enumerate(lines) if "error" not in line)
    answered = [size for size in gateway.sizes if size]
    assert len(answered) < 60
    assert (
        report.usage.input_tokens == sum(line["usage"]["input_tokens"] for line in lines if "usage" in line) >= 7 * 117
    )


def test_all_texts_are_refused(out, read, gateway):
    """Each row has its error, and no text is sent more often than halving needs."""
    report = run([f"evil {number}" for number in range(12)], out, model=MODEL, task="embed")

    assert (report.done, report.failed) == (0, 12)
    assert len(gateway.sizes) <= 60


def test_going_on_row_by_row(out, emulator):
    """Rows that have a vector are not embedded again; a request that fails is repeated as it was."""
    rows = [{"id": number, "embed": f"text {number}"} for number in range(30)]
    run(rows[10:20], out, model=MODEL)
    emulator.reset()
    emulator.enqueue(reply.error(503), reply.error(429))

    report = run(rows, out, model=MODEL)

    assert (report.done, report.earlier, report.calls) == (30, 10, 3)
    assert sizes(emulator) == [20, 20, 20]


def test_texts_and_prompts_in_one_file(out, read, emulator):
    """Only texts to embed share a request; other rows stand between them."""
    rows = [{"id": n, "embed" if n % 3 else "prompt": f"text {n}"} for n in range(20)]

    report = run(rows, out, model="gemini-embedding-2", ordered=True)

    assert report.done + report.failed == 20
    assert all("embedding" in line for n, line in enumerate(read(out)) if n % 3)


def test_a_gateway_that_embeds_one_text_a_request(out, monkeypatch):
    """Where only that route is served, each text becomes a call of its own, so that ceilings and figures hold."""
    with Emulator(misbehave=["no_batch_embed_route"]) as gateway:
        monkeypatch.setenv("GEMWAY_BASE_URL", gateway.base_url)
        monkeypatch.setenv("GEMWAY_API_KEY", gateway.api_key)
        report = run([f"text {n}" for n in range(150)], out, model=MODEL, task="embed", concurrency=1)

    assert report.done == 150
    assert report.calls == 51


def test_a_gateway_that_merges_texts(out, read, monkeypatch):
    """One vector for several texts is no vector: the texts are sent again until each has its own."""
    with Emulator(misbehave=["merged_embeddings"]) as gateway:
        monkeypatch.setenv("GEMWAY_BASE_URL", gateway.base_url)
        monkeypatch.setenv("GEMWAY_API_KEY", gateway.api_key)
        report = run([f"text {n}" for n in range(40)], out, model=MODEL, task="embed", ordered=True)
        with Client() as client:
            alone = client.embed_content(MODEL, "text 17").vectors[0]

    assert report.done == 40
    assert read(out)[17]["embedding"] == pytest.approx(alone)


def test_a_wrong_model_stops_at_once(out, emulator):
    """Errors of the whole request concern all of its rows: the batch stops after a few requests."""
    from gemway.batch import BatchStoppedError

    with pytest.raises(BatchStoppedError, match="NotFoundError"):
        run((f"text {n}" for n in range(5000)), out, model="gemini-embedding-9", task="embed")

    assert len(emulator.requests) < 60


@pytest.mark.usefixtures("gateway_environment")
def test_engines_share_requests_too(emulator):
    """`Generate` embeds the texts of a batch in one request."""
    batch = Generate(MODEL, task="embed", prompt="{text}")({"text": [f"text {n}" for n in range(60)]})

    assert sizes(emulator) == [60]
    assert {len(vector) for vector in batch["embedding"]} == {3072}
