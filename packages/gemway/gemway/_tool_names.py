"""Which names of functions Gemini takes, and the nearest one for any other name. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2s
from typing import Final

_LONGEST: Final = 64  # 128 in the current docs; 64 in older ones and for other providers' models


@lru_cache(maxsize=1024)
def sanitize_tool_name(name: str) -> str:
    """Return *name* if Gemini takes it as a function's name, else the nearest name that it takes.

    A changed name ends in a hash of the original, so that two tools never meet in one name.
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]*", name) and len(name) <= _LONGEST:
        return name
    digest = blake2s(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    legal = re.sub(r"[^A-Za-z0-9_.:-]+", "_", name).strip("_")
    if not re.match(r"[A-Za-z_]", legal):
        legal = f"tool_{legal}" if legal else "tool"
    return f"{legal[: _LONGEST - len(digest) - 1]}_{digest}"
