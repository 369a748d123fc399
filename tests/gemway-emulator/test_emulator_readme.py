"""The README is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gemway_emulator import MISBEHAVIOURS, reply

README = Path(__file__).parents[2] / "packages" / "gemway-emulator" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[-1][:40])
def test_every_python_block_runs(block, gemway_emulator):
    """As it stands; tests in a block are run with the fixture."""
    scope: dict = {}
    exec(compile(block, str(README), "exec"), scope)
    for name, value in scope.items():
        if name.startswith("test_"):
            value(gemway_emulator)


def test_every_misbehaviour_is_listed():
    """With the sentence the code has for it."""
    text = README.read_text(encoding="utf-8")

    assert all(f"| `{name}` | {sentence} |" in text for name, sentence in MISBEHAVIOURS.items())


def test_every_reply_is_listed():
    """All factories of `reply`."""
    text = README.read_text(encoding="utf-8")

    assert all(f"`reply.{name}(" in text for name in reply.__all__ if name.islower())
