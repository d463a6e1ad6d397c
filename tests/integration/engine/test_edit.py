"""What people do to contacts: import, erase, settle conflicts, try failures again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.api import a_connected_world
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState, RecordId
from mercuri.engine import edit
from mercuri.engine.app import Actor
from mercuri.errors import Clash, Forbidden, NotFound, UserError
from mercuri.store import changes, conflicts, failures, outbox, schema
from mercuri.store.conflicts import Conflict
from mercuri.store.failures import Failure
from mercuri.store.pages import Query

VIEWER = Actor("vera", "viewer")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A workspace connected to an empty sandbox."""
    with a_connected_world(tmp_path) as made:
        yield made


def imported(world: World, *lines: str, dry_run: bool = False, **mapping: str) -> edit.ImportReport:
    """Import the lines of a file."""
    text = [f"{line}\n" for line in lines]
    return edit.import_csv(world.app, world.ws, text, mapping or None, OWNER, dry_run)


def counts(report: edit.ImportReport) -> tuple[int, int, int, int]:
    """Created, updated, unchanged, failed."""
    return report.created, report.updated, report.unchanged, report.failed


# --- import -------------------------------------------------------------------------------------------------------


def test_a_row_updates_the_contact_with_its_email_and_makes_one_otherwise(world: World) -> None:
    ana = world.create(first_name="Ana", email="ana@example.org")

    report = imported(world, "email,first_name,custom.city", "ANA@example.org,Anna,Lyon", "bo@example.org,Bo,")

    assert counts(report) == (1, 1, 0, 0)
    assert world.contact(ana).fields["first_name"] == "Anna"
    assert world.contact(ana).fields["custom.city"] == "Lyon"
    assert world.contact(ana).origins["first_name"].kind == "import"


def test_an_id_names_the_contact_whatever_its_email(world: World) -> None:
    ana = world.create(first_name="Ana", email="ana@example.org")

    report = imported(world, "id,email", f"{ana},new@example.org", "999,x@example.org", "abc,y@example.org")

    assert counts(report) == (0, 1, 0, 2)
    assert world.contact(ana).fields["email"] == "new@example.org"
    assert [error.line for error in report.errors] == [3, 4]


def test_an_empty_cell_clears_nothing(world: World) -> None:
    ana = world.create(first_name="Ana", email="ana@example.org", phone="+447911123456")

    report = imported(world, "email,first_name,phone", "ana@example.org,,")

    assert counts(report) == (0, 0, 1, 0)
    assert world.contact(ana).fields["phone"] == "+447911123456"


def test_a_dry_run_says_the_same_and_writes_nothing(world: World) -> None:
    world.create(first_name="Ana", email="ana@example.org", phone="+447911123456")
    file = ("email,first_name,phone", "ana@example.org,Anna,", ",Bo,07911 123456", ",Cleo,+44 7911 123456", ",,")
    before = world.contacts()

    dry = imported(world, *file, dry_run=True)
    assert world.contacts() == before
    real = imported(world, *file)

    assert counts(dry) == counts(real) == (2, 1, 0, 0)
    assert dry.duplicates == real.duplicates == 1
    assert real.rows == 3


def test_two_rows_about_one_person_are_not_guessed_at(world: World) -> None:
    report = imported(world, "email,first_name", "ana@example.org,Ana", "Ana@Example.org,Anna")

    assert counts(report) == (1, 0, 0, 1)
    assert report.errors[0].reason == "line 2 names the same person"


def test_an_email_that_two_contacts_share_needs_an_id(world: World) -> None:
    for name in ("Ana", "Anna"):
        world.create(first_name=name, email="ana@example.org")

    report = imported(world, "email,first_name", "ana@example.org,A.")

    assert counts(report) == (0, 0, 0, 1)
    assert "ana@example.org" not in report.errors[0].reason


def test_a_deleted_contact_is_not_brought_back_by_an_import_of_its_id(world: World) -> None:
    ana = world.create(first_name="Ana")
    edit.delete_contact(world.app, world.ws, ana, OWNER)

    assert counts(imported(world, "id,first_name", f"{ana},Anna")) == (0, 0, 0, 1)


def test_an_import_is_logged_per_value_with_who_did_it(world: World) -> None:
    imported(world, "first_name", "Ana")

    (ana,) = world.contacts()
    with world.app.db.read(world.ws) as tx:
        log = changes.of_contact(tx, ana)
    assert {(c.field, c.after, c.actor, c.reason) for c in log} == {
        ("*", "created", "olga", "imported"),
        ("first_name", "Ana", "olga", "imported"),
    }


def test_a_formula_is_harmless_in_the_export_and_itself_again_in_the_import(world: World) -> None:
    ana = world.create(first_name="=HYPERLINK(1)", phone="+44 7911 123456")

    lines = list(edit.export_csv(world.app, world.ws, Query()))
    report = edit.import_csv(world.app, world.ws, lines, None, OWNER, False)

    assert "'=HYPERLINK(1)" in lines[1]
    assert counts(report) == (0, 0, 1, 0)
    assert world.contact(ana).fields["first_name"] == "=HYPERLINK(1)"


