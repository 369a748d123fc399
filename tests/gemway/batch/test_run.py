"""A batch: each row is answered once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from gemway import AsyncClient, ConfigurationError, Image
from gemway.batch import (
    BatchStoppedError,
    ChangedRowsError,
    arun,
    read_report,
    run,
    stream,
)
from gemway.limits import FrameworkLimiter
from gemway_emulator import Emulator, reply

MODEL = "gemini-2.5-flash"
PICTURES = "gemini-3.1-flash-image-preview"

pytestmark = pytest.mark.usefixtures("echo")


def test_rows_become_answers(out, read):
    """Texts, requests and errors: one line each, with id, usage and why it ended; the report counts them."""
    rows = [
        {"id": "a", "prompt": "hello"},
        {"key": "b", "request": {"contents": [{"role": "user", "parts": [{"text": "Google's batch form"}]}]}},
        {"custom_id": 3, "prompt": "fail"},
        {"id": "d", "prompt": "evil"},
    ]

    report = run(rows, out, model=MODEL, prices=(1.0, 2.0))

    lines = {line["id"]: line for line in read(out)}
    assert (report.done, report.refused, report.failed, report.total) == (2, 1, 1, 4)
    assert lines["a"]["answer"] == "echo hello"
    assert lines["a"]["finish_reason"] == "STOP"
    assert lines["a"]["usage"]["input_tokens"] > 0
    assert lines["b"]["answer"] == "echo Google's batch form"
    assert lines["3"]["error"] | {"message": ""} == {
        "type": "BadRequestError",
        "status": 400,
        "message": "",
        "retryable": False,
    }
    assert lines["d"]["error"]["type"] == "ContentBlockedError"
    assert report.errors == {"BadRequestError": 1, "ContentBlockedError": 1}
    assert report.usage.total_tokens == sum(line["usage"]["total_tokens"] for line in lines.values() if "usage" in line)
    assert report.cost == pytest.approx((report.usage.input_tokens + 2 * report.usage.output_tokens) / 1e6)


def test_answered_rows_are_not_asked_again(out, prompts):
    """A second run asks for new rows and nothing else; its report counts all."""
    run(["one", "two"], out, model=MODEL)

    report = run(["one", "two", "three"], out, model=MODEL)

    assert sorted(prompts()) == ["one", "three", "two"]
    assert (report.done, report.earlier, report.calls) == (3, 2, 1)


def test_equal_prompts_are_rows_of_their_own(out, read):
    """Rows without ids are known by their text; the second of two equal ones gets a number."""
    run(["same", "same", "other"], out, model=MODEL)
    report = run(["same", "same", "other"], out, model=MODEL)

    ids = sorted(line["id"] for line in read(out))
    assert (len(set(ids)), report.calls) == (3, 0)
    assert any(row_id.endswith("-2") for row_id in ids)


def test_a_torn_line_is_cut(out, read, prompts):
    """What kill -9 left of the last line is taken away, and that row is asked again."""
    run(["one", "two"], out, model=MODEL, concurrency=1)
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])

    run(["one", "two"], out, model=MODEL)

    assert [line["answer"] for line in read(out)] == ["echo one", "echo two"]
    assert prompts() == ["one", "two", "two"]


def test_a_line_without_its_break_is_kept(out, read, prompts):
    """If only the line break is missing, the answer is whole and not asked for again."""
    run(["one", "two"], out, model=MODEL, concurrency=1)
    out.write_bytes(out.read_bytes()[:-1])

    run(["one", "two", "three"], out, model=MODEL)

    assert [line["answer"] for line in read(out)] == ["echo one", "echo two", "echo three"]
    assert len(prompts()) == 3


@pytest.mark.parametrize(
    "content", [b"my notes\n", b'{"a": 1}\n', b"\x89PNG\r\n\x1a\n\0\0", b'{"id": "x"}\nnot json\n{"id": 1}\n']
)
def test_a_file_of_somebody_else_is_left_alone(out, emulator, content):
    """What no batch has written is neither cut nor added to."""
    out.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"line [12]: not an answer of a batch"):
        run(["one"], out, model=MODEL)

    assert out.read_bytes() == content
    assert len(emulator.requests) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gemini-2.5-pro"},
        {"prompt": "Say {text} twice"},
        {"config": {"temperature": 0.5}},
    ],
    ids=["model", "prompt", "configuration"],
)
def test_changed_settings_are_refused(out, read, emulator, change):
    """Answers of two kinds never get into one file by accident; `force` asks again and leaves one line for each row."""
    rows = [{"id": number, "text": f"text {number}"} for number in range(5)]
    options = {"model": MODEL, "prompt": "Say {text}"}
    run(rows, out, **options)

    with pytest.raises(ChangedRowsError, match=r"row 1: '0' was answered for another model.*--force"):
        run(rows, out, **options | change)
    assert len(emulator.requests) == 5

    report = run(rows, out, **options | change, force=True)
    assert (report.done, report.calls, len(read(out))) == (5, 5, 5)
    assert {line["model"] for line in read(out)} == {change.get("model", MODEL)}


def test_errors_are_retried_on_request(out, read, emulator):
    """`retry_errors` asks for the rows with errors and for no others, and their old lines go."""
    run(["good", "fail", "evil"], out, model=MODEL)
    emulator.respond = None
    emulator.enqueue(reply.text("now"), reply.text("now"))

    report = run(["good", "fail", "evil", "new"], out, model=MODEL, retry_errors=True)

    assert (report.done, report.failed, report.refused, report.calls) == (3, 0, 0, 2)
    assert sorted(line["answer"] for line in read(out)) == ["echo good", "now", "now"]


def test_transient_failures_are_repeated(out, read, emulator):
    """429, 500 and 503 are not the row's fault: they are asked again."""
    emulator.enqueue(reply.error(503), reply.error(500), reply.error(429, retry_after=0.1))

    report = run(["one", "two"], out, model=MODEL)

    assert (report.done, report.failed, report.calls) == (2, 0, 5)


