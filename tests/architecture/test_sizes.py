"""Functions fit on a screen, and every ignored type error is explained."""

from __future__ import annotations

import ast
import re

import pytest
import source_tree as source

LONGEST_FUNCTION = 60
# A code in brackets, and the reason behind it or in a comment above.
IGNORE = re.compile(r"# type: ignore(?P<codes>\[[a-z-]+(, ?[a-z-]+)*\])?(?P<reason>\s+# \S.+)?")

EVERY = pytest.mark.parametrize("path", source.every_module(), ids=source.shown)


@EVERY
def test_functions_are_short(path):
    """No function is longer than a screen, its docstring included; signatures with documented options are not counted."""
    functions = [
        node for node in ast.walk(source.tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.body[0].lineno + 1 for node in functions}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


@EVERY
def test_type_ignores_give_code_and_reason(path):
    """Each `type: ignore` names its code, and says why behind it or on the line above."""
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = []
    for above, line in zip(["", *lines], lines, strict=False):
        if found := IGNORE.search(line):
            explained = found["reason"] or above.lstrip().startswith("#")
            bare += [] if found["codes"] and explained else [line.strip()]

    assert bare == []
