"""The columns of answers in Arrow's types: for Parquet parts, and for the engines whose batches are Arrow tables."""

from __future__ import annotations

from typing import Any

from gemway import ConfigurationError


def import_pyarrow() -> Any:
    """Return the module `pyarrow`, with its readers loaded. Raises `ConfigurationError` if it is not installed."""
    try:
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]  # an extra
        import pyarrow.json  # type: ignore[import-not-found,import-untyped,unused-ignore]  # its reader of lines
        import pyarrow.parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]  # a module of its own
    except ImportError:
        raise ConfigurationError("Parquet needs pyarrow; install it with: pip install 'gemway[parquet]'") from None
    return pyarrow


def answer_types() -> dict[str, Any]:
    """Return Arrow's types of the columns that a row gains.

    They are fixed instead of inferred: a part without a single error must have the same schema as its neighbours, or no
    reader could put the parts together.
    """
    pyarrow = import_pyarrow()
    text, whole = pyarrow.string(), pyarrow.int64()
    error = {"type": text, "status": whole, "message": text, "retryable": pyarrow.bool_()}
    tokens = ("input_tokens", "output_tokens", "thought_tokens", "total_tokens")
    return {
        "answer": text,
        "error": pyarrow.struct(list(error.items())),
        "usage": pyarrow.struct([(name, whole) for name in tokens]),
        "finish_reason": text,
        "images": pyarrow.list_(pyarrow.binary()),
        "embedding": pyarrow.list_(pyarrow.float64()),
    }
