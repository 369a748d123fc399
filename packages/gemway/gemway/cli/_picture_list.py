"""`gemway image --prompts FILE`: make many pictures with the batch engine, and one gallery of them at the end."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import typer

from gemway import ConfigurationError, Image
from gemway.cli import _gallery
from gemway.cli._batch import run_and_show
from gemway.cli._picture import Order, slug
from gemway.cli._screen import plain, screen, warn
from gemway.gallery import Exhibit

_JOURNAL = "pictures.jsonl"


def make_list(
    prompts: Path, order: Order, *, base_url: str | None, retry_errors: bool = False, as_json: bool = False
) -> None:
    """Make a picture for each line of *prompts* in the folder of *order*, and exit with the code of a batch.

    The file in which the batch notes its answers lies in that folder, so the same command again makes the missing ones.
    """
    if order.output is not None or order.edit:
        raise typer.BadParameter("--prompts takes no --output and no --edit; a line of JSON may name its images")
    text = sys.stdin.read() if prompts == Path("-") else prompts.read_text(encoding="utf-8-sig")
    rows = list(_read_picture_rows(text))
    if not rows:
        raise ConfigurationError(f"{'standard input' if prompts == Path('-') else prompts} holds no prompts")
    folder = order.gallery or Path("pictures" if prompts == Path("-") else prompts.stem)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(20, "is a file; name a folder with --gallery", str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    config = {"aspect_ratio": order.aspect_ratio, "image_size": order.image_size, "with_text": order.with_text or None}
    options: dict[str, Any] = {
        "task": "image",
        "config": {name: value for name, value in config.items() if value is not None},
        "base_url": base_url,
        "retry_errors": retry_errors,
    }
    code = run_and_show(rows, folder / _JOURNAL, order.model, options, as_json=as_json)
    _build_gallery(rows, folder, order, as_json=as_json)
    raise typer.Exit(code)


def _read_picture_rows(text: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each line: a prompt as it stands, or an object of JSON with `prompt` and options of its own.

    A row's id is made of its prompt, so that lines may be added or moved between two runs, and names its picture.
    """
    times: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        row = _read_prompt_line(line.strip(), number)
        if not any(name in row for name in ("id", "key", "custom_id")):
            name = slug(row["prompt"])
            # The words that the name leaves out count, too: long prompts often differ at their ends only.
            rest = json.dumps(row, sort_keys=True, ensure_ascii=False)
            name = f"{name}-{blake2b(rest.encode('utf-8', 'surrogatepass'), digest_size=3).hexdigest()}"
            times[name] += 1
            row["id"] = name if times[name] == 1 else f"{name}-{times[name]}"
        yield row


def _read_prompt_line(line: str, number: int) -> dict[str, Any]:
    if not line.startswith("{"):
        return {"prompt": line}
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"line {number} begins like JSON and is none: {error}") from None
    if "prompt" not in row and isinstance(row.get("image"), str):
        row["prompt"] = row.pop("image")
    if not isinstance(row.get("prompt"), str):
        raise ConfigurationError(f'line {number} has no prompt; write a text, or JSON such as {{"prompt": "a fox"}}')
    return dict(row)


def _build_gallery(rows: Iterable[dict[str, Any]], folder: Path, order: Order, *, as_json: bool) -> None:
    """Record how each picture was made, write the page of the folder, and print where all of them are."""
    rows_by_id = {str(row.get("id") or row.get("key") or row.get("custom_id")): row for row in rows}
    for answer in _read_batch_answers(folder / _JOURNAL):
        row = rows_by_id.get(str(answer["id"]), {})
        for name in answer.get("images") or ():
            path = folder / name
            if not path.is_file():
                warn(f"{path} is no longer there")
                continue
            if row and path.parent != folder:
                _gallery.write_record(path, _exhibit_of_answer(path, row, answer, order))
            line = {"picture": str(path), "prompt": row.get("prompt"), "id": answer["id"]}
            plain(screen, json.dumps(line, ensure_ascii=False) if as_json else str(path))
    pictures = folder / f"{Path(_JOURNAL).stem}-images"
    if pictures.is_dir():
        page = _gallery.write_page(folder, pictures)
        plain(screen, json.dumps({"gallery": str(page)}) if as_json else str(page))


def _read_batch_answers(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines that the batch wrote; the last of an id counts."""
    if not journal.is_file():
        return
    # A row that failed and was asked again has two lines.
    answers: dict[str, dict[str, Any]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            answer = json.loads(line)
        except ValueError:  # torn by a crash; the next run mends it
            continue
        answers[str(answer.get("id"))] = answer
    yield from answers.values()


def _exhibit_of_answer(path: Path, row: dict[str, Any], answer: dict[str, Any], order: Order) -> Exhibit:
    usage = answer.get("usage") or {}
    return Exhibit(
        Image(path.read_bytes()),
        row["prompt"],
        model=answer.get("model"),
        aspect_ratio=row.get("aspect_ratio") or order.aspect_ratio,
        image_size=row.get("image_size") or order.image_size,
        tokens=usage.get("total_tokens"),
    )