def test_a_hint_holds_the_whole_batch(out, emulator):
    """Retry-After of one row slows all: nothing is sent until then."""
    emulator.enqueue(reply.error(429, retry_after=1))

    run([f"row {number}" for number in range(20)], out, model=MODEL, concurrency=2)

    refused = emulator.requests[0]
    later = [entry.time - refused.time for entry in emulator.requests[2:]]
    assert min(later) >= 0.99


@pytest.mark.parametrize(
    ("options", "error"),
    [({"api_key": "wrong-key-4711"}, "AuthenticationError"), ({"model": "gemini-9"}, "NotFoundError")],
)
def test_a_batch_that_cannot_succeed_stops(out, emulator, options, error):
    """The first 20 rows fail alike: one sentence, no lines, and no million of requests. Nothing shows the key."""
    with pytest.raises(BatchStoppedError, match=f"the first 20 rows all failed with {error}") as stopped:
        run((f"row {number}" for number in range(10_000)), out, **{"model": MODEL, **options})

    assert len(emulator.requests) < 100
    assert out.read_bytes() == b""
    ours = [str(frame.frame.f_locals) for frame in stopped.traceback if "tests" not in frame.path.parts]
    assert "wrong-key" not in str(stopped.value) + "".join(ours)
    assert len(ours) > 2


def test_an_empty_balance_in_the_middle_stops(out, read, emulator):
    """Errors of the account stop a batch later too; what was answered stays, and the next run goes on."""
    count = 0

    async def answer(request):
        nonlocal count
        count += 1
        if count > 50 and emulator.api_key == "sk-local":
            return reply.error(402, code="insufficient_user_quota", message="the balance is empty")
        return reply.text("paid")

    emulator.respond = answer
    rows = [f"row {number}" for number in range(200)]
    with pytest.raises(BatchStoppedError, match=r"the last 20 rows all failed.*balance"):
        run(rows, out, model=MODEL, concurrency=4)
    assert all(line["answer"] == "paid" for line in read(out))

    emulator.respond = lambda request: reply.text("paid")
    assert run(rows, out, model=MODEL).done == 200
    assert len(read(out)) == 200


def test_few_rows_that_all_fail_are_rows(out, read):
    """A batch of less than 20 rows that fail alike is written."""
    report = run(["fail 1", "fail 2"], out, model=MODEL)

    assert report.failed == 2
    assert [line["error"]["status"] for line in read(out)] == [400, 400]


def test_nobody_at_home(out):
    """A wrong address ends within seconds, with the reason."""
    begin = time.monotonic()

    with pytest.raises(BatchStoppedError, match=r"answered nothing for .*APIConnectionError"):
        run(
            [f"row {number}" for number in range(100)],
            out,
            model=MODEL,
            base_url="http://127.0.0.1:9",
            patience=2,
        )

    assert time.monotonic() - begin < 20


