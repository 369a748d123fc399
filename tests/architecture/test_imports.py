"""Who may import whom: types <- exceptions <- pure modules <- shells <- adapters, and the emulator imports neither."""

from __future__ import annotations

import ast
from pathlib import Path

import gemway
import pytest
import source_tree as source

PURE = {
    "_accumulate",
    "_call",
    "_body",
    "_capabilities",
    "_checks",
    "_continuation",
    "_embeddings",
    "_conversation",
    "_error_bodies",
    "_functions",
    "_embedded_images",
    "_headers",
    "_json",
    "_log",
    "_media",
    "_option_reader",
    "_options",
    "_protocol",
    "_rate_limits",
    "_redaction",
    "_request_forms",
    "_image_requests",
    "_response",
    "_retry",
    "_schema",
    "_sse",
    "_tools",
    "_turns",
    "_warnings",
    "_wire_options",
    "gallery",
}
# From the bottom up. A module imports from the layers below its own, and pure modules from each other.
LAYERS = (
    {"_version", "_sniff"},
    {"_image"},
    {"types"},
    {"_exceptions"},
    PURE | {"_config"},
    {"_credentials", "_network_errors", "_sending", "_sockets", "limits"},
    {"_pools", "_fetcher"},
    {"_transport", "_async_transport"},
    {"_client", "_async_client"},
    {"google", "_model_options"},
    {"__init__", "adapters"},
)
WAITING = {"httpx", "httpx2", "httpcore", "os", "time", "threading", "asyncio", "socket", "subprocess", "random"}
# The one thing that pure modules take from there: the type of the random source that they are given.
ALLOWED = {("_retry", "random"), ("_call", "random")}
FRAMEWORKS = {"langchain", "langchain_core", "langgraph", "llama_index", "pydantic_settings"}
OURS = {
    "gemway",
    "gemway_emulator",
    "langchain_gemway",
    "llama_index.llms.gemway",
    "llama_index.tools.gemway",
    "llama_index.embeddings.gemway",
}

COMMANDS = [path for path in source.modules("gemway") if path.parent.name == "cli" or path.stem == "__main__"]
BATCH = [path for path in source.modules("gemway") if path.parent.name == "batch"]
CORE = [path for path in source.modules("gemway") if path not in COMMANDS + BATCH]
ADAPTERS = [path for package in source.ADAPTERS for path in source.modules(package)]


def layer(module: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if module in names)


def place_of(path: Path) -> str:
    """Return the name of a module of the core among the layers: a folder is one module."""
    return path.relative_to(source.folder("gemway")).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    """Return the name of a module of the core, below `gemway.`."""
    return ".".join(path.relative_to(source.folder("gemway")).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Return the core's modules that *path* imports, below `gemway.`."""
    found = set()
    for module, name in source.imports(path):
        if module == "gemway" and name:
            found.add(name)
        elif module.startswith("gemway."):
            found.add(module.removeprefix("gemway."))
    return found


def own_imports(path: Path) -> set[str]:
    """Return the places of the core's modules that *path* imports."""
    return {name.split(".")[0] for name in imported(path)}


def is_of(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_every_core_module_has_its_place():
    """A new module must be put into a layer here."""
    assert {place_of(path) for path in CORE} == set().union(*LAYERS)


def test_the_design_page_names_every_module():
    """Whoever looks for the place of something finds it in docs/design.md."""
    page = (source.ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    known = {path.name for path in CORE} - {"__init__.py", "_version.py"}
    known |= {f"{path.parent.name}/" for path in CORE + BATCH if path.parent != source.folder("gemway")}

    assert [name for name in sorted(known) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("path", CORE, ids=source.shown)
def test_core_modules_import_downwards(path):
    """A module knows only what lies below it."""
    place = place_of(path)
    if place == "__init__":
        return
    same = PURE | {"_config"}
    others = own_imports(path) - {place}
    wrong = {name for name in others if layer(name) >= layer(place) and not (place in same and name in same)}

    assert not wrong


def test_core_modules_import_in_no_circle():
    """Pure modules may use each other, in one direction."""
    graph = {name_of(path): imported(path) - {name_of(path)} for path in CORE}
    while leaves := {name for name, needed in graph.items() if not needed & graph.keys()}:
        graph = {name: needed for name, needed in graph.items() if name not in leaves}

    assert not graph


@pytest.mark.parametrize("path", [path for path in CORE if place_of(path) in PURE], ids=source.shown)
def test_pure_modules_do_not_wait(path):
    """Pure modules get the clock, the time left and the random source as arguments, and send nothing."""
    found = {module.split(".")[0] for module, _ in source.imports(path)} & WAITING

    assert {name for name in found if (place_of(path), name) not in ALLOWED} == set()


@pytest.mark.parametrize("path", CORE + BATCH, ids=source.shown)
def test_the_core_knows_no_framework(path):
    """Nothing of LangChain or LlamaIndex, nor of our packages above, is imported by the core."""
    others = FRAMEWORKS | (OURS - {"gemway"})

    assert not [module for module, _ in source.imports(path) if is_of(module, others)]


@pytest.mark.parametrize("path", CORE, ids=source.shown)
def test_the_core_knows_no_commands_and_no_batches(path):
    """The command line and batches are users of the library; nothing in the library needs them."""
    assert not {"cli", "batch"} & own_imports(path)


@pytest.mark.parametrize("path", ADAPTERS + COMMANDS + BATCH, ids=source.shown)
def test_public_names_of_the_core_are_enough(path):
    """What adapters, commands and batches take from the core is public, and from each other only what is public too."""
    taken = [(module, name) for module, name in source.imports(path) if is_of(module, {"gemway"})]
    wrong = [
        (module, name)
        for module, name in taken
        if not is_of(
            module, {"gemway.adapters", "gemway.types", "gemway.gallery", "gemway.limits", f"gemway.{path.parent.name}"}
        )
        and module not in {"gemway.batch", "gemway.cli"}
        and not (module == "gemway" and (name is None or name in {*gemway.__all__, "gallery"}))
    ]
    private = [
        ast.unparse(node)
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in {"gemway", "gemway.types", "types"}
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    ]

    assert (wrong, private) == ([], [])


@pytest.mark.parametrize("package", source.ADAPTERS)
def test_adapters_do_not_know_each_other(package):
    """An adapter imports neither another adapter nor the emulator."""
    others = OURS - {"gemway", source.PACKAGES[package]}
    wrong = [
        (source.shown(path), module)
        for path in source.modules(package)
        for module, _ in source.imports(path)
        if is_of(module, others)
    ]

    assert not wrong


@pytest.mark.parametrize("path", source.modules("gemway-emulator"), ids=source.shown)
def test_the_emulator_shares_nothing_with_what_it_tests(path):
    """The emulator imports neither the core nor adapters nor a framework, so it cannot share their bugs."""
    others = FRAMEWORKS | (OURS - {"gemway_emulator"})

    assert not [module for module, _ in source.imports(path) if is_of(module, others)]


@pytest.mark.parametrize(
    "path", [path for path in CORE + ADAPTERS + BATCH if path.name != "_interrupts.py"], ids=source.shown
)
def test_nobody_starts_an_event_loop(path):
    """Blocking methods are native: no `asyncio.run` and no nested loops. Only a whole batch has a loop of its own."""
    calls = [ast.unparse(node.func) for node in ast.walk(source.tree(path)) if isinstance(node, ast.Call)]
    starters = ("asyncio.run", "asyncio_run", "nest_asyncio.apply", "run_coroutine_threadsafe", "run_until_complete")

    assert not [call for call in calls if call.endswith(starters)]
