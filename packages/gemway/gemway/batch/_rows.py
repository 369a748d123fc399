"""Read the rows of a batch from files and iterables, and turn each into a request. Sends nothing.

A row is a mapping (or only a prompt, as text). Its `id` is also read as `key` (Google's batch files) and `custom_id`
(OpenAI's). Its request is in one of these columns:

    prompt    a text, with `images` to look at (paths, URLs, bytes)
    request   the JSON of generateContent, also with its `contents` at the top of the row
    image     the prompt of a picture to generate, with `aspect_ratio`, `image_size` and `images` to start from
    embed     a text to embed
"""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from gemway import ConfigurationError, types
from gemway.adapters import to_part
from gemway.batch._arrow import import_pyarrow

RowColumns: TypeAlias = Mapping[str, Any]
"""The columns of a row, or a part of them: JSON, paths, bytes."""

Task: TypeAlias = Literal["text", "image", "embed"]
"""The kind of answer to a `prompt`: a text, a picture, a vector."""

_IDS: Final = ("id", "key", "custom_id")
_LONGEST_CELL: Final = 100_000_000
_IMAGE_OPTIONS: Final = ("aspect_ratio", "image_size")


class RowError(ConfigurationError):
    """A row of the input cannot be used; the message names its line and the reason."""


@dataclass(frozen=True)
class Row:
    """One request of a batch.

    Attributes:
        id: the row's own id, or a hash of the row.
        number: its place in the input, from 1; in a file, its line.
        place: the same in words, for messages.
        task: the kind of answer.
        body: the JSON of a request, or for pictures and vectors the options of the call.
        has_own_id: whether the id came with the row.
        fingerprint: a hash of model, configuration and request: it changes if another answer is to be expected.
    """

    id: str
    number: int
    place: str
    task: Task
    body: RowColumns
    has_own_id: bool
    fingerprint: str


@dataclass(frozen=True)
class RowReader:
    """Turns a user's records into rows.

    Attributes:
        model: the model that answers.
        prompt: a template for rows that have other columns, such as `"Summarize: {text}"`.
        task: the kind of answer to a prompt.
        config: fields of a `GenerateContentConfig` for all rows.
    """

    model: str
    prompt: str | None = None
    task: Task = "text"
    config: RowColumns | None = None

    def read(self, source: Any) -> Iterator[Row]:
        """Yield the rows of *source*: a path of JSON Lines, CSV or Parquet, or any iterable of rows.

        Raises `RowError` for the first row that cannot be used.
        """
        name = f"{source}, line" if isinstance(source, str | Path) else "row"
        records = _read_file(Path(source)) if isinstance(source, str | Path) else enumerate(source, 1)
        for number, record in records:
            yield self.to_row(record, number, name)

    def to_row(self, record: Any, number: int, name: str = "row") -> Row:
        """Return the row that *record* describes. Raises `RowError`, which begins with *name* and *number*."""
        try:
            columns = {"prompt": record} if isinstance(record, str) else record
            if not isinstance(columns, Mapping):
                raise RowError(f"a row is an object or a text, not {type(record).__name__}")
            own_id = next((columns[key] for key in _IDS if columns.get(key) not in (None, "")), None)
            task, body = self._read_request(columns)
            encoded = _encode_for_hash(body)
            own_hash = _hash_text(encoded if body == columns else _encode_for_hash(columns)) if own_id is None else ""
            return Row(
                own_hash or str(own_id),
                number,
                f"{name} {number}",
                task,
                body,
                own_id is not None,
                _hash_text(f"{self._shared_part}{task}{encoded}"),
            )
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise RowError(f"{name} {number}: {error}") from None

    def _read_request(self, columns: RowColumns) -> tuple[Task, RowColumns]:
        """Return the kind of answer that a row asks for, and its request or the options of its call."""
        if self.prompt is not None:
            return self.task, self._prompt_options(_fill_template(self.prompt, columns), columns, self.task)
        request = columns.get("request", columns if "contents" in columns else None)
        if request is not None:
            return "text", _check_request(request)
        tasks: dict[str, Task] = {"image": "image", "embed": "embed", "prompt": self.task}
        for column, task in tasks.items():
            if columns.get(column) is not None:
                return task, self._prompt_options(columns[column], columns, task)
        raise RowError("no prompt; a row needs one of the columns prompt, request, image, embed (or give prompt=)")

    def _prompt_options(self, text: Any, columns: RowColumns, task: Task) -> RowColumns:
        if not isinstance(text, str) or not text.strip():
            raise RowError("the prompt is empty" if isinstance(text, str) else "the prompt is not text")
        images = columns.get("images") or ()
        body: dict[str, Any] = {"prompt": text}
        if images:
            body["images"] = [images] if isinstance(images, str | bytes | Path) else list(images)
        if task == "image":
            body |= {name: columns[name] for name in _IMAGE_OPTIONS if columns.get(name)}
        return body

    @cached_property
    def _shared_part(self) -> str:
        """Model and configuration, which all rows share, as the beginning of the text that is hashed."""
        return _ENCODER.encode([self.model, self.config])


