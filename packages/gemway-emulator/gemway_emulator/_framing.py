"""Turn chunks into the bytes of a stream: server-sent events or Google's JSON array. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

JSON_TYPE = "application/json; charset=UTF-8"


@dataclass(frozen=True)
class Framing:
    """How events are written; the defaults are what real clients insist on: `data: {json}` and a blank line."""

    newline: str = "\r\n"
    space: bool = True
    comments: bool = False
    done: bool = False
    event_lines: bool = False
    multi_line: bool = False
    bom: bool = False
    final_newline: bool = True
    as_array: bool = False
    content_type: str = "text/event-stream"

    def frames(self, chunks: Sequence[dict[str, Any]]) -> Iterator[bytes]:
        """Yield the bytes of each chunk, in order."""
        if self.as_array:
            yield from _array(chunks)
            return
        for index, chunk in enumerate(chunks):
            last = index == len(chunks) - 1 and not self.done
            frame = self._event(chunk, last=last).encode()
            yield b"\xef\xbb\xbf" + frame if self.bom and index == 0 else frame
        if self.done:
            yield self._data("[DONE]").encode()

    def _event(self, chunk: dict[str, Any], *, last: bool) -> str:
        comment = f": PING{self.newline * 2}" if self.comments else ""
        event = f"event: message{self.newline}" if self.event_lines else ""
        text = json.dumps(chunk, ensure_ascii=False, indent=1 if self.multi_line else None)
        frame = comment + event + self._data(text)
        return frame if self.final_newline or not last else frame.rstrip("\r\n")

    def _data(self, text: str) -> str:
        prefix = "data: " if self.space else "data:"
        lines = (prefix + line for line in text.split("\n"))
        return self.newline.join(lines) + self.newline * 2


def _array(chunks: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    for index, chunk in enumerate(chunks):
        yield ("[" if index == 0 else ",\r\n").encode() + json.dumps(chunk, ensure_ascii=False).encode()
    yield b"]" if chunks else b"[]"
