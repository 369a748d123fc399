"""A batch is killed, loses its disk, is interrupted: nothing that was answered is lost or paid for twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec

import pytest

ROWS, IN_FLIGHT = 600, 16
PROGRAM = """
import sys
from gemway.batch import run
rows = ({"id": f"row {number}", "prompt": f"row {number}"} for number in range(int(sys.argv[2])))
run(rows, sys.argv[1], model="gemini-2.5-flash", concurrency=16)
"""

pytestmark = pytest.mark.usefixtures("echo")
needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


def start(*command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_killed_at_any_moment(out, read, emulator, prompts):
    """After SIGKILL at random moments every row is answered once, and at most the calls in flight were repeated."""
    dice, kills = random.Random(5), 0
    emulator.delay = 0.03
    while True:
        batch = start(sys.executable, "-c", PROGRAM, str(out), str(ROWS))
        try:
            batch.wait(0.6 + dice.random() if kills < 4 else 60)
            break
        except subprocess.TimeoutExpired:
            batch.send_signal(signal.SIGKILL)
            batch.wait()
            kills += 1
            whole = out.read_bytes().rpartition(b"\n")[0] if out.exists() else b""
            assert all("answer" in json.loads(line) for line in whole.splitlines())
    assert batch.returncode == 0, batch.stderr.read()

    asked = Counter(prompts())
    lines = read(out)
    assert sorted(line["id"] for line in lines) == sorted(f"row {number}" for number in range(ROWS))
    assert asked.keys() == {f"row {number}" for number in range(ROWS)}
    assert asked.total() - ROWS <= kills * IN_FLIGHT
    assert not list(out.parent.glob(".*.part"))


def test_no_room_for_answers(out, read, tmp_path, prompts):
    """When the output can grow no more, the batch stops and names it; answers under way are kept elsewhere.

    The limit of the size of a file takes the place of a full disk, which needs rights to mount one.
    """
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n{PROGRAM}"
    answers = tmp_path / "kept"
    answers.mkdir()

    batch = start(sys.executable, "-c", program, str(out), "2500", TMPDIR=str(answers))
    _, errors = batch.communicate(timeout=60)

    lines, rescued = read(out), [line for path in answers.iterdir() for line in read(path)]
    assert batch.returncode == 1
    assert "File too large; answers that had no room there are in" in errors
    assert str(out) in errors
    assert sorted(line["id"] for line in [*lines, *rescued]) == sorted(prompts())


@pytest.mark.skipif(os.name != "posix" or shutil.which("unshare") is None, reason="needs unshare to mount a small disk")
@pytest.mark.parametrize("name", ["out.jsonl", pytest.param("out.parquet", marks=needs_pyarrow)])
def test_a_full_disk(gateway_environment, tmp_path, prompts, name):
    """On a small disk that is full the reserve takes the answers under way; with more room the next run goes on."""
    script = f"""
mount -t tmpfs -o size=600k none {tmp_path} || exit 77
"$0" -c '{PROGRAM}' {tmp_path}/{name} 2500
echo "first: $?"
mount -o remount,size=20m {tmp_path}
"$0" -c '{PROGRAM}' {tmp_path}/{name} 2500
echo "second: $?"
"$0" -c 'import sys; from gemway.batch import read_report; print(read_report(sys.argv[1]).done)' {tmp_path}/{name}
"""
    batch = start("unshare", "-rm", "sh", "-c", script, sys.executable)
    printed, errors = batch.communicate(timeout=100)
    if batch.returncode == 77 or "unshare" in errors:
        pytest.skip("no right to mount a small disk here")

    assert "No space left on device; make room and run it again" in errors
    assert printed.split() == ["first:", "1", "second:", "0", "2500"]
    assert Counter(prompts()).most_common(1)[0][1] == 1


def test_ctrl_c_ends_the_calls_in_flight(out, read, emulator, prompts):
    """The first Ctrl-C starts no more calls and waits for the answers."""
    emulator.delay = 0.2
    batch = start(sys.executable, "-c", PROGRAM, str(out), "10000")
    deadline = time.monotonic() + 20
    while len(emulator.requests) < 40 and time.monotonic() < deadline:
        time.sleep(0.02)

    batch.send_signal(signal.SIGINT)
    _, errors = batch.communicate(timeout=30)

    assert "KeyboardInterrupt" in errors
    assert sorted(line["id"] for line in read(out)) == sorted(prompts())