def to_request(body: RowColumns) -> RowColumns:
    """Return the JSON of generateContent for the body of a text row; files are read now."""
    if "prompt" not in body:
        return body
    parts = [{"text": body["prompt"]}, *(to_part(image) for image in to_images(body))]
    return {"contents": [{"role": "user", "parts": parts}]}


def to_embedding_input(body: RowColumns) -> Any:
    """Return the input of an embedding: the text, or a list that makes one vector of the text and its pictures."""
    return [body["prompt"], *to_images(body)] if body.get("images") else body["prompt"]


def to_images(body: RowColumns) -> list[Any]:
    """Return the pictures that a row names, local files as paths. The user's own rows may name local files."""
    return [
        Path(image) if isinstance(image, str) and not image.startswith(("data:", "http:", "https:", "gs:")) else image
        for image in body.get("images", ())
    ]


def _check_request(request: Any) -> RowColumns:
    if isinstance(request, types.GenerateContentRequest):
        return request.to_dict()
    if not isinstance(request, Mapping) or not request.get("contents"):
        raise RowError("the request has no contents; it is the JSON of generateContent")
    return {name: value for name, value in request.items() if name not in _IDS}


def _fill_template(template: str, columns: RowColumns) -> str:
    try:
        return template.format_map(columns)
    except KeyError as error:
        raise RowError(f"the prompt needs a column {error}; the row has {', '.join(map(str, columns))}") from None
    except (ValueError, IndexError, AttributeError) as error:
        advice = "; nested columns are written {column[name]}" if isinstance(error, AttributeError) else ""
        raise RowError(f"the prompt cannot be filled in: {error}{advice}") from None


def _encode_for_hash(value: RowColumns) -> str:
    """Return JSON that is equal for equal rows; bytes and paths count too."""
    # Most rows are a prompt and nothing else, and setting the encoder up takes ten times as long as encoding one.
    if value.keys() == {"prompt"} and isinstance(value["prompt"], str):
        return f'{{"prompt": {encode_basestring(value["prompt"])}}}'
    return _ENCODER.encode(value)


def _hash_text(text: str) -> str:
    """Return 16 hex digits."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _make_hashable(value: Any) -> str:
    return blake2b(value).hexdigest() if isinstance(value, bytes) else str(value)


_ENCODER: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=_make_hashable)


def _read_file(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each record of a file with its line; the ending of the name decides the format."""
    readers = {
        **{".csv": _read_csv, ".tsv": _read_csv},
        **{".parquet": _read_parquet},
        **{".jsonl": _read_json_lines, ".ndjson": _read_json_lines},
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(f"cannot read rows from {path}; known endings: {', '.join(readers)}")
    return reader(path)


def _read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except (ValueError, RecursionError) as error:
                is_array = number == 1 and line.lstrip().startswith(b"[")
                advice = "; the file must hold one object in each line, not an array" if is_array else ""
                raise RowError(f"{path}, line {number}: not JSON ({error}){advice}") from None


def _read_csv(path: Path) -> Iterator[tuple[int, Any]]:
    # Python allows 128 kB in a cell, and people put whole documents there. The limit is one for the process.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    with path.open(encoding=_find_encoding(path), newline="") as file:
        try:
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=_find_delimiter(header, path), strict=True)
            _refuse_equal_names(reader.fieldnames or (), path)
            for record in reader:
                if None in record or None in record.values():
                    raise RowError(f"{path}, line {reader.line_num}: {len(reader.fieldnames or ())} columns expected")
                yield reader.line_num, record
        except UnicodeDecodeError:
            raise RowError(
                f"{path}, line {_find_bad_line(path)}: not UTF-8; convert the file (iconv -t UTF-8)"
            ) from None
        except csv.Error as error:
            raise RowError(f"{path}, line {reader.line_num + 1}: not CSV ({error})") from None


def _find_encoding(path: Path) -> str:
    with path.open("rb") as file:
        # Excel's "Unicode text" is UTF-16; both forms begin with a byte order mark.
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _find_delimiter(header: str, path: Path) -> str:
    """Return the character that separates most columns in the header: Excel writes semicolons in half of Europe."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t|", key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), ())))


def _refuse_equal_names(names: Sequence[str], path: Path) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise RowError(f"{path}, line 1: two columns have the name {name!r}")


def _find_bad_line(path: Path) -> int:
    """Return the first line that is not UTF-8: a decoder reads ahead, so its error has no line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:  # noqa: PERF203 - the failing line is the result
                return number
    return 1


def _read_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a file, or of all parts in a folder, as Spark, Dask and batches write them."""
    parquet, number = import_pyarrow().parquet, 0
    # Names that begin with "_" or "." are not data: half-written parts, and the lines of an output.
    parts = sorted(part for part in path.glob("**/*.parquet") if part.name[0] not in "_.") if path.is_dir() else [path]
    for part in parts:
        with part.open("rb") as file:
            try:
                batches = parquet.ParquetFile(file).iter_batches(batch_size=1000)
                for record in itertools.chain.from_iterable(batch.to_pylist() for batch in batches):
                    number += 1
                    yield number, record
            except ValueError as error:
                raise RowError(f"{part}: not Parquet ({error})") from None
