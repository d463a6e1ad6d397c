"""Consent over the API: what messaging systems post and ask, and what an auditor takes away."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from tests.support.api import Api, a_caller, another_workspace
from tests.support.world import PORTAL, World

from mercuri.engine import consent

PHONE = "+14155552671"


def post(api: Api, status: int = 200, **body: Any) -> Any:
    event = {"channel": "sms", "address": PHONE, "kind": "message", **body}
    return api.asked("POST", "/consent-events", status, json=event)


def test_a_stop_holds_on_every_contact_and_hubspot_is_told(world: World, api: Api) -> None:
    world.settings(consent_mapping=[{"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}])
    record = world.sandbox.create({"phone": PHONE, "sms_opt_in": "true"})
    world.sandbox.create({"phone": "(415) 555-2671"})
    world.sync()
    assert api.asked("GET", "/contacts?status=subscribed", 200)["total"] == 2

    answer = post(api, text="Stop.", proof={"message_id": "SM1"})
    consent.push_outs(world.app, world.ws, PORTAL)

    assert (answer["heard"], answer["state"], answer["sendable"]) == ("out", "unsubscribed", False)
    assert api.asked("GET", "/contacts?status=subscribed", 200)["total"] == 0
    assert world.record(record)["sms_opt_in"] == "false"


def test_an_opt_out_that_hubspot_cannot_be_told_is_listed_as_failing(world: World, api: Api) -> None:
    world.sandbox.create({"phone": PHONE})
    world.sync()
    post(api, text="Stop.")
    consent.push_outs(world.app, world.ws, PORTAL)

    [failure] = api.asked("GET", f"/failures?portal={PORTAL}", 200)["items"]

    assert "for SMS" in failure["message"]
    assert api.asked("GET", "/failures?portal=1", 200)["items"] == []


@pytest.mark.parametrize("kind", ["complaint", "carrier"])
def test_what_can_only_close_an_address_needs_no_state(api: Api, kind: str) -> None:
    post(api, text="START")

    assert post(api, kind=kind)["state"] == "unsubscribed"


def test_an_opt_out_by_e_mail_preferences_speaks_of_no_other_channel(api: Api) -> None:
    answer = post(api, channel="email", address="ana@example.com", kind="preference", state="out")

    assert answer["reason"].startswith("Opted out by the person in their preferences on ")


def test_the_check_answers_in_the_order_asked(api: Api) -> None:
    post(api, text="START")
    asked = ["nonsense", "(415) 555-2671", "+14155552672", "", PHONE]

    items = api.asked("POST", "/messages/check", 200, json={"channel": "sms", "addresses": asked})["items"]

    assert [(item["address"], item["sendable"]) for item in items] == [
        ("nonsense", False),
        ("(415) 555-2671", True),
        ("+14155552672", False),
        ("", False),
        (PHONE, True),
    ]
    assert "Not a valid" in items[0]["reason"]
    assert "Never asked" in items[2]["reason"]


def test_the_evidence_is_shown_with_its_proof(api: Api) -> None:
    post(api, text="STOP", proof={"message_id": "SM1"})

    found = api.asked("GET", "/consent", 200, params={"channel": "sms", "address": PHONE})

    assert found["closed_by"] == ["the person"]
    [event] = found["evidence"]
    assert (event["register"], event["state"], event["proof"]) == (
        "person",
        "out",
        {"message_id": "SM1", "text": "STOP"},
    )


def test_the_proof_leaves_as_csv_and_json(api: Api) -> None:
    post(api, text="STOP")
    post(api, text="START", address="+14155552672")

    everything = api.asked("GET", "/consent/proof", 200)
    text = api.get("/consent/proof", params={"format": "csv", "channel": "sms", "address": PHONE}).text

    assert [(row["address"], row["state"]) for row in everything] == [(PHONE, "out"), ("+14155552672", "in")]
    [row] = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert row["state"] == "out"
    assert PHONE in row["address"]


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "fax", "text": "STOP"},
        {"kind": "rumour", "text": "STOP"},
        {"address": "12", "text": "STOP"},
        {"occurred_at": "1970-01-01T00:00:00Z", "text": "START"},
        {"text": "START", "state": "in"},
        {},
    ],
)
def test_what_cannot_be_meant_is_a_problem_and_opens_nothing(api: Api, body: dict[str, Any]) -> None:
    problem = post(api, 400, **body)

    assert "Nothing was recorded" in problem["detail"]


def test_a_confirmed_subscription_is_recorded_as_such(api: Api) -> None:
    assert post(api, text="yes")["heard"] == "none"

    assert post(api, text="yes", awaits_yes=True)["sendable"]
    problem = post(api, 400, kind="form", state="in", awaits_yes=True)
    assert "request to confirm" in problem["detail"]


def test_staff_cannot_open_what_the_person_closed(api: Api) -> None:
    post(api, text="STOP")

    problem = post(api, 400, kind="staff", state="in", proof={"reason": "they phoned"})

    assert "Only the person" in problem["detail"]


def test_a_viewer_may_ask_but_not_record(world: World) -> None:
    with a_caller(world, "viewer") as api:
        api.asked("POST", "/messages/check", 200, json={"channel": "sms", "addresses": [PHONE]})
        post(api, 403, text="STOP")
        api.asked("GET", "/consent/proof", 403)


def test_another_workspace_sees_nothing_of_it(world: World, api: Api) -> None:
    post(api, text="START")

    with a_caller(world, ws=another_workspace(world)) as other:
        assert other.asked("GET", "/consent", 200, params={"channel": "sms", "address": PHONE})["state"] == "never"
        assert other.asked("GET", "/consent/proof", 200) == []
