"""What every emulator test needs: a running emulator and a plain HTTP client that knows its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gemway_emulator import Emulator


@pytest.fixture(scope="session")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(request: pytest.FixtureRequest, running: Emulator) -> Iterator[Emulator]:
    """A running emulator as new; a test fails if it leaves scripted replies, unless it is marked `leaves_replies`."""
    running.reset()
    yield running
    left = running.pending
    running.reset()
    if left and not request.node.get_closest_marker("leaves_replies"):
        pytest.fail(f"{left} scripted replies were left over", pytrace=False)


@pytest.fixture(scope="session")
def http(running: Emulator) -> Iterator[httpx.Client]:
    """Keep-alive HTTP with the right Bearer token."""
    with httpx.Client(
        base_url=running.base_url, headers={"Authorization": f"Bearer {running.api_key}"}, timeout=20
    ) as client:
        yield client


class Asker:
    """Says what tests say most: ask a model, get JSON or the chunks of a stream."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def post(
        self, body: Any, model: str = "gemini-2.5-flash", action: str = "generateContent", query: str = ""
    ) -> httpx.Response:
        if isinstance(body, str):
            body = {"contents": [{"role": "user", "parts": [{"text": body}]}]}
        return self.http.post(f"/v1beta/models/{model}:{action}{query}", json=body)

    def json(self, body: Any, model: str = "gemini-2.5-flash") -> dict[str, Any]:
        response = self.post(body, model)
        assert response.status_code == 200, response.text
        return response.json()

    def parts(self, body: Any, model: str = "gemini-2.5-flash") -> list[dict[str, Any]]:
        return self.json(body, model)["candidates"][0]["content"]["parts"]

    def text(self, body: Any, model: str = "gemini-2.5-flash") -> str:
        return "".join(part.get("text", "") for part in self.parts(body, model) if not part.get("thought"))

    def stream(self, body: Any, model: str = "gemini-2.5-flash") -> list[dict[str, Any]]:
        response = self.post(body, model, "streamGenerateContent", "?alt=sse")
        assert response.status_code == 200, response.text
        events = [event for event in response.text.split("\r\n\r\n") if event]
        assert all(event.startswith("data: ") for event in events)
        return [json.loads(event[6:]) for event in events]

    def refusal(self, body: Any, model: str = "gemini-2.5-flash") -> dict[str, Any]:
        """The `error` object of a 400, which must be Google-shaped."""
        response = self.post(body, model)
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
        return error


@pytest.fixture
def ask(emulator: Emulator, http: httpx.Client) -> Asker:
    return Asker(http)


@pytest.fixture(scope="session")
def say() -> Any:
    """Shorthand for one content: say("hi"), say(part, role="model")."""

    def content(*parts: Any, role: str = "user") -> dict[str, Any]:
        return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}

    return content
