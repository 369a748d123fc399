"""What the packages offer: `__all__`, types for checkers, one version, one licence."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from importlib.metadata import version

import gemway
import pytest
import source_tree as source

EVERY = pytest.mark.parametrize("package", source.PACKAGES)


@EVERY
def test_all_is_sorted_and_complete(package):
    """`__all__` is sorted as text, names what exists, and leaves out nothing public that `__init__.py` imports."""
    module = importlib.import_module(source.PACKAGES[package])
    names = module.__all__
    imported = {
        alias.asname or alias.name
        for node in source.tree(source.folder(package) / "__init__.py").body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if getattr(node, "module", "") not in {"__future__", "typing"}
    }

    assert list(names) == sorted(set(names))
    assert [name for name in names if not hasattr(module, name)] == []
    assert {name for name in imported if not name.startswith("_")} - set(names) == set()


@EVERY
def test_public_names_say_what_they_are_for(package):
    """Every public class and function has a docstring."""
    module = importlib.import_module(source.PACKAGES[package])
    documented = [getattr(module, name) for name in module.__all__]

    assert [
        thing
        for thing in documented
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and not (thing.__doc__ or "").strip()
    ] == []


@EVERY
def test_packages_are_typed(package):
    """Checkers read the annotations: `py.typed` lies beside the code."""
    assert (source.folder(package) / "py.typed").is_file()


@EVERY
def test_there_is_one_version(package):
    """All packages take their version from one file, and are installed with it."""
    project = source.ROOT / "packages" / package
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    path = re.search(r'\[tool\.hatch\.version\]\s+path = "([^"]+)"', text)

    assert path
    assert (project / path[1]).resolve() == source.folder("gemway") / "_version.py"
    assert version(package) == gemway.__version__


@pytest.mark.parametrize("package", source.ADAPTERS)
def test_adapters_require_the_core_of_their_own_version(package):
    """An old core beside a new adapter would fail at import or, worse, later; pip must not put them together.

    hatchling reads the version from one file, but requirements only as text: a release changes both, and this test
    names the files where that was forgotten.
    """
    text = (source.ROOT / "packages" / package / "pyproject.toml").read_text(encoding="utf-8")

    assert re.findall(r'^  "gemway(?![-\w\[])([^"]*)"', text, re.MULTILINE) == [f"=={gemway.__version__}"]


@EVERY
def test_packages_carry_licence_and_readme(package):
    """Each package is complete on its own: licence, and a README that is more than a title."""
    project = source.ROOT / "packages" / package

    assert (project / "LICENSE").read_bytes() == (source.ROOT / "LICENSE").read_bytes()
    assert len((project / "README.md").read_text(encoding="utf-8").splitlines()) > 10


def test_the_namespace_stays_open():
    """`llama_index` and the folders right below it belong to everybody: no `__init__.py` there."""
    inside = [path.parent for path in source.every_module() if path.name == "__init__.py"]

    assert not [path for path in inside if path.name in {"llama_index", "llms", "tools"}]


def test_the_changelog_names_the_version():
    """A user who asks what this version brings finds it."""
    assert f"## {gemway.__version__}" in (source.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
