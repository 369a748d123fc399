"""A model that the gateway does not know: the error names near ones, at the price of one short look at its list."""

from __future__ import annotations

import time

import pytest
from fault_drivers import core_drivers, every_driver
from fault_server import CLOSE, STALL, failure, play, reply
from gemway import Client, NotFoundError

UNKNOWN = failure(404, "models/gemini-2.5-flash is not found for API version v1beta", "NOT_FOUND")
NAMES = ("gemini-2.5-flash-lite", "models/gemini-2.5-flash-002", "imagen-4")
LISTED = reply({"models": [{"name": name} for name in NAMES]})


def gateway(listing, unknown=UNKNOWN):
    """Return an action that knows no model, and answers *listing* to who asks for the list."""

    async def action(connection, request):
        await (listing if request.path.startswith("/v1beta/models?") else unknown)(connection, request)

    return action


@every_driver
def test_near_names_are_in_the_error(server, driver):
    """The list is asked for once, with the call's own key, and names that are far are left out."""
    server.script(default=gateway(LISTED))

    error = driver.fail(server.base_url, NotFoundError)

    assert "Did you mean model='gemini-2.5-flash-002' or model='gemini-2.5-flash-lite'?" in str(error)
    assert "imagen-4" not in str(error)
    assert str(error).startswith("404: models/gemini-2.5-flash is not found")
    assert [request.path.partition("?")[0].rpartition("/")[2] for request in server.requests][1:] == ["models"]
    assert server.requests[1].headers["authorization"] == server.requests[0].headers["authorization"]
    assert error.attempts == 1


@core_drivers
def test_the_list_is_asked_for_once(server, driver):
    """A batch with a wrong name must not ask twice as often."""
    server.script(default=gateway(LISTED))

    with driver.session(server.base_url) as session:
        errors = []
        for _ in range(3):
            with pytest.raises(NotFoundError) as caught:
                session.ask()
            errors.append(str(caught.value))

    assert len(server.requests) == 4
    assert all("gemini-2.5-flash-lite" in error for error in errors)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.embed_content("gemini-2.5-flash", ["a", "b"]),
        lambda client: client.count_tokens("gemini-2.5-flash", {"contents": [{"parts": [{"text": "a"}]}]}),
    ],
    ids=["embed", "count"],
)
def test_other_calls_name_near_models_too(server, ask):
    """A misspelt model of an embedding or a count gets the same advice as one that is to answer."""
    server.script(default=gateway(LISTED))

    with Client(base_url=server.base_url, api_key="k") as client, pytest.raises(NotFoundError) as caught:
        ask(client)

    assert "Did you mean model='gemini-2.5-flash-002' or model='gemini-2.5-flash-lite'?" in str(caught.value)
    assert len(server.requests) == 2


LISTS_THAT_FAIL = {
    "no-list": failure(404, "no such route"),
    "refused": failure(401, "no"),
    "html": reply(b"<html><title>Dashboard</title></html>"),
    "no-names": reply({"models": [{}, 3, {"name": 7}]}),
    "the-name-itself": reply({"models": [{"name": "models/gemini-2.5-flash"}]}),
    "nothing-near": reply({"models": [{"name": "imagen-4"}]}),
    "closed": play(CLOSE),
}


@core_drivers
@pytest.mark.parametrize("listing", LISTS_THAT_FAIL.values(), ids=LISTS_THAT_FAIL)
def test_a_list_that_fails_leaves_the_error_as_it_is(server, driver, listing):
    """The first error is never hidden, and names `list_models()` instead."""
    server.script(default=gateway(listing))

    error = driver.fail(server.base_url, NotFoundError)

    assert error.status_code == 404
    assert "models/gemini-2.5-flash is not found" in str(error)
    assert "client.list_models()" in str(error)
    assert len(server.requests) == 2
    assert error.__context__ is None


@core_drivers
def test_the_look_at_the_list_is_short(server, driver):
    """A list that does not come costs no more than what is left of the deadline."""
    server.script(default=gateway(play(STALL)))
    began = time.monotonic()

    error = driver.fail(server.base_url, NotFoundError, deadline=1)

    assert "client.list_models()" in str(error)
    assert time.monotonic() - began < 4


@core_drivers
def test_a_missing_route_asks_for_no_list(server, driver):
    """A 404 that does not name the model costs no further request, but for the stream's usual fallback."""
    server.script(default=gateway(LISTED, failure(404, "404 page not found")))

    error = driver.fail(server.base_url, NotFoundError)

    assert len(server.requests) == (2 if driver.streams else 1)
    assert "base_url=" in str(error)
