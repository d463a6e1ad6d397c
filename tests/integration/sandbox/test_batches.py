"""Batches: a hundred at most, all or nothing or told one by one, and answers in no order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support.clock import Clock

from mercuri.sandbox import Sandbox

NewContact = Callable[..., str]


def _create(email: str, trace: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"properties": {"email": email}}
    return {**item, "objectWriteTraceId": trace} if trace else item


def test_all_contacts_of_a_batch_carry_one_instant_and_come_in_no_order(api: httpx.Client) -> None:
    emails = [f"a{each:02d}@example.com" for each in range(50)]

    answer = api.post("/batch/create", json={"inputs": [_create(each) for each in emails]})

    assert answer.status_code == 201
    results = answer.json()["results"]
    assert len({each["updatedAt"] for each in results}) == 1
    assert [each["properties"]["email"] for each in results] != emails
    assert sorted(each["properties"]["email"] for each in results) == emails


def test_one_conflict_refuses_the_whole_batch(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    new_contact(email="ana@example.com")

    answer = api.post("/batch/create", json={"inputs": [_create("bo@example.com"), _create("ana@example.com")]})

    assert answer.status_code == 409
    assert len(sandbox.contact_ids()) == 1


def test_a_conflict_of_a_batch_may_not_name_the_contact(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    new_contact(email="ana@example.com")
    sandbox.switch(error_fields="random")

    told = {
        api.post("/batch/create", json={"inputs": [_create("ana@example.com")]}).json()["message"] for _ in range(20)
    }

    assert "Contact already exists" in told
    assert len(told) == 2


def test_with_trace_ids_the_good_ones_are_written_and_the_bad_ones_named(
    api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(email="ana@example.com")

    answer = api.post(
        "/batch/create",
        json={"inputs": [_create("bo@example.com", "0"), _create("ana@example.com", "1"), _create("x", "2")]},
    )

    assert answer.status_code == 207
    body = answer.json()
    assert [each["objectWriteTraceId"] for each in body["results"]] == ["0"]
    assert body["numErrors"] == 2
    taken, invalid = sorted(body["errors"], key=lambda each: each["context"]["objectWriteTraceId"])
    assert taken["category"] == "CONFLICT"
    assert taken["context"] == {"objectWriteTraceId": ["1"], "existingId": [record_id]}
    assert invalid["category"] == "VALIDATION_ERROR"


def test_trace_ids_that_repeat_are_none(api: httpx.Client) -> None:
    answer = api.post("/batch/create", json={"inputs": [_create("bo@example.com", "0"), _create("x", "0")]})

    assert answer.status_code == 400


def test_trace_ids_on_an_update_count_only_where_the_portal_honours_them(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    good, bad = new_contact(), new_contact()
    inputs = [
        {"id": good, "properties": {"city": "Lyon"}, "objectWriteTraceId": "0"},
        {"id": bad, "properties": {"points": "x"}, "objectWriteTraceId": "1"},
    ]

    assert api.post("/batch/update", json={"inputs": inputs}).status_code == 400
    sandbox.switch(trace_ids="honoured")
    answer = api.post("/batch/update", json={"inputs": inputs})

    assert answer.status_code == 207
    assert [each["id"] for each in answer.json()["results"]] == [good]


def test_reading_tells_which_ids_are_missing_in_one_error(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact()

    answer = api.post(
        "/batch/read", json={"inputs": [{"id": record_id}, {"id": "1"}, {"id": "2"}], "properties": ["city"]}
    )

    assert answer.status_code == 207
    assert [each["id"] for each in answer.json()["results"]] == [record_id]
    assert answer.json()["numErrors"] == 1
    assert answer.json()["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert answer.json()["errors"][0]["context"] == {"ids": ["1", "2"]}


@pytest.mark.parametrize("operation", ["read", "update", "archive"])
def test_an_id_twice_refuses_the_request(api: httpx.Client, new_contact: NewContact, operation: str) -> None:
    record_id = new_contact()
    item = {"id": record_id, "properties": {"city": "Lyon"}}

    answer = api.post(f"/batch/{operation}", json={"inputs": [item, item]})

    assert answer.status_code == 400
    assert answer.json()["message"] == f"Duplicate IDs found in batch input: [{record_id}]. IDs must be unique"
    assert answer.json()["context"] == {"ids": [record_id]}


def test_an_email_twice_refuses_the_request(api: httpx.Client) -> None:
    answer = api.post("/batch/create", json={"inputs": [_create("a@example.com", "0"), _create("A@example.com", "1")]})

    assert answer.status_code == 400


@pytest.mark.parametrize("operation", ["read", "create", "update", "upsert", "archive"])
def test_a_batch_has_a_hundred_inputs_at_most(api: httpx.Client, operation: str) -> None:
    inputs = [{"id": str(each), "idProperty": "email", "properties": {}} for each in range(101)]

    assert api.post(f"/batch/{operation}", json={"inputs": inputs}).status_code == 400


def test_an_unknown_id_is_left_out_of_an_update_or_named_by_the_switch(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact()
    inputs = [{"id": record_id, "properties": {"city": "Lyon"}}, {"id": "7", "properties": {"city": "Lyon"}}]

    silent = api.post("/batch/update", json={"inputs": inputs})
    sandbox.switch(update_old_id="not_found")
    told = api.post("/batch/update", json={"inputs": inputs})

    assert silent.status_code == 200
    assert [each["id"] for each in silent.json()["results"]] == [record_id]
    assert told.status_code == 207
    assert told.json()["errors"][0]["context"] == {"ids": ["7"]}


def test_the_record_id_is_no_id_property(api: httpx.Client, new_contact: NewContact) -> None:
    item = {"id": new_contact(), "idProperty": "hs_object_id", "properties": {"city": "Lyon"}}

    answer = api.post("/batch/update", json={"inputs": [item]})

    assert answer.status_code == 400
    assert "non-unique" in answer.json()["message"]


def test_an_upsert_tells_what_is_new(api: httpx.Client, new_contact: NewContact) -> None:
    new_contact(customer_number="C-1")
    inputs = [
        {"id": each, "idProperty": "customer_number", "properties": {"firstname": "Bo", "customer_number": each}}
        for each in ("C-1", "C-2")
    ]

    results = api.post("/batch/upsert", json={"inputs": inputs}).json()["results"]

    assert {each["properties"]["customer_number"]: each["new"] for each in results} == {"C-1": False, "C-2": True}


@pytest.mark.parametrize(
    ("mode", "status", "city"), [("blank", 200, None), ("refuse", 400, "Lyon"), ("ignore", 200, "Lyon")]
)
def test_an_upsert_by_email_that_leaves_something_out(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact, mode: str, status: int, city: str | None
) -> None:
    record_id = new_contact(email="ana@example.com", city="Lyon")
    sandbox.switch(upsert_partial=mode)

    answer = api.post(
        "/batch/upsert",
        json={"inputs": [{"id": "ana@example.com", "idProperty": "email", "properties": {"phone": "1"}}]},
    )

    assert answer.status_code == status
    assert api.get(f"/{record_id}", params={"properties": "city"}).json()["properties"]["city"] == city


def test_an_upsert_by_email_leaves_out_no_property_that_is_gone(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(email="ana@example.com", customer_number="C-1", city="Lyon")
    sandbox.archive_property("customer_number")
    inputs = [{"id": "ana@example.com", "idProperty": "email", "properties": {"city": "Lyon"}}]

    answer = api.post("/batch/upsert", json={"inputs": inputs})

    assert [each["id"] for each in answer.json()["results"]] == [record_id]


def test_two_contacts_of_a_batch_cannot_take_the_same_unique_value(api: httpx.Client) -> None:
    inputs = [{"properties": {"firstname": each, "customer_number": "C-9"}} for each in ("Ana", "Bo")]

    assert api.post("/batch/create", json={"inputs": inputs}).status_code == 400


def test_an_archived_batch_is_gone(clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    ids = [new_contact(), new_contact()]

    answer = api.post("/batch/archive", json={"inputs": [{"id": each} for each in [*ids, "99"]]})

    assert answer.status_code == 204
    assert sandbox.contact_ids() == []
    assert api.post("/batch/read?archived=true", json={"inputs": [{"id": ids[0]}], "properties": []}).status_code == 200
