"""Cut a stream of bytes into the JSON texts of its events. Pure: no sockets, no JSON parsing.

Server-sent events as the WHATWG standard has them, plus what gateways send instead: a JSON array, JSON
objects one after another, or a single object. The first byte that is not white space decides.
"""

from __future__ import annotations

import re
from io import BytesIO

_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_HEAD = 2048
# One whole event, as nearly all servers send them: a line of data and an empty one.
_EVENT = re.compile(rb"data: ([^\r\n]+)(?:\r\n\r\n|\n\n)")
_NOTHING = re.compile(rb"\s*$|:|(event|id|retry)(:|$)|data:\s*(\[DONE\])?\s*$")


class EventDecoder:
    """Feed it bytes as they arrive; it returns the data of the events that they complete.

    Args:
        max_event_bytes: the largest event that is accepted.

    Attributes:
        head: the first bytes of the stream (at most 2 kB), for error messages.
    """

    def __init__(self, max_event_bytes: int = 64 * 2**20) -> None:
        self.head = b""
        self._limit = max_event_bytes
        self._start: bytes | None = b""
        self._cutter: _LineCutter | _ObjectCutter = _LineCutter()

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished event have arrived."""
        return self._cutter.size

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that *data* completes. Raises `EventTooLargeError` above the limit."""
        if len(self.head) < _HEAD:
            self.head += data[: _HEAD - len(self.head)]
        if self._start is not None:
            data = self._begin(self._start + data)
        may_exceed = self._cutter.size + len(data) > self._limit
        events = self._cutter.feed(data)
        if may_exceed and max(self._cutter.size, *map(len, events), 0) > self._limit:
            raise EventTooLargeError(self._limit)
        return [event for event in events if event != _DONE] if _DONE in events else events

    @property
    def said_nothing(self) -> bool:
        """Whether there was nothing but white space, comments and the end mark so far (seen in the head)."""
        return all(_NOTHING.match(line) for line in self.head.removeprefix(_BOM).splitlines())

    def finish(self) -> list[bytes]:
        """Return what was left when the stream ended: the last event may lack its blank line."""
        events = self._cutter.feed(self._begin(self._start, last=True)) if self._start else []
        return [event for event in (*events, *self._cutter.finish()) if event != _DONE]

    def _begin(self, data: bytes, *, last: bool = False) -> bytes:
        """Look at the first bytes: drop a BOM, and choose how to cut."""
        if _BOM.startswith(data) and not last:
            self._start = data
            return b""
        data = data.removeprefix(_BOM).lstrip()
        if not data:
            self._start = b""
            return b""
        self._start = None
        if data[:1] in (b"{", b"["):
            self._cutter = _ObjectCutter()
        return data


class EventTooLargeError(ValueError):
    """One event is larger than the limit.

    Attributes:
        limit: the limit in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"one event of the stream is larger than {limit:,} bytes")
        self.limit = limit


class _LineCutter:
    """Server-sent events: `data:` lines up to a blank line; all other fields and comments are skipped."""

    def __init__(self) -> None:
        self.size = 0
        self._line = BytesIO()
        self._data: list[bytes] = []
        self._data_size = 0
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        is_between = not (self._after_cr or self._data or self._line.tell())
        if is_between and (whole := _EVENT.fullmatch(data)):
            return [whole[1]]
        if b"\r" in data or self._after_cr:
            data = self._unify_line_ends(data)
        first, *others = data.split(b"\n")
        if not others:
            self.size += self._line.write(first)
            return []
        events: list[bytes] = []
        self._take(self._end_of_line(first), events)
        *lines, rest = others
        for line in lines:
            self._take(line, events)
        self.size = self._data_size + self._line.write(rest)
        return events

    def finish(self) -> list[bytes]:
        events: list[bytes] = []
        self._take(self._end_of_line(b""), events)
        self._take(b"", events)
        return events

    def _end_of_line(self, last: bytes) -> bytes:
        """Return the line that *last* completes. A line may be a picture: it is copied no more often than it must."""
        if not self._line.tell():
            return last
        self._line.write(last)
        line, self._line = self._line.getvalue(), BytesIO()
        return line

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data, self._data_size = [], 0
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._data_size += len(line)

    def _unify_line_ends(self, data: bytes) -> bytes:
        """Turn CRLF and CR into LF, also where a CRLF was cut in two."""
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class _ObjectCutter:
    """JSON objects, bare or in an array: cut where the outermost brace closes."""

    _MARKS = re.compile(rb'["\\{}]')

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        events: list[bytes] = []
        begin = 0 if self._depth else None
        position = 0
        if self._escaped and data:
            self._escaped, position = False, 1
        while mark := self._MARKS.search(data, position):
            at, position = mark.start(), mark.end()
            if data[at] == 0x5C:  # a backslash: the next byte means nothing
                if self._in_string:
                    self._escaped = position == len(data)
                    position += 1
            elif data[at] == 0x22:
                self._in_string = not self._in_string
            elif not self._in_string:
                begin = self._step(data, at, begin, events)
        if begin is not None:
            self._keep(data[begin:])
        return events

    def finish(self) -> list[bytes]:
        return [b"".join(self._pieces)] if self._pieces else []

    def _step(self, data: bytes, at: int, begin: int | None, events: list[bytes]) -> int | None:
        """Follow one brace; return where the open object begins in *data*."""
        if data[at] == 0x7B:
            self._depth += 1
            return at if begin is None else begin
        self._depth -= 1
        if self._depth > 0:
            return begin
        self._depth = 0
        events.append(b"".join((*self._pieces, data[begin or 0 : at + 1])))
        self._pieces, self.size = [], 0
        return None

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece)
