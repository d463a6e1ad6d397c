"""How fast requests may go, and whose goes first."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.errors import RateLimited
from mercuri.hubspot.budget import Budget, Lane, Limit

BURST, SEARCH = Limit(20, 10), Limit(5, 1)


def headers(**values: int) -> dict[str, str]:
    return {f"x-hubspot-ratelimit-{name.replace('_', '-')}": str(value) for name, value in values.items()}


def send(budget: Budget, lane: Lane, now: float, *, search: bool = False) -> float:
    """Send one request as soon as it may go; the answer is when that was."""
    ticket = budget.join(lane, search)
    while (wait := budget.wait(ticket, now)) > 0:
        now += wait
    budget.go(ticket, now)
    budget.leave(ticket)
    return now


arrivals = st.lists(
    st.tuples(
        st.floats(0, 40),  # when the request is asked for
        st.sampled_from(Lane),
        st.booleans(),  # a search
        st.floats(0.05, 3),  # how long its answer takes
    ),
    min_size=1,
    max_size=120,
)


def played(share: int, requests: list[tuple[float, Lane, bool, float]]) -> list[tuple[float, Lane, bool]]:
    """Play requests against a budget, event by event; when each was sent, in order."""
    budget, sent = Budget(BURST, SEARCH, share, max_wait=60), []
    waiting: list[tuple[object, Lane, bool, float]] = []
    events: list[tuple[float, int, object]] = [(at, n, ("ask", n)) for n, (at, *_) in enumerate(requests)]
    heapq.heapify(events)
    number = len(requests)
    looks: set[float] = set()  # each moment once: otherwise every look would cause one more for each that waits
    while events:
        now, _, (what, thing) = heapq.heappop(events)
        if what == "ask":
            _, lane, search, takes = requests[thing]
            waiting.append((budget.join(lane, search), lane, search, takes))
        elif what == "land":
            budget.landed(thing, now)
        for ticket, lane, search, takes in sorted(waiting, key=lambda entry: entry[0]):
            number += 1
            wait = budget.wait(ticket, now)
            if wait > 0:
                if now + wait not in looks:
                    looks.add(now + wait)
                    heapq.heappush(events, (now + wait, number, ("look", None)))
                continue
            heapq.heappush(events, (now + takes, number, ("land", budget.go(ticket, now))))
            budget.leave(ticket)
            waiting.remove((ticket, lane, search, takes))
            sent.append((now, lane, search))
    assert not waiting
    return sent


@settings(max_examples=500, deadline=None)
@given(st.integers(10, 100), arrivals)
def test_no_rolling_window_ever_holds_more_than_our_share(share, requests):
    sent = played(share, requests)

    for search, limit in ((False, BURST), (True, SEARCH)):
        times = [at for at, _, kind in sent if kind is search]
        allowed = max(1, limit.requests * share // 100)
        assert all(later - earlier >= limit.seconds for earlier, later in zip(times, times[allowed:], strict=False))


def test_the_most_urgent_lane_goes_first_and_within_a_lane_who_came_first():
    budget = Budget(Limit(1, 10), SEARCH, 100, max_wait=60)
    send(budget, Lane.BUTTON, 0)
    order = [Lane.SWEEP, Lane.BUTTON, Lane.INCREMENT, Lane.OPT_OUT, Lane.BUTTON]
    tickets = [budget.join(lane, search=False) for lane in order]
    served, now = [], 0.0

    while tickets:
        now += 11
        first = [ticket for ticket in tickets if budget.wait(ticket, now) == 0]
        assert len(first) == 1
        budget.go(first[0], now)
        budget.leave(first[0])
        tickets.remove(first[0])
        served.append(first[0])

    assert [ticket.lane for ticket in served] == sorted(order)
    assert [ticket.number for ticket in served if ticket.lane is Lane.BUTTON] == [3, 6]


def test_an_opt_out_finds_a_slot_at_once_while_a_sweep_fills_the_window():
    budget = Budget(Limit(100, 10), SEARCH, 100, max_wait=60)
    for _ in range(95):
        send(budget, Lane.SWEEP, 0)
    assert send(budget, Lane.SWEEP, 1) > 1

    assert send(budget, Lane.OPT_OUT, 2) == 2


def test_a_search_does_not_wait_for_the_ten_second_limit():
    budget = Budget(Limit(1, 10), SEARCH, 100, max_wait=60)
    send(budget, Lane.BUTTON, 0)

    assert send(budget, Lane.BUTTON, 0, search=True) == 0


def test_the_headers_correct_the_limit():
    budget = Budget(Limit(110, 10), SEARCH, 90, max_wait=60)

    budget.learn(headers(max=190, interval_milliseconds=10000, remaining=189), 0, asked_at=0, reset_at=99)

    assert budget.usage(0).allowed == 171


def test_requests_of_others_take_slots_too():
    budget = Budget(Limit(100, 10), SEARCH, 100, max_wait=60)

    budget.learn(headers(max=100, interval_milliseconds=10000, remaining=40), 0, asked_at=0, reset_at=99)

    assert budget.usage(0).used == 60
    assert budget.usage(11).used == 0


@pytest.mark.parametrize("began", [0, 300])
def test_even_one_more_than_ours_is_a_strangers(began):
    budget = Budget(Limit(100, 10), SEARCH, 100, max_wait=60)
    send(budget, Lane.BUTTON, 0)
    send(budget, Lane.BUTTON, began)
    ours = budget.usage(began).used

    left = 100 - ours - 1
    budget.learn(
        headers(max=100, interval_milliseconds=10000, remaining=left), began + 0.3, asked_at=began, reset_at=999
    )

    assert budget.usage(began + 0.3).used == ours + 1


@pytest.mark.parametrize(("took", "taken"), [(0.4, 1), (3, 1), (25, 0)])
def test_what_left_our_window_while_the_answer_was_on_its_way_is_no_stranger(took, taken):
    budget = Budget(Limit(100, 10), SEARCH, 100, max_wait=60)
    for at in (0, 0.1, 0.2):
        send(budget, Lane.BUTTON, at)
    send(budget, Lane.BUTTON, 10)

    now = 10 + took
    budget.learn(headers(max=100, interval_milliseconds=10000, remaining=96), now, asked_at=10, reset_at=99)

    assert budget.usage(now).used == taken


def test_a_slow_request_keeps_its_slot_longer_for_it_may_have_arrived_late():
    budget = Budget(Limit(1, 10), SEARCH, 100, max_wait=60)
    for start, took in ((0.0, 0.2), (20.0, 3.2)):
        ticket = budget.join(Lane.BUTTON, search=False)
        budget.landed(budget.go(ticket, start), start + took)
        budget.leave(ticket)

    assert send(budget, Lane.BUTTON, 24) == pytest.approx(33.02)


def test_a_short_silence_is_waited_for_and_a_long_one_is_told():
    budget = Budget(BURST, SEARCH, 100, max_wait=60)

    budget.hold(10, search_only=False)
    assert send(budget, Lane.OPT_OUT, 0) == 10
    budget.hold(1000, search_only=False)
    with pytest.raises(RateLimited) as caught:
        budget.wait(budget.join(Lane.OPT_OUT, search=False), 11)

    assert caught.value.retry_after == 989


def test_a_silence_for_searches_stops_searches_only():
    budget = Budget(BURST, SEARCH, 100, max_wait=60)

    budget.hold(1, search_only=True)

    assert send(budget, Lane.BUTTON, 0) == 0
    assert send(budget, Lane.BUTTON, 0, search=True) == 1


@pytest.mark.parametrize(
    ("left", "stopped"),
    [
        (260, set()),
        (250, {Lane.SWEEP}),
        (100, set(Lane) - {Lane.OPT_OUT}),
        (0, set(Lane)),
    ],
)
def test_the_day_keeps_a_reserve_for_what_cannot_wait(left, stopped):
    budget = Budget(BURST, SEARCH, 90, max_wait=60)
    budget.learn(headers(daily=1000, daily_remaining=left), 0, asked_at=0, reset_at=500)

    def goes(lane: Lane) -> bool:
        ticket = budget.join(lane, search=False)
        try:
            return budget.wait(ticket, 100) == 0
        except RateLimited as error:
            return (error.daily, error.retry_after) != (True, 400)
        finally:
            budget.leave(ticket)

    assert {lane for lane in Lane if not goes(lane)} == stopped


def test_a_new_day_forgets_yesterdays_use():
    budget = Budget(BURST, SEARCH, 90, max_wait=60)
    budget.learn(headers(daily=1000, daily_remaining=0), 0, asked_at=0, reset_at=500)

    assert send(budget, Lane.SWEEP, 501) == 501
    assert budget.usage(501).daily_used is None


@pytest.mark.parametrize("text", ["", "110", "0/10", "110/0", "a/b", "110/-1", "1.5/10"])
def test_a_limit_that_cannot_be_meant_is_refused(text):
    with pytest.raises(ValueError, match="110/10"):
        Limit.parse(text)
