"""The command line: pictures, galleries, conversations, and what a gateway supports. Run as users run it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gemway import Image
from gemway.cli import main
from gemway_emulator import Emulator, reply
from gemway_emulator._media import draw


@pytest.fixture
def gemway(gateway_environment, monkeypatch, tmp_path, capsys):
    """Run `gemway ...` in an empty folder; returns exit code, output and messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")

    def run(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["gemway", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return ended.value.code or 0, printed.out, printed.err

    return run


# gemway image


def test_a_picture(gemway, emulator, tmp_path):
    """The issue's first line: ratio, size, file; one line says what came."""
    code, out, err = gemway("image", "a neon fox, cinematic", "--aspect-ratio", "16:9", "--size", "2K", "-o", "fox.png")

    assert (code, err) == (0, "")
    assert re.fullmatch(r"fox\.png  \(2752x1536 pixels, [\d,]+ bytes, [\d,]+ tokens, \d+\.\d s\)\n", out)
    assert Image((tmp_path / "fox.png").read_bytes()).width == 2752
    assert emulator.requests[-1].json["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "2K"}


def test_an_edit(gemway, emulator, tmp_path):
    """The second line: a file goes in, another one comes out under a name made of the prompt."""
    (tmp_path / "fox.png").write_bytes(draw("a fox", (64, 64)))

    code, out, _ = gemway("image", "--edit", "fox.png", "make it blue")

    parts = emulator.requests[-1].json["contents"][0]["parts"]
    assert (code, out.split()[0]) == (0, "make-it-blue.png")
    assert [next(iter(part)) for part in parts] == ["text", "inlineData"]


def test_unquoted_words_are_one_prompt(gemway, emulator):
    """Three words are not three pictures."""
    gemway("image", "a", "tin", "robot", "--with-text")

    assert [entry.json["contents"][0]["parts"] for entry in emulator.requests] == [[{"text": "a tin robot"}]]
    assert emulator.requests[0].json["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]


def test_names_are_never_taken_twice(gemway, tmp_path):
    """A second picture of the same prompt gets a number; `-o` refuses a name that is taken, before anything is billed."""
    gemway("image", "a fox")
    gemway("image", "a fox")
    code, _, err = gemway("image", "a fox", "-o", "a-fox.png")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-fox-2.png", "a-fox.png"]
    assert code == 1
    assert err == "error: a-fox.png: already exists; choose another name or add --overwrite\n"
    assert gemway("image", "a fox", "-o", "a-fox.png", "--overwrite")[0] == 0


def test_another_type_than_the_name_says(gemway, emulator, tmp_path):
    """The file gets the right extension, and the user is told."""
    jpeg = Path(tmp_path / "in.jpg")
    Image(draw("a fox", (32, 32))).to_pil().convert("RGB").save(jpeg)
    emulator.enqueue(reply.image(jpeg.read_bytes(), mime_type="image/jpeg"))

    code, out, err = gemway("image", "a fox", "-o", "fox.png")

    assert (code, out.split()[0]) == (0, "fox.jpg")
    assert "image/jpeg: written to fox.jpg" in err


def test_a_gallery_grows(gemway, tmp_path):
    """Each picture is kept with what was asked; the page shows all, and what was made from what."""
    gemway("image", "a tin robot", "--gallery", "shown", "--aspect-ratio", "1:1")
    code, out, _ = gemway("image", "make it green", "--edit", "shown/a-tin-robot.png", "--gallery", "shown")

    html = (tmp_path / "shown" / "gallery.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "shown" / "make-it-green.png.json").read_text(encoding="utf-8"))
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["shown/make-it-green.png", "shown/gallery.html"]
    assert html.count("<figure") == 2
    assert html.index("a tin robot") < html.index("make it green")
    assert 'href="#picture-1"' in html
    assert (record["prompt"], record["sources"]) == ("make it green", ["a-tin-robot.png"])


def test_a_gallery_leaves_strangers_alone(gemway, tmp_path):
    """Other files in the folder are neither shown nor changed."""
    folder = tmp_path / "shown"
    folder.mkdir()
    (folder / "notes.json").write_text('["mine"]')
    (folder / "broken.png.json").write_text("{")
    (folder / "holiday.png").write_bytes(draw("x", (8, 8)))

    gemway("image", "a fox", "--gallery", "shown")

    assert (folder / "gallery.html").read_text(encoding="utf-8").count("<figure") == 1
    assert (folder / "notes.json").read_text() == '["mine"]'


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("image", "x", "--edit", "missing.png"), {}, "missing.png: No such file"),
        (("image", "x", "-o", "nowhere/x.png"), {}, "nowhere: there is no such folder"),
        (("image", "x", "-o", "."), {}, "is a folder"),
        (("image", "x"), {"GEMWAY_API_KEY": "wrong-key-1234"}, "401: .*GEMWAY_API_KEY"),
        (("image", "x"), {"GEMWAY_API_KEY": ""}, "no API key.*GEMWAY_API_KEY"),
        (("image", "x"), {"GEMWAY_BASE_URL": ""}, "no gateway address.*GEMWAY_BASE_URL"),
        (("image", "x", "--base-url", "http://127.0.0.1:9"), {}, "is the address right"),
        (("image", " "), {}, "the prompt is empty"),
        (("image", "x", "--edit", "text.txt"), {}, "type of the media"),
        (("chat",), {"GEMWAY_API_KEY": ""}, "no API key"),
    ],
)
def test_errors_are_one_line(gemway, monkeypatch, tmp_path, arguments, environment, says):
    """What is wrong and what to do next, exit code 1, no traceback, no key."""
    (tmp_path / "text.txt").write_text("no picture")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    code, out, err = gemway(*arguments)

    assert (code, out) == (1, "")
    assert re.fullmatch(f"error: .*{says}.*\n", err)
    assert "wrong-key-1234" not in err


def test_refusals_are_one_line(gemway, emulator):
    """With the model's words."""
    emulator.enqueue(reply.blocked("IMAGE_SAFETY", prompt=False, message="Unable to show\nthe image."))

    assert gemway("image", "x") == (1, "", "error: the answer was blocked (IMAGE_SAFETY): Unable to show the image\n")


def test_warnings_are_one_line(gemway, emulator):
    """A wrong ratio is told, and the picture kept."""
    emulator.enqueue(reply.image(width=64, height=64))

    code, out, err = gemway("image", "x", "-a", "16:9")

    assert (code, out.split()[0]) == (0, "x.png")
    assert re.fullmatch(r"warning: asked for a picture of 16:9 and got 64x64 pixels.*\n", err)


# gemway doctor


def rows(out: str) -> dict[str, tuple[str, str]]:
    """Return check -> (verdict, detail) of the table."""
    cells = [re.split(r"\s{2,}", line.strip(), maxsplit=2) for line in out.splitlines()]
    return {row[0]: (row[1], row[2]) for row in cells if len(row) == 3}


ALL = ["address", "key", "model list", "text", "streaming", "tools", "tools, OpenAPI dialect"]
ALL += ["JSON by schema", "JSON, OpenAPI dialect", "pictures", "embeddings"]


def test_a_healthy_gateway(gemway, emulator):
    """Everything is tried once; countTokens, which may be billed, is not."""
    code, out, err = gemway("doctor", "--model", "gemini-3-flash-preview")

    found = rows(out)
    assert (code, err) == (0, "")
    assert [name for name in ALL if found[name][0] != "yes"] == []
    assert found["countTokens"][0] == "skipped"
    assert "signed, with id" in found["tools"][1]
    assert "688x384" in found["pictures"][1]
    assert not any("countTokens" in entry.path for entry in emulator.requests)
    assert emulator.api_key not in out


def test_count_tokens_is_asked_for_with_a_warning(gemway, emulator):
    """It can cost as much as a generation."""
    code, out, err = gemway("doctor", "--count-tokens", "--no-pictures")

    assert code == 0
    assert rows(out)["countTokens"][0] == "yes"
    assert rows(out)["pictures"][0] == "skipped"
    assert "bill" in err


@pytest.mark.parametrize(
    ("misbehaviour", "check", "verdict"),
    [
        ("no_stream_route", "streaming", "partly"),
        ("no_model_routes", "model list", "no"),
        ("count_tokens_zero", "countTokens", "no"),
        ("no_signatures", "tools", "yes"),
    ],
)
def test_what_a_gateway_lacks_is_shown(gemway, emulator, misbehaviour, check, verdict):
    """A missing feature is a row, not the end: the exit code is that of the text answer."""
    emulator.misbehave = [misbehaviour]

    code, out, _ = gemway("doctor", "--count-tokens")

    assert (code, rows(out)[check][0]) == (0, verdict)


def test_an_ignored_ratio_is_found(gemway, emulator):
    """Gateways drop imageConfig without a word."""
    emulator.enqueue(*[reply.text("ready")] * 2)
    emulator.enqueue(*[reply.text("no call")] * 2, *[reply.text("no json")] * 2, reply.image(width=64, height=64))

    code, out, _ = gemway("doctor")

    found = rows(out)
    assert code == 0
    assert found["pictures"][0] == "partly"
    assert [found[name][0] for name in ALL[5:9]] == ["no"] * 4


def test_a_refused_key(gemway, monkeypatch, emulator):
    """The key's row says so, the rest is not tried, exit code 1, and the key is nowhere."""
    monkeypatch.setenv("GEMWAY_API_KEY", "sk-very-secret-1234")

    code, out, err = gemway("doctor")

    found = rows(out)
    assert code == 1
    assert (found["key"][0], found["text"][0], found["pictures"][0]) == ("no", "no", "skipped")
    assert "sk-very-secret" not in out + err
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("name", ["GEMWAY_BASE_URL", "GEMWAY_API_KEY"])
def test_a_missing_set_up(gemway, monkeypatch, name):
    """One row, with the variable's name."""
    monkeypatch.delenv(name)

    code, out, _ = gemway("doctor")

    assert code == 1
    assert rows(out)["set-up"][0] == "no"
    assert name in out


@pytest.mark.parametrize(
    "answer",
    [
        reply.error(402, message="Insufficient balance"),
        reply.raw(200, b"<html><title>Dashboard</title></html>", headers={"content-type": "text/html"}),
        reply.raw(302, b"", headers={"location": "https://login.example/"}),
        reply.error(404, message="models/gemini-2.5-flash is not found"),
    ],
    ids=["empty balance", "web page", "redirect", "unknown model"],
)
def test_one_cause_ends_the_examination(gemway, emulator, answer):
    """Where text fails for a reason that explains all else, nothing more is asked, and the reason is in its row."""
    emulator.respond = lambda request: answer

    code, out, _ = gemway("doctor")

    found = rows(out)
    assert (code, found["text"][0]) == (1, "no")
    assert {found[name][0] for name in [*ALL[4:], "embeddings"]} == {"skipped"}
    assert len([entry for entry in emulator.requests if "generateContent" in entry.path]) == 1


def test_findings_are_lines_of_json_for_programs(gemway):
    """`--json` prints what the table shows."""
    code, out, _ = gemway("doctor", "--no-pictures", "--json")

    found = {line["check"]: line["works"] for line in map(json.loads, out.splitlines())}
    assert code == 0
    assert (found["text"], found["pictures"], found["embeddings"]) == ("yes", "skipped", "yes")


def test_an_interrupted_examination_keeps_its_findings(gateway_environment, emulator, tmp_path):
    """Ctrl-C ends with what was found so far, exit code 130, and no traceback."""
    release = threading.Event()
    emulator.respond = lambda request: reply.text("ready") if not request.streamed else release.wait(20) and None
    # A shell that starts the tests in the background lets its children ignore SIGINT.
    program = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "runpy.run_module('gemway', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", program, "doctor", "--no-pictures"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    printed: list[str] = []
    while not any(line.startswith("text ") for line in printed):
        printed.append(running.stdout.readline())

    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    release.set()

    assert running.returncode == 130
    assert rows("".join(printed) + out)["text"][0] == "yes"
    assert "Traceback" not in err


def test_ctrl_c_before_the_command_has_begun_is_no_traceback(gateway_environment, tmp_path):
    """Importing typer and rich takes a second, in which people press Ctrl-C too."""
    program = (
        "import runpy, sys\n"
        "class Interruption:\n"
        "    def find_spec(self, name, *others):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interruption())\n"
        "runpy.run_module('gemway', run_name='__main__', alter_sys=True)"
    )
    ended = subprocess.run([sys.executable, "-c", program, "doctor"], capture_output=True, text=True, cwd=tmp_path)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_models_are_listed(gemway, emulator):
    """One name in a line; as JSON for programs."""
    names = gemway("models")[1].split()

    assert "gemini-2.5-flash" in names
    assert [json.loads(line)["model"] for line in gemway("models", "--json")[1].splitlines()] == names


def test_advice_is_for_the_command_line(gemway, emulator, monkeypatch):
    """Errors name options of the command, not arguments of Python functions."""
    unknown = gemway("image", "a fox", "--model", "no-such-model")[2]
    monkeypatch.delenv("GEMWAY_API_KEY")
    without_key = gemway("image", "a fox")[2]

    assert "gemway models" in unknown
    assert "set GEMWAY_API_KEY" in without_key
    assert re.search(r"\w+=|\(\)", unknown + without_key) is None


# What a hostile or broken gateway sends


def sent(data: str, mime_type: str = "image/png", text: str = "") -> str:
    """Return an answer with a picture whose base64 is *data*, as a gateway would write it."""
    parts = [*([{"text": text}] if text else []), {"inlineData": {"mimeType": mime_type, "data": data}}]
    return json.dumps({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]})


def as_event(answer: str) -> str:
    return f"data: {answer}\n\n"


SVG = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()
WORDS = base64.b64encode(b"out of credit").decode()
ESCAPES = "\x1b]52;c;ZXZpbA==\x07\x1b[2Jhidden\x9b31m\rover"


@pytest.mark.parametrize(
    ("data", "mime_type", "code", "kept"),
    [
        ("!!!", "image/png", 1, "gemway-answer.json"),
        (WORDS, "image/png", 1, "fox.bin"),
        (SVG, "image/svg+xml", 0, "fox.svg"),
        (WORDS, "image/svg+xml", 1, "fox.bin"),
    ],
    ids=["no-base64", "text-as-png", "svg", "text-as-svg"],
)
@pytest.mark.parametrize("to", ["file", "gallery"])
def test_what_is_no_picture_is_kept_and_told(gemway, emulator, tmp_path, data, mime_type, code, kept, to):
    """It was billed, so nothing is lost; exit code 1, one line, and no file that pretends to be a picture."""
    emulator.enqueue(reply.raw(body=sent(data, mime_type), content_type="application/json"))

    ended, out, err = gemway("image", "fox", *(("-o", "fox.png") if to == "file" else ("--gallery", ".")))

    assert ended == code
    assert kept in out + err
    assert (tmp_path / kept).exists()
    assert not (tmp_path / "fox.png").exists()
    if kept == "gemway-answer.json":
        assert data in (tmp_path / kept).read_text()


def test_a_picture_that_cannot_be_written_goes_elsewhere(gemway, emulator, tmp_path, monkeypatch):
    """A folder that vanished while the picture was made does not cost the picture."""
    (tmp_path / "out").mkdir()
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spare"))
    emulator.enqueue(reply.raw(body=sent(base64.b64encode(draw("x", (8, 8))).decode()), delay=0.5))
    threading.Timer(0.2, (tmp_path / "out").rmdir).start()

    code, _, err = gemway("image", "fox", "-o", "out/fox.png")

    (found,) = (tmp_path / "spare").rglob("fox.png")
    assert code == 1
    assert f"written to {found} instead" in err
    assert found.read_bytes() == draw("x", (8, 8))


def test_a_page_of_somebody_else_is_left_alone(gemway, tmp_path):
    """A `gallery.html` that gemway did not write is kept; its own is written anew each time."""
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "gallery.html").write_text("my own page")

    code, out, err = gemway("image", "a fox", "--gallery", "shown")
    gemway("image", "a hen", "--gallery", "shown")

    assert code == 0
    assert (tmp_path / "shown" / "gallery.html").read_text() == "my own page"
    assert "left alone" in err
    assert out.splitlines()[-1] == "shown/gallery-2.html"
    assert (tmp_path / "shown" / "gallery-2.html").read_text(encoding="utf-8").count("<figure") == 2
    assert not (tmp_path / "shown" / "gallery-3.html").exists()


