"""Compares what an adapter shows of the recorded traffic with what was on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import wire_recordings as wire
from gemway import APIStatusError, ContentBlockedError, EmptyResponseError, GemwayError

Ask = Callable[[dict[str, Any]], Any]
"""Returns the adapter's answer to one recording."""

# Streamed call arguments arrive in pieces; these recordings say what the pieces are, not the whole.
_PIECEWISE = {record["id"] for record in wire.recordings() if "partial_args" in record["tags"]}


def assert_answers_equal(
    ask: Ask,
    shown: Callable[[Any], wire.Facts],
    *,
    in_pieces: bool,
    medium: Callable[[str, str], Any] = lambda mime_type, data: (mime_type, data),
    also: Callable[[dict[str, Any], wire.Facts, Any], list[str]] = lambda *_: [],
) -> None:
    """Ask for every recording, print a table of outcomes, and fail with all differences.

    *shown* reads the facts of an answer. *medium* puts a medium of the wire as it reads them. *also* returns further
    differences of a recording, its facts and its answer. With *in_pieces* only streams are asked for, up to 100 kB.
    """
    table: Counter[str] = Counter()
    faults: list[str] = []
    for record in wire.answers():
        if in_pieces and (record["response_kind"] == "json" or len(str(record["response"])) > 100_000):
            continue  # only streams are cut, and megabytes in pieces of seven bytes take minutes
        facts = wire.facts_of(record)
        facts.media = [medium(*found) for found in facts.media]
        outcome, fault = _outcome(record, facts, ask, shown, also)
        table[outcome] += 1
        faults += [f"{record['id']}: {fault}"] if fault else []

    print("\n" + "\n".join(f"{count:6} {outcome}" for outcome, count in table.most_common()))
    assert not faults, f"{len(faults)} of {table.total()} differ:\n" + "\n".join(faults[:40])


def assert_errors_are_typed(ask: Ask) -> None:
    """Ask for every recorded error: it raises the class of its status, which it carries."""
    faults = []
    for record in wire.errors():
        with pytest.raises(GemwayError) as raised:
            ask(record)
        error = raised.value
        if not isinstance(error, APIStatusError) or error.status_code != record["status"]:
            faults.append(f"{record['id']}: {record['status']} came as {error!r}")

    assert not faults, "\n".join(faults)


def _outcome(record: dict[str, Any], facts: wire.Facts, ask: Ask, shown: Any, also: Any) -> tuple[str, str]:
    """Return a line for the table, and what is wrong."""
    try:
        answer = ask(record)
    except (ContentBlockedError, EmptyResponseError) as error:
        has_content = facts.text or facts.calls or facts.media
        return f"refused as {type(error).__name__}", f"refused with content: {error}" if has_content else ""
    except Exception as error:
        return f"raised {type(error).__name__}", repr(error)[:200]
    found = shown(answer)
    if facts.total_tokens is None:  # a sum then, which the wire does not say
        found.total_tokens = None
    if record["id"] in _PIECEWISE:
        facts.calls = found.calls = []
    differences = [
        f"{name}: {brief(getattr(found, name))} instead of {brief(value)}"
        for name, value in vars(facts).items()
        if name != "signatures" and getattr(found, name) != value
    ]
    if sorted(found.signatures) != sorted(facts.signatures):
        differences.append(f"{len(found.signatures)} signatures instead of {len(facts.signatures)}")
    differences += also(record, facts, answer)
    return "different" if differences else "equal", "; ".join(differences)


def brief(value: Any) -> str:
    """Return the beginning of what *value* looks like."""
    return repr(value)[:150]