def test_an_outage_is_waited_out(out, read, prompts):
    """The gateway goes away and comes back: every row is answered, and few calls were wasted."""
    with Emulator(delay=0.02) as gateway:
        port = int(gateway.base_url.rsplit(":", 1)[1])
        again = Emulator(port=port, api_key=gateway.api_key, delay=0.02)

        def outage():
            time.sleep(0.4)
            gateway.stop()
            time.sleep(2.0)
            again.start()

        thread = threading.Thread(target=outage)
        thread.start()
        rows = [f"row {number}" for number in range(300)]
        report = run(rows, out, model=MODEL, base_url=gateway.base_url, api_key=gateway.api_key, concurrency=8)
        thread.join()
        again.stop()

    assert (report.done, len(read(out))) == (300, 300)
    assert report.calls <= 1.2 * 300


def test_the_order_of_the_input(out, read):
    """`ordered` sorts the output when all is done; a later run keeps it so."""
    rows = [f"row {number}" for number in range(50)]
    run(rows[10:30], out, model=MODEL)

    run(rows, out, model=MODEL, ordered=True)

    assert [line["answer"] for line in read(out)] == [f"echo {row}" for row in rows]


def test_pictures_lie_beside(out, read, emulator):
    """A picture order becomes a file in a folder next to the output; the row names it."""
    rows = [{"id": "a/b: c", "image": "a fox", "aspect_ratio": "16:9"}, {"id": "A/b: c", "image": "a hare"}]
    emulator.respond = None

    report = run(rows, out, model=PICTURES)

    paths = [out.parent / line["images"][0] for line in read(out)]
    assert report.images == 2
    assert len(set(paths)) == 2
    assert all(Image(path.read_bytes()).width > 0 for path in paths)
    assert {path.parent.name for path in paths} == {"answers-images"}
    fox = next(entry for entry in emulator.requests if entry.json["contents"][0]["parts"][0]["text"] == "a fox")
    assert fox.json["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9"}


def test_a_picture_is_not_ordered_twice(out, read, emulator):
    """A gateway's bare 500 may come after the picture was billed: it is an error that only the user repeats."""
    emulator.respond = None
    emulator.enqueue(reply.error(500, body="<html>bad</html>"))

    report = run([{"id": "a", "image": "a fox"}], out, model=PICTURES)

    assert (report.failed, report.calls) == (1, 1)
    assert read(out)[0]["error"]["retryable"] is True


def test_a_folder_is_captioned(out, emulator, prompts):
    """Rows may name local pictures, which are read when the row is asked."""
    from gemway_emulator._media import draw

    picture = out.parent / "fox.png"
    picture.write_bytes(draw("fox", (8, 8)))

    run(
        [{"id": "fox", "prompt": "What is this?", "images": [str(picture)]}, {"prompt": "and", "images": ["no.png"]}],
        out,
        model=MODEL,
    )

    assert [next(iter(part)) for part in emulator.requests[0].json["contents"][0]["parts"]] == ["text", "inlineData"]
    assert len(emulator.requests) == 1
    assert "no.png" in out.read_text()


def test_texts_become_vectors(out, read):
    """`task="embed"`, or a column `embed`."""
    report = run(["a library", {"id": "b", "embed": "of books"}], out, model="gemini-embedding-001", task="embed")

    assert report.done == 2
    assert {len(line["embedding"]) for line in read(out)} == {3072}


def test_the_generator(gateway_environment):
    """`stream` yields rows as they come, or in order; it takes async iterables."""

    async def rows():
        for number in range(30):
            yield {"id": number, "prompt": f"row {number}"}
            await asyncio.sleep(0.001)

    async def collect(**options):
        return [row async for row in stream(rows(), model=MODEL, **options)]

    unordered = asyncio.run(collect())
    ordered = asyncio.run(collect(ordered=True))

    assert sorted(int(row["id"]) for row in unordered) == list(range(30))
    assert [row["answer"] for row in ordered] == [f"echo row {number}" for number in range(30)]


