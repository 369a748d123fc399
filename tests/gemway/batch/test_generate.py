"""`Generate`: batch in, batch out, as engines for big data call it."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from gemway import ConfigurationError
from gemway.batch import COLUMNS, AsyncGenerate, BatchStoppedError, Generate
from gemway_emulator import reply

MODEL = "gemini-2.5-flash"

pytestmark = pytest.mark.usefixtures("echo", "gateway_environment")


@pytest.fixture
def generate():
    """The callable as a worker gets it: pickled and brought back."""
    return pickle.loads(pickle.dumps(Generate(MODEL, prompt="{question}", max_retries=2)))


def test_columns_in_columns_out(generate):
    """The batch keeps its columns and gains five; errors and refusals are rows among the others."""
    batch = generate({"question": ["one", "fail", "evil"], "n": [1, 2, 3]})

    assert list(batch) == ["question", "n", *COLUMNS]
    assert batch["n"] == [1, 2, 3]
    assert batch["answer"] == ["echo one", None, None]
    assert batch["error"][0] is None
    assert [error["type"] for error in batch["error"][1:]] == ["BadRequestError", "ContentBlockedError"]
    assert batch["error"][1]["status"] == 400
    assert batch["usage"][0]["total_tokens"] > 0
    assert batch["finish_reason"] == ["STOP", None, None]
    assert batch["images"] == [[], [], []]


def test_lists_of_rows(generate):
    """As `dask.bag` has them; a row that cannot be used is an error of that row."""
    rows = generate([{"question": "one"}, {"other": "two"}, {"question": ""}])

    assert rows[0]["answer"] == "echo one"
    assert "needs a column 'question'" in rows[1]["error"]["message"]
    assert "empty" in rows[2]["error"]["message"]


def test_iterators_of_batches(generate):
    """As Spark has them."""
    batches = generate(iter([{"question": ["one"]}, {"question": ["two"]}]))

    assert [batch["answer"] for batch in batches] == [["echo one"], ["echo two"]]


def test_numpy_pandas_and_arrow(generate):
    """Each comes back as what it was, with the same answers."""
    numpy = pytest.importorskip("numpy")
    assert generate({"question": numpy.array(["one", "fail"])})["answer"].tolist() == ["echo one", None]

    pandas = pytest.importorskip("pandas")
    frame = generate(pandas.DataFrame({"question": ["one", "fail"]}, index=[7, 9]))
    assert frame["answer"].tolist() == ["echo one", None]
    assert frame.index.tolist() == [7, 9]

    pyarrow = pytest.importorskip("pyarrow")
    table = generate(pyarrow.table({"question": ["one", "two"]}))
    assert table["answer"].to_pylist() == ["echo one", "echo two"]
    assert table["error"].type == generate(pyarrow.table({"question": ["fail"]}))["error"].type


def test_the_rows_of_a_batch_run_together(gateway_environment):
    """64 rows that take 0.2 s each take far less than one after another."""
    gateway_environment.delay = 0.2

    Generate(MODEL, prompt="{question}", concurrency=64)({"question": [f"row {number}" for number in range(64)]})

    arrivals = [entry.time for entry in gateway_environment.requests]
    assert arrivals[-1] - arrivals[0] < 3


def test_a_500_is_repeated(gateway_environment, generate):
    """Failures of the gateway are not the row's."""
    gateway_environment.enqueue(reply.error(500), reply.error(503))

    assert generate({"question": ["one", "two"]})["answer"] == ["echo one", "echo two"]


def test_a_wrong_key_stops_the_job():
    """401 is never an answer, and no million of them."""
    generate = Generate(MODEL, prompt="{question}", api_key="wrong-key")

    few = generate({"question": ["one"]})
    assert (few["answer"], few["error"][0]["type"], few["error"][0]["status"]) == ([None], "AuthenticationError", 401)
    with pytest.raises(BatchStoppedError, match="AuthenticationError"):
        generate({"question": [f"row {number}" for number in range(100)]})


def test_the_key_stays_at_home(gateway_environment, monkeypatch):
    """A pickle has no key that came from the environment; one that was given travels, and no repr shows it."""
    monkeypatch.setenv("GEMWAY_API_KEY", "sk-of-the-driver")

    assert b"sk-of-the-driver" not in pickle.dumps(Generate(MODEL, prompt="{question}"))
    given = Generate(MODEL, prompt="{question}", api_key="sk-given")
    assert b"sk-given" in pickle.dumps(given)
    assert "sk-given" not in repr(given) + str(vars(given))


def test_mistakes_show_on_the_driver(monkeypatch):
    """A misspelt option or a bad value is refused at construction, where neither key nor address need be known."""
    monkeypatch.delenv("GEMWAY_API_KEY")
    monkeypatch.delenv("GEMWAY_BASE_URL")

    Generate(MODEL, prompt="{question}")
    with pytest.raises(TypeError, match="timeoot"):
        Generate(MODEL, prompt="{question}", timeoot=3)
    with pytest.raises(ConfigurationError, match="concurrency"):
        Generate(MODEL, prompt="{question}", concurrency=0)


def test_async_workers():
    """`AsyncGenerate` is awaited; `Generate` works where a loop runs, too."""

    async def worker():
        awaited = await AsyncGenerate(MODEL, prompt="{question}")({"question": ["one"]})
        return awaited, Generate(MODEL, prompt="{question}")({"question": ["one"]})

    awaited, called = asyncio.run(worker())

    assert awaited["answer"] == called["answer"] == ["echo one"]


def test_pictures(gateway_environment):
    """Pictures are bytes in the column `images`."""
    gateway_environment.respond = None
    generate = Generate("gemini-3.1-flash-image-preview", prompt="a {animal}", task="image")

    batch = generate({"animal": ["fox"]})

    assert batch["images"][0][0].startswith(b"\x89PNG")
