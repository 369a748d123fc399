"""Many calls at once: no storm in an outage, no loss in a drizzle."""

from __future__ import annotations

import time

import pytest
from fault_drivers import core_drivers, core_streams
from fault_server import RESET, answer, failure, play
from gemway import InternalServerError
from gemway._retry import RetryBudget


@core_drivers
def test_an_outage_costs_few_attempts(server, driver):
    """500 calls at once, all refused: at most 1.5 requests each, and the errors say why there were no more."""
    server.script(default=failure(503))

    with driver.session(server.base_url, timeout=30) as session:
        errors = session.together(500)

    assert all(isinstance(error, InternalServerError) for error in errors)
    assert 500 < len(server.requests) <= 750
    assert any(error.budget_exhausted for error in errors)
    assert "budget" in str(next(error for error in errors if error.budget_exhausted))


@core_drivers
def test_an_outage_is_recovered_from(server, driver):
    """Afterwards calls go through at once, and good ones fill the budget again."""
    server.script(default=failure(503))
    with driver.session(server.base_url, timeout=30) as session:
        session.together(500)
        server.script(default=answer())

        begin = time.monotonic()
        assert all(one.text == "ok" for one in session.together(50))
        assert time.monotonic() - begin < 5


@core_drivers
def test_the_budget_can_be_switched_off(server, driver):
    """`retry_budget=None`: every call has all its retries."""
    server.script(default=failure(503))

    with driver.session(server.base_url, timeout=30, retry_budget=None, max_retries=1) as session:
        session.together(250)

    assert len(server.requests) == 500


@core_drivers
@pytest.mark.parametrize("fault", [play(RESET), failure(503)], ids=["dropped", "503"])
def test_a_thousand_calls_with_ten_percent_failures_lose_nothing(server, driver, fault):
    """Every call whose first attempt failed is repeated, none is lost."""
    seen = set()
    good = answer()

    async def drizzle(connection, request):
        call = request.headers["x-call"]
        first = call not in seen
        seen.add(call)
        await (fault if first and call.endswith("7") else good)(connection, request)

    server.script(default=drizzle)
    with driver.session(server.base_url, timeout=30) as session:
        size = 250 if not driver.asynchronous else 1000
        rounds = range(1000 // size)
        answers = [one for turn in rounds for one in session.together(size, headers={"x-call": f"{turn}-#"})]

    assert [getattr(one, "text", one) for one in answers] == ["ok"] * 1000
    assert len(server.requests) == 1100


@core_streams
def test_budgets_are_shared_by_all_clients_of_an_address(server, driver):
    """The second client finds what the first has left."""
    server.script(default=failure(503))
    with driver.session(server.base_url, timeout=30) as session:
        session.together(300)
    before = len(server.requests)

    with driver.session(server.base_url, timeout=30) as session:
        session.together(50)

    assert len(server.requests) - before <= 60


def test_the_arithmetic_of_the_budget():
    """200 retries at once, half price where the server named the wait, ten successes for one more."""
    budget = RetryBudget()
    plain, named = InternalServerError("x", status_code=503), InternalServerError("x", status_code=429, retry_after=1)

    assert sum(budget.take(plain) for _ in range(500)) == 200
    for _ in range(10):
        budget.give_back()
    assert [budget.take(named), budget.take(named), budget.take(named)] == [True, True, False]
    for _ in range(10_000):
        budget.give_back()
    assert budget.tokens == 200


@core_drivers
def test_waits_of_many_are_spread(server, driver):
    """12 calls that fail together do not come back together."""
    server.script(*[failure(503)] * 12)

    with driver.session(server.base_url, timeout=10) as session:
        session.together(12)

    second = sorted(request.time for request in server.requests[12:])
    assert second[-1] - second[0] > 0.04
