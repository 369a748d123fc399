"""Install each page's own line into an empty environment and run the page there. `nox -s installs` runs this.

    python tests/docs/run_installed.py [NAME ...]     only pages whose name contains one of these words

The pages' programs talk to an emulator that runs here, in the session's environment, not in the page's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import markdown_pages as markdown
import source_tree as source
from gemway_emulator import Emulator

RUN = """
import sys
sys.path.insert(0, {support!r})
from pathlib import Path
import markdown_pages as markdown
namespace = {{"__name__": "__page__"}}
for block in markdown.blocks(Path({page!r})):
    if block.language == "python":
        exec(compile("\\n" * block.line + block.code, {page!r}, "exec", dont_inherit=True), namespace)
"""


def failure_of(page: Path) -> str | None:
    """Return what went wrong when *page* was installed and run, or None."""
    with tempfile.TemporaryDirectory() as folder, Emulator() as emulator:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{folder}/venv"], check=True)
        python = f"{folder}/venv/bin/python"
        requirements = markdown.install_line(page)
        installed = subprocess.run(
            ["uv", "pip", "install", "-q", "--python", python, *requirements],
            cwd=source.ROOT,
            env={**os.environ, "UV_LINK_MODE": "copy"},
            capture_output=True,
            text=True,
        )
        if installed.returncode:
            return installed.stderr
        script = RUN.format(support=str(source.ROOT / "tests" / "support"), page=str(page))
        known = {"PATH": os.environ["PATH"], "HOME": folder}
        gateway = {"GEMWAY_BASE_URL": emulator.base_url, "GEMWAY_API_KEY": emulator.api_key}
        run = subprocess.run(
            [python, "-c", script], cwd=folder, env=known | gateway, capture_output=True, text=True, timeout=300
        )
        return run.stderr[-2000:] if run.returncode else None


if __name__ == "__main__":
    words = sys.argv[1:]
    failed = False
    for page in markdown.pages():
        name = source.shown(page)
        if not markdown.install_line(page) or (words and not any(word in name for word in words)):
            continue
        failure = failure_of(page)
        failed |= failure is not None
        print(f"{name}: {'ok' if failure is None else failure}", flush=True)
    sys.exit(failed)
