"""A picture is ordered and billed once: a request for one is repeated only where no work was begun.

The rows are those of docs/errors-and-retries.md; what the proxies answer after their own time limit was seen with Apache,
h2o, Node's http-proxy, Varnish and Cloudflare.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import time

import pytest
from fault_drivers import ASK, CORE, KEY, MODEL
from fault_server import CLOSE, RESET, STALL, both, failure, full, full_listener, head, message, play, reply
from gemway import APITimeoutError, Client, GemwayError

PICTURE = {**ASK, "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}
WHOLE = json.dumps(message("ok")).encode()
ZIPPED = gzip.compress(WHOLE)
EVENT_HEAD = head(200, content_type="text/event-stream")


def google(status: int, word: str, text: str = "it failed", **more) -> object:
    return reply({"error": {"code": status, "message": text, "status": word, **more}}, status)


def page(status: int, title: str) -> object:
    return reply(f"<html><head><title>{title}</title></head></html>".encode(), status)


MAY_BE_DONE = {
    "silence": play(STALL),
    "reset": play(0.05, RESET),
    "closed": play(0.05, CLOSE),
    "cut-in-the-head": play(b"HTTP/1.1 200 OK\r\nContent-Type: appl", CLOSE),
    "cut-in-the-body": both(head(200, len(WHOLE)) + WHOLE[:-5], EVENT_HEAD, CLOSE),
    "all-but-the-last-chunk": both(
        head(200, "chunked") + b"%x\r\n%s\r\n" % (len(WHOLE), WHOLE),
        head(200, "chunked", content_type="text/event-stream"),
        CLOSE,
    ),
    "cut-gzip": play(head(200, len(ZIPPED) - 9, content_encoding="gzip") + ZIPPED[:-9]),
    "empty-200": play(full(b"")),
    "502-apache": page(502, "502 Proxy Error"),
    "502-h2o": reply(b"I/O timeout", 502),
    "503-varnish": page(503, "503 Backend fetch failed"),
    "503-without-words": failure(503),
    "503-deadline": google(503, "DEADLINE_EXCEEDED"),
    "503-unavailable-after-a-deadline": google(503, "UNAVAILABLE", "Deadline expired before operation could complete."),
    "500-of-a-proxy": page(500, "Internal Server Error"),
    **{str(status): failure(status) for status in (504, 520, 521, 522, 523, 524)},
}
NOT_BEGUN = {
    "429": failure(429),
    "408": failure(408),
    "425": failure(425),
    "503-unavailable": google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "500-internal": google(500, "INTERNAL"),
}


@pytest.fixture(params=CORE, ids=str)
def ask(request, server):
    """Ask for a picture in one of the four ways, with short waits; returns how many requests were sent."""
    driver = request.param

    def asked(request=PICTURE, model=MODEL, **options):
        sent = len(server.requests)
        with driver.session(server.base_url, **{"timeout": 0.3, "retry_budget": None, **options}) as session:
            try:
                session.run(lambda client: _drain(client, driver, model, request))
            except GemwayError:
                pass
        return len(server.requests) - sent

    return asked


def _drain(client, driver, model, request):
    """Return the answer of *client*, or what is to be awaited for it."""
    if not driver.streams:
        return client.generate_content(model, request)
    stream = client.stream_generate_content(model, request)
    if not driver.asynchronous:
        return list(stream)

    async def read():
        return [chunk async for chunk in stream]

    return read()


@pytest.mark.parametrize("fault", MAY_BE_DONE.values(), ids=MAY_BE_DONE)
def test_where_it_may_be_done_it_is_ordered_once(server, ask, fault):
    """Nothing tells whether the picture was made, so there is no second request."""
    server.script(default=fault)

    assert ask() == 1


@pytest.mark.parametrize("driver", CORE, ids=str)
def test_a_connect_that_times_out_is_tried_again(driver):
    """Nothing was sent, so nothing can have been made."""
    with (
        full_listener() as port,
        driver.session(f"http://127.0.0.1:{port}", timeout=0.2, max_retries=1, retry_budget=None) as session,
        pytest.raises(APITimeoutError) as caught,
    ):
        session.run(lambda client: _drain(client, driver, MODEL, PICTURE))

    assert (caught.value.phase, caught.value.attempts) == ("connect", 2)


@pytest.mark.parametrize("name", ["silence", "closed", "empty-200", "502-h2o", "503-without-words", "504"])
def test_the_user_may_ask_for_repetitions(server, ask, name):
    """`retry_image_timeouts=True` repeats pictures as all else."""
    server.script(MAY_BE_DONE[name])

    assert ask(retry_image_timeouts=True) == 2


@pytest.mark.parametrize("fault", NOT_BEGUN.values(), ids=NOT_BEGUN)
def test_where_no_work_was_begun_it_is_repeated(server, ask, fault):
    """The gateway refused before it began, in Google's words or by its status."""
    server.script(fault)

    assert ask() == 2


