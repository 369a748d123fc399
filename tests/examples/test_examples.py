"""Every example runs in a fresh process, with an empty home and no way to the internet, and prints what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import source_tree as source
from gemway import Image

FOLDER = source.ROOT / "examples"
PARTS = {"gateway.py"}
# A program that imports two frameworks takes a minute on a busy machine.
pytestmark = pytest.mark.timeout(300)
# What each example must print, as patterns.
PROMISES = {
    "batch.py": ["rows      100 of 100: 100 done, 0 refused, 0 failed", "asked again: 0", r"Item 7 costs 21 euros\."],
    "batch_engine.py": ["100 rows, 0 errors", r"Item 7 costs 21 euros\."],
    "chat.py": ["Canberra", r"\d+ tokens in, \d+ out, finish: STOP"],
    "errors.py": ["ConfigurationError", "AuthenticationError", "NotFoundError", "APIConnectionError"],
    "image.py": [r"2752x1536 pixels: .*fox\.png", r"pixels: .*fox-at-night\.png"],
    "langchain_agent.py": ["get_weather", "Paris", "generate_image", r"picture: .*agent-0\.png"],
    "langchain_chain.py": [r"1,642 met"],
    "langchain_structured.py": ["Ada Lovelace", "born=1815", "'total_tokens': [1-9]"],
    "llama_index_agent.py": ["get_weather", "Paris", "generate_image", "image"],
    "llama_index_chat.py": [r"\w+ \w+"],
    "llama_index_rag.py": ["stones", "the-crow-and-the-pitcher.txt", "the-hare-and-the-tortoise.txt"],
    "many.py": ["Item 1 costs 3 euros", "Item 20 costs 60 euros"],
    "stream.py": ["Crow", r"[1-9]\d* tokens, finish: STOP"],
    "structured.py": ["Pancakes: 20 minutes", "flour"],
    "tools.py": [r"calling get_weather\(.*Paris.*\)", "21"],
}


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a newcomer: nothing configured, and a proxy that leads nowhere."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return {**kept, **nowhere, "HOME": str(home), "PYTHONPATH": str(source.ROOT), "COLUMNS": "120", **more}


def run(*command: str, folder: Path, **more: str) -> str:
    """Run Python in an empty *folder* and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_every_example_is_listed():
    """An example without a promise here would not be run."""
    assert {path.name for path in FOLDER.glob("*.py")} - PARTS == PROMISES.keys()


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_an_example_prints_what_it_promises(name, tmp_path):
    """Without configuration an example starts an emulator and runs to its end."""
    printed = run(str(FOLDER / name), folder=tmp_path)

    assert [promise for promise in PROMISES[name] if not re.search(promise, printed)] == [], printed


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_examples_are_short(name):
    """An example fits on a screen or two."""
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) <= 60


def test_a_configured_gateway_is_used(emulator, tmp_path):
    """With both variables set, the same program asks that gateway."""
    run(
        str(FOLDER / "chat.py"),
        folder=tmp_path,
        GEMWAY_BASE_URL=emulator.base_url,
        GEMWAY_API_KEY=emulator.api_key,
        NO_PROXY="127.0.0.1",
    )

    assert len(emulator.requests) == 2


def test_half_a_configuration_is_refused(tmp_path):
    """One variable alone is a mistake, not a wish for the emulator."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "chat.py")],
        env=environment(tmp_path, GEMWAY_API_KEY="sk-alone"),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode != 0
    assert "GEMWAY_BASE_URL" in done.stderr
    assert "sk-alone" not in done.stderr


def check_demo(printed: str, folder: Path) -> None:
    """Check what the demo printed and left behind."""
    out = folder / "out"
    assert all(f"{number}/4" in printed for number in range(1, 5))
    assert str(out / "index.html") in printed
    for name in ("fox.png", "fox-edited.png"):
        image = Image((out / name).read_bytes())
        assert (image.width, image.height, image.mime_type) == (2752, 1536, "image/png")
        assert str(out / name) in printed
    assert (out / "fox.png").read_bytes() != (out / "fox-edited.png").read_bytes()
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/") >= 3
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert len(re.findall(r"[1-9][\d,]* tokens in, [1-9][\d,]* out", page)) == page.count("<section>") == 7
    assert "stones" in page
    assert "21 degrees" in page


def test_the_demo_runs_on_its_own(tmp_path):
    """The demo starts an emulator, shows four parts, and leaves pictures and a page that needs no other file."""
    check_demo(run("-m", "examples.demo", folder=tmp_path), tmp_path)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "An emulator on this machine answered" in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_the_demo_runs_against_a_gateway(emulator, tmp_path):
    """With both variables set, every request of the demo goes to that gateway, with its key as Bearer token."""
    emulator.api_key = "sk-of-my-gateway"

    printed = run(
        "-m",
        "examples.demo",
        folder=tmp_path,
        GEMWAY_BASE_URL=emulator.base_url,
        GEMWAY_API_KEY="sk-of-my-gateway",
        NO_PROXY="127.0.0.1",
    )

    check_demo(printed, tmp_path)
    assert "An emulator" not in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert len(emulator.requests) >= 8
    assert {entry.headers["authorization"] for entry in emulator.requests} == {"Bearer sk-of-my-gateway"}
    assert "sk-of-my-gateway" not in printed + (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
