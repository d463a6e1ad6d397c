from __future__ import annotations

from tests.support.world import OWNER, World, adds_up

from mercuri.core.contact import LinkState
from mercuri.engine import follow, run
from mercuri.store.runs import Run


def a_pair(world: World, name: str = "Ana") -> tuple[str, int]:
    record = world.sandbox.create({"firstname": name, "email": f"{name.lower()}@example.com"})
    world.sync()
    return record, world.of_record(record).id


def undo(world: World, of: Run) -> Run:
    return world.go(run.undo(world.app, world.ws, of.id, OWNER, "button"))


def apply(world: World, of: Run) -> Run:
    return world.go(run.apply(world.app, world.ws, of.id, OWNER, "button"))


def test_a_preview_changes_nothing_and_says_what_a_run_would_do(both: World) -> None:
    record, ana = a_pair(both)
    both.settings(two_way=False)
    both.sandbox.update(record, {"firstname": "Anna"})
    both.edit(ana, last_name="Souza")
    both.create(first_name="Bo")
    both.sandbox.reset_counts()

    shown = both.sync(preview=True, two_way=True)

    assert (shown.state, both.contact(ana).fields["first_name"]) == ("done", "Ana")
    assert both.sandbox.counts()["write"] == 0
    assert (shown.plan["here"], shown.plan["hubspot"]) == (1, 2)
    rows = {(c.field, c.side, c.before, c.after) for c in both.changes(shown)}
    assert ("first_name", "mercuri", "Ana", "Anna") in rows
    assert ("last_name", "hubspot", "", "Souza") in rows


def test_applying_a_preview_does_what_it_showed(both: World) -> None:
    record, ana = a_pair(both)
    both.settings(two_way=False)
    both.sandbox.update(record, {"firstname": "Anna"})
    both.edit(ana, last_name="Souza")
    shown = both.sync(preview=True, two_way=True)

    done = apply(both, shown)

    assert both.contact(ana).fields["first_name"] == "Anna"
    assert both.record(record)["lastname"] == "Souza"
    planned = {(c.field, c.side, c.after) for c in both.changes(shown)}
    assert {(c.field, c.side, c.after) for c in both.changes(done)} == planned


def test_what_changed_after_the_preview_is_not_applied(world: World) -> None:
    record, ana = a_pair(world)
    world.settings(two_way=False)
    world.sandbox.update(record, {"firstname": "Anna"})
    shown = world.sync(preview=True, two_way=True)
    world.sandbox.update(record, {"firstname": "Annette"})
    world.clock.advance(60)

    apply(world, shown)

    assert world.contact(ana).fields["first_name"] == "Ana"
    world.settings(conflict_policy="mercuri")
    world.sync()
    assert world.contact(ana).fields["first_name"] == "Annette"


def test_a_preview_of_a_first_load_counts_what_would_be_imported(world: World) -> None:
    world.sandbox.add_contacts(20)

    shown = world.sync(preview=True)

    assert shown.counts["created"] == shown.plan["here"] == 20
    assert not world.contacts()
    assert world.sync().counts["created"] == 20


def test_an_undone_run_puts_values_back_on_both_sides_and_the_next_is_silent(both: World) -> None:
    record, ana = a_pair(both)
    both.sandbox.update(record, {"firstname": "Anna"})
    both.edit(ana, last_name="Souza")
    done = both.sync()

    undone = undo(both, done)

    assert both.contact(ana).fields["first_name"] == "Ana"
    assert not both.record(record).get("lastname")
    assert (both.contact(ana).fields["last_name"], both.record(record)["firstname"]) == ("Souza", "Anna")
    assert undone.plan["skipped_total"] == 0
    both.sandbox.reset_counts()
    silent = both.sync()
    assert both.sandbox.counts()["write"] == silent.counts["updated"] == 0


