"""Bytes whose chunks were joined are the same answer to h11, however the server wrote it and the network cut it."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from gemway._sockets import ChunkJoiner
from hypothesis import example, given, settings
from hypothesis import strategies as st

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"text": "word"}\r\n\r\n'
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


def chunk(data: bytes, *, extension: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return b"%x%b\r\n%b%b" % (len(data), extension, data, end)


REGULAR = chunk(EVENT)
ODD = (chunk(EVENT, extension=b";a=b"), chunk(EVENT, end=b"xx"), b"zz\r\n", b"\r\n", b"000000000000004\r\nwide\r\n")
ENDS = (b"0\r\n\r\n", b"0\r\nServer-Timing: x\r\n\r\n", b"0;last\r\n\r\n", b"", b"5\r\nab")
PIECES = st.one_of(
    st.just(REGULAR),
    st.just(REGULAR),
    st.just(REGULAR),
    st.binary(min_size=1, max_size=90).map(chunk),
    st.sampled_from(ODD),
)


def read_by_h11(reads: list[bytes]) -> tuple[bytes, str]:
    """Return the body that h11 finds in *reads*, and how the answer ended."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    body = b""
    for data in [*reads, b""]:
        connection.receive_data(data)
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                return body, type(error).__name__
            if event is h11.NEED_DATA:
                break
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return body, f"complete {event.headers.raw_items()}"
    return body, "cut"


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(pieces=st.lists(PIECES, max_size=12), end=st.sampled_from(ENDS), cuts=st.lists(st.integers(0, 2000), max_size=8))
@example(pieces=[REGULAR] * 3, end=ENDS[0], cuts=[len(HEAD) + len(REGULAR) + 1])
@example(pieces=[REGULAR] * 3, end=ENDS[0], cuts=[len(HEAD) + 2 * len(REGULAR) - 1])
@settings(max_examples=400, deadline=None)
def test_h11_reads_the_same_answer(pieces, end, cuts):
    """The same bytes, the same end and the same error: for whole chunks, cut ones, extensions, trailers and nonsense."""
    reads = cut(HEAD + b"".join(pieces) + end, cuts)
    joiner = ChunkJoiner()
    joiner.expects_head = True

    joined = [joiner.join(data) for data in reads]

    assert read_by_h11(joined) == read_by_h11(reads)
    assert all(joined)


def test_the_chunks_of_one_read_become_one():
    """A burst of a hundred events is a single chunk afterwards, and the next read goes on behind the cut one."""
    body = REGULAR * 100
    half = len(REGULAR) // 2
    joiner = ChunkJoiner()
    joiner.expects_head = True

    joined = [joiner.join(data) for data in (HEAD + body[:-half], body[-half:] + body + b"0\r\n\r\n")]

    assert joined[0] == HEAD + chunk(EVENT * 99) + REGULAR[:-half]
    assert joined[1] == REGULAR[-half:] + chunk(EVENT * 100) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD.replace(b"Transfer-Encoding: chunked", b"Content-Length: 54") + REGULAR * 2,
        EARLY_HINTS + HEAD + REGULAR * 2,
        HEAD.replace(b"chunked", b"gzip, chunked") + REGULAR * 2,
    ],
    ids=["a length", "early hints", "another coding"],
)
def test_other_answers_stay_as_they_are(answer):
    """Only a plain chunked answer is touched; a body with a length may look like chunks."""
    joiner = ChunkJoiner()
    joiner.expects_head = True

    assert joiner.join(answer) == answer


def test_each_answer_on_a_connection_is_joined():
    """The next request on the same connection begins anew, whatever the answer before it was."""
    joiner = ChunkJoiner()
    joiner.expects_head = True
    joiner.join(HEAD + chunk(EVENT, extension=b";odd") + b"0\r\n\r\n")

    joiner.expects_head = True

    assert joiner.join(HEAD + REGULAR * 2) == HEAD + chunk(EVENT * 2)
