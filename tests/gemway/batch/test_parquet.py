"""A folder of Parquet parts as output: as durable and as resumable as JSON Lines, and readable at any time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from gemway import ConfigurationError, Image
from gemway.batch import read_report, run
from gemway_emulator import reply

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402 - after the check that it is there

MODEL = "gemini-2.5-flash"
PROGRAM = """
import sys
from gemway.batch import _parts, run
_parts._ROWS_OF_A_PART = 60
rows = ({"id": f"row {number}", "prompt": f"row {number}"} for number in range(600))
run(rows, sys.argv[1], model="gemini-2.5-flash", concurrency=16)
"""

pytestmark = pytest.mark.usefixtures("echo", "gateway_environment")


@pytest.fixture
def out(tmp_path) -> Path:
    """A name for a folder of parts."""
    return tmp_path / "answers.parquet"


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of ten rows."""
    monkeypatch.setattr("gemway.batch._parts._ROWS_OF_A_PART", 10)


def rows_of(out: Path) -> list[dict]:
    """Return the rows as a reader sees them that knows nothing of batches."""
    return parquet.read_table(out).to_pylist()


def visible_names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def test_rows_become_parts(out):
    """Answers, refusals and errors have the same typed columns, and nothing but parts is left in the folder."""
    report = run(
        [{"id": "a", "prompt": "hello"}, {"id": "b", "prompt": "fail"}, {"id": "c", "prompt": "evil"}], out, model=MODEL
    )

    rows = {row["id"]: row for row in rows_of(out)}
    assert (report.done, report.refused, report.failed) == (1, 1, 1)
    assert rows["a"]["answer"] == "echo hello"
    assert rows["a"]["usage"]["output_tokens"] > 0
    assert rows["b"]["error"]["status"] == 400
    assert rows["c"]["error"]["type"] == "ContentBlockedError"
    assert visible_names(out) == ["part-00001.parquet"]


@pytest.mark.parametrize("name", ["answers/", "existing"])
def test_a_folder_is_parquet_too(tmp_path, name):
    """A name that ends with a slash, or an empty folder, becomes a folder of parts."""
    (tmp_path / "existing").mkdir()

    run(["one"], f"{tmp_path}/{name}", model=MODEL)

    assert rows_of(tmp_path / name)[0]["answer"] == "echo one"


@pytest.mark.usefixtures("small_parts")
def test_many_parts_are_gone_on_with(out, emulator):
    """A second run asks for new rows and nothing else, and closed parts are not touched."""
    run([f"row {number}" for number in range(35)], out, model=MODEL)
    first = (out / "part-00001.parquet").stat()

    report = run([f"row {number}" for number in range(40)], out, model=MODEL)

    assert (report.done, report.earlier, report.calls) == (40, 35, 5)
    assert len(emulator.requests) == 40
    assert {row["answer"] for row in rows_of(out)} == {f"echo row {number}" for number in range(40)}
    assert (out / "part-00001.parquet").stat().st_ino == first.st_ino


def test_killed_at_any_moment(out, emulator, prompts):
    """After SIGKILL at random moments every row is there once, at most the calls in flight were repeated, and the parts
    could be read each time."""
    dice, kills = random.Random(6), 0
    emulator.delay = 0.03
    while True:
        batch = subprocess.Popen([sys.executable, "-c", PROGRAM, str(out)], env=dict(os.environ))
        try:
            batch.wait(0.8 + dice.random() if kills < 5 else 60)
            break
        except subprocess.TimeoutExpired:
            batch.send_signal(signal.SIGKILL)
            batch.wait()
            kills += 1
            rows = read_report(out).rows if out.exists() else 0
            readable = sum(parquet.read_metadata(part).num_rows for part in out.glob("part-*.parquet"))
            assert readable <= rows <= 600

    assert batch.returncode == 0
    asked = Counter(prompts())
    assert sorted(row["id"] for row in rows_of(out)) == sorted(f"row {number}" for number in range(600))
    assert asked.total() - 600 <= 16 * kills
    assert {name[:5] for name in visible_names(out)} == {"part-"}


@pytest.mark.usefixtures("small_parts")
def test_what_a_kill_leaves_is_mended(out, emulator):
    """A torn part, a part whose lines were not removed yet, a torn last line: each row still counts once."""
    rows = [f"row {number}" for number in range(25)]
    run(rows, out, model=MODEL, concurrency=1)
    part = out / "part-00003.parquet"
    lines = "".join(
        json.dumps({"id": row["id"], "row": row["row"], "answer": row["answer"], "hash": row["hash"]}) + "\n"
        for row in parquet.read_table(part).to_pylist()
    )
    (out / "_rows-00003.jsonl").write_text(lines)
    (out / "_rows-00004.jsonl").write_text('{"id": "torn')
    (out / ".part-00004.parquet.tmp").write_bytes(part.read_bytes()[:100])

    report = run(rows, out, model=MODEL)

    assert (report.done, report.calls) == (25, 0)
    assert len(rows_of(out)) == 25
    assert visible_names(out) == ["part-00001.parquet", "part-00002.parquet", "part-00003.parquet"]
    assert len(emulator.requests) == 25


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_the_disk_has_torn(out, emulator):
    """A part without its end is set aside, where readers do not see it, and its rows are asked again."""
    rows = [f"row {number}" for number in range(25)]
    run(rows, out, model=MODEL, concurrency=1)
    part = out / "part-00002.parquet"
    part.write_bytes(part.read_bytes()[:200])

    report = run(rows, out, model=MODEL)

    assert (report.done, report.calls) == (25, 10)
    assert len(rows_of(out)) == 25
    assert (out / "_torn-part-00002.parquet").exists()