def test_an_export_streams_every_page(world: World) -> None:
    imported(world, "first_name,custom.city", *(f"Ana {number},Lyon" for number in range(450)))

    lines = list(edit.export_csv(world.app, world.ws, Query()))

    assert len(lines) == 451
    assert lines[0].startswith("id,first_name,last_name,phone,email,custom.city,")
    assert len({line.split(",")[0] for line in lines}) == 451


# --- edits ----------------------------------------------------------------------------------------------------


def test_every_edit_is_noted_for_the_portal_in_its_transaction(world: World) -> None:
    ana = world.create(first_name="Ana")

    with world.app.db.read(world.ws) as tx:
        assert outbox.waits(tx, PORTAL, "contact", [str(ana)]) == {str(ana)}


def test_addresses_that_came_from_the_record_survive_an_edit(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    other = world.sandbox.create({"email": "a.duarte@example.org"})
    merged = world.sandbox.merge(record, other)
    world.sync()
    ana = world.of_record(merged)
    extra = {a.normal for a in ana.addresses if a.kind == "email"}

    world.edit(ana.id, phone="+447911123456")

    kept = {a.normal for a in world.contact(ana.id).addresses if a.kind == "email"}
    assert kept == extra
    assert len(extra) == 2


def test_an_unknown_field_and_a_viewer_change_nothing(world: World) -> None:
    ana = world.create(first_name="Ana")

    with pytest.raises(UserError, match="no field"):
        edit.update_contact(world.app, world.ws, ana, {"nickname": "A"}, OWNER)
    for act in (edit.delete_contact, edit.erase_contact, edit.restore_contact):
        with pytest.raises(Forbidden):
            act(world.app, world.ws, ana, VIEWER)

    assert world.contact(ana).version == 1


def test_a_deleted_contact_cannot_be_edited(world: World) -> None:
    ana = world.create(first_name="Ana")
    edit.delete_contact(world.app, world.ws, ana, OWNER)

    with pytest.raises(Clash, match="deleted"):
        world.edit(ana, first_name="Anna")


# --- erasure --------------------------------------------------------------------------------------------------


def rows_with(world: World, *needles: str) -> list[str]:
    """Names of the tables that hold one of these texts anywhere."""
    found = []
    with world.app.db.read(world.ws) as tx:
        for table in schema.TABLES:
            for row in tx.execute(sa.select(table)):
                if any(needle in str(value).lower() for needle in needles for value in row):
                    found.append(table.name)
    return sorted(set(found))


def test_an_erased_person_is_in_no_table(world: World) -> None:
    record = world.sandbox.create(
        {"email": "ana.secret@example.org", "firstname": "Anasecret", "phone": "+447911123456"}
    )
    world.sync()
    ana = world.of_record(record)
    world.edit(ana.id, last_name="Secretlast")
    assert rows_with(world, "secret", "7911123456")

    edit.erase_contact(world.app, world.ws, ana.id, OWNER)

    assert rows_with(world, "secret", "7911123456") == []


def test_erasing_takes_along_what_was_merged_into_the_contact(world: World) -> None:
    survivor, absorbed = world.create(first_name="Ana"), world.create(first_name="Secretana")
    with world.app.db.write(world.ws) as tx:
        from mercuri.store import contacts

        contacts.mark_merged(tx, absorbed, survivor, world.clock.now())

    edit.erase_contact(world.app, world.ws, survivor, OWNER)

    assert rows_with(world, "secret") == []
    with pytest.raises(NotFound):
        world.contact(absorbed)


def test_the_record_of_an_erased_person_is_not_imported_again(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()

    edit.erase_contact(world.app, world.ws, world.of_record(record).id, OWNER)

    link = world.link(record)
    assert link is not None
    assert (link.state, link.base, link.shadow) == (LinkState.UNLINKED, {}, {})
    world.sync(full=True)
    assert world.contacts() == {}


def test_the_next_run_erases_the_record_in_hubspot_also_with_two_way_off(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.org"})
    world.sync()

    edit.erase_contact(world.app, world.ws, world.of_record(record).id, OWNER)

    assert world.sandbox.contact(record) is not None
    world.sync()
    assert world.sandbox.contact(record) is None


# --- conflicts ------------------------------------------------------------------------------------------------


def a_conflict(world: World) -> tuple[Conflict, RecordId]:
    """Ana's first name, changed on both sides under the policy `ask`."""
    world.settings(two_way=True, conflict_policy="ask")
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    world.edit(world.of_record(record).id, first_name="Anna")
    world.sandbox.update(record, {"firstname": "Hannah"})
    world.sync()
    with world.app.db.read(world.ws) as tx:
        (found,) = conflicts.recent(tx)
    return found, RecordId(record)


def test_hubspots_value_is_taken_here(world: World) -> None:
    conflict, record = a_conflict(world)

    settled = edit.resolve_conflict(world.app, world.ws, conflict.id, "hubspot", OWNER)
    world.sync()

    assert (settled.state, settled.resolution, settled.resolved_by) == ("resolved", "hubspot", "olga")
    assert world.of_record(record).fields["first_name"] == "Hannah"
    assert world.record(record)["firstname"] == "Hannah"


def test_our_value_is_kept_here_and_sent_to_hubspot(world: World) -> None:
    conflict, record = a_conflict(world)

    edit.resolve_conflict(world.app, world.ws, conflict.id, "mercuri", OWNER)
    world.sync()

    assert world.of_record(record).fields["first_name"] == "Anna"
    assert world.record(record)["firstname"] == "Anna"
    with world.app.db.read(world.ws) as tx:
        assert conflicts.count_open(tx) == 0


def test_a_blank_that_a_person_chose_is_sent(world: World) -> None:
    world.settings(two_way=True, conflict_policy="ask", blanks="ask")
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    world.edit(world.of_record(record).id, first_name="")
    world.sync()
    with world.app.db.read(world.ws) as tx:
        (conflict,) = conflicts.recent(tx)

    edit.resolve_conflict(world.app, world.ws, conflict.id, "mercuri", OWNER)
    world.sync()

    assert not world.record(record).get("firstname")
    assert world.of_record(record).fields["first_name"] == ""
    with world.app.db.read(world.ws) as tx:
        assert conflicts.count_open(tx) == 0


def test_a_third_value_is_set_on_both_sides(world: World) -> None:
    conflict, record = a_conflict(world)

    edit.resolve_conflict(world.app, world.ws, conflict.id, "other", OWNER, "Hanna")
    world.sync()

    assert world.of_record(record).fields["first_name"] == "Hanna"
    assert world.record(record)["firstname"] == "Hanna"


def test_a_settled_conflict_is_not_settled_again(world: World) -> None:
    conflict, record = a_conflict(world)
    edit.resolve_conflict(world.app, world.ws, conflict.id, "hubspot", OWNER)

    with pytest.raises(Clash):
        edit.resolve_conflict(world.app, world.ws, conflict.id, "mercuri", OWNER)

    assert world.of_record(record).fields["first_name"] == "Hannah"


@pytest.mark.parametrize(("take", "value"), [("both", None), ("other", None), ("hubspot", "x")])
def test_a_choice_that_cannot_be_meant_leaves_the_conflict_open(world: World, take: str, value: str | None) -> None:
    conflict, _ = a_conflict(world)

    with pytest.raises(UserError):
        edit.resolve_conflict(world.app, world.ws, conflict.id, take, OWNER, value)

    with world.app.db.read(world.ws) as tx:
        assert conflicts.count_open(tx) == 1


@pytest.mark.parametrize(("take", "is_deleted"), [("hubspot", True), ("mercuri", False)])
def test_a_deletion_there_is_taken_over_only_when_a_person_says_so(world: World, take: str, is_deleted: bool) -> None:
    world.settings(two_way=True, deletions="ask")
    world.sandbox.create({"email": "bo@example.org"})  # from a portal that answers with nothing, nothing is concluded
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    ana = world.of_record(record).id
    world.sandbox.archive(record)
    world.sync(full=True)
    with world.app.db.read(world.ws) as tx:
        (conflict,) = conflicts.recent(tx)
    assert (conflict.field, conflict.remote) == ("*", "deleted")

    edit.resolve_conflict(world.app, world.ws, conflict.id, take, OWNER)

    assert (world.contact(ana).deleted_at is not None) is is_deleted


def test_a_restored_contact_wakes_its_link(world: World) -> None:
    world.settings(two_way=True)
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    ana = world.of_record(record).id
    edit.delete_contact(world.app, world.ws, ana, OWNER)
    world.sync(full=True)
    asleep = world.link(record)
    assert asleep is not None
    assert asleep.state is LinkState.ASLEEP

    edit.restore_contact(world.app, world.ws, ana, OWNER)
    world.sync()

    awake = world.link(record)
    assert awake is not None
    assert (awake.state, awake.contact_id) == (LinkState.LIVE, ana)


# --- failures -------------------------------------------------------------------------------------------------


def test_a_failure_is_due_at_once_when_a_person_says_so(world: World) -> None:
    ana, now = world.create(first_name="Ana"), world.clock.now()
    later = now + timedelta(hours=1)
    with world.app.db.write(world.ws) as tx:
        failures.put(
            tx, Failure(PORTAL, f"contact:{ana}", "server", "No answer.", "Wait.", now, contact_id=ana, next_at=later)
        )
        outbox.postpone(tx, outbox.due(tx, PORTAL, "contact", now), later)

    assert edit.retry_failures(world.app, world.ws, None, OWNER) == 1

    assert world.failures()[0].next_at == now
    with world.app.db.read(world.ws) as tx:
        assert [item.key for item in outbox.due(tx, PORTAL, "contact", now)] == [str(ana)]