@pytest.mark.parametrize("wrong", [{"model": 5}, {"tokens": "many"}, {"seconds": []}, {"sources": 3}, {"created": 1}])
def test_records_of_another_program_are_left_out_of_the_page(gemway, tmp_path, wrong):
    """A JSON file beside a picture that only looks like one of ours ends nothing."""
    (tmp_path / "b.png").write_bytes(draw("x", (8, 8)))
    (tmp_path / "b.png.json").write_text(json.dumps({"prompt": "x", **wrong}))

    code, _, err = gemway("image", "a fox", "--gallery", ".")

    assert (code, err) == (0, "")
    assert (tmp_path / "gallery.html").read_text(encoding="utf-8").count("<figure") == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply.raw(body=sent(base64.b64encode(draw("x", (8, 8))).decode(), text=ESCAPES)),
        reply.error(400, message=ESCAPES),
        reply.raw(403, body=f"<title>{ESCAPES}</title>", content_type="text/html"),
    ],
    ids=["answer", "error", "page"],
)
def test_escape_sequences_of_a_gateway_are_not_printed(gemway, emulator, answer):
    """They could write to the clipboard, hide lines and rename the window."""
    emulator.enqueue(answer)

    _, out, err = gemway("image", "fox", "-o", "fox.png", "--with-text")

    assert not set(out + err) & {"\x1b", "\x07", "\x9b", "\r"}