@pytest.mark.usefixtures("small_parts")
def test_errors_are_retried(out, emulator):
    """`retry_errors` asks for the rows with errors; what they replace leaves the parts, and progress counts them."""
    rows = [f"row {number}" if number % 5 else f"fail {number}" for number in range(30)]
    run(rows, out, model=MODEL)
    emulator.respond = lambda request: reply.text("now")

    report = run(rows, out, model=MODEL, retry_errors=True)

    assert (report.done, report.failed, report.calls) == (30, 0, 6)
    assert report.rate > 0
    assert Counter(row["answer"] for row in rows_of(out))["now"] == 6
    assert len(rows_of(out)) == 30
    assert run(rows, out, model=MODEL).calls == 0


@pytest.mark.usefixtures("small_parts")
def test_the_order_of_the_input(out, emulator):
    """`ordered` sorts over all parts; a run that finds them sorted leaves them alone."""
    rows = [f"row {number}" for number in range(45)]
    run(rows[20:30], out, model=MODEL)

    run(rows, out, model=MODEL, ordered=True)
    names = visible_names(out)
    run(rows, out, model=MODEL, ordered=True)

    assert [row["answer"] for row in rows_of(out)] == [f"echo {row}" for row in rows]
    assert visible_names(out) == names


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_complete", [True, False])
def test_killed_while_sorting(out, is_complete):
    """Before all sorted parts are there, the old ones count; afterwards only the sorted ones."""
    rows = [f"row {number}" for number in range(25)]
    run(rows, out, model=MODEL, ordered=True)
    parts = sorted(out.glob("part-*.parquet"))
    first = int(parts[-1].stem[5:]) + 1
    for number, part in enumerate(parts, first):
        (out / f"_sorted-{number:05}.parquet").write_bytes(part.read_bytes())
    if is_complete:
        (out / "_sorted-complete").write_text(str(first))

    report = run(rows, out, model=MODEL)

    assert (report.done, report.calls, len(rows_of(out))) == (25, 0, 25)
    assert all(name.startswith("part-") for name in visible_names(out))
    assert (out / parts[0].name).exists() is not is_complete


def test_status_of_a_batch_that_is_running(out, emulator):
    """The figures count rows in parts and rows on their way into one."""
    run(["one", "fail"], out, model=MODEL)
    (out / "_rows-00002.jsonl").write_text('{"id": "x", "row": 3, "answer": "y", "hash": "0"}\n{"id": "torn')

    report = read_report(out)

    assert (report.rows, report.done, report.failed) == (3, 2, 1)


def test_pictures_vectors_and_odd_texts(out, emulator):
    """Pictures are files with their path in the row, vectors are numbers, and halves of surrogate pairs are escaped."""
    rows = [
        {"id": "fox", "image": "a fox"},
        {"id": "half \ud83d", "prompt": "half \ud83d"},
    ]
    emulator.respond = None

    run(rows, out, model="gemini-3.1-flash-image-preview")
    report = run(rows, out, model="gemini-3.1-flash-image-preview")

    fox = next(row for row in rows_of(out) if row["id"] == "fox")
    assert Image((out.parent / fox["images"][0]).read_bytes()).width > 0
    assert (report.rows, report.calls) == (2, 0)
    vectors = out.with_name("vectors.parquet")
    run(["a text"], vectors, model="gemini-embedding-001", task="embed")
    assert len(rows_of(vectors)[0]["embedding"]) == 3072


def test_function_calls_are_json(out, emulator):
    """The arguments of functions have no common schema, so calls are stored as JSON."""
    emulator.respond = lambda request: reply.tool_call("find", {"city": "Paris", "days": [1, 2]})

    run(["where"], out, model=MODEL)

    assert json.loads(rows_of(out)[0]["function_calls"]) == [
        {"name": "find", "args": {"city": "Paris", "days": [1, 2]}}
    ]


def test_what_belongs_to_somebody_else_is_left_alone(out, emulator, tmp_path):
    """A folder with other files, a file with the name of a folder, and a missing pyarrow are errors before anything is asked."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("my notes")
    out.write_bytes(b"PAR1")

    with pytest.raises(ConfigurationError, match=r"notes\.txt: not written by a batch"):
        run(["one"], tmp_path / "mine", model=MODEL)
    with pytest.raises(ConfigurationError, match="is a file; Parquet output is a folder"):
        run(["one"], out, model=MODEL)

    assert len(emulator.requests) == 0
    assert out.read_bytes() == b"PAR1"


def test_pyarrow_is_missing(out, emulator, monkeypatch):
    """The message names the extra, and nothing is asked."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigurationError, match=r"gemway\[parquet\]"):
        run(["one"], out, model=MODEL)

    assert len(emulator.requests) == 0


def test_one_batch_reads_the_output_of_another(out, emulator, tmp_path):
    """A folder of parts is an input like a file."""
    run(["one", "two"], out, model=MODEL)

    report = run(out, tmp_path / "next.parquet", model=MODEL, prompt="again: {answer}")

    assert report.done == 2
    assert {row["answer"] for row in rows_of(tmp_path / "next.parquet")} == {
        "echo again: echo one",
        "echo again: echo two",
    }
