"""Communication preferences: keyed by address, e-mail only, and one-way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox

NewContact = Callable[..., str]


@pytest.fixture
def prefs(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=SandboxTransport(sandbox),
        base_url="http://sandbox/communication-preferences/2026-09",
        headers={"authorization": f"Bearer {sandbox.static_token}"},
    ) as client:
        yield client


def _say(prefs: httpx.Client, state: str, **more: Any) -> httpx.Response:
    body = {"subscriptionId": 301, "statusState": state, "channel": "EMAIL", **more}
    return prefs.post("/statuses/ana@example.com", json=body)


def _status(prefs: httpx.Client) -> Any:
    results = prefs.get("/statuses/ana@example.com", params={"channel": "EMAIL"}).json()["results"]
    return {each["subscriptionId"]: each["status"] for each in results}


def test_an_address_has_a_status_without_a_contact(prefs: httpx.Client) -> None:
    assert _status(prefs) == {301: "NOT_SPECIFIED", 302: "NOT_SPECIFIED"}

    assert _say(prefs, "SUBSCRIBED").status_code == 200

    assert _status(prefs) == {301: "SUBSCRIBED", 302: "NOT_SPECIFIED"}


def test_an_opt_out_shows_on_the_contact(prefs: httpx.Client, api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(email="ana@example.com")

    _say(prefs, "UNSUBSCRIBED")
    prefs.post("/statuses/ana@example.com/unsubscribe-all", params={"channel": "EMAIL"})

    got = api.get(f"/{record_id}", params={"properties": "hs_email_optout,hs_email_optout_301"}).json()["properties"]
    assert (got["hs_email_optout"], got["hs_email_optout_301"]) == ("true", "true")


def test_an_opt_out_of_all_cannot_be_undone_by_api(sandbox: Sandbox, prefs: httpx.Client) -> None:
    path = "/statuses/ana@example.com/unsubscribe-all"
    before = prefs.get(path, params={"channel": "EMAIL"}).json()["results"]

    prefs.post(path, params={"channel": "EMAIL"})

    assert before == []
    assert len(prefs.get(path, params={"channel": "EMAIL"}).json()["results"]) == 1
    assert set(_status(prefs).values()) == {"UNSUBSCRIBED"}
    assert _say(prefs, "SUBSCRIBED").status_code == 400
    assert prefs.post("/statuses/ana@example.com/resubscribe").status_code == 403
    sandbox.switch(resubscribe="works")
    assert prefs.post("/statuses/ana@example.com/resubscribe").status_code == 200


@pytest.mark.parametrize(
    "change", [{"channel": "SMS"}, {"statusState": "MAYBE"}, {"subscriptionId": 9}, {"legalBasis": "BECAUSE"}]
)
def test_what_is_no_status_is_refused(prefs: httpx.Client, change: dict[str, object]) -> None:
    body = {"subscriptionId": 301, "statusState": "SUBSCRIBED", "channel": "EMAIL", **change}

    assert prefs.post("/statuses/ana@example.com", json=body).status_code == 400


def test_batches_need_another_subscription_of_hubspot(prefs: httpx.Client) -> None:
    assert prefs.post("/statuses/batch/read", json={"inputs": ["ana@example.com"]}).status_code == 403
