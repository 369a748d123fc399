"""Send 2,000 rows through an engine, kill one of its workers in the middle, and write what came back as JSON.

python tests/engines/through_engine.py none|ray|dask-bag|dask-frame|spark-pandas|spark-arrow OUT

The gateway runs in this process. It answers some rows with 500 or 429 the first time and refuses others for good, so that
the rows of all engines can be compared with those of a run without one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from gemway.batch import COLUMNS, SPARK_SCHEMA, AsyncGenerate, Generate
from gemway_emulator import Emulator, reply

ROWS = [{"item": number, "price": number * 3} for number in range(2000)]
SETTINGS = {"model": "gemini-2.5-flash", "prompt": "Item {item} costs {price} euros.", "max_retries": 3}
PARTS, WORKERS = 20, 2
SCHEMA = f"item bigint, price bigint, {SPARK_SCHEMA}"

Rows = list[dict[str, Any]]


class Gateway:
    """Answers by item number, and counts how many calls it holds at a time."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.in_flight = self.most_in_flight = 0

    async def answer(self, request):
        item = int(request.prompt.split()[1])
        self.asked[item] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0.05)
        finally:
            self.in_flight -= 1
        if self.asked[item] == 1 and item % 50 in (1, 2):
            return reply.error(500 if item % 50 == 1 else 429)
        if item % 100 == 3:
            return reply.error(400, message="no such item")
        if item % 100 == 4:
            return reply.blocked("PROHIBITED_CONTENT")
        return reply.text(f"echo {request.prompt}")


def through_none(rows: Rows, settings: dict[str, Any]) -> Rows:
    return Generate(**settings)(rows)


def through_ray(rows: Rows, settings: dict[str, Any]) -> Rows:
    import ray

    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=150_000_000,
        log_to_driver=False,
        ignore_reinit_error=True,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    return (
        ray.data.from_items(rows, override_num_blocks=PARTS)
        .map_batches(
            AsyncGenerate,
            fn_constructor_kwargs=settings,
            batch_format="pyarrow",
            batch_size=len(rows) // PARTS,
            concurrency=WORKERS,
            num_cpus=0.1,
        )
        .take_all()
    )


@cache
def dask_client():
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    return Client(cluster)


def through_dask_bag(rows: Rows, settings: dict[str, Any]) -> Rows:
    import dask.bag

    dask_client()
    return list(dask.bag.from_sequence(rows, npartitions=PARTS).map_partitions(Generate(**settings)).compute())


def through_dask_frame(rows: Rows, settings: dict[str, Any]) -> Rows:
    import dask.dataframe
    import pandas

    dask_client()
    frame = dask.dataframe.from_pandas(pandas.DataFrame(rows), npartitions=PARTS)
    meta = {**frame.dtypes, **dict.fromkeys(COLUMNS, object)}
    return frame.map_partitions(Generate(**settings), meta=meta).compute().to_dict("records")


def spark_frame(rows: Rows):
    from pyspark.sql import SparkSession

    # Two tasks at a time, each tried up to four times: local[2] alone gives up when a worker dies.
    builder = SparkSession.builder.master(f"local[{WORKERS},4]").config("spark.ui.enabled", "false")
    addresses = ("spark.driver.bindAddress", "spark.driver.host")
    spark = builder.config(map=dict.fromkeys(addresses, "127.0.0.1")).getOrCreate()
    return spark.createDataFrame(rows).select("item", "price").repartition(PARTS)


def through_spark_pandas(rows: Rows, settings: dict[str, Any]) -> Rows:
    answered = spark_frame(rows).mapInPandas(Generate(**settings), SCHEMA)
    return [row.asDict(recursive=True) for row in answered.collect()]


def through_spark_arrow(rows: Rows, settings: dict[str, Any]) -> Rows:
    answered = spark_frame(rows).mapInArrow(Generate(**settings), SCHEMA)
    return [row.asDict(recursive=True) for row in answered.collect()]


def kill_a_worker(emulator: Emulator, killed: list[int]) -> None:
    """When a third of the rows have been asked, kill one of the processes that ask: whoever is connected to the gateway."""
    port = int(emulator.base_url.rsplit(":", 1)[1])
    while len(emulator.requests) < len(ROWS) / 3:
        time.sleep(0.02)
    while not killed:
        for process in psutil.Process().children(recursive=True):
            if any(link.raddr and link.raddr.port == port for link in process.net_connections("tcp")):
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
                return


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def main() -> None:
    """Answer all rows, then a few with a wrong key."""
    engine, out = sys.argv[1:]
    through = globals()[f"through_{engine.replace('-', '_')}"]
    gateway, killed = Gateway(), []
    with Emulator(respond=gateway.answer) as emulator:
        os.environ.update(GEMWAY_BASE_URL=emulator.base_url, GEMWAY_API_KEY=emulator.api_key, no_proxy="127.0.0.1")
        os.environ["PYSPARK_PYTHON"] = sys.executable  # Spark's workers run the first python3 of the path otherwise
        if engine != "none":
            threading.Thread(target=kill_a_worker, args=(emulator, killed), daemon=True).start()
        begin = time.monotonic()
        rows = through(ROWS, SETTINGS)
        seconds, calls, most = time.monotonic() - begin, dict(gateway.asked), gateway.most_in_flight
        try:
            refusal = f"{len(through(ROWS[:1000], {**SETTINGS, 'api_key': 'sk-wrong'}))} rows"
        except Exception as error:
            refusal = " ".join(f"{type(cause).__name__}: {cause}" for cause in causes(error))
    figures = {"seconds": seconds, "killed": len(killed), "calls": calls, "most_in_flight": most, "refusal": refusal}
    answered = {"rows": sorted(rows, key=lambda row: row["item"]), **figures}
    Path(out).write_text(json.dumps(answered, default=list).replace(emulator.base_url, "GATEWAY"))


if __name__ == "__main__":
    main()
