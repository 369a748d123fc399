"""`gemway batch`, run as users run it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

MODEL = "gemini-2.5-flash"

pytestmark = pytest.mark.usefixtures("echo", "gateway_environment")

GEMWAY = (sys.executable, "-c", "from gemway.cli import main; main()")


@pytest.fixture
def gemway(tmp_path):
    """Run `gemway batch ...` in an empty folder; returns exit code, output and messages."""

    def run(*arguments: str):
        done = subprocess.run(
            [*GEMWAY, "batch", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COLUMNS": "140"},
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def write_rows(tmp_path, *prompts: str) -> None:
    (tmp_path / "in.csv").write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(prompts)))


def test_a_file_of_questions(gemway, read, tmp_path):
    """Rows in, answers out, figures at the end; with errors the exit code is 3, and the advice names what to do."""
    write_rows(tmp_path, "one", "two", "fail", "evil")

    code, out, err = gemway("in.csv", "out.jsonl", "--model", MODEL, "--prompt", "{text}", "--prices", "1", "2")

    assert code == 3
    assert out.startswith("rows      4 of 4: 2 done, 1 refused, 1 failed\n")
    assert "cost      0.00" in out
    assert "--retry-errors" in err
    assert len(read(tmp_path / "out.jsonl")) == 4


def test_going_on(gemway, emulator, tmp_path):
    """The same command again asks nothing; changed prompts need --force; --retry-errors asks for errors."""
    write_rows(tmp_path, "one", "fail")
    command = ("in.csv", "out.jsonl", "-m", MODEL, "-p", "{text}")
    gemway(*command)
    assert gemway(*command)[0] == 3
    assert len(emulator.requests) == 2

    code, _, err = gemway(*command[:-1], "say {text}")
    assert (code, len(emulator.requests)) == (1, 2)
    assert re.match(
        r"error: in\.csv, line 2: '0' was answered for another model, prompt or configuration.*--force", err
    )

    emulator.respond = None
    assert gemway(*command, "--retry-errors")[0] == 0
    assert len(emulator.requests) == 3
    assert gemway(*command[:-1], "say {text}", "--force")[0] == 0
    assert len(emulator.requests) == 5


def test_status(gemway, tmp_path):
    """`--status` prints the figures of an output."""
    write_rows(tmp_path, "one", "evil")
    gemway("in.csv", "out.jsonl", "-m", MODEL, "-p", "{text}")

    code, out, _ = gemway("--status", "out.jsonl")

    assert code == 0
    assert out.startswith("rows      2: 1 done, 1 refused, 0 failed\n")


def test_all_alike(gemway, tmp_path):
    """An unknown model ends with 4 and one sentence."""
    write_rows(tmp_path, *(f"row {number}" for number in range(50)))

    code, _, err = gemway("in.csv", "out.jsonl", "-m", "gemini-9", "-p", "{text}")

    assert code == 4
    assert err.count("\n") == 1
    assert err.startswith("error: stopped: the first 20 rows all failed with NotFoundError: 404")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("in.csv",), 2, "give IN and OUT"),
        (("missing.csv", "out.jsonl", "-m", MODEL), 1, "missing.csv: No such file"),
        (("in.csv", "out.jsonl", "-m", MODEL), 1, "line 2: no prompt; a row needs one of the columns"),
        (("in.csv", "no/out.jsonl", "-m", MODEL, "-p", "{text}"), 1, "no/out.jsonl: No such file"),
        (("in.csv", "out.jsonl", "-m", MODEL, "-c", "many"), 2, "--concurrency is a number or adaptive"),
        (("in.csv", "out.jsonl", "-m", MODEL, "--config", "{"), 2, "--config is not JSON"),
        (("in.csv", "out.jsonl", "-m", MODEL, "-p", "{text}", "--prices", "-1", "2"), 1, "prices must be 0 or more"),
        (("--status", "."), 1, ".: not the output of a batch"),
        (("--status", "missing.jsonl"), 1, "missing.jsonl: No such file"),
    ],
)
def test_errors_are_one_line(gemway, tmp_path, arguments, code, message):
    """Bad input ends with 1, a bad command line with 2."""
    write_rows(tmp_path, "one")

    ended, _, err = gemway(*arguments)

    assert ended == code
    assert message in err


def test_a_terminal_and_ctrl_c(emulator, read, tmp_path):
    """In a terminal the figures are shown live; Ctrl-C ends the calls in flight, shows how to go on, and exits with 130."""
    emulator.delay = 0.1
    write_rows(tmp_path, *(f"row {number}" for number in range(5000)))
    parent, child = pty.openpty()
    command = [*GEMWAY, "batch", "in.csv", "out.jsonl", "-m", MODEL, "-p", "{text}", "-c", "8"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=child, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm"}
    )
    os.close(child)
    deadline = time.monotonic() + 30
    while len(emulator.requests) < 60 and time.monotonic() < deadline:
        time.sleep(0.05)

    process.send_signal(signal.SIGINT)
    printed = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        printed += piece
    os.close(parent)

    text = printed.decode()
    assert process.wait(10) == 130
    assert "of 5,000" in text
    assert "8 in flight" in text
    assert "Run the same command again to go on" in text
    assert len(read(tmp_path / "out.jsonl")) == len(emulator.requests)


def test_parquet_parts(gemway, emulator, tmp_path):
    """An output whose name ends with .parquet is a folder of parts; --status and --retry-errors know it."""
    parquet = pytest.importorskip("pyarrow.parquet")
    write_rows(tmp_path, "one", "fail")
    command = ("in.csv", "out.parquet", "-m", MODEL, "-p", "{text}")

    assert gemway(*command)[0] == 3
    assert gemway("--status", "out.parquet")[1].startswith("rows      2: 1 done, 0 refused, 1 failed\n")
    emulator.respond = None
    assert gemway(*command, "--retry-errors")[0] == 0
    assert len(emulator.requests) == 3
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 2
