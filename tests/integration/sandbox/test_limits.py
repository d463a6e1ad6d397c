"""Rate limits and their headers."""

from __future__ import annotations

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox, Switches
from mercuri.sandbox.limits import Limit


def _portal(clock: Clock, **options: object) -> Sandbox:
    return Sandbox(now=clock.now, switches=Switches(error_fields="all"), **options)  # type: ignore[arg-type]


def _client(sandbox: Sandbox) -> httpx.Client:
    headers = {"authorization": f"Bearer {sandbox.static_token}"}
    return httpx.Client(
        transport=SandboxTransport(sandbox), base_url="http://sandbox/crm/objects/2026-09/contacts", headers=headers
    )


def test_the_window_rolls(clock: Clock) -> None:
    with _client(_portal(clock, burst="3/10")) as api:
        statuses = []
        for _ in range(4):
            statuses.append(api.get("").status_code)
            clock.advance(2)

        # The first request left the window at ten seconds, and only the first.
        clock.advance(2)
        statuses += [api.get("").status_code, api.get("").status_code]

    assert statuses == [200, 200, 200, 429, 200, 429]


def test_headers_count_down_and_a_refusal_names_its_policy(clock: Clock) -> None:
    with _client(_portal(clock, burst="2/10", daily=100)) as api:
        first, _, refused = api.get(""), api.get(""), api.get("")

    assert first.headers["x-hubspot-ratelimit-max"] == "2"
    assert first.headers["x-hubspot-ratelimit-remaining"] == "1"
    assert first.headers["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    assert first.headers["x-hubspot-ratelimit-daily-remaining"] == "99"
    assert refused.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert refused.json()["message"] == "You have reached your ten_secondly_rolling limit."
    assert "retry-after" not in refused.headers


def test_search_has_its_own_limit_and_tells_less(clock: Clock) -> None:
    with _client(_portal(clock, burst="1/10", search="2/1")) as api:
        found = [api.post("/search", json={}) for _ in range(3)]
        clock.advance(1)
        again = api.post("/search", json={})

    assert [each.status_code for each in found] == [200, 200, 429]
    assert "x-hubspot-ratelimit-max" not in found[0].headers
    assert found[2].json()["message"] == "You have reached your secondly limit."
    assert found[2].json()["category"] == "RATE_LIMITS"
    assert "policyName" not in found[2].json()
    assert again.status_code == 200


def test_the_day_ends_at_midnight_where_the_portal_is(clock: Clock) -> None:
    with _client(_portal(clock, daily=2)) as api:
        statuses = [api.get("").status_code for _ in range(3)]
        refused = api.get("").json()
        # 09:00 UTC is 04:00 in the portal's zone: twenty hours to go.
        clock.advance(20 * 3600 - 1)
        statuses.append(api.get("").status_code)
        clock.advance(1)
        statuses.append(api.get("").status_code)

    assert statuses == [200, 200, 429, 429, 200]
    assert refused["policyName"] == "DAILY"


def test_a_portal_may_say_how_long_to_wait(clock: Clock) -> None:
    sandbox = _portal(clock, burst="1/10")
    sandbox.switch(retry_after="present")
    with _client(sandbox) as api:
        api.get("")
        clock.advance(3)
        refused = api.get("")

    assert refused.headers["retry-after"] == "7"


def test_without_a_limit_nothing_is_told(clock: Clock) -> None:
    with _client(_portal(clock)) as api:
        assert not [each for each in api.get("").headers if "ratelimit" in each]


def test_optional_fields_of_an_error_may_be_missing(clock: Clock) -> None:
    sandbox = _portal(clock, burst="1/10")
    sandbox.switch(error_fields="random")
    with _client(sandbox) as api:
        api.get("")
        told = ["policyName" in api.get("").json() for _ in range(60)]

    assert set(told) == {True, False}


def test_requests_are_counted_by_kind(clock: Clock) -> None:
    sandbox = _portal(clock, burst="5/10")
    with _client(sandbox) as api:
        api.get("")
        record_id = api.post("", json={"properties": {"firstname": "Ana"}}).json()["id"]
        api.get(f"/{record_id}")
        api.post("/batch/read", json={"inputs": [{"id": record_id}]})
        api.patch(f"/{record_id}", json={"properties": {"city": "Lyon"}})
        api.post("/search", json={})
        api.get("")
        httpx.Client(transport=SandboxTransport(sandbox)).get("http://sandbox/nope")

    assert sandbox.counts() == {"list": 1, "search": 1, "read": 2, "write": 2, "other": 1, "throttled": 1}
    assert [each["status"] for each in sandbox.log()] == [200, 201, 200, 200, 200, 200, 429, 404]


@pytest.mark.parametrize("text", ["many", "0/10", "5/0", "5/x"])
def test_a_limit_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        Limit.parse(text)
