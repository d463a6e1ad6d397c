"""Faults that the simulation machine found once, each as the shortest history that showed it."""

from __future__ import annotations

from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import RecordId
from mercuri.engine import edit
from mercuri.store import conflicts, outbox


def test_a_field_that_only_comes_in_takes_a_later_value_though_it_was_filled_here(world: World) -> None:
    email_in = {"property": "email", "field": "email", "direction": "in"}
    name = {"property": "firstname", "field": "first_name", "direction": "both"}
    world.settings(mapping=[email_in, name], conflict_policy="mercuri")
    ana = world.create(first_name="Ana", email="ana@example.com")
    world.sync()
    link = world.link_of(ana)
    assert link is not None

    world.sandbox.update(link.record_id, {"email": "ana@work.example.com"})
    world.sync()

    assert world.contact(ana).fields["email"] == "ana@work.example.com"


def test_a_run_stopped_by_the_brake_goes_through_once_the_brake_is_released(world: World) -> None:
    world.settings(deletions="archive")
    records = [world.sandbox.create({"firstname": f"P{n}", "email": f"p{n}@example.com"}) for n in range(12)]
    world.sync()
    for record in records:
        edit.delete_contact(world.app, world.ws, world.of_record(record).id, OWNER)
    # The records are read again, as the windows overlap, and their links go to sleep before the brake looks.
    stopped = world.sync()
    assert (stopped.state, len(world.sandbox.contact_ids())) == ("stopped", 12)
    assert "12 of 12 linked" in stopped.message

    world.settings(delete_brake=100)
    done = world.sync()

    assert (done.state, world.sandbox.contact_ids()) == ("done", [])


def test_hints_about_records_that_nobody_has_do_not_trip_the_brake(world: World) -> None:
    world.settings(deletions="archive")
    world.sandbox.create({"firstname": "Ana"})
    world.sync()
    with world.app.db.write(world.ws) as tx:
        for number in range(12):
            outbox.note_look(tx, PORTAL, RecordId(str(900_000 + number)), world.clock.now())

    assert world.sync().state == "done"


def test_a_value_of_an_open_conflict_is_kept_when_a_later_edit_replaces_it(world: World) -> None:
    world.settings(conflict_policy="ask")
    record = world.sandbox.create({"firstname": "Ana"})
    world.sync()
    ana = world.of_record(record).id
    world.edit(ana, first_name="Anna")
    world.sandbox.update(record, {"firstname": "Hannah"})
    world.sync()

    world.sandbox.update(record, {"firstname": "Hana"})
    world.sync()

    with world.app.db.read(world.ws) as tx:
        (waiting, older) = sorted(conflicts.of_contact(tx, ana), key=lambda one: one.state)
    assert (waiting.state, waiting.local, waiting.remote) == ("open", "Anna", "Hana")
    assert (older.state, older.resolution, older.local, older.remote) == ("resolved", "other", "Anna", "Hannah")
