"""Ask for every row of a file. The second run finds all answers there and asks nothing."""

import json
from pathlib import Path

from gateway import MODEL, configure
from gemway.batch import run

QUESTION = "Item {item} costs {price} euros. How much does item {item} cost?"


def main() -> None:
    """Write a CSV of 100 rows, let the gateway answer it twice, and print one answer."""
    Path("items.csv").write_text("id,item,price\n" + "".join(f"{n},{n},{n * 3}\n" for n in range(1, 101)))

    report = run("items.csv", "answers.jsonl", model=MODEL, prompt=QUESTION, concurrency=8)
    print(report)

    again = run("items.csv", "answers.jsonl", model=MODEL, prompt=QUESTION)
    print(f"asked again: {again.calls}")

    answers = {line["id"]: line for line in map(json.loads, Path("answers.jsonl").read_text().splitlines())}
    print(answers["7"].get("answer") or answers["7"]["error"]["message"])


configure()
main()
