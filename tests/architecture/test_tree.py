"""What must not be in the committed tree: addresses of package indexes, paths of somebody's machine."""

from __future__ import annotations

import re

import source_tree as source

# Put together here, so that this file does not hold what it looks for.
_DOT = "."
INDEXES = [
    _DOT.join(words)
    for words in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("debian", "org"),
        ("ubuntu", "com"),
        ("anaconda", "org"),
        ("golang", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("maven", "org"),
        ("docker", "io"),
    )
]
# /home/me/ is nobody's: tests and docs use it where they need some absolute path.
PATHS = [f"/{name}/" for name in ("work", "home", "root", "opt", "Users")]
PATTERN = re.compile(
    "|".join([*map(re.escape, INDEXES), *(rf"(?<![\w.~$}}\]:-]){re.escape(path)}(?!me/)" for path in PATHS)])
)


def test_no_index_hosts_and_no_machine_paths():
    """The tree works anywhere: it names no package index and nobody's folders."""
    found = []
    for path in source.tracked_files():
        if b"\0" in (data := path.read_bytes()):
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            if match := PATTERN.search(line):
                found.append(f"{source.shown(path)}:{number}: {match[0]}")

    assert found == []


def test_no_lock_file_is_committed():
    """Exact versions stand in constraints.txt, by name and version only."""
    names = {path.name for path in source.tracked_files()}
    constraints = (source.ROOT / "constraints.txt").read_text(encoding="utf-8")

    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock"}
    assert "://" not in constraints


def test_the_check_script_runs_the_command_of_the_readme():
    """`.ci/run` calls exactly what README tells a newcomer to type."""
    readme = (source.ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block.strip() for block in re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)]
    script = (source.ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert len(blocks) >= 2
    assert blocks[0].endswith(".venv/bin/nox -s demo")
    assert blocks[1].endswith(".venv/bin/nox -s tests")
    assert blocks[1] in script