def test_leaving_the_generator_early(gateway_environment, emulator):
    """Closing it ends the calls in flight."""

    async def first():
        rows = stream((f"row {number}" for number in range(10_000)), model=MODEL, concurrency=4)
        async for row in rows:
            break
        await rows.aclose()
        return row

    assert asyncio.run(first())["answer"].startswith("echo")
    assert len(emulator.requests) < 50


def test_a_client_of_the_users_own(out, emulator):
    """`client=` is used and stays open; options of the client's are refused then."""

    async def ask():
        async with AsyncClient(timeout=5) as client:
            report = await arun(["one"], out, model=MODEL, client=client)
            with pytest.raises(ConfigurationError, match="timeout"):
                await arun(["two"], out, model=MODEL, client=client, timeout=3)
            return report, await client.generate_content(MODEL, {"contents": [{"parts": [{"text": "still open"}]}]})

    report, answer = asyncio.run(ask())

    assert (report.done, answer.text) == (1, "echo still open")


def test_two_batches_never_write_one_file(out):
    """A second run that starts too early is refused."""
    started = threading.Event()

    async def answer(request):
        started.set()
        await asyncio.sleep(1)

    with Emulator(respond=answer) as slow:
        first = threading.Thread(
            target=run, args=(["one"], out), kwargs={"model": MODEL, "base_url": slow.base_url, "api_key": slow.api_key}
        )
        first.start()
        started.wait(10)
        with pytest.raises(ConfigurationError, match="another batch is writing"):
            run(["one"], out, model=MODEL)
        first.join()


def test_a_running_loop_is_named(out):
    """In a notebook the error of `run` shows the call to use instead."""

    async def notebook():
        with pytest.raises(ConfigurationError, match=r"await gemway\.batch\.arun"):
            run(["one"], out, model=MODEL)

    asyncio.run(notebook())


def test_progress_is_shown(out, emulator):
    """The report comes while the batch runs, and at its end."""
    shown = []
    emulator.delay = 0.1

    report = run(
        [f"row {number}" for number in range(60)],
        out,
        model=MODEL,
        concurrency=8,
        on_progress=lambda report: shown.append((report.rows, report.total, report.in_flight)),
    )

    assert shown[-1] == (60, 60, 0)
    assert any(rows < 60 and in_flight > 0 for rows, _, in_flight in shown)
    assert report.rate > 0


def test_a_report_on_demand(out):
    """The figures of an output can be read at any time, the last line of a row counts."""
    run(["one", "fail", "evil"], out, model=MODEL)
    with out.open("a") as file:
        file.write('{"id": "torn')

    report = read_report(out, prices=(1.0, 1.0))

    assert (report.done, report.failed, report.refused) == (1, 1, 1)
    assert report.cost > 0
    assert "1 done, 1 refused, 1 failed" in str(report)


def test_the_frameworks_limiters_fit(out, emulator):
    """LangChain's rate limiter paces a batch."""
    limiters = pytest.importorskip("langchain_core.rate_limiters")
    limiter = limiters.InMemoryRateLimiter(requests_per_second=20, check_every_n_seconds=0.01, max_bucket_size=1)

    run([f"row {number}" for number in range(10)], out, model=MODEL, limiter=FrameworkLimiter(limiter))

    assert emulator.requests[-1].time - emulator.requests[0].time > 0.4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency must be a number above 0"),
        ({"task": "paint"}, "task must be one of text, image, embed"),
        ({"tokens_per_minute": -1}, "tokens_per_minute"),
    ],
)
def test_bad_options(out, options, message):
    """Each names what it should be."""
    with pytest.raises(ConfigurationError, match=message):
        run(["one"], out, model=MODEL, **options)


def test_an_unknown_option(out):
    """A misspelt option is named, as by the client."""
    with pytest.raises(TypeError, match="timeoot"):
        run(["one"], out, model=MODEL, timeoot=3)


def test_a_billed_picture_is_never_replaced(out, read, emulator):
    """`force` asks again and keeps the old picture: the new one gets the next free number."""
    emulator.respond = None
    run([{"id": "a", "image": "a fox"}], out, model=PICTURES)
    first = out.parent / read(out)[0]["images"][0]
    before = first.read_bytes()

    run([{"id": "a", "image": "a hare"}], out, model=PICTURES, force=True)

    second = out.parent / read(out)[0]["images"][0]
    assert second.stem == f"{first.stem}-2"
    assert second.read_bytes() != before
    assert first.read_bytes() == before
