"""Cut a stream of bytes into the JSON texts of its events. Pure: no sockets, no JSON parsing.

Server-sent events as the WHATWG standard has them, plus other forms that gateways send: a JSON array, JSON
objects one after another, or a single object. The first byte that is not white space decides.

Some gateways frame their events wrongly. They are read anyway if the meaning is clear:

- an error as bare JSON lines between the events (one-hub, Google's own raw form);
- one event cut by a blank line wherever the upstream's bytes were cut (BerriAI/litellm issue 30224);
- events separated by single newlines instead of blank lines;
- `data:` in front of only the first line of pretty-printed JSON (AIStudioToAPI).
"""

from __future__ import annotations

import re
from io import BytesIO

_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
# An error shows the head of a body that is no stream: enough for the title of an HTML page, or for an error.
_HEAD = 2048
# One whole event, as nearly all servers send them: a line of data and an empty one.
_EVENT = re.compile(rb"data: (\{[^\r\n]*\})(?:\r\n\r\n|\n\n)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_NOTHING = re.compile(rb"\s*$|:|(event|id|retry)(:|$)|data:\s*(\[DONE\]|\{\}|\[\]|null)?\s*$")
_FIELD = re.compile(rb":|(event|id|retry)(:|$)")
_HEARTBEAT = re.compile(rb"event:\s*(ping|keep-?alive|heart-?beat)\s*$", re.I)
# A line that is longer than this ends in base64, not in prose: its last byte shows whether it is whole.
_LONG_LINE = 2**16
_MOST_PIECES = 64
# The shortest event with a word of text takes about 60 bytes. Shorter ones by the million are an attack: each becomes
# an object many times its size.
_FEWEST_EVENTS = 16384
_BYTES_PER_EVENT = 64


class EventDecoder:
    """Feed it bytes as they arrive; it returns the data of the events that they complete.

    Args:
        max_event_bytes: the largest event that is accepted. It also bounds how many events a stream may have:
            one for each 64 bytes of it, and 16,384 in any case.

    Attributes:
        head: the first bytes of the stream (at most 2 kB), for error messages.
        is_done: whether the end mark `[DONE]` came.
        pending: how many bytes of an unfinished event have arrived.
    """

    def __init__(self, max_event_bytes: int = 64 * 2**20) -> None:
        self.head = b""
        self.is_done = False
        self.pending = 0
        self._limit = max_event_bytes
        self._events_left = max(_FEWEST_EVENTS, max_event_bytes // _BYTES_PER_EVENT)
        self._start: bytes | None = b""
        self._is_between_events = True
        self._cutter: _LineCutter | _ObjectCutter | None = None  # made when there is something to cut

    @property
    def is_cut_array(self) -> bool:
        """Whether the stream is a JSON array whose end has not come."""
        return isinstance(self._cutter, _ObjectCutter) and self._cutter.is_cut_array

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that *data* completes. Raises `EventTooLargeError` above the limits."""
        if len(self.head) < _HEAD:
            self.head += data[: _HEAD - len(self.head)]
        events: list[bytes] = []
        at = 0
        if not self._is_between_events:
            # The last read cut an event in two. Only its rest needs the cutter; `_ObjectCutter` finds its own way.
            blank = None if isinstance(self._cutter, _ObjectCutter) else _BLANK_LINE.search(data)
            at = len(data) if blank is None else blank.end()
            events = self._cut(data[:at])
        # Servers flush after each event, so a read holds one whole event or several, and nothing is cut at all.
        while at < len(data) <= self._limit and self._is_between_events and (match := _EVENT.match(data, at)):
            # Braces that do not match may stand in a string, or show that a blank line came too early: `_cut` knows.
            if len(match[1]) <= _LONG_LINE and match[1].count(b"{") != match[1].count(b"}"):
                break
            self._start = None
            events.append(match[1])
            at = match.end()
        if at < len(data):
            events += self._cut(data[at:])
        self._events_left -= len(events)
        if self._events_left < 0:
            raise EventTooLargeError("the stream has more events than its limit of bytes allows")
        return events

    @property
    def said_nothing(self) -> bool:
        """Whether there was nothing but white space, comments, heartbeats and the end mark so far (in the head)."""
        return all(_NOTHING.match(line) for line in self.head.removeprefix(_BOM).splitlines())

    def finish(self) -> list[bytes]:
        """Return the events that were left when the stream ended: the last one may lack its blank line."""
        return [] if self._cutter is None else self._without_end_mark(self._cutter.finish())

    def _cut(self, data: bytes) -> list[bytes]:
        """Return the events that *data* completes, wherever the reads cut them."""
        if self._start is not None:
            data = self._choose_cutter(self._start + data)
        if self._cutter is None:
            self._cutter = _LineCutter()
        # Measured only near the limit: `map(len, events)` for each read would cost more than the reading.
        may_exceed = self._cutter.size + len(data) > self._limit
        events = self._cutter.feed(data)
        self.pending, self._is_between_events = self._cutter.size, self._cutter.is_between_events
        if may_exceed and max(self.pending, *map(len, events), 0) > self._limit:
            raise EventTooLargeError(f"one event of the stream is larger than {self._limit:,} bytes")
        return self._without_end_mark(events)

    def _without_end_mark(self, events: list[bytes]) -> list[bytes]:
        if _DONE not in events:
            return events
        self.is_done = True
        return [event for event in events if event != _DONE]

    def _choose_cutter(self, data: bytes) -> bytes:
        """Look at the first bytes: drop a BOM, and choose how to cut. Return the rest."""
        if _BOM.startswith(data):
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
    """One event is larger than the limit, or there are too many of them."""


class _LineCutter:
    """Server-sent events: `data:` lines up to a blank line; other fields and comments are skipped.

    An event that is JSON ends when its outermost brace is closed, whatever the lines look like.
    """

    def __init__(self) -> None:
        self.size = 0
        self.is_between_events = True
        self._line = BytesIO()
        self._pieces: list[bytes] = []
        self._others = BytesIO()  # pieces after the first ones: many short lines would cost many times their size
        self._pieces_size = 0
        self._balance: JsonBalance | None = None  # of the pieces; made when somebody asks
        self._is_cut = False  # a blank line came in the middle of the pieces
        self._is_bare = False  # the pieces began without `data:`
        self._is_heartbeat = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        if b"\r" in data or self._after_cr:
            data = self._unify_line_ends(data)
        first, *others = data.split(b"\n")
        if not others:
            self.size += self._line.write(first)
            self.is_between_events = not self.size and not self._after_cr
            return []
        events: list[bytes] = []
        self._take_line(self._end_of_line(first), events)
        *lines, rest = others
        for line in lines:
            self._take_line(line, events)
        self.size = self._pieces_size + self._line.write(rest)
        self.is_between_events = not self.size and not self._after_cr
        return events

    def finish(self) -> list[bytes]:
        events: list[bytes] = []
        # A well-formed stream ends with a blank line, so nothing is left.
        if not self._pieces and not self._line.tell():
            return events
        self._take_line(self._end_of_line(b""), events)
        self._emit_event(events)
        return events

    def _end_of_line(self, last: bytes) -> bytes:
        """Return the line that *last* completes. A line may be a picture: it is copied no more often than it must."""
        if not self._line.tell():
            return last
        self._line.write(last)
        line, self._line = self._line.getvalue(), BytesIO()
        return line

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if not self._pieces:
                self._is_heartbeat = False
            elif self._is_open():
                self._is_cut = True
            else:
                self._emit_event(events)
        elif line.startswith(b"data:"):
            self._take_data_line(line[6:] if line[5:6] == b" " else line[5:], events)
        elif self._pieces and (self._is_cut or not _FIELD.match(line)) and self._is_open():
            # The line goes on where the last one was cut: in the middle of a string, or between two tokens.
            self._add_piece(line)
            if self._is_bare and not self._is_open():
                self._emit_event(events)
        elif line.lstrip()[:1] in (b"{", b"["):
            self._emit_event(events)
            self._is_bare = True
            self._add_piece(line)
            if not self._is_open():
                self._emit_event(events)
        elif _HEARTBEAT.match(line):
            self._is_heartbeat = True

    def _take_data_line(self, data: bytes, events: list[bytes]) -> None:
        if not self._pieces:
            self._add_piece(data)
        elif not self._is_open():
            if self._pieces[0][:1] == b"{":  # whole already: the blank line is missing
                self._emit_event(events)
                self._add_piece(data)
            else:
                self._add_piece(b"\n" + data)
        elif (self._is_cut or self._is_bare) and data[:1] == b"{" and _seems_whole(data):
            self._emit_event(events)  # the rest of the one before never came
            self._add_piece(data)
        else:
            in_string = self._balance is not None and self._balance.in_string
            self._add_piece(data if in_string else b"\n" + data)

    def _add_piece(self, piece: bytes) -> None:
        if len(self._pieces) < _MOST_PIECES:
            self._pieces.append(piece)
        else:
            self._others.write(piece)
        self._pieces_size += len(piece)
        if self._balance is not None:
            self._balance.feed(piece)

    def _is_open(self) -> bool:
        """Whether the pieces are JSON whose end has not come."""
        first = self._pieces[0]
        if first.lstrip()[:1] not in (b"{", b"[") or first == _DONE:
            return False
        if self._balance is None:
            if len(self._pieces) == 1 and _seems_whole(first):
                return False
            self._balance = JsonBalance()
            for piece in (*self._pieces, self._others.getvalue()):
                self._balance.feed(piece)
        return self._balance.is_open

    def _emit_event(self, events: list[bytes]) -> None:
        if self._pieces:
            event = self._pieces[0] if len(self._pieces) == 1 else b"".join((*self._pieces, self._others.getvalue()))
            says_something = b'"candidates"' in event or b'"error"' in event if self._is_heartbeat else event.strip()
            if says_something:
                events.append(event)
        if len(self._pieces) == _MOST_PIECES:
            self._others = BytesIO()
        self._pieces, self._pieces_size, self._balance = [], 0, None
        self._is_cut = self._is_bare = self._is_heartbeat = False

    def _unify_line_ends(self, data: bytes) -> bytes:
        """Turn CRLF and CR into LF, also where a CRLF was cut in two."""
        if not data:
            return data
        # The CR ended its line already; an LF at the start of the next bytes belongs to it.
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _seems_whole(data: bytes) -> bool:
    """Whether an object of JSON has its end, as far as a glance can show; if not, `JsonBalance` looks closely."""
    if not data.endswith(b"}"):
        return False
    return len(data) > _LONG_LINE or data.count(b"{") == data.count(b"}")


class JsonBalance:
    """Follows JSON piece by piece, without parsing it: its open strings, objects and lists, and the number of its values.

    It jumps from quote to quote, so that a picture costs no more than one search for a byte.

    Attributes:
        in_string: whether the pieces so far end inside of a string.
        objects: how many objects have begun.
        values: how many other members and elements there are, roughly: commas and lists.
    """

    def __init__(self) -> None:
        self.in_string = False
        self.objects = 0
        self.values = 0
        self._depth = 0
        self._escaped = False

    @property
    def is_open(self) -> bool:
        """Whether a string, an object or a list is open."""
        return self.in_string or self._depth > 0

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        at = 0
        if self._escaped and data:
            self._escaped, at = False, 1
        while True:
            if self.in_string:
                at = self._end_of_string(data, at)
                if at < 0:
                    return
                self.in_string = False
            quote = data.find(b'"', at)
            self._count_outside_strings(data[at:quote] if quote >= 0 else data[at:])
            if quote < 0:
                return
            self.in_string, at = True, quote + 1

    def _count_outside_strings(self, outside: bytes) -> None:
        objects, lists = outside.count(b"{"), outside.count(b"[")
        self.objects += objects
        self.values += lists + outside.count(b",")
        self._depth += objects + lists - outside.count(b"}") - outside.count(b"]")

    def _end_of_string(self, data: bytes, start: int) -> int:
        """Return the position behind the quote that ends the open string, or -1 if it is not there."""
        at = start
        while (quote := data.find(b'"', at)) >= 0:
            if not _is_escaped(data, quote, at):
                return quote + 1
            at = quote + 1
        self._escaped = _is_escaped(data, len(data), at)
        return -1


def _is_escaped(data: bytes, position: int, start: int) -> bool:
    """Whether an odd number of backslashes stands before *position*, none of them before *start*."""
    begin = position
    while begin > start and data[begin - 1] == 0x5C:
        begin -= 1
    return (position - begin) % 2 == 1


class _ObjectCutter:
    """JSON objects, bare or in an array: cut where the outermost brace closes."""

    _MARKS = re.compile(rb'["\\{}\[\]]')
    is_between_events = False  # the bytes after an object are cut by braces, too, however they look

    def __init__(self) -> None:
        self.size = 0
        self._lists = 0  # open outside of all objects
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
                self._in_string = self._depth > 0 and not self._in_string  # outside there may be prose
            elif self._in_string:
                continue
            elif data[at] in b"[]":
                if not self._depth:
                    self._lists += 1 if data[at] == 0x5B else -1
            else:
                begin = self._follow_brace(data, at, begin, events)
        if begin is not None:
            self._keep_rest(data[begin:])
        return events

    @property
    def is_cut_array(self) -> bool:
        return self._lists > 0

    def finish(self) -> list[bytes]:
        return [b"".join(self._pieces)] if self._pieces else []

    def _follow_brace(self, data: bytes, at: int, begin: int | None, events: list[bytes]) -> int | None:
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

    def _keep_rest(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece)
