"""Big batches: millions of rows through one gateway, without losing one.

    from gemway.batch import run

    report = run("questions.jsonl", "answers.jsonl", model="gemini-2.5-flash")
    print(report)

Run it again after whatever has happened, and it goes on where it was.
"""

from gemway.batch._engine import BatchStoppedError
from gemway.batch._generate import COLUMNS, SPARK_SCHEMA, AsyncGenerate, Generate
from gemway.batch._options import BatchOptions
from gemway.batch._output import read_report
from gemway.batch._report import BatchReport, Usage, duration
from gemway.batch._rows import RowError
from gemway.batch._run import arun, run, stream
from gemway.batch._selection import ChangedRowsError

__all__ = [
    "AsyncGenerate",
    "BatchOptions",
    "BatchReport",
    "BatchStoppedError",
    "COLUMNS",
    "ChangedRowsError",
    "Generate",
    "RowError",
    "SPARK_SCHEMA",
    "Usage",
    "arun",
    "duration",
    "read_report",
    "run",
    "stream",
]
