"""The input of a batch: files and iterables, and errors that name the line."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from gemway import ConfigurationError
from gemway.batch import RowError, run

MODEL = "gemini-2.5-flash"

pytestmark = pytest.mark.usefixtures("echo")
needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.jsonl", b'{"id": 1, "prompt": "a"}\n{"id": 2, "prompt": \n', r"in\.jsonl, line 2: not JSON"),
        ("in.jsonl", b'{"id": 1, "prompt": "a"}\n\n[1]\n', r"line 3: a row is an object or a text, not list"),
        ("in.jsonl", b'{"id": 1, "prompt": "a"}\n{"id": 2}\n', r"line 2: no prompt; a row needs one of"),
        ("in.jsonl", b'{"id": 1, "prompt": " "}\n', r"line 1: the prompt is empty"),
        ("in.jsonl", b'{"id": 1, "prompt": 5}\n', r"line 1: the prompt is not text"),
        ("in.jsonl", b'{"id": 1, "request": {}}\n', r"line 1: the request has no contents"),
        (
            "in.jsonl",
            b'{"id": "x", "prompt": "a"}\n{"id": "x", "prompt": "b"}\n',
            r"line 2: the id 'x' is that of row 1",
        ),
        ("in.jsonl", b'\xff{"id": 1}\n', r"line 1: not JSON"),
        ("in.csv", b'id,prompt\n1,a\n2,"b\n', r"in\.csv, line \d: not CSV"),
        ("in.csv", b"id,prompt\n1,a,b\n", r"in\.csv, line 2: 2 columns expected"),
        ("in.csv", b"id,text,text\n1,a,b\n", r"in\.csv, line 1: two columns have the name 'text'"),
        ("in.csv", b"id,prompt\n1,a\n2,caf\xe9\n", r"in\.csv, line 3: not UTF-8; convert the file"),
        ("in.jsonl", b'[\n{"id": 1, "prompt": "a"}\n]\n', r"line 1: not JSON.*one object in each line, not an array"),
        pytest.param("in.parquet", b"PAR1", r"in\.parquet: not Parquet", marks=needs_pyarrow),
        ("in.txt", b"a\n", r"known endings: \.csv, \.tsv, \.parquet, \.jsonl"),
    ],
)
def test_bad_rows_are_named_before_anything_is_asked(out, emulator, tmp_path, name, content, message):
    """A file is read to its end first: the line and what is wrong with it, and nothing is billed."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=message):
        run(path, out, model=MODEL)

    assert len(emulator.requests) == 0


def test_a_bad_row_of_a_generator_loses_nothing(out, read):
    """What cannot be read twice is checked as it comes: the rows before the bad one are answered and written."""

    def rows():
        yield from ({"id": number, "prompt": f"row {number}"} for number in range(10))
        yield {"id": 10}

    with pytest.raises(RowError, match="row 11: no prompt"):
        run(rows(), out, model=MODEL)

    assert len(read(out)) == 10


def test_an_exception_of_the_users_iterable(out, read):
    """It comes through as it is, after the calls in flight."""

    def rows():
        yield "one"
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="the database is gone"):
        run(rows(), out, model=MODEL)

    assert len(read(out)) == 1


def test_the_output_is_not_the_input(out):
    """Answers never go into the file of the questions."""
    out.write_text('{"id": 1, "prompt": "a"}\n')

    with pytest.raises(ConfigurationError, match="is the input"):
        run(out, out, model=MODEL)


def test_a_place_that_cannot_be_written(gateway_environment, emulator, tmp_path):
    """The folder is missing: nothing is asked."""
    with pytest.raises(FileNotFoundError):
        run(["one"], tmp_path / "missing" / "out.jsonl", model=MODEL)

    assert len(emulator.requests) == 0


