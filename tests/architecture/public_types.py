"""Check that what packages export is typed: `python public_types.py gemway ...`. Needs them installed, not editable."""

from __future__ import annotations

import json
import subprocess
import sys


def unknown(module: str) -> list[str]:
    """Return the exported names of *module* whose types pyright does not know, and print how complete they are."""
    command = ["pyright", "--ignoreexternal", "--outputjson", "--verifytypes", module]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)["typeCompleteness"]
    counts = found["exportedSymbolCounts"]
    print(f"{module}: {counts['withKnownType']} names with a known type, {counts['withUnknownType']} without")
    if not counts["withKnownType"]:
        return [f"{module}: not found"]
    wrong = [symbol for symbol in found["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    return [symbol["name"] for symbol in wrong if counts["withUnknownType"] and not symbol["isTypeAmbiguous"]]


def main(modules: list[str]) -> int:
    found = [name for module in modules for name in unknown(module)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
