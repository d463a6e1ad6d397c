"""Nothing that is sent brings the sandbox down, and no order of acts makes its parts disagree."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import pytest
from tests.support.clock import Clock

from mercuri.sandbox import Sandbox
from mercuri.sandbox.answers import Refusal

NewContact = Callable[..., str]


@pytest.mark.parametrize("key", ["²", "9" * 5000, "-1", "%00", "null"])
def test_an_id_that_cannot_be_one_is_not_found(api: httpx.Client, key: str) -> None:
    assert api.get(f"/{key}").status_code == 404


@pytest.mark.parametrize("value", ["9" * 5000, "99999999999999999", "²", "-1"])
def test_an_instant_beyond_all_calendars_is_a_bad_value(api: httpx.Client, value: str) -> None:
    assert api.post("", json={"properties": {"firstname": "Ana", "closedate": value}}).status_code == 400


def test_half_a_surrogate_pair_comes_back_as_its_escape(api: httpx.Client) -> None:
    body = b'{"properties": {"email": "\\ud800", "firstname": "Ana"}}'

    answer = api.post("", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert b"\\ud800" in answer.content


def _by_id(answer: httpx.Response) -> dict[str, Any]:
    return {each["id"]: each for each in answer.json()["results"]}


@pytest.mark.parametrize("seed", range(5))
def test_list_search_and_emails_agree_after_any_acts(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, seed: int
) -> None:
    rng = Random(seed)
    sandbox.set_limits(lag_ms=2_000)
    sandbox.add_contacts(60)
    archived: list[str] = []
    for turn in range(150):
        clock.advance(rng.random())
        ids = sandbox.contact_ids()
        one, other = rng.sample(ids, 2)
        try:
            match rng.randrange(7):
                case 0:
                    sandbox.create({"email": f"a{rng.randrange(30)}@example.com"})
                case 1 | 2:
                    sandbox.update(one, {"email": f"a{rng.randrange(30)}@example.com", "city": str(turn)})
                case 3:
                    sandbox.archive(one)
                    archived.append(one)
                case 4:
                    sandbox.restore(rng.choice(archived or ids))
                case 5:
                    sandbox.merge(one, other)
                case 6 if turn % 3 == 0:
                    sandbox.erase(one)
        except Refusal:
            continue
    clock.advance(10)

    listed = _by_id(api.get("", params={"limit": 100, "properties": "email,city"}))
    found = _by_id(api.post("/search", json={"limit": 200, "properties": ["email", "city"]}))

    assert listed == found
    assert sorted(listed) == sandbox.contact_ids()
    emails = [each["properties"]["email"] for each in listed.values() if each["properties"]["email"]]
    assert len(emails) == len(set(emails))
    for record_id, each in listed.items():
        email = each["properties"]["email"]
        assert not email or api.get(f"/{email}", params={"idProperty": "email"}).json()["id"] == record_id