def test_csv_with_a_template(out, read, tmp_path):
    """Columns fill the prompt; cells may hold line breaks and quotes; a byte order mark is no part of a name."""
    path = tmp_path / "in.csv"
    path.write_bytes('\ufeffid,text,lang\n1,"two\nlines",German\n2,"a ""quote""",French\n'.encode())

    run(path, out, model=MODEL, prompt="Translate to {lang}: {text}", ordered=True)

    assert [line["answer"] for line in read(out)] == [
        "echo Translate to German: two\nlines",
        'echo Translate to French: a "quote"',
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"id;text\n1;one, two\n",
        b"id|text\n1|one, two\n",
        b"id\ttext\n1\tone, two\n",
        b'id,text\n1,"one, two"\n',
        b'\xef\xbb\xbf"id";"text"\r\n1;one, two\r\n',
        "id;text\n1;one, two\n".encode("utf-16"),
    ],
    ids=["semicolon", "bar", "tab", "comma", "mark and quotes", "UTF-16"],
)
def test_csv_of_every_kind(out, read, tmp_path, content):
    """The header shows what separates columns, and the file's first bytes how it is encoded."""
    path = tmp_path / "in.csv"
    path.write_bytes(content)

    run(path, out, model=MODEL, prompt="{text}")

    assert [(line["id"], line["answer"]) for line in read(out)] == [("1", "echo one, two")]


def test_long_cells(out, read, tmp_path):
    """A whole document fits into a cell."""
    path = tmp_path / "in.csv"
    path.write_text("id,text\n1," + "x" * 300_000 + "\n")

    run(path, out, model=MODEL, prompt="{text}")

    assert len(read(out)[0]["answer"]) == 300_005


@pytest.mark.parametrize("name", ["/dev/full", "/dev/null"])
def test_an_output_that_is_no_file(gateway_environment, emulator, name):
    """A device is refused: it could not be read again."""
    with pytest.raises(ConfigurationError, match=f"{name} is not a regular file"):
        run(["one"], name, model=MODEL)

    assert len(emulator.requests) == 0


def test_questions_in_the_place_of_the_output(emulator, out):
    """Input and output exchanged by mistake: the file of questions is neither read as answers nor added to."""
    out.write_text('{"id": 1, "prompt": "a"}\n')

    with pytest.raises(ConfigurationError, match="line 1: not an answer of a batch"):
        run(["one"], out, model=MODEL)

    assert out.read_text() == '{"id": 1, "prompt": "a"}\n'


def test_nested_columns_of_parquet(out, read, tmp_path):
    """A template reaches into nested columns; a wrong way is an error that shows the right one."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.table({"doc": [{"title": "A"}, {"title": "B"}], "tags": [["x"], ["y"]]}), path)

    run(path, out, model=MODEL, prompt="{doc[title]} {tags[0]}", ordered=True)

    assert [line["answer"] for line in read(out)] == ["echo A x", "echo B y"]
    with pytest.raises(RowError, match=r"line 1: the prompt cannot be filled in.*\{column\[name\]\}"):
        run(path, out.with_name("other.jsonl"), model=MODEL, prompt="{doc.title}")


def test_a_template_without_its_column(out, emulator):
    """The message names the column, and those that there are."""
    with pytest.raises(RowError, match=r"row 1: the prompt needs a column 'text'; the row has id, body"):
        run([{"id": 1, "body": "x"}], out, model=MODEL, prompt="{text}")

    assert len(emulator.requests) == 0


def test_parquet(out, read, tmp_path):
    """Parquet is read in pieces, with the extra `gemway[parquet]`."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"id": ["a", "b"], "prompt": ["one", "two"]}), tmp_path / "in.parquet")

    report = run(tmp_path / "in.parquet", out, model=MODEL)

    assert report.done == 2


def test_json_lines_keep_unicode(out, read, tmp_path):
    """Line separators of Unicode, emoji and half surrogates are text like any other."""
    texts = ["a\u2028b\u0085c", "🦊 fox", "half \ud83d pair"]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(json.dumps({"id": number, "prompt": text}) for number, text in enumerate(texts)))

    report = run(path, out, model=MODEL, ordered=True)

    lines = [json.loads(line) for line in out.read_bytes().split(b"\n") if line]
    assert report.done == 3
    assert [line["answer"] for line in lines[:2]] == [f"echo {text}" for text in texts[:2]]
