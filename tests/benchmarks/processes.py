"""The processes of a run: one server, one worker for each contender. All of them end with the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from contenders import CONTENDERS, FRAMEWORKS

FOLDER = Path(__file__).parent
# One core for the clients, one for the server, where the machine lets us choose.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
PINNED = {"client": CORES[0], "server": CORES[1]} if len(CORES) > 1 else {}
_FOREIGN = ("GEMWAY_", "GOOGLE_", "GEMINI_", "LANGSMITH_", "LANGCHAIN_")


def environment() -> dict[str, str]:
    """Return what the processes see of the machine's settings: no proxies, no keys, no tracing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONHASHSEED": "0"}


class Process:
    """A Python program that reads and writes lines."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(FOLDER / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
        )

    def read(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.readline()

    def write(self, line: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def close(self) -> None:
        """End it: by closing its input, and if that is not enough by its process id."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            self._popen.stdin.close()
            self._popen.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()


class Server(Process):
    """The gateway; `address` is where it listens."""

    def __init__(self) -> None:
        super().__init__("server.py", *(["--core", str(PINNED["server"])] if PINNED else []))
        self.address = f"http://127.0.0.1:{self.read().strip()}"


class Contestant:
    """One contender's worker; it is started again where a job made it useless.

    Attributes:
        missing: why it cannot take part, or None.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.contender = CONTENDERS[name]
        self._address = address
        self._start()

    def _start(self) -> None:
        core = [str(PINNED["client"])] if PINNED else []
        self._process = Process("worker.py", self.name, self._address, *core)
        ready = json.loads(self._process.read() or '{"missing": "its process died at the start"}')
        self.missing: str | None = ready.get("missing")

    def takes_part(self, how: str, exercise: str) -> bool:
        """Whether it does an exercise: floors of frameworks neither wait nor are imported."""
        floor = self.contender.family != "http" and self.contender.options is None
        if how == "cold":
            return self.contender.options is not None
        return exercise in (self.contender.only or (exercise,)) and not (floor and how == "memory")

    def do(self, how: str, exercise: str, times: int, sizes: dict[str, Any]) -> dict[str, Any]:
        """Do one job and return its figures, or {"error": ...}."""
        if how == "cold":
            return self._cold()
        self._process.write(json.dumps({"how": how, "exercise": exercise, "times": times, "sizes": sizes}))
        answer: dict[str, Any] = json.loads(self._process.read() or '{"error": "died", "cut_off": 1}')
        if answer.get("cut_off"):
            self.close()
            self._start()
        return answer

    def _cold(self) -> dict[str, Any]:
        module, _, name = self.contender.model.partition(":")
        url: Any = f"{self._address}/text"
        if self.contender.address == "http_options":
            url = {"base_url": url}
        job = {
            "framework": FRAMEWORKS[self.contender.family],
            "module": module,
            "name": name,
            "options": {**(self.contender.options or {}), self.contender.address: url},
            "hidden": self.contender.hidden,
        }
        process = Process("cold.py", json.dumps(job))
        answer: dict[str, Any] = json.loads(process.read() or '{"error": "died"}')
        process.close()
        return answer

    def close(self) -> None:
        self._process.close()


class Field:
    """The server and everybody who takes part."""

    def __init__(self, names: list[str]) -> None:
        self.server = Server()
        self.contestants: dict[str, Contestant] = {}
        self.absent: dict[str, str] = {}
        for name in names:
            contestant = Contestant(name, self.server.address)
            if contestant.missing:
                self.absent[name] = contestant.missing
                contestant.close()
            else:
                self.contestants[name] = contestant

    def __enter__(self) -> Field:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for contestant in self.contestants.values():
            contestant.close()
        self.server.close()