def test_escape_sequences_of_models_are_not_printed_by_chat_and_doctor(gemway, emulator, tmp_path):
    """Streamed pieces, the history and the doctor's table are cleaned too."""
    emulator.enqueue(reply.text(ESCAPES), reply.text(ESCAPES))

    done = chat(emulator, "one\n/history\n", folder=tmp_path)
    _, out, err = gemway("doctor", "--no-pictures")

    assert "hidden" in done.stdout
    assert not set(done.stdout + done.stderr + out + err) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(
    ("data", "mime_type", "says"),
    [("!!!", "image/png", "cannot be read"), (WORDS, "image/png", "no picture"), (SVG, "image/svg+xml", "picture.svg")],
)
def test_a_conversation_survives_odd_pictures(emulator, tmp_path, data, mime_type, says):
    """The next question is asked as if nothing had happened."""
    emulator.enqueue(
        reply.raw(body=as_event(sent(data, mime_type, "look")), content_type="text/event-stream"), reply.text("Fine.")
    )

    done = chat(emulator, "one\ntwo\n", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert says in done.stdout + done.stderr
    assert "Fine." in done.stdout
    assert "Traceback" not in done.stderr


# gemway chat


def chat(emulator: Emulator, typed: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `gemway chat` in a process of its own, as in a terminal, with *typed* as input."""
    environment = {**os.environ, "GEMWAY_BASE_URL": emulator.base_url, "GEMWAY_API_KEY": emulator.api_key}
    command = [sys.executable, "-c", "from gemway.cli import main; main()", "chat", *arguments]
    return subprocess.run(
        command, input=typed, cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )


def test_a_conversation(emulator, tmp_path):
    """Answers are streamed, earlier turns are sent along with their signatures, /exit ends with 0."""
    emulator.enqueue(reply.text("Hello, Ada!"), reply.text("Your name is Ada."))

    done = chat(
        emulator,
        "I am Ada\n\nWho am I?\n/history\n/exit\n",
        "-m",
        "gemini-3-flash-preview",
        "--system",
        "Be kind.",
        folder=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert "Hello, Ada!" in done.stdout
    assert "gemini-3-flash-preview> Your name is Ada." in done.stdout
    first, second = emulator.requests
    assert first.path.endswith(":streamGenerateContent?alt=sse")
    assert second.json["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    assert [content["role"] for content in second.json["contents"]] == ["user", "model", "user"]


def test_failures_do_not_end_a_conversation(emulator, tmp_path):
    """A failed question is told, forgotten, and the next one asked."""
    emulator.enqueue(reply.error(400, message="Not like this."), reply.text("Fine."))

    done = chat(emulator, "one\n/nonsense\ntwo\n", folder=tmp_path)

    assert done.returncode == 0
    assert "error: 400: Not like this." in done.stderr
    assert "there is no /nonsense" in done.stderr
    assert [content["parts"][0]["text"] for content in emulator.requests[-1].json["contents"]] == ["two"]


def test_clear_begins_anew(emulator, tmp_path):
    """What was said before is not sent."""
    chat(emulator, "one\n/clear\ntwo\n/quit\n", folder=tmp_path)

    assert [content["parts"][0]["text"] for content in emulator.requests[-1].json["contents"]] == ["two"]


def test_pictures_in_a_conversation(emulator, tmp_path):
    """An image model's pictures are written to files, and go back signed when the next thing is said."""
    done = chat(emulator, "a fox\nmake it blue\n", "-m", "gemini-3.1-flash-image-preview", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picture-2.png", "picture.png"]
    model_turn = emulator.requests[-1].json["contents"][1]["parts"]
    assert [bool(part.get("thoughtSignature")) for part in model_turn if "inlineData" in part] == [True]


# The program


def test_without_the_extra(tmp_path):
    """One line that says how to install it."""
    block = "import sys; sys.modules['typer'] = None; from gemway.cli import main; main()"

    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, timeout=100)

    assert done.returncode == 1
    assert done.stderr.strip() == (
        "gemway: the command line needs typer and rich; install them with: pip install 'gemway[cli]'"
    )


def test_help_and_version(gemway):
    """The commands are named; the version is the package's."""
    import gemway as package

    code, out, _ = gemway("--help")

    assert code == 0
    assert [name for name in ("image", "chat", "doctor", "models") if name not in out] == []
    assert gemway("--version")[1] == f"gemway {package.__version__}\n"


def test_the_entry_point_is_declared():
    """`pip install gemway` puts `gemway` on the path."""
    import source_tree as source

    project = (source.ROOT / "packages" / "gemway" / "pyproject.toml").read_text(encoding="utf-8")

    assert '[project.scripts]\ngemway = "gemway.cli:main"' in project


# gemway image --prompts


@pytest.fixture
def foxes(tmp_path):
    """A list of four prompts, two of them alike, one with options of its own."""
    lines = ["a neon fox", "", "a red robot", "a neon fox", '{"prompt": "a wide sea", "aspect_ratio": "16:9"}']
    (tmp_path / "foxes.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_a_list_of_prompts(gemway, emulator, foxes):
    """A picture for each line under a name of its own, one gallery of all of them, and a report."""
    code, out, _ = gemway("image", "--prompts", "foxes.txt", "--gallery", "shown", "--size", "1K")

    configs = [entry.json["generationConfig"]["imageConfig"] for entry in emulator.requests]
    pictures = sorted((foxes / "shown" / "pictures-images").glob("*.png"))
    assert code == 0
    assert out.startswith("rows      4 of 4: 4 done, 0 refused, 0 failed\n")
    assert [Path(line).name for line in sorted(out.splitlines()[-5:-1])] == [path.name for path in pictures]
    assert (foxes / "shown" / "gallery.html").read_text(encoding="utf-8").count("<figure") == 4
    assert sorted(config.get("aspectRatio", "") for config in configs) == ["", "", "", "16:9"]
    assert {config["imageSize"] for config in configs} == {"1K"}


def test_a_list_goes_on_where_it_was(gemway, emulator, foxes):
    """The same command again asks for nothing; after a line was added, for that line only."""
    gemway("image", "--prompts", "foxes.txt")
    gemway("image", "--prompts", "foxes.txt")
    asked = len(emulator.requests)
    lines = (foxes / "foxes.txt").read_text().splitlines()
    (foxes / "foxes.txt").write_text("\n".join(["a new one", *lines]))

    code, out, _ = gemway("image", "--prompts", "foxes.txt")

    assert (code, asked, len(emulator.requests)) == (0, 4, 5)
    assert out.startswith("rows      5 of 5: 5 done")
    assert len(list((foxes / "foxes" / "pictures-images").glob("*.png"))) == 5


def test_prompts_that_fail_do_not_stop_the_list(gemway, emulator, foxes):
    """The others are made and shown; --retry-errors asks again for those that failed."""
    emulator.respond = lambda request: reply.error(400, message="not that one") if "red" in request.prompt else None
    code, _, err = gemway("image", "--prompts", "foxes.txt")
    emulator.respond = None

    again, out, _ = gemway("image", "--prompts", "foxes.txt", "--retry-errors")

    assert (code, again) == (3, 0)
    assert "--retry-errors" in err
    assert out.startswith("rows      4 of 4: 4 done")


def test_a_list_for_programs(gemway, foxes, monkeypatch):
    """`--prompts -` reads standard input, and `--json` prints a line of JSON for the figures, each picture and the page."""
    monkeypatch.setattr("sys.stdin", io.StringIO("a fox\n"))

    code, out, _ = gemway("image", "--prompts", "-", "--json")

    figures, picture, page = map(json.loads, out.splitlines())
    assert (code, figures["done"], figures["images"], picture["prompt"]) == (0, 1, 1, "a fox")
    assert Path(picture["picture"]).is_file()
    assert Path(page["gallery"]).is_file()


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        ("", (), "holds no prompts"),
        ("{no json", (), "line 1 begins like JSON"),
        ('\n{"text": "x"}', (), "line 2 has no prompt"),
        ("a fox", ("-o", "fox.png"), "takes no --output"),
        ("a fox", ("another",), "give a prompt, or a file of them"),
        ("a fox", ("--gallery", "list.txt"), "is a file"),
    ],
)
def test_a_list_that_cannot_be_made_costs_nothing(gemway, emulator, tmp_path, text, arguments, says):
    """What is wrong with a list is found before the first picture."""
    (tmp_path / "list.txt").write_text(text)

    code, _, err = gemway("image", *arguments, "--prompts", "list.txt")

    assert code != 0
    assert says in " ".join(err.split())
    assert not emulator.requests


# gemway ask, gemway embed


def test_a_question(gemway, emulator):
    """Words are one question; the answer is the output, so that it can be piped."""
    emulator.enqueue(reply.text("Because."), reply.text("Because."))

    code, out, err = gemway("ask", "Why", "so?", "--system", "Be short.")
    line = json.loads(gemway("ask", "Why so?", "--json")[1])

    assert (code, out, err) == (0, "Because.\n", "")
    assert emulator.requests[0].json["contents"][0]["parts"] == [{"text": "Why so?"}]
    assert (line["answer"], line["finish_reason"]) == ("Because.", "STOP")


def test_a_blocked_question_is_an_error(gemway, emulator):
    """Nothing is printed as an answer, and the exit code says so."""
    emulator.enqueue(reply.blocked("SAFETY"))

    code, out, err = gemway("ask", "Why?")

    assert (code, out) == (1, "")
    assert "SAFETY" in err


def test_vectors(gemway):
    """One line for each text."""
    code, out, _ = gemway("embed", "one", "two", "--dimensions", "4", "--json")
    numbers = gemway("embed", "one", "--dimensions", "4")[1]

    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, [line["text"] for line in lines]) == (0, ["one", "two"])
    assert [float(number) for number in numbers.split()] == lines[0]["vector"]


def test_a_picture_for_programs(gemway):
    """`--json` prints where the picture is and what it cost."""
    line = json.loads(gemway("image", "a fox", "--json")[1])

    assert (line["picture"], line["mime_type"]) == ("a-fox.png", "image/png")
    assert line["bytes"] == Path("a-fox.png").stat().st_size


@pytest.mark.parametrize("command", ["image", "ask", "chat", "embed", "models", "doctor", "batch"])
def test_help_is_in_plain_words(gemway, command):
    """Each option has a sentence, and none speaks Python."""
    code, out, _ = gemway(command, "--help")

    assert code == 0
    assert re.search(r"\w+=\w|\(\)|\bNone\b", out) is None


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
@pytest.mark.parametrize("message", ["no", "pass x-goog-api-key", "models/x is not found"])
def test_no_error_gives_python_advice(gemway, emulator, status, message):
    """Whatever fails, the next step can be taken on the command line."""
    emulator.respond = lambda request: reply.error(status, message=message)

    code, _, err = gemway("image", "a fox")

    assert code == 1
    assert re.search(r"\w+=(?!\S*sse)|\(\)", err) is None
