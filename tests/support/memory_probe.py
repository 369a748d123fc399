"""How far a process grows while it does one thing, in a process of its own. Linux only: sizes come from /proc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BASE64_BYTES = 25 * 2**20
"""The size of a 4K picture, in base64."""

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through /proc")

_HEAD = f"""
import ctypes, os, sys
from base64 import b64encode

base_url, key, *arguments = sys.argv[1:]

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

def picture():
    return b"\\x89PNG\\r\\n\\x1a\\n" + os.urandom({BASE64_BYTES} * 3 // 4 - 8)

def measure(call):
    libc = ctypes.CDLL(None)
    libc.mallopt(-3, 2**20)  # M_MMAP_THRESHOLD: what is large goes back to the system when it is freed
    libc.malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the highest size so far is forgotten
    before = status("VmRSS")
    kept = call()
    print((status("VmHWM") - before) / {BASE64_BYTES})
"""


def peak(program: str, emulator: Any, *arguments: str, folder: Path) -> float:
    """Return what *program* passes to `measure`, as growth at its largest in pictures of `BASE64_BYTES`.

    It finds `base_url`, `key`, `arguments` and `picture()`, whose bytes look like a PNG. Raises AssertionError with
    what it wrote to stderr.
    """
    run = [sys.executable, "-c", _HEAD + program, emulator.base_url, emulator.api_key, *arguments]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)