@pytest.mark.parametrize("name", ["silence", "reset", "empty-200", "502-h2o", "503-varnish", "504"])
def test_text_is_repeated_all_the_same(server, ask, name):
    """The rule is for pictures only."""
    server.script(MAY_BE_DONE[name])

    assert ask(ASK) == 2


SPELLINGS = {
    "camel": {"generationConfig": {"responseModalities": ["IMAGE"]}},
    "snake": {"generation_config": {"response_modalities": ["TEXT", "IMAGE"]}},
    "mixed": {"generationConfig": {"response_modalities": ["image"]}},
    "one-text": {"generationConfig": {"responseModalities": "IMAGE"}},
    "lower": {"generationConfig": {"responseModalities": ["Text", "Image"]}},
    "number": {"generationConfig": {"responseModalities": [2]}},
    "snake-number": {"generation_config": {"response_modalities": [1, 2]}},
    "image-config": {"generation_config": {"image_config": {"aspect_ratio": "1:1"}}},
}


@pytest.mark.parametrize("extra", SPELLINGS.values(), ids=SPELLINGS)
def test_pictures_are_recognised_however_they_are_asked_for(server, ask, extra):
    """`extra_body` is sent as it is, and an alias of a model tells nothing."""
    server.script(default=failure(504))

    assert ask(ASK, "an-alias", extra_body=extra) == 1


@pytest.mark.parametrize("model", ["gemini-2.5-flash-image", "gemini-3-pro-image-preview"])
def test_image_models_make_pictures_unasked(server, ask, model):
    """Their answers hold pictures by default."""
    server.script(default=failure(504))

    assert ask(ASK, model) == 1


def test_a_number_for_audio_is_no_picture(server, ask):
    """Modality 3 is AUDIO."""
    server.script(failure(504))

    assert ask({**ASK, "generationConfig": {}}, extra_body={"generationConfig": {"responseModalities": [3]}}) == 2


def test_a_picture_is_not_ordered_on_a_connection_that_may_be_closing(server):
    """After a pause a request for a picture takes a new connection: a server that closes the old one right then would
    cost the picture, since it is not repeated."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(MODEL, ASK)
        client.generate_content(MODEL, PICTURE)
        assert server.connections == 1
        time.sleep(2.1)
        client.generate_content(MODEL, ASK)
        assert server.connections == 1
        time.sleep(2.1)
        client.generate_content(MODEL, PICTURE)

    assert server.connections == 2


def _langchain(url):
    from langchain_gemway import ChatGemway

    return ChatGemway(model="gemini-3-pro-image-preview", base_url=url, api_key=KEY).invoke("a fox")


def _langchain_stream(url):
    from langchain_gemway import ChatGemway

    return list(ChatGemway(model="gemini-2.5-flash-image", base_url=url, api_key=KEY).stream("a fox"))


def _langchain_tool(url):
    from langchain_gemway import GenerateImage

    return GenerateImage(base_url=url, api_key=KEY).invoke({"prompt": "a fox"})


def _llama_index(url):
    from llama_index.llms.gemway import Gemway

    return Gemway(model="gemini-2.5-flash-image", base_url=url, api_key=KEY).complete("a fox")


def _llama_index_tool(url):
    from llama_index.tools.gemway import GemwayToolSpec

    return GemwayToolSpec(base_url=url, api_key=KEY).generate_image("a fox")


@pytest.mark.parametrize("ask", [_langchain, _langchain_stream, _langchain_tool, _llama_index, _llama_index_tool])
@pytest.mark.parametrize("name", ["closed", "cut-in-the-body", "empty-200", "502-h2o", "503-varnish"])
def test_adapters_and_tools_order_once(server, ask, name):
    """What the core does not repeat, nobody above it does."""
    pytest.importorskip("langchain_gemway" if "langchain" in ask.__name__ else "llama_index.llms.gemway")
    server.script(default=MAY_BE_DONE[name])

    with contextlib.suppress(Exception):  # each framework has its own
        ask(server.base_url)

    assert len(server.requests) == 1
