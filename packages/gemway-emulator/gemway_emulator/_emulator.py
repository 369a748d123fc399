"""The emulator as tests and programs hold it: a real HTTP server in a thread, started and stopped at will."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

from gemway_emulator._app import Application
from gemway_emulator._gateway import Gateway, Options
from gemway_emulator._http import Server
from gemway_emulator._journal import Journal
from gemway_emulator._tape import Recorder, Tape
from gemway_emulator.reply import Reply, check_reply


@dataclass(kw_only=True, eq=False, repr=False)
class Emulator(Options):
    """A local Gemini-native gateway with Bearer auth.

        with Emulator() as emulator:
            client = Client(base_url=emulator.base_url, api_key=emulator.api_key)

    Scripted replies (`enqueue`) are served in order; without one the emulator answers by itself. Every request is kept in
    `requests`. All options are keywords:

    - *respond*: a function that answers requests (a `Request` in, a `reply.*` out, None for the emulator's own answer), sync
      or async. A sync one runs in a thread.
    - *port*: 0 takes a free one; *host* stays on this machine by default; *prefix* puts the API under a path (`"/gw"`).
    - *api_key*: the one Bearer token that is accepted.
    - *strict_signatures*: thought signatures must come back byte for byte, and only those issued here.
    - *validate*: refuse malformed requests with Google's 400; without it everything that is JSON is answered.
    - *models*: names to serve in addition to Google's; *any_model* serves every name. Other names are 404, in Google's words.
    - *thought_images*: image models asked for thoughts also send a draft picture marked `thought`.
    - *delay*, *chunk_delay*: seconds before each answer and between stream events.
    - *latency*: seconds before each answer as a distribution (`"p50=800ms,p95=4s"`), the same for the same *seed*.
    - *misbehave*: names from `MISBEHAVIOURS`.
    - *upstream*: the address of an OpenAI-compatible server (`http://127.0.0.1:11434/v1`) that answers in text, calls and JSON;
      *upstream_model* is asked there (by default the request's if it is there, else the first), with *upstream_key*.

    All but *port*, *host*, *prefix*, *latency* and *upstream* are attributes too: set one to change it from the next request on.
    """

    def __post_init__(self) -> None:
        # Replies can be scripted before the server runs, and its journal is read after it has stopped.
        self._gateway = Gateway(self)
        self._server: Server | None = None
        self._bound: tuple[str, int] | None = None

    @classmethod
    def replay(cls, path: str | os.PathLike[str], **options: Any) -> Emulator:
        """An emulator that answers from the tape at *path* (see `record`); *options* are those of the constructor."""
        emulator = cls(**options)
        emulator._gateway.tape = Tape(Path(path))
        return emulator

    def __repr__(self) -> str:
        state = f"serving {self.base_url}" if self._server else "stopped"
        return f"<Emulator {state}, {len(self.requests)} requests>"

    def start(self) -> Emulator:
        """Begin to serve; returns when the port answers. A second start without a stop does nothing."""
        if self._server is None:
            application = Application(self._gateway)
            self._server = Server(self._open_listener(), application.answer, application.close)
            self._server.start()
        return self

    def stop(self) -> None:
        """End the server and close its connections, also those with an answer still under way."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT` and the prefix, without `/v1beta`. Known once started."""
        if self._bound is None:
            raise RuntimeError("the emulator has no address yet; start it first (with Emulator() as emulator: ...)")
        host, port = self._bound
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{self._gateway.prefix}"

    @property
    def requests(self) -> Journal:
        """Every request so far, oldest first; refused ones too."""
        return self._gateway.journal

    @property
    def pending(self) -> int:
        """How many scripted replies nobody has asked for yet."""
        return len(self._gateway.queue)

    def enqueue(self, *replies: Reply) -> None:
        """Serve *replies*, one per generateContent or streamGenerateContent call, before the emulator's own answers.

        Errors and raw replies are served to embedding calls too.
        """
        self._gateway.queue.extend([check_reply(reply) for reply in replies])

    def waits(self) -> list[float]:
        """Seconds between the arrivals of consecutive requests."""
        return [later.time - earlier.time for earlier, later in pairwise(list(self.requests))]

    def reset(self) -> None:
        """Forget requests, scripted replies and issued signatures, and return to the options of the constructor."""
        self._gateway.reset()

    def _open_listener(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=1024)
        # Connections inherit this; without it each event of a stream would wait 40 ms for the client's
        # delayed acknowledgement. asyncio sets it only on sockets that were opened with the protocol named.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bound = listener.getsockname()[:2]
        return listener


def record(path: str | os.PathLike[str], *, upstream: str, api_key: str | None = None, **options: Any) -> Emulator:
    """An emulator that passes requests on to the gateway *upstream* and writes a tape, to be used in a `with`.

    Requests must carry *api_key*, by default that of GEMWAY_API_KEY, and go on with it. The tape never holds it. *options* are
    those of `Emulator` (`port`, `host`, `prefix`). Raises ValueError if there is no key.
    """
    key = api_key or os.environ.get("GEMWAY_API_KEY")
    if not key:
        raise ValueError("recording needs the key of the gateway: give api_key=, or set GEMWAY_API_KEY")
    emulator = Emulator(api_key=key, **options)
    emulator._gateway.recorder = Recorder(Path(path), upstream, key)
    return emulator
