"""Run one unmodified client against the emulator and print what passed: `python run.py NAME PROGRAM [NODE_FOLDER]`.

PROGRAM is a Python file, or one for Node.js, which is then copied into NODE_FOLDER, where its packages are installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from gemway_emulator import Emulator

HERE = Path(__file__).parent
CHECKS = ("chat", "stream", "tools", "schema", "picture", "edit", "errors", "embeddings")


def main(name: str, program: str, node_folder: str | None = None) -> int:
    """Print one line of the table; 0 if every check passed."""
    with Emulator() as emulator:
        environment = {**os.environ, "GEMWAY_BASE_URL": emulator.base_url, "GEMWAY_API_KEY": emulator.api_key}
        for foreign in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
            environment.pop(foreign, None)
        done = subprocess.run(
            command(program, node_folder), env=environment, stdout=subprocess.PIPE, text=True, timeout=300, check=False
        )
        requests = len(emulator.requests)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    results = json.loads(lines[-1]) if lines else {"chat": f"the program ended with {done.returncode}"}
    cells = [f"{check} {short(results.get(check))}" for check in CHECKS]
    print(f"{name:<22} {'  '.join(cells)}  ({requests} requests)")
    failures = {check: text for check, text in results.items() if text != "ok"}
    for check, text in failures.items():
        print(f"  {check}: {text}")
    return 1 if failures or done.returncode else 0


def command(program: str, node_folder: str | None) -> list[str]:
    """How *program* is started."""
    if node_folder is None:
        return [sys.executable, str(HERE / program)]
    shutil.copy(HERE / "checks.mjs", node_folder)
    return ["node", shutil.copy(HERE / program, node_folder)]


def short(result: str | None) -> str:
    """A cell of the table: the client may lack a feature."""
    return "-" if result is None else "ok" if result == "ok" else "FAILS"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
