"""The webhooks journal: subscribed events, in order, in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox

APP = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "grant_type": "client_credentials"}
SCOPES = " ".join(
    [
        "crm.objects.contacts.read",
        "developer.webhooks_journal.read",
        "developer.webhooks_journal.subscriptions.read",
        "developer.webhooks_journal.subscriptions.write",
        "developer.webhooks_journal.snapshots.write",
    ]
)
CONTACTS = {
    "subscriptionType": "OBJECT",
    "objectTypeId": "0-1",
    "portalId": 4242,
    "actions": ["CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE"],
    "properties": ["firstname", "city"],
}


@contextmanager
def _client(sandbox: Sandbox, scopes: str) -> Iterator[httpx.Client]:
    with httpx.Client(transport=SandboxTransport(sandbox), base_url="http://sandbox/webhooks-journal") as client:
        form = {**APP, "scope": scopes}
        token = client.post("http://sandbox/oauth/2026-09/token", data=form).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
def journal(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with _client(sandbox, SCOPES) as client:
        yield client


def _subscribe(journal: httpx.Client, **changes: object) -> int:
    answer = journal.post("/subscriptions/2026-09", json={**CONTACTS, **changes})
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


def _read(journal: httpx.Client, after: int = 0) -> tuple[int, list[dict[str, Any]]]:
    link = journal.get(f"/journal/2026-09/offset/{after}/next")
    if link.status_code == 204:
        return after, []
    file = journal.get(link.json()["url"], headers={"authorization": ""}).json()
    assert file["offset"] == link.json()["currentOffset"]
    return file["offset"], file["journalEvents"]


def test_every_action_is_written_down_in_order(sandbox: Sandbox, journal: httpx.Client) -> None:
    _subscribe(journal)
    ana = sandbox.create({"firstname": "Ana", "phone": "1"})
    bo = sandbox.create({"firstname": "Bo"})
    sandbox.update(ana, {"city": "Lyon"})
    sandbox.update(ana, {"phone": "2"})
    sandbox.archive(ana)
    sandbox.restore(ana)
    sandbox.switch(merge_events="none")
    survivor = sandbox.merge(ana, bo)

    _, events = _read(journal)

    assert [(each["action"], str(each["objectId"]), each["propertyChanges"]) for each in events] == [
        ("CREATE", ana, {"firstname": "Ana"}),
        ("CREATE", bo, {"firstname": "Bo"}),
        ("UPDATE", ana, {"city": "Lyon"}),
        ("DELETE", ana, {}),
        ("RESTORE", ana, {}),
        ("MERGE", survivor, {}),
    ]


def test_reading_goes_on_after_the_last_offset_and_ends_with_nothing(sandbox: Sandbox, journal: httpx.Client) -> None:
    _subscribe(journal)
    sandbox.create({"firstname": "Ana"})
    first, _ = _read(journal)
    sandbox.create({"firstname": "Bo"})

    second, events = _read(journal, first)

    assert [each["propertyChanges"] for each in events] == [{"firstname": "Bo"}]
    assert _read(journal, second) == (second, [])
    assert journal.get("/journal/2026-09/earliest").json()["currentOffset"] == first
    assert journal.get("/journal/2026-09/latest").json()["currentOffset"] == second
    batch = journal.get("/journal/2026-09/batch/0/next/100").json()["results"]
    assert [each["currentOffset"] for each in batch] == [first, second]


def test_without_properties_no_value_is_told_unless_the_portal_tells_all(
    sandbox: Sandbox, journal: httpx.Client
) -> None:
    _subscribe(journal, properties=[])
    ana = sandbox.create({"firstname": "Ana"})
    offset, silent = _read(journal)
    sandbox.switch(journal_properties="all")
    sandbox.update(ana, {"city": "Lyon"})

    _, told = _read(journal, offset)

    assert [each["propertyChanges"] for each in silent] == [{}]
    assert [each["propertyChanges"] for each in told] == [{"city": "Lyon"}]


def test_an_erasure_has_a_subscription_of_its_own(sandbox: Sandbox, journal: httpx.Client) -> None:
    _subscribe(journal, actions=["DELETE"])
    _subscribe(journal, subscriptionType="GDPR_PRIVACY_DELETION")

    sandbox.erase(sandbox.create({"firstname": "Ana"}))

    assert [each["action"] for each in _read(journal)[1]] == ["GDPR_DELETE"]


def test_the_journal_forgets_after_three_days(clock: Clock, sandbox: Sandbox, journal: httpx.Client) -> None:
    _subscribe(journal)
    sandbox.create({"firstname": "Ana"})
    _read(journal)

    clock.advance(3 * 86_400)

    with _client(sandbox, SCOPES) as later:
        assert later.get("/journal/2026-09/earliest").status_code == 204


def test_a_file_needs_no_token_and_not_long_after_nobody_gets_it(
    clock: Clock, sandbox: Sandbox, journal: httpx.Client
) -> None:
    _subscribe(journal)
    sandbox.create({"firstname": "Ana"})
    url = journal.get("/journal/2026-09/latest").json()["url"]
    nobody = {"authorization": ""}

    assert journal.get(url, headers=nobody).status_code == 200
    clock.advance(301)
    assert journal.get(url, headers=nobody).status_code == 403


def test_snapshots_write_the_present_state(sandbox: Sandbox, journal: httpx.Client) -> None:
    ana = sandbox.create({"firstname": "Ana"})
    asked = {"portalId": 4242, "objectTypeId": "0-1", "objectId": int(ana), "properties": ["firstname", "city"]}

    made = journal.post("/snapshots/2026-09/crm", json={"snapshotRequests": [asked]})
    too_many = journal.post("/snapshots/2026-09/crm", json={"snapshotRequests": [asked] * 101})

    status = made.json()["snapshotResponses"][0]["snapshotStatusId"]
    assert journal.get(f"/journal/2026-09/status/{status}").json()["status"] == "COMPLETED"
    assert [each["propertyChanges"] for each in _read(journal)[1]] == [{"firstname": "Ana", "city": ""}]
    assert too_many.status_code == 400


def test_a_missing_scope_is_named(sandbox: Sandbox) -> None:
    with _client(sandbox, "crm.objects.contacts.read webhooks-journal-data-access") as journal:
        refused = journal.get("/journal/2026-09/latest")
        sandbox.switch(journal_scopes="both")
        allowed = journal.get("/journal/2026-09/latest")

    assert refused.status_code == 403
    assert "developer.webhooks_journal.read" in refused.json()["message"]
    assert allowed.status_code == 204


@pytest.mark.parametrize(
    "change", [{"portalId": 1}, {"subscriptionType": "LIST"}, {"actions": ["LOOK"]}, {"actions": []}]
)
def test_a_subscription_that_makes_no_sense_is_refused(journal: httpx.Client, change: dict[str, object]) -> None:
    assert journal.post("/subscriptions/2026-09", json={**CONTACTS, **change}).status_code in (400, 403)


def test_a_deleted_subscription_writes_nothing_more(sandbox: Sandbox, journal: httpx.Client) -> None:
    number = _subscribe(journal)

    assert journal.delete(f"/subscriptions/2026-09/{number}").status_code == 204

    sandbox.create({"firstname": "Ana"})
    assert journal.get("/subscriptions/2026-09").json() == {"results": []}
    assert _read(journal) == (0, [])
