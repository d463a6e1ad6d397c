"""Conflicts and failures over the API: what waits for a person, and what they decide."""

from __future__ import annotations

from tests.support.api import Api
from tests.support.world import World

from mercuri.core.contact import RunId
from mercuri.engine import run


def executed(world: World, run_id: int) -> None:
    """A worker does the run."""
    run.execute(world.app, world.ws, RunId(run_id), owner="worker")


def a_conflict(world: World) -> str:
    """Ana's first name, changed on both sides under the policy `ask`; her record."""
    world.settings(two_way=True, conflict_policy="ask")
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    world.edit(world.of_record(record).id, first_name="Anna")
    world.sandbox.update(record, {"firstname": "Hannah"})
    world.sync()
    return record


def test_a_conflict_shows_both_sides_with_who_and_when(world: World, api: Api) -> None:
    record = a_conflict(world)

    (conflict,) = api.asked("GET", "/conflicts", 200)["items"]

    assert (conflict["field"], conflict["state"], conflict["record_id"]) == ("first_name", "open", record)
    assert (conflict["mercuri"]["value"], conflict["mercuri"]["by"]) == ("Anna", "user olga")
    assert conflict["hubspot"]["value"] == "Hannah"
    assert conflict["mercuri"]["changed_at"]
    assert conflict["hubspot"]["changed_at"]


def test_a_choice_settles_a_conflict_once(world: World, api: Api) -> None:
    record = a_conflict(world)
    (conflict,) = api.asked("GET", "/conflicts", 200)["items"]
    address = f"/conflicts/{conflict['id']}/resolve"

    settled = api.asked("POST", address, 200, json={"take": "hubspot"})

    assert (settled["state"], settled["resolution"]) == ("resolved", "hubspot")
    assert settled["resolved_by"].startswith("api:")
    assert world.of_record(record).fields["first_name"] == "Hannah"
    api.asked("POST", address, 409, json={"take": "mercuri"})
    assert api.asked("GET", "/conflicts", 200)["items"] == []
    assert len(api.asked("GET", "/conflicts?state=resolved", 200)["items"]) == 1


def test_a_choice_that_cannot_be_meant_settles_nothing(world: World, api: Api) -> None:
    a_conflict(world)
    (conflict,) = api.asked("GET", "/conflicts", 200)["items"]
    address = f"/conflicts/{conflict['id']}/resolve"

    api.asked("POST", address, 422, json={"take": "both"})
    api.asked("POST", address, 400, json={"take": "other"})
    api.asked("POST", "/conflicts/999/resolve", 404, json={"take": "hubspot"})

    assert len(api.asked("GET", "/conflicts", 200)["items"]) == 1


def test_a_failing_record_is_listed_with_what_to_fix_and_tried_again(world: World, api: Api) -> None:
    world.settings(two_way=True)
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    ana = world.of_record(record).id
    world.edit(ana, email="no e-mail at all")
    failed = world.sync()

    (failure,) = api.asked("GET", f"/sync-runs/{failed.id}/failures", 200)["items"]

    assert (failure["contact_id"], failure["attempts"]) == (ana, 1)
    assert failure["class"]
    assert failure["message"]
    assert failure["fix"]
    assert api.asked("GET", "/contacts?health=failing", 200)["items"][0]["id"] == ana
    assert api.asked("POST", f"/sync-runs/{failed.id}/failures/retry", 202) == {"retried": 1}
    world.edit(ana, email="anna@example.org")
    world.sync()
    assert api.asked("GET", "/contacts?health=failing", 200)["items"] == []
    assert world.record(record)["email"] == "anna@example.org"


def test_a_preview_carries_its_plan_and_its_undo_is_a_run(world: World, api: Api) -> None:
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    world.settings(two_way=True)
    world.sandbox.update(record, {"firstname": "Anna"})

    preview = world.sync(preview=True)
    shown = api.asked("GET", f"/sync-runs/{preview.id}", 200)

    assert shown["preview"] is True
    assert (shown["plan"]["here"], shown["plan"]["hubspot"]) == (1, 0)
    (change,) = api.asked("GET", f"/sync-runs/{preview.id}/changes", 200)["items"]
    assert (change["field"], change["side"], change["before"], change["after"]) == (
        "first_name",
        "mercuri",
        "Ana",
        "Anna",
    )
    assert world.of_record(record).fields["first_name"] == "Ana"

    applied = api.asked("POST", f"/sync-runs/{preview.id}/apply", 202)
    executed(world, applied["id"])
    assert world.of_record(record).fields["first_name"] == "Anna"

    undone = api.asked("POST", f"/sync-runs/{applied['id']}/undo", 202)
    assert (undone["kind"], undone["undo_of"]) == ("undo", applied["id"])
    executed(world, undone["id"])
    assert world.of_record(record).fields["first_name"] == "Ana"
