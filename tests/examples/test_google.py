"""Programs in the style of Google's cookbook run through a gateway, and one line of each is not as Google has it."""

from __future__ import annotations

import re
import runpy

import pytest
import source_tree as source
from gemway_emulator import Emulator, reply

pytest.importorskip("google.genai")

FOLDER = source.ROOT / "examples" / "google"
RECIPES = '[{"recipe_name": "Snickerdoodles", "ingredients": ["cinnamon", "flour"]}]'
# For each program: what the gateway answers, and what the program then prints, as patterns.
PROGRAMS = {
    "chat.py": (
        [reply.text("Nice!"), reply.text("Eight paws.", chunks=["Eight", " paws."])],
        ["Nice!", "Eight paws.", "user: I have two dogs", "model: Nice!"],
    ),
    "edit.py": ([reply.image(width=64 + n, height=64) for n in range(3)], ["cottage-1.png", "cottage-3.png"]),
    "embeddings.py": ([], [r"bake bread\? -> ", r"\d+ tokens", r"\d+ models"]),
    "function_loop.py": (
        [reply.tool_call("schedule_meeting", {"attendees": ["Bob"], "time": "10:00"}), reply.text("Done.")],
        [r"schedule_meeting\(.*Bob", "Done."],
    ),
    "functions.py": (
        [reply.tool_call("set_light_values", {"brightness": 20, "color": "warm"}), reply.text("Dimmed.")],
        ["Dimmed.", "'brightness': 20, 'color': 'warm'"],
    ),
    "many.py": ([reply.text("Fish.", delay=0.05)] * 4, ["fox: Fish.", "koala: Fish.", "Fish.\n$"]),
    "picture.py": ([reply.image(width=64, height=36, text="Here it is.")], ["Here it is.", "fox-1.png: .*image/png"]),
    "stream.py": ([reply.text("Once upon a time.", chunks=["Once upon", " a time."])], ["Once upon a time."]),
    "structured.py": ([reply.text(RECIPES)], ["Snickerdoodles: cinnamon, flour"]),
    "text.py": ([reply.text("Sunlight in rain drops.")], ["Sunlight in rain", r"\d+ tokens in, \d+ in all"]),
    "vision.py": ([reply.text("green")], ["green"]),
}
CHANGED = ("genai.Client(**google_options())", "genai.Client()")
IMPORT = "from gemway.google import google_options\n"


def test_every_program_is_listed():
    """A program without answers here would not be run, and one that the page does not name would not be seen."""
    programs = {path.name for path in FOLDER.glob("*.py")}
    page = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert programs == PROGRAMS.keys()
    assert len(programs) == 11
    assert [name for name in sorted(programs) if f"({name})" not in page] == []


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_one_line_is_changed(name):
    """Without the import and the one changed line a program is Google's, and knows nothing of gemway."""
    text = (FOLDER / name).read_text(encoding="utf-8")

    assert (text.count(CHANGED[0]), text.count(IMPORT)) == (1, 1)
    assert "gemway" not in text.replace(*CHANGED).replace(IMPORT, "")


@pytest.mark.parametrize("habits", [(), ("key_header_wins", "no_v1_route", "ping_comments", "done_marker")])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_runs(name, habits, gateway_environment: Emulator, monkeypatch, tmp_path, capsys):
    """It prints what it promises, through a plain gateway and through one that Google's client alone fails at."""
    replies, promises = PROGRAMS[name]
    gateway_environment.misbehave = habits
    gateway_environment.enqueue(*replies)
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(FOLDER / name), run_name="__main__")

    printed = capsys.readouterr().out
    assert [promise for promise in promises if not re.search(promise, printed)] == [], printed
    assert {entry.headers["authorization"] for entry in gateway_environment.requests} == {
        f"Bearer {gateway_environment.api_key}"
    }
