"""The page of the emulator in a real browser: headless chromium, driven through its debugging protocol."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time

import httpx
import pytest
from gemway_emulator import reply

connect = pytest.importorskip("websockets.sync.client").connect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not on PATH: the page was not opened in a browser"
)
# No display, no sandbox (CI runs as root), and no calls home.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CALL = {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}}
RESULT = {"functionResponse": {"name": "get_weather", "response": {"result": "rain in Oslo"}}}


class Browser:
    """One tab, which runs JavaScript and keeps the answers that the page got over the network."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None)
        self._numbers = itertools.count(1)
        self.responses: list[dict] = []

    def send(self, method: str, **parameters: object) -> dict:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(timeout=60))).get("id") != number:
            if message.get("method") == "Network.responseReceived":
                self.responses.append(message["params"]["response"])
        return message["result"]

    def run(self, script: str) -> object:
        return self.send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Return when *script* is true in the page."""
        end = time.monotonic() + 60
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if "DevTools listening on" in line)
        port = line.rpartition("127.0.0.1:")[2].partition("/")[0]
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
        browser = Browser(next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page"))
        browser.send("Network.enable")
        yield browser
        browser.close()
        process.terminate()
        process.stderr.read()


@pytest.fixture
def page(tab, emulator):
    """The tab, with the page of an empty emulator open in it."""
    tab.responses.clear()
    tab.send("Page.navigate", url=f"{emulator.base_url}/")
    tab.wait_for("document.querySelector('#live.on') !== null && document.querySelectorAll('article').length === 0")
    return tab


def count_cards(page: Browser) -> object:
    return page.run("[...document.querySelectorAll('article')].filter(card => !card.hidden).length")


def test_a_conversation_appears_live(page, ask, say):
    """Turns, the call with its result, thoughts, tokens and status, without a reload; the raw JSON is one click away."""
    talk = [say("Is it raining?"), say(CALL, role="model"), say(RESULT)]
    ask.post({"contents": talk, "generationConfig": {"thinkingConfig": {"includeThoughts": True}}})

    page.wait_for("document.querySelector('.turn.model .thought') !== null")
    assert page.run("document.querySelector('.status').textContent") == "200"
    assert page.run("document.querySelector('.turn.user p').textContent") == "Is it raining?"
    assert "rain in Oslo" in page.run("document.querySelector('.call div').textContent")
    assert "thoughts" in page.run("document.querySelector('.facts').textContent")
    page.run("[...document.querySelectorAll('summary')].find(line => line.textContent === 'Request JSON').click()")
    assert '"functionResponse"' in page.run("document.querySelector('details[open] pre').textContent")


def test_pictures_are_painted(page, ask, emulator):
    """A picture of an answer is one on the page."""
    emulator.enqueue(reply.image(width=40, height=30))
    ask.post("a fox", "gemini-2.5-flash-image")

    page.wait_for("document.querySelector('.turn img')?.naturalWidth === 40")


def test_requests_are_filtered_by_status_and_model(page, ask):
    """Each filter hides the other cards, also those that come later."""
    ask.post("a")
    ask.post({"contents": []})
    ask.post("b", "gemini-2.5-pro")
    page.wait_for("document.querySelectorAll('article').length === 3")

    for box, value, number in (("status", "bad", 1), ("status", "", 3), ("model", "gemini-2.5-pro", 1)):
        page.run(f"Object.assign(document.getElementById('{box}'), {{value: '{value}'}}).onchange()")
        assert count_cards(page) == number
    ask.post("c")
    page.wait_for("document.querySelectorAll('article').length === 4")
    assert count_cards(page) == 1


def test_it_asks_nobody_else_and_shows_no_key(page, ask, emulator):
    """No answer but 200, nothing from outside, a favicon; keys are nowhere in the document."""
    ask.http.get("/v1beta/models?key=secret-in-query", headers={"x-goog-api-key": "secret-in-header"})
    page.wait_for("document.querySelectorAll('article').length === 1")

    icon = page.run("document.querySelector('link[rel=icon]').href")
    assert httpx.get(icon).headers["content-type"] == "image/svg+xml"
    assert {response["status"] for response in page.responses} == {200}
    assert all(response["url"].startswith(emulator.base_url) for response in page.responses)
    text = page.run("document.documentElement.outerHTML")
    assert not [key for key in (emulator.api_key, "secret-in-query", "secret-in-header") if key in text]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_it_fits_the_screen_by_day_and_night(page, ask, scheme, width):
    """The colours follow the system, and nothing is wider than a phone."""
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    ask.post(f"A long word: {'x' * 300}")

    page.wait_for("document.querySelector('.turn.model') !== null")
    assert page.run("document.documentElement.scrollWidth") <= width
    colour = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour[4:-1].split(","))) < 150) == (scheme == "dark")
