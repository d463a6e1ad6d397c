"""Duplicates over the API."""

from __future__ import annotations

import pytest
from tests.support.api import Api
from tests.support.world import World

from mercuri.engine import bulk_merging, dedupe

PHONE = "+44 7911 123456"


def a_pair(world: World) -> tuple[int, int]:
    """Ana twice, with one phone number."""
    return (
        world.create(first_name="Ana", last_name="Duarte", phone=PHONE, email="ana@example.org"),
        world.create(first_name="A.", last_name="Duarte", phone="0044 7911 123456"),
    )


def test_contacts_that_share_a_number_are_a_group_with_its_reason(world: World, api: Api) -> None:
    first, second = a_pair(world)

    page = api.asked("GET", "/duplicates", 200)

    (group,) = page["items"]
    assert (page["groups"], page["contacts"]) == (1, 2)
    assert group["reasons"] == [{"kind": "phone", "value": "+447911123456", "members": [first, second]}]
    assert [member["id"] for member in group["members"]] == [first, second]
    assert api.asked("GET", f"/contacts/{first}", 200)["duplicate_group"] == group["id"]
    assert api.asked("GET", f"/duplicates/{group['id']}", 200) == group
    assert [c["id"] for c in api.asked("GET", "/contacts?duplicate=true", 200)["items"]] == [second, first]


def test_a_merge_leaves_one_contact_and_can_be_taken_back(world: World, api: Api) -> None:
    first, second = a_pair(world)
    group = api.asked("GET", "/duplicates", 200)["items"][0]["id"]

    done = api.asked(
        "POST", f"/duplicates/{group}/merge", 200, json={"survivor_id": first, "fields": {"first_name": second}}
    )

    assert (done["survivor"]["id"], done["absorbed"], done["hubspot"]["state"]) == (first, [second], "none")
    assert done["survivor"]["first_name"] == "A."
    answer = api.get(f"/contacts/{second}")
    assert (answer.status_code, f"/contacts/{first}>" in answer.headers["Link"]) == (410, True)
    assert api.asked("GET", "/duplicates", 200)["items"] == []

    undone = api.asked("POST", f"/merges/{done['merge_id']}/undo", 200)

    assert {contact["id"] for contact in undone["contacts"]} == {first, second}
    assert api.asked("GET", f"/contacts/{first}", 200)["first_name"] == "Ana"
    assert api.asked("GET", f"/contacts/{second}", 200)["first_name"] == "A."
    api.asked("POST", f"/merges/{done['merge_id']}/undo", 409)


def test_a_group_that_changed_since_it_was_seen_is_shown_again(world: World, api: Api) -> None:
    first, second = a_pair(world)
    third = world.create(first_name="Ann", phone=PHONE)
    group = api.asked("GET", "/duplicates", 200)["items"][0]["id"]

    refused = api.asked("POST", f"/duplicates/{group}/merge", 409, json={"seen": [first, second]})

    assert [member["id"] for member in refused["present"]["members"]] == [first, second, third]


def test_dismissed_members_are_not_shown_again(world: World, api: Api) -> None:
    a_pair(world)
    group = api.asked("GET", "/duplicates", 200)["items"][0]["id"]

    assert api.asked("POST", f"/duplicates/{group}/dismiss", 200) == {"pairs": 1}

    assert api.asked("GET", "/duplicates", 200)["items"] == []
    api.asked("POST", f"/duplicates/{group}/dismiss", 404)


def test_a_shared_value_joins_nobody_until_it_is_taken_off(world: World, api: Api) -> None:
    a_pair(world)

    shared = api.asked(
        "POST", "/duplicates/shared-values", 201, json={"kind": "phone", "value": PHONE, "note": "office"}
    )

    assert (shared["value"], shared["holders"]) == ("+447911123456", 2)
    assert api.asked("GET", "/duplicates", 200)["items"] == []
    assert api.asked("GET", "/duplicates/shared-values", 200)[0]["id"] == shared["id"]
    api.asked("DELETE", f"/duplicates/shared-values/{shared['id']}", 204)
    assert len(api.asked("GET", "/duplicates", 200)["items"]) == 1


def test_a_bulk_merge_is_previewed_done_and_taken_back_as_one(world: World, api: Api) -> None:
    for number in range(3):
        for name in ("Ana", "Ana"):
            world.create(first_name=name, email=f"ana{number}@example.org")

    preview = api.asked("POST", "/duplicates/merge-safe", 200, json={"preview": True})
    asked = api.asked("POST", "/duplicates/merge-safe", 202)
    dedupe.work_on_batches(world.app, world.ws)

    assert preview == {"groups": 3, "contacts": 6, "skipped": {}, "next_cursor": None}
    batch = api.asked("GET", f"/merge-batches/{asked['batch_id']}", 200)
    assert (batch["state"], batch["done"], len(world.contacts())) == ("done", 3, 3)
    asked_back = api.asked("POST", f"/merge-batches/{asked['batch_id']}/undo", 202)
    undone = api.asked("GET", f"/merge-batches/{asked['batch_id']}", 200)
    assert (asked_back["state"], asked_back["standing"]) == ("undoing", 3)
    assert (undone["state"], undone["standing"], len(world.contacts())) == ("undone", 0, 6)
    api.asked("POST", f"/merge-batches/{asked['batch_id']}/cancel", 409)


def test_a_preview_of_many_groups_comes_in_parts(world: World, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_merging, "_PREVIEW", 2)
    for number in range(3):
        for name in ("Ana", "Ana"):
            world.create(first_name=name, email=f"ana{number}@example.org")

    first = api.asked("POST", "/duplicates/merge-safe", 200, json={"preview": True})
    rest = api.asked("POST", "/duplicates/merge-safe", 200, json={"preview": True, "cursor": first["next_cursor"]})

    assert [(part["groups"], part["contacts"]) for part in (first, rest)] == [(2, 4), (1, 2)]
    assert rest["next_cursor"] is None
    api.asked("POST", "/duplicates/merge-safe", 400, json={"preview": True, "cursor": "x"})


def test_merges_are_listed_newest_first(world: World, api: Api) -> None:
    for number in range(2):
        for name in ("Ana", "A."):
            world.create(first_name=name, email=f"ana{number}@example.org")
    made = [
        api.asked("POST", f"/duplicates/{group['id']}/merge", 200, json={})["merge_id"]
        for group in api.asked("GET", "/duplicates", 200)["items"]
    ]

    page = api.asked("GET", "/merges?limit=1", 200)
    rest = api.asked("GET", f"/merges?limit=1&cursor={page['next_cursor']}", 200)

    assert [page["items"][0]["id"], rest["items"][0]["id"]] == made[::-1]


def test_what_is_not_there_cannot_be_merged_or_undone(api: Api) -> None:
    api.asked("GET", "/duplicates/1", 404)
    api.asked("POST", "/duplicates/1/merge", 404, json={})
    api.asked("POST", "/merges/1/undo", 404)
    api.asked("POST", "/merges/1/hubspot", 404, json={"action": "now"})
    api.asked("GET", "/merge-batches/1", 404)
    api.asked("POST", "/merge-batches/1/undo", 404)
    api.asked("POST", "/merge-batches/1/cancel", 404)
    api.asked("DELETE", "/duplicates/shared-values/1", 404)
    api.asked("POST", "/duplicates/shared-values", 400, json={"kind": "phone", "value": "none"})
