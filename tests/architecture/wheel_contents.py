"""Check built wheels: `python wheel_contents.py *.whl`. Each holds its module, types, licence, and nothing else."""

from __future__ import annotations

import sys
import zipfile
from email.parser import Parser
from pathlib import Path

ROOTS = {
    "gemway": "gemway/",
    "gemway_emulator": "gemway_emulator/",
    "langchain_gemway": "langchain_gemway/",
    "llama_index_llms_gemway": "llama_index/llms/gemway/",
    "llama_index_tools_gemway": "llama_index/tools/gemway/",
    "llama_index_embeddings_gemway": "llama_index/embeddings/gemway/",
}


def complaints(wheel: Path) -> list[str]:
    """Return what is wrong with *wheel*."""
    name, version = wheel.name.split("-")[:2]
    about = f"{name}-{version}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = Parser().parsestr(archive.read(f"{about}METADATA").decode())
    found = [f"{path} should not be there" for path in names if not path.startswith((ROOTS[name], about))]
    found += [f"{path} should not be there" for path in names if "__pycache__" in path or path.endswith(".pyc")]
    wanted = (f"{ROOTS[name]}__init__.py", f"{ROOTS[name]}py.typed", f"{about}licenses/LICENSE")
    found += [f"{path} is missing" for path in wanted if path not in names]
    if metadata["Version"] != version or metadata["License-Expression"] != "Apache-2.0":
        found.append("version or licence is not declared")
    missing = [field for field in ("Author", "Summary", "Keywords", "Requires-Python") if not metadata[field]]
    found += [f"the metadata have no {field}" for field in missing]
    if sum(line.startswith("Programming Language :: Python :: 3.") for line in metadata.get_all("Classifier", [])) < 4:
        found.append("the classifiers do not name the Pythons it runs on")
    if len(str(metadata.get_payload())) < 200:
        found.append("the description is empty")
    return [f"{wheel.name}: {complaint}" for complaint in found]


def main(wheels: list[str]) -> int:
    found = [complaint for wheel in wheels for complaint in complaints(Path(wheel))]
    print("\n".join(found) or f"{len(wheels)} wheels are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
