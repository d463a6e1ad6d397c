"""Waiting for a turn: threads, silences, and the end of the day."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from tests.support.clock import Clock
from tests.support.hubspot import a_page, ok, scripted

from mercuri.errors import RateLimited
from mercuri.hubspot.pacing import Cancelled, Lane, Limit, Pacer

DAILY = {"message": "You have reached your daily limit.", "policyName": "DAILY"}


def a_pacer(clock: Clock, burst: Limit = Limit(10, 10), **options: object) -> Pacer:
    return Pacer(burst, Limit(5, 1), share=100, now=clock.monotonic, wall=clock.now, sleep=clock.sleep, **options)


def test_the_eleventh_request_waits_for_the_window():
    clock = Clock()
    pacer = a_pacer(clock)

    for _ in range(11):
        pacer.turn(Lane.BUTTON)

    assert clock.monotonic() == pytest.approx(10.02)


def test_threads_together_stay_below_the_limit():
    pacer = Pacer(Limit(40, 0.2), Limit(5, 1), share=100)
    sent: list[float] = []

    def work() -> None:
        for _ in range(15):
            turn = pacer.turn(Lane.BUTTON)
            sent.append(turn.sent_at)
            pacer.landed(turn)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    times = sorted(sent)
    assert len(times) == 120
    assert all(later - earlier >= 0.2 for earlier, later in zip(times, times[40:], strict=False))


def test_a_waiting_request_stops_when_it_is_asked_to():
    clock = Clock()
    pacer = a_pacer(clock, Limit(1, 10))
    pacer.turn(Lane.BUTTON)

    with pytest.raises(Cancelled):
        pacer.turn(Lane.BUTTON, cancelled=lambda: clock.monotonic() >= 1)

    assert clock.monotonic() < 2
    assert pacer.turn(Lane.BUTTON).sent_at == pytest.approx(10.02)


@pytest.mark.parametrize(
    ("zone", "now", "hours"),
    [
        ("Europe/Paris", datetime(2026, 3, 9, 9, tzinfo=UTC), 14),
        ("America/New_York", datetime(2026, 3, 9, 9, tzinfo=UTC), 19),
        ("Europe/Paris", datetime(2026, 3, 28, 23, 30, tzinfo=UTC), 22.5),  # the night loses an hour
        (None, datetime(2026, 3, 9, 9, tzinfo=UTC), 1),
    ],
)
def test_a_used_up_day_ends_at_midnight_where_the_portal_is(zone, now, hours):
    clock = Clock(now)
    pacer = a_pacer(clock, time_zone=zone)
    pacer.refused(RateLimited("used up", retry_after=1, daily=True))

    with pytest.raises(RateLimited) as caught:
        pacer.turn(Lane.OPT_OUT)

    assert (caught.value.daily, caught.value.retry_after) == (True, hours * 3600)


def test_a_search_that_was_throttled_waits_a_second_and_holds_up_nobody_else():
    hubspot = scripted(ok({"message": "You have reached your secondly limit."}, 429), a_page())

    hubspot.client.search([], ["email"])

    assert 1 <= hubspot.clock.monotonic() < 1.1
    assert hubspot.client.calls.throttled == 1


@pytest.mark.parametrize(("zone", "hours"), [("Pacific/Auckland", 2), (None, 1)])
def test_a_used_up_day_is_told_at_once_and_stops_the_next_request_before_it_is_sent(zone, hours):
    hubspot = scripted(ok(DAILY, 429), zone=zone)

    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            hubspot.client.list_contacts(["email"])
        assert (caught.value.daily, caught.value.retry_after) == (True, hours * 3600)

    assert len(hubspot.script.requests) == 1


def test_a_moving_account_is_parked():
    hubspot = scripted(ok({}, 477, {"retry-after": "86400"}))

    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            hubspot.client.list_contacts(["email"])
        assert caught.value.retry_after == pytest.approx(86400)

    assert len(hubspot.script.requests) == 1


def test_the_daily_headers_of_an_answer_are_shown_and_keep_the_reserve():
    left = {"x-hubspot-ratelimit-daily": "1000", "x-hubspot-ratelimit-daily-remaining": "200"}
    hubspot = scripted(ok({"results": []}, headers=left), lane=Lane.SWEEP)

    hubspot.client.list_contacts(["email"])

    assert (hubspot.pacer.used().daily_used, hubspot.pacer.used().daily_limit) == (800, 1000)
    with pytest.raises(RateLimited):
        hubspot.client.list_contacts(["email"])
