"""The same rows through Ray Data, Dask and Spark: exact and equal, although a worker is killed in the middle.

`nox -s engines` runs this file; the name keeps it out of `nox -s tests`, since an engine takes a minute to start and stop.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("through_engine.py")
EXAMPLE = ROOT / "examples" / "batch_engine.py"
FORMS = ["ray", "dask-bag", "dask-frame", "spark-pandas", "spark-arrow"]
# Ray binds to all addresses, whatever it is told; in a network of its own nobody else can reach it.
OWN_NETWORK = ("unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def run_on_engine(tmp_path):
    """Run a Python program that uses an engine; skip if the engine, or what it needs, is not here."""

    def run(engine: str, *command: str, **environment: str) -> str:
        module = {"spark": "pyspark", "none": "sys"}.get(engine, engine)
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'gemway[{engine}]'")
        if engine == "spark" and shutil.which("java") is None:
            pytest.skip("Spark needs a Java runtime, and there is no java command here")
        own_network = OWN_NETWORK if engine == "ray" else ()
        if own_network and subprocess.run([*own_network, "true"], capture_output=True).returncode:
            pytest.skip("Ray runs only in a network of its own, and unshare cannot make one here")
        done = subprocess.run(
            [*own_network, sys.executable, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_raylet_start_wait_time_s": "180",
                "RAY_agent_register_timeout_ms": "180000",
                **environment,
            },
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> list[dict]:
    """The rows as they come back without an engine."""
    out = tmp_path_factory.mktemp("none") / "out.json"
    subprocess.run([sys.executable, PROGRAM, "none", out], check=True)
    return json.loads(out.read_text())["rows"]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows(form, run_on_engine, expected, tmp_path):
    """2,000 rows come back exact and equal, with a worker killed in the middle; a wrong key fails the job.

    Ray's own HTTP processor sends the rows of a batch one after another, gives up on a 500, and takes a 401 for an answer.
    """
    out = tmp_path / "out.json"
    run_on_engine(form.split("-")[0], str(PROGRAM), form, str(out))
    came = json.loads(out.read_text())

    rows, calls = came["rows"], came["calls"]
    print(f"{form}: {came['seconds']:.0f} s, {sum(calls.values())} calls, {came['most_in_flight']} at a time")
    assert rows == expected
    assert [row["item"] for row in rows if row["error"]] == [n for n in range(2000) if n % 100 in (3, 4)]
    assert came["killed"] == 1
    assert len(calls) == 2000
    assert sum(calls.values()) <= 1.5 * 2000  # 80 rows fail once; the rest was in the hands of the dead worker
    assert came["most_in_flight"] >= 32  # a whole batch, however busy the machine
    assert "BatchStoppedError" in came["refusal"]
    assert "AuthenticationError: 401" in came["refusal"]


@pytest.mark.parametrize("engine", ["ray", "dask", "spark"])
def test_the_example(engine, run_on_engine):
    """examples/batch_engine.py runs on this machine if it is given no address."""
    printed = run_on_engine(engine, str(EXAMPLE), engine)

    assert "100 rows, 0 errors" in printed
    assert "Item 7 costs 21 euros." in printed


def test_the_example_on_a_cluster(run_on_engine, tmp_path):
    """With an address it runs on the cluster there."""
    start = (
        "import runpy, sys; from dask.distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    examples = sys.argv[1]; sys.path.insert(0, examples); from gateway import configure; configure()\n"
        "    cluster = LocalCluster(n_workers=1, host='127.0.0.1', dashboard_address=None)\n"
        "    sys.argv = ['batch_engine.py', 'dask', cluster.scheduler_address]\n"
        "    runpy.run_path(examples + '/batch_engine.py', run_name='__main__')"
    )
    program = tmp_path / "on_a_cluster.py"
    program.write_text(start)

    assert "100 rows, 0 errors" in run_on_engine("dask", str(program), str(EXAMPLE.parent))
