"""Every check of the project is a session. `nox` runs the tests, `nox -l` lists all.

Sessions install the exact versions of constraints.txt and the six packages in editable mode. With uv at hand
(`pip install 'nox[uv]'`) they use it; without it, virtualenv and pip.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PACKAGES = (
    "gemway",
    "gemway-emulator",
    "langchain-gemway",
    "llama-index-llms-gemway",
    "llama-index-tools-gemway",
    "llama-index-embeddings-gemway",
)
MODULES = (
    "gemway",
    "gemway_emulator",
    "langchain_gemway",
    "llama_index.llms.gemway",
    "llama_index.tools.gemway",
    "llama_index.embeddings.gemway",
)
# What LlamaIndex's own base classes leave untyped stays so in what is derived from them.
TYPED = ("gemway", "gemway.types", "gemway_emulator", "langchain_gemway")
CONSTRAINTS = Path("constraints.txt").absolute()
# The files that decide what is installed.
DECLARATIONS = (CONSTRAINTS, Path("pyproject.toml"), *(Path("packages", name, "pyproject.toml") for name in PACKAGES))
# For each part: its packages, what their tests need, and the oldest versions of what they declare. LangChain's tests
# need httpx 0.28.1, and what LlamaIndex is made of needs pydantic 2.11.5. Before 0.14.24 LlamaIndex sends no descriptions
# of tools' arguments, and its text programs do not stream.
MINIMUMS = {
    "core": (
        ("gemway", "gemway-emulator"),
        ("httpx==0.27.0", "pydantic==2.11.0", "pillow==10.0.0"),
    ),
    "langchain": (
        ("langchain-gemway",),
        ("langchain-core==1.6.0", "httpx==0.28.1", "pydantic==2.11.0", "langchain", "langgraph", "langchain-tests"),
    ),
    "llama-index": (
        ("llama-index-llms-gemway", "llama-index-tools-gemway", "llama-index-embeddings-gemway"),
        ("llama-index-core==0.14.24", "httpx==0.27.0", "pydantic==2.11.5"),
    ),
}
# Google's own client, and what is built on it: each in an environment of its own, for their requirements differ.
GOOGLE = {
    "genai-2": ("google-genai==2.34.0",),
    "genai-3": ("google-genai>=3.6,<4", "httpx2"),
    "langchain": ("langchain-google-genai>=4.4", "langchain>=1.4", "google-genai>=2.34"),
    "llama-index": ("llama-index-llms-google-genai>=0.11", "google-genai>=2.34"),
    "pydantic-ai": ("pydantic-ai-slim[google]>=2.68", "google-genai>=2.34"),
    "instructor": ("instructor>=1.17", "jsonref", "google-genai>=2.34"),
    "adk": ("google-adk>=2.13", "google-genai>=2.34"),
}

# Unmodified clients against the emulator: what to install, and the program of tests/clients. Those of Node.js need npm.
CLIENTS = {
    "curl": ("with_curl.py", ("pillow",)),
    "google-genai-2": ("with_google_genai.py", GOOGLE["genai-2"]),
    "google-genai-3": ("with_google_genai.py", GOOGLE["genai-3"]),
    "langchain": ("with_langchain.py", GOOGLE["langchain"]),
    "llama-index": ("with_llama_index.py", GOOGLE["llama-index"]),
    "pydantic-ai": ("with_pydantic_ai.py", GOOGLE["pydantic-ai"]),
    "litellm": ("with_litellm.py", ("litellm>=1.106",)),
    "node-genai": ("with_genai.mjs", ("@google/genai@2",)),
    "node-ai-sdk": ("with_ai_sdk.mjs", ("ai@6", "@ai-sdk/google@3", "zod@4")),
    "node-langchain": ("with_langchain.mjs", ("@langchain/google-genai@2", "@langchain/core@1", "zod@4")),
}


@nox.session(reuse_venv=True)
def demo(session: nox.Session) -> None:
    """Show the whole product against a local gateway, or against GEMWAY_BASE_URL with GEMWAY_API_KEY."""
    # Whoever runs it again wants to see an answer, not an installation: six editable builds take longer than the answer.
    declared = sha256(b"".join(path.read_bytes() for path in DECLARATIONS)).hexdigest()
    installed = Path(session.virtualenv.location) / "installed.sha256"
    if not installed.exists() or installed.read_text() != declared:
        install(session, "demo")
        installed.write_text(declared)
    session.run("python", "-m", "examples.demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, two at a time; arguments go to pytest."""
    install(session, "tests")
    run_tests(session, *session.posargs)


