"""The command line of gemway: `gemway image`, `gemway chat`, `gemway doctor`. Needs `gemway[cli]`."""

from __future__ import annotations

import sys

_NEEDED_PACKAGES = {"typer", "rich", "click"}
_INTERRUPTED_EXIT_CODE = 130  # 128 + SIGINT, as shells have it


def main() -> None:
    """Run the command line; without its extra, say how to install it."""
    try:
        from gemway.cli._commands import app
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _NEEDED_PACKAGES:
            raise
        sys.exit("gemway: the command line needs typer and rich; install them with: pip install 'gemway[cli]'")
    except KeyboardInterrupt:
        # Imports take a second, and nothing has begun that would have to be ended in order.
        sys.exit(_INTERRUPTED_EXIT_CODE)
    app(prog_name="gemway")
