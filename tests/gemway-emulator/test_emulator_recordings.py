"""Recorded traffic of real clients: what Google accepted is accepted here."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from gemway_emulator import Emulator

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "wire" / "dev.jsonl"
METHODS = ("generateContent", "streamGenerateContent")


@pytest.mark.skipif(not RECORDINGS.exists(), reason="there are no recordings next to this clone")
def test_every_recorded_request_that_google_answered_is_answered():
    """Some 800 requests of 25 projects to the Gemini API, each answered with 200 and at least one part."""
    refused = []
    with (
        Emulator(any_model=True) as emulator,
        httpx.Client(base_url=emulator.base_url, headers={"Authorization": "Bearer sk-local"}, timeout=20) as http,
        RECORDINGS.open(encoding="utf-8") as lines,
    ):
        for record in map(json.loads, lines):
            accepted = record["api"] == "gemini" and record["status"] == 200 and record["endpoint"] in METHODS
            if not accepted or not isinstance(record["request"], dict):
                continue
            name = (record["model"] or "gemini-2.5-flash").rpartition("/")[2]
            emulator.reset()  # a signature on a call that is made here as well would be a foreign one
            answer = http.post(f"/v1beta/models/{name}:generateContent", json=record["request"])
            if answer.status_code != 200 or not answer.json()["candidates"]:
                refused.append((record["id"], answer.text[:200]))

    assert refused == []