@nox.session
def leaks(session: nox.Session) -> None:
    """Run all tests with whatever is left open or unawaited as an error of the test that collects it."""
    install(session, "tests")
    strict = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
    run_tests(session, *(f"-Werror::{name}" for name in strict), *session.posargs)


@nox.session(python=["3.10", "3.12", "3.13"])
def pythons(session: nox.Session) -> None:
    """Run all tests on the other Pythons that the packages support."""
    install(session, "tests")
    run_tests(session, *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Run the tests of the adapters with the newest versions of the frameworks that can be installed."""
    frameworks = ("langchain>=1.5", "langchain-core>=1.8", "langgraph", "langchain-tests", "llama-index-core")
    session.env["UV_LINK_MODE"] = "copy"
    session.install(*packages(), *dependencies("pytest"), *frameworks, "llama-index-retrievers-bm25", "rich")
    adapters = [name for name in PACKAGES if name not in MINIMUMS["core"][0]]
    run_tests(session, *(f"tests/{name}" for name in adapters), "tests/examples", *session.posargs)


@nox.session(python="3.10")
@nox.parametrize("part", list(MINIMUMS), ids=list(MINIMUMS))
def minimums(session: nox.Session, part: str) -> None:
    """Run the tests of the packages with the oldest dependencies that they declare."""
    tested, oldest = MINIMUMS[part]
    installed = packages(*dict.fromkeys((*MINIMUMS["core"][0], *tested)))
    session.install(*installed, *dependencies("pytest"), *oldest)
    run_tests(session, *(f"tests/{name}" for name in tested), *session.posargs)


@nox.session
@nox.parametrize("part", list(GOOGLE), ids=list(GOOGLE))
def google(session: nox.Session, part: str) -> None:
    """Run the tests of Google's client through a gateway, with two generations of it and what is built on it."""
    session.install(*packages("gemway", "gemway-emulator"), *dependencies("pytest"), *GOOGLE[part])
    names = ("client", "transport") if part.startswith("genai") else ("frameworks",)
    run_tests(session, *(f"tests/gemway/test_google_{name}.py" for name in names), *session.posargs)


@nox.session
def adapters(session: nox.Session) -> None:
    """Run the adapter of docs/adapters.md with pydantic-ai."""
    session.install(*packages("gemway", "gemway-emulator"), *dependencies("pytest"), "pydantic-ai-slim>=2.68")
    run_tests(session, "tests/adapters", *session.posargs)


@nox.session
@nox.parametrize("client", list(CLIENTS), ids=list(CLIENTS))
def clients(session: nox.Session, client: str) -> None:
    """Let a client that nobody changed chat, stream, call tools, fill schemas, paint, edit, embed and fail."""
    program, needed = CLIENTS[client]
    session.install(*packages("gemway-emulator"))
    node_folder = []
    if client.startswith("node"):
        node_folder = [session.create_tmp()]
        session.run("npm", "install", "--prefix", *node_folder, "--no-audit", "--no-fund", *needed, external=True)
    else:
        session.install(*needed)
    session.run("python", "tests/clients/run.py", client, program, *node_folder)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, complexity and formatting."""
    session.install("-c", str(CONSTRAINTS), *dependencies("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of all packages, and that what they export is typed completely."""
    install(session, "tests", "types")
    session.run("mypy", "--strict", *(arg for module in MODULES for arg in ("-p", module)))
    session.run("pytest", "-q", "tests/typing")
    # pyright looks for packages as their users have them: installed, and from outside of the checkout.
    session.install("--no-deps", "--force-reinstall", *(f"./packages/{name}" for name in PACKAGES))
    script = Path("tests/architecture/public_types.py").absolute()
    with session.chdir(session.create_tmp()):
        session.run("python", str(script), *TYPED)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, follow its links, and run every Python block of README, docs and the packages' READMEs."""
    install(session, "tests", "docs")
    session.run("zensical", "build", "--clean", "--strict")
    session.run("python", "tests/docs/finish_site.py")
    session.run("pytest", "-q", "tests/docs", *session.posargs)


@nox.session
def installs(session: nox.Session) -> None:
    """Install the line of each page into an empty environment and run the page there; arguments narrow the pages."""
    session.install(*packages("gemway-emulator"), "uv")
    session.run("python", "tests/docs/run_installed.py", *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example and the demo against the emulator."""
    install(session, "tests")
    run_tests(session, "tests/examples", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the six wheels, install them into this session's environment and import them."""
    wheels = Path(session.create_tmp()) / "wheels"
    session.run("python", "-c", f"import shutil; shutil.rmtree({str(wheels)!r}, ignore_errors=True)", silent=True)
    session.install("-c", str(CONSTRAINTS), *dependencies("build"))
    for name in PACKAGES:
        session.run(
            "python", "-m", "build", "--wheel", "--no-isolation", "-o", str(wheels), f"packages/{name}", silent=True
        )
    built = sorted(str(path) for path in wheels.glob("*.whl"))
    if len(built) != len(PACKAGES):
        session.error(f"{len(PACKAGES)} wheels expected, got {built}")
    session.install("-c", str(CONSTRAINTS), *built)
    session.run("python", "-I", "-c", f"import {', '.join(MODULES)}")
    session.run("python", "tests/architecture/wheel_contents.py", *built)


@nox.session
def packaging(session: nox.Session) -> None:
    """Check that each package declares what it imports, and that its sdist builds the same wheel as its source."""
    install(session, "build", "packaging")
    for name in PACKAGES:
        with session.chdir(f"packages/{name}"):
            session.run("deptry", ".")
    sdists = Path(session.create_tmp()) / "sdists"
    session.run("python", "-c", f"import shutil; shutil.rmtree({str(sdists)!r}, ignore_errors=True)", silent=True)
    for name in PACKAGES:
        # Without --wheel or --sdist, build makes the sdist and then the wheel from it.
        session.run("python", "-m", "build", "--no-isolation", "-o", str(sdists), f"packages/{name}", silent=True)
    built = sorted(str(path) for path in sdists.glob("*.whl"))
    session.run("python", "tests/architecture/wheel_contents.py", *built)


@nox.session
def workflows(session: nox.Session) -> None:
    """Audit the workflow files of the forge."""
    session.install("zizmor")
    session.run("zizmor", "--offline", "--no-progress", ".github")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run the example notebooks against the emulator."""
    install(session, "notebooks")
    folder = Path(session.create_tmp())
    for source in sorted(Path("examples/notebooks").glob("*.py")):
        session.run("jupytext", "--to", "ipynb", "--output", str(folder / f"{source.stem}.ipynb"), str(source))
    session.run("pytest", "-q", "--nbmake", "--rootdir", str(folder), "-p", "no:cacheprovider", str(folder))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure ours, the floors and, where they can be installed, the peers; arguments go to the benchmark."""
    install(session, "benchmarks")
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Call a faulty gateway for ten minutes: memory, sockets, threads and tasks must stay flat."""
    install(session)
    session.run("python", "tests/soak/run.py", *session.posargs)


@nox.session
def engines(session: nox.Session) -> None:
    """Send the same rows through Ray Data, Dask and Spark, and kill a worker of each (10 minutes; Spark needs Java)."""
    session.env["UV_LINK_MODE"] = "copy"
    session.install(*packages("gemway", "gemway-emulator"), *dependencies("pytest"), "psutil")
    session.install("-e", "packages/gemway[ray,dask,spark,parquet]")
    session.run("pytest", "-q", "-rPs", "tests/engines/check_engines.py", *session.posargs)
    run_tests(session, "tests/gemway/batch/test_generate.py", "tests/gemway/batch/test_rows.py")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Feed 40,000 changed recordings to the core and both adapters: no untyped error, no hang, no growth."""
    install(session)
    session.run("python", "tests/fuzz/run.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the core's transport one place at a time: the tests must notice."""
    install(session, "tests")
    session.run("python", "tests/mutation/run.py", *session.posargs)


def install(session: nox.Session, *groups: str) -> None:
    """Install the packages in editable mode, and *groups* of pyproject.toml, at the versions of constraints.txt."""
    # nltk, which LlamaIndex splits sentences with, refuses files that uv has linked from its cache.
    session.env["UV_LINK_MODE"] = "copy"
    session.env["UV_BUILD_CONSTRAINT"] = session.env["PIP_BUILD_CONSTRAINT"] = str(CONSTRAINTS)
    session.install("-c", str(CONSTRAINTS), *packages(), *dependencies(*groups))


def packages(*names: str) -> list[str]:
    """Return what pip is told to install packages in editable mode, with the core's optional pieces."""
    optional = {"gemway": "[aiohttp,cli,pillow]"}
    return [argument for name in names or PACKAGES for argument in ("-e", f"packages/{name}{optional.get(name, '')}")]


def dependencies(*groups: str) -> list[str]:
    """Return the requirements of dependency *groups*."""
    return list(nox.project.dependency_groups(PROJECT, *groups))


def run_tests(session: nox.Session, *arguments: str) -> None:
    """Run pytest on two cores, with nothing of the user's set-up in the way."""
    workers = os.environ.get("GEMWAY_TEST_WORKERS", "2")
    session.run("pytest", "-q", "-n", workers, "--dist", "loadfile", *arguments)
