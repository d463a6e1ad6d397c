"""What becomes of contacts that are merged, archived, restored or erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support.clock import Clock

from mercuri.sandbox import Sandbox

NewContact = Callable[..., str]


def _merge(api: httpx.Client, primary: str, other: str) -> Any:
    answer = api.post("/merge", json={"primaryObjectId": primary, "objectIdToMerge": other})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def test_a_merge_makes_a_new_record_and_both_old_ids_lead_to_it(api: httpx.Client, new_contact: NewContact) -> None:
    ana, twin = (
        new_contact(email="ana@example.com", city="Lyon"),
        new_contact(email="ana@example.org", city="Paris", phone="1"),
    )

    survivor = _merge(api, ana, twin)

    assert survivor not in (ana, twin)
    asked = {"properties": "email,city,phone,hs_additional_emails,hs_merged_object_ids"}
    for old in (ana, twin):
        got = api.get(f"/{old}", params=asked).json()
        assert got["id"] == survivor
        assert got["properties"]["city"] == "Lyon"
        assert got["properties"]["phone"] == "1"
        assert got["properties"]["email"] == "ana@example.com"
        assert got["properties"]["hs_additional_emails"] == "ana@example.org"
        assert got["properties"]["hs_merged_object_ids"] == f"{ana};{twin}"


def test_a_portal_may_keep_the_primary_id(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    sandbox.switch(merge_id="primary")
    ana, twin = new_contact(), new_contact()

    assert _merge(api, ana, twin) == ana
    assert api.get(f"/{twin}").json()["id"] == ana


def test_merged_ids_add_up_over_several_merges(api: httpx.Client, new_contact: NewContact) -> None:
    ana, bo, cleo = new_contact(), new_contact(), new_contact()

    first = _merge(api, ana, bo)
    second = _merge(api, first, cleo)

    got = api.get(f"/{ana}", params={"properties": "hs_merged_object_ids,hs_calculated_merged_vids"}).json()
    assert got["id"] == second
    assert set(got["properties"]["hs_merged_object_ids"].split(";")) == {ana, bo, first, cleo}
    assert ana not in got["properties"]["hs_calculated_merged_vids"]


def test_a_batch_answers_an_old_id_with_the_survivor_or_not_at_all(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    ana, twin = new_contact(), new_contact()
    survivor = _merge(api, ana, twin)
    asked = {"inputs": [{"id": ana}, {"id": twin}]}

    found = api.post("/batch/read", json=asked)
    sandbox.switch(read_old_id="missing")
    missing = api.post("/batch/read", json=asked)

    assert found.status_code == 200
    assert [each["id"] for each in found.json()["results"]] == [survivor]
    assert missing.status_code == 207


def test_a_write_to_an_old_id_changes_nothing(api: httpx.Client, new_contact: NewContact) -> None:
    ana, twin = new_contact(city="Lyon"), new_contact()
    survivor = _merge(api, ana, twin)

    single = api.patch(f"/{ana}", json={"properties": {"city": "Paris"}})
    batch = api.post("/batch/update", json={"inputs": [{"id": ana, "properties": {"city": "Paris"}}]})

    assert single.status_code == 404
    assert (batch.status_code, batch.json()["results"]) == (200, [])
    assert api.get(f"/{survivor}", params={"properties": "city"}).json()["properties"]["city"] == "Lyon"


def test_a_merge_moves_no_modification_date_unless_the_portal_does(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    ids = [new_contact() for _ in range(4)]
    clock.advance(60)

    still = _merge(api, ids[0], ids[1])
    sandbox.switch(merge_bumps=True)
    bumped = _merge(api, ids[2], ids[3])

    assert api.get(f"/{still}").json()["updatedAt"] == "2026-03-09T09:00:00Z"
    assert api.get(f"/{bumped}").json()["updatedAt"] == "2026-03-09T09:01:00Z"


def test_old_ids_are_in_no_list_and_no_search(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    ana, twin = new_contact(), new_contact()
    survivor = _merge(api, ana, twin)
    by_id = {"filterGroups": [{"filters": [{"propertyName": "hs_object_id", "operator": "EQ", "value": ana}]}]}
    merged = {"filterGroups": [{"filters": [{"propertyName": "hs_merged_object_ids", "operator": "HAS_PROPERTY"}]}]}

    assert [each["id"] for each in api.get("").json()["results"]] == [survivor]
    assert api.get("", params={"archived": "true"}).json()["results"] == []
    assert api.post("/search", json=by_id).json()["total"] == 0
    assert [each["id"] for each in api.post("/search", json=merged).json()["results"]] == [survivor]
    sandbox.switch(search_old_id="survivor")
    assert api.post("/search", json=by_id).json()["total"] == 1


def test_an_additional_email_is_taken_and_not_found_by_email(api: httpx.Client, new_contact: NewContact) -> None:
    ana, twin = new_contact(email="ana@example.com"), new_contact(email="ana@example.org")
    survivor = _merge(api, ana, twin)
    item = {"propertyName": "email", "operator": "EQ", "value": "ana@example.org"}

    taken = api.post("", json={"properties": {"email": "ana@example.org"}})

    assert taken.status_code == 409
    assert survivor in taken.json()["message"]
    assert api.post("/search", json={"filterGroups": [{"filters": [item]}]}).json()["total"] == 0


def test_a_cleared_value_of_the_primary_wins_over_a_filled_one(api: httpx.Client, new_contact: NewContact) -> None:
    ana, twin = new_contact(city="Lyon"), new_contact(city="Paris")
    api.patch(f"/{ana}", json={"properties": {"city": ""}})

    survivor = _merge(api, ana, twin)

    assert api.get(f"/{survivor}", params={"properties": "city"}).json()["properties"]["city"] is None


def test_one_of_two_unique_values_is_lost_in_a_merge(api: httpx.Client, new_contact: NewContact) -> None:
    ana, twin = new_contact(customer_number="C-1"), new_contact(customer_number="C-2")

    _merge(api, ana, twin)

    assert api.get("/C-1", params={"idProperty": "customer_number"}).status_code == 404
    assert api.get("/C-2", params={"idProperty": "customer_number"}).status_code == 200


def test_more_than_250_identities_do_not_merge(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    sandbox.switch(additional_emails="writable")
    many = ";".join(f"a{each}@example.com" for each in range(251))

    answer = api.post(
        "/merge", json={"primaryObjectId": new_contact(hs_additional_emails=many), "objectIdToMerge": new_contact()}
    )

    assert answer.status_code == 414
    assert "250 identities" in answer.json()["message"]


def test_a_contact_does_not_merge_with_itself_or_a_stranger(api: httpx.Client, new_contact: NewContact) -> None:
    ana = new_contact()

    assert api.post("/merge", json={"primaryObjectId": ana, "objectIdToMerge": ana}).status_code == 400
    assert api.post("/merge", json={"primaryObjectId": ana, "objectIdToMerge": "7"}).status_code == 404


def test_an_archived_contact_is_found_only_where_archived_ones_are_asked_for(
    clock: Clock, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact()
    clock.advance(60)

    assert api.delete(f"/{record_id}").status_code == 204

    assert api.get(f"/{record_id}").status_code == 404
    got = api.get(f"/{record_id}", params={"archived": "true"}).json()
    assert (got["archived"], got["archivedAt"]) == (True, "2026-03-09T09:01:00Z")
    assert got["updatedAt"] == "2026-03-09T09:00:00Z"
    assert api.get("").json()["results"] == []
    assert [each["id"] for each in api.get("", params={"archived": "true"}).json()["results"]] == [record_id]
    assert api.post("/search", json={}).json()["total"] == 0


def test_deleting_a_stranger_succeeds(api: httpx.Client) -> None:
    assert api.delete("/123").status_code == 204


def test_an_archived_contact_frees_its_email_but_not_its_unique_value(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    api.delete(f"/{new_contact(email='ana@example.com', customer_number='C-1')}")

    new_contact(email="ana@example.com")
    held = api.post("", json={"properties": {"firstname": "Ana", "customer_number": "C-1"}})

    assert held.status_code == 409


def test_a_restore_brings_a_contact_back_and_sets_its_date(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(email="ana@example.com")
    api.delete(f"/{record_id}")
    clock.advance(60)

    sandbox.restore(record_id)

    assert api.get(f"/{record_id}").json()["updatedAt"] == "2026-03-09T09:01:00Z"
    assert api.post("", json={"properties": {"email": "ana@example.com"}}).status_code == 409


def test_a_restore_is_refused_while_another_contact_has_the_email(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(email="ana@example.com")
    api.delete(f"/{record_id}")
    new_contact(email="ana@example.com")

    answer = api.post("http://sandbox/sandbox/restore", json={"id": record_id})

    assert answer.status_code == 409


def test_after_ninety_days_the_recycle_bin_forgets(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    api.delete(f"/{new_contact()}")

    clock.advance(90 * 86_400)

    assert api.get("", params={"archived": "true"}).json()["results"] == []


@pytest.mark.parametrize(("mode", "status"), [("allowed", 201), ("refused", 400)])
def test_an_erased_contact_leaves_no_trace_and_may_come_back_by_api(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact, mode: str, status: int
) -> None:
    sandbox.switch(recreate_erased=mode)
    record_id = new_contact(email="ana@example.com")

    assert api.post("/gdpr-delete", json={"objectId": record_id}).status_code == 204

    assert api.get(f"/{record_id}").status_code == 404
    assert api.get("", params={"archived": "true"}).json()["results"] == []
    assert api.post("", json={"properties": {"email": "ana@example.com"}}).status_code == status


def test_erasing_an_unknown_address_blocks_it(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.switch(recreate_erased="refused")

    answer = api.post("/gdpr-delete", json={"objectId": "Bo@example.com", "idProperty": "email"})

    assert answer.status_code == 204
    assert api.post("", json={"properties": {"email": "bo@example.com"}}).status_code == 400
