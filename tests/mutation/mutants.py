"""Single small faults for a module's source. Pure: each mutant is one replaced piece of text."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_SWAPPED = {"min": "max", "max": "min", "all": "any", "any": "all"}
_LONGEST_WORD = 30


class Mutant(NamedTuple):
    """One fault: in *source*, the characters from *begin* to *end* become *after*; *line* to *last* is its statement."""

    module: str
    line: int
    last: int
    scope: str
    names: tuple[str, ...]
    begin: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        shown = [" ".join(text.split()) for text in (self.before, self.after)]
        return f"{self.module}:{self.line} ({self.scope or 'module'}): `{shown[0][:90]}` -> `{shown[1][:90]}`"

    def applied(self, source: str) -> str:
        """Return *source* with the fault in it."""
        return source[: self.begin] + self.after + source[self.end :]


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Return every fault that we know for *source*, in the order of its text."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    lines = source.splitlines()

    def at(line: int, column: int) -> int:
        return offsets[line - 1] + len(lines[line - 1].encode()[:column].decode())

    found = []
    for node, statement, scope in _walk(ast.parse(source), None, ""):
        for after in _faults(node, at_module=not scope):
            begin, end = at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)
            text = source[begin:end]
            if text != after:
                where = (statement.lineno, _header_end(statement), scope, _targets(statement))
                found.append(Mutant(module, *where, begin, end, text, after))
    return sorted(found, key=lambda one: (one.begin, one.end, one.after))


def _walk(node: Any, statement: Any, scope: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield what may be mutated, with its statement and function. Annotations and messages are left alone."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, (ast.JoinedStr, ast.Raise)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            inner = child if isinstance(child, ast.stmt) else statement
            named = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            here = f"{scope}.{child.name}".lstrip(".") if named else scope
            if hasattr(child, "lineno"):
                yield child, inner, here
            yield from _walk(child, inner, here)


def _faults(node: Any, *, at_module: bool) -> Iterator[str]:
    """Yield what could stand in the place of *node*."""
    if isinstance(node, (ast.Compare, ast.BoolOp, ast.BinOp)):
        yield from _other_operators(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.IfExp):
        yield f"({ast.unparse(ast.IfExp(node.test, node.orelse, node.body))})"
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value, at_module=at_module)
    elif isinstance(node, ast.Name) and node.id in _SWAPPED:
        yield _SWAPPED[node.id]
    elif isinstance(node, (ast.Raise, ast.AugAssign)):
        yield "pass"
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "return None"
    elif (
        isinstance(node, ast.Expr)
        and isinstance(node.value, (ast.Call, ast.Await))
        or isinstance(node, ast.Assign)
        and any(isinstance(to, (ast.Attribute, ast.Subscript)) for to in node.targets)
    ):
        yield "pass"


def _other_operators(node: Any) -> Iterator[str]:
    kind = type(node.ops[0] if isinstance(node, ast.Compare) else node.op)
    if kind in _OPERATORS:
        other = copy.deepcopy(node)
        if isinstance(other, ast.Compare):
            other.ops[0] = _OPERATORS[kind]()  # type: ignore[call-overload]  # the table keeps kinds together
        else:
            other.op = _OPERATORS[kind]()
        yield f"({ast.unparse(other)})"


def _other_constants(value: object, *, at_module: bool) -> Iterator[str]:
    if isinstance(value, bool):
        yield repr(not value)
    elif isinstance(value, (int, float)):
        yield repr(value + 1)
    elif isinstance(value, str) and value and len(value) <= _LONGEST_WORD and (at_module or " " not in value):
        yield repr(value + "X")


def _header_end(statement: Any) -> int:
    """Return the last line of a statement without the block that it opens."""
    body = getattr(statement, "body", None)
    return max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno


def _targets(statement: Any) -> tuple[str, ...]:
    """Return the names that a statement assigns, to find who uses a constant."""
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    names = [getattr(target, "id", None) or getattr(target, "attr", None) for target in targets]
    return tuple(name for name in names if name)
