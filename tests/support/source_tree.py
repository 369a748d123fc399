"""The project's own sources, read as text and as syntax trees. Runs none of it."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Distribution -> importable module.
PACKAGES = {
    "gemway": "gemway",
    "gemway-emulator": "gemway_emulator",
    "langchain-gemway": "langchain_gemway",
    "llama-index-llms-gemway": "llama_index.llms.gemway",
    "llama-index-tools-gemway": "llama_index.tools.gemway",
    "llama-index-embeddings-gemway": "llama_index.embeddings.gemway",
}
ADAPTERS = (
    "langchain-gemway",
    "llama-index-llms-gemway",
    "llama-index-tools-gemway",
    "llama-index-embeddings-gemway",
)
_NOT_SOURCE = {".git", ".venv", ".nox", "out", "site", "dist", "build"}


def folder(package: str) -> Path:
    """Return the folder of *package*'s module."""
    return ROOT / "packages" / package / Path(*PACKAGES[package].split("."))


def modules(package: str) -> list[Path]:
    """Return every Python file of *package*."""
    return sorted(folder(package).rglob("*.py"))


def every_module() -> list[Path]:
    """Return every Python file of all packages."""
    return [path for package in PACKAGES for path in modules(package)]


def shown(path: Path) -> str:
    """Return *path* as it is written from the root of the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of *path*."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) for each import that is executed, also inside functions; name is None for `import x`."""
    for node in _executed(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            yield from ((module, alias.name) for alias in node.names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below *node*, without what stands under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from _executed(other)
            continue
        yield child
        yield from _executed(child)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = next(name for name in PACKAGES if folder(name) in path.parents)
    own = path.relative_to(ROOT / "packages" / package).with_suffix("").parts
    above = own[: len(own) - node.level]
    return ".".join((*above, *(node.module.split(".") if node.module else ())))


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return what belongs to the project: what git lists, or in a tree without git what lies in it."""
    try:
        command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not _is_by_product(path)]
    return tuple(sorted(path for path in paths if path.is_file()))


def _is_by_product(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part in _NOT_SOURCE or part.endswith(("_cache", "__", ".egg-info")) for part in parts) or (
        path.name == "uv.lock" or any(part in {".hypothesis", ".benchmarks"} for part in parts)
    )