def test_undoing_an_undo_brings_the_run_back(world: World) -> None:
    record, ana = a_pair(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    world.edit(ana, last_name="Souza")
    done = world.sync()

    undo(world, undo(world, done))

    assert world.contact(ana).fields["first_name"] == "Anna"
    assert world.record(record)["lastname"] == "Souza"
    world.sandbox.reset_counts()
    world.sync()
    assert world.sandbox.counts()["write"] == 0


def test_what_a_person_changed_since_is_left_and_named(world: World) -> None:
    record, ana = a_pair(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    done = world.sync()
    world.edit(ana, first_name="Annette")

    undone = undo(world, done)

    assert world.contact(ana).fields["first_name"] == "Annette"
    assert undone.plan["skipped_total"] == 1


def test_an_undone_first_load_leaves_no_contact_and_does_not_import_them_again(both: World) -> None:
    both.sandbox.add_contacts(30)
    done = both.sync()

    undo(both, done)
    both.sync(full=True)

    assert not both.contacts()


def test_a_redo_brings_a_contact_back_beside_a_record_that_was_gone_before_the_undo(world: World) -> None:
    gone = world.sandbox.create({"firstname": "Ana"})
    world.sandbox.create({"firstname": "Bo"})
    done = world.sync()
    world.sandbox.archive(gone)
    world.sync(full=True)
    world.clock.advance(1)
    undone = undo(world, done)

    undo(world, undone)

    link = world.link(gone)
    assert link is not None
    assert link.contact_id in world.contacts()
    assert (link.state, link.excluded) == (LinkState.ASLEEP, follow.GONE_THERE)


def test_a_record_that_a_run_created_is_archived_by_its_undo(world: World) -> None:
    world.sync()
    bo = world.create(first_name="Bo", email="bo@example.com")
    done = world.sync()

    undo(world, done)
    world.sync()

    assert bo in world.contacts()
    assert not world.sandbox.contact_ids()


def test_a_preview_knows_the_contacts_that_records_belong_to(world: World) -> None:
    world.create(first_name="Ana", email="ana@example.com")
    world.sandbox.create({"lastname": "Souza", "email": "ana@example.com"})

    shown = world.sync(preview=True)

    assert (shown.counts["created"], shown.counts["updated"]) == (0, 1)
    rows = {(c.field, c.side, c.after) for c in world.changes(shown)}
    assert ("last_name", "mercuri", "Souza") in rows
    assert ("*", "hubspot", "created") not in rows


def test_a_preview_knows_the_contact_that_a_record_belongs_to_by_phone(world: World) -> None:
    world.settings(match_by="email_phone")
    world.create(first_name="Ana", last_name="Souza", phone="+14155552671")
    world.sandbox.create({"firstname": "Ana", "lastname": "Souza", "phone": "+14155552671"})

    shown = world.sync(preview=True)

    assert (shown.plan["here"], shown.plan["hubspot"]) == (0, 0)


def test_contacts_made_after_the_preview_are_created_in_hubspot_by_the_next_run(both: World) -> None:
    both.sync()
    both.create(first_name="Ana", email="ana@example.com")
    shown = both.sync(preview=True)
    both.create(first_name="Bo", email="bo@example.com")

    done = apply(both, shown)
    then = both.sync()

    assert (done.counts["pushed_created"], then.counts["pushed_created"]) == (1, 1)


def test_an_edit_made_after_the_preview_is_sent_by_the_next_run(both: World) -> None:
    record, ana = a_pair(both)
    both.edit(ana, last_name="Souza")
    shown = both.sync(preview=True)
    both.edit(ana, first_name="Anna")

    apply(both, shown)
    applied = both.record(record)
    both.sync()

    assert (applied["lastname"], applied["firstname"]) == ("Souza", "Ana")
    assert both.record(record)["firstname"] == "Anna"


def test_a_record_made_after_the_preview_is_imported_by_the_next_run(both: World) -> None:
    a_pair(both)
    both.sandbox.create({"firstname": "Bo", "email": "bo@example.com"})
    shown = both.sync(preview=True)
    both.sandbox.create({"firstname": "Cy", "email": "cy@example.com"})
    both.clock.advance(120)

    done = apply(both, shown)
    applied = {contact.fields["first_name"] for contact in both.contacts().values()}
    both.sync()

    assert applied == {"Ana", "Bo"}
    assert adds_up(done)
    assert {contact.fields["first_name"] for contact in both.contacts().values()} == {"Ana", "Bo", "Cy"}
