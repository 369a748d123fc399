"""The same callable without an engine, or with `ray`, `dask` or `spark` as argument: python batch_engine.py dask [ADDRESS]."""

import os
import sys

from gateway import MODEL, configure
from gemway.batch import SPARK_SCHEMA, AsyncGenerate, Generate

SETTINGS = {"model": MODEL, "prompt": "Item {item} costs {price} euros. How much does item {item} cost?"}
ROWS = [{"item": number, "price": number * 3} for number in range(1, 101)]


def answers(engine: str | None, address: str | None) -> list[dict]:
    """Return the rows with their answers. Without an address an engine runs on this machine."""
    if engine == "ray":
        import ray

        ray.init(address, include_dashboard=False)
        options = {"batch_size": 25, "batch_format": "pyarrow", "concurrency": 2, "num_cpus": 0.1}
        return (
            ray.data.from_items(ROWS).map_batches(AsyncGenerate, fn_constructor_kwargs=SETTINGS, **options).take_all()
        )
    if engine == "dask":
        import dask.bag

        if address:
            from dask.distributed import Client

            Client(address)
        scheduler = None if address else "threads"
        return (
            dask.bag.from_sequence(ROWS, npartitions=4)
            .map_partitions(Generate(**SETTINGS))
            .compute(scheduler=scheduler)
        )
    if engine == "spark":
        from pyspark.sql import SparkSession

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the first python3 of the path
        spark = SparkSession.builder.master(address or "local[2]").getOrCreate()
        schema = f"item bigint, price bigint, {SPARK_SCHEMA}"
        frame = (
            spark.createDataFrame(ROWS).select("item", "price").repartition(4).mapInArrow(Generate(**SETTINGS), schema)
        )
        return [row.asDict(recursive=True) for row in frame.collect()]
    return Generate(**SETTINGS)(ROWS)


def main() -> None:
    """Answer 100 rows and print one of them."""
    engine, address, *_ = [*sys.argv[1:], None, None]
    rows = answers(engine, address)
    print(f"{len(rows)} rows, {sum(row['error'] is not None for row in rows)} errors")
    print(next(row["answer"] for row in rows if row["item"] == 7))


configure()
main()
