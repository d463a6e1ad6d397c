from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
from tests.support.sandbox import Meddler
from tests.support.world import OWNER, World

from mercuri.engine import edit, run
from mercuri.store import conflicts
from mercuri.store.runs import Run


def sync_while(world: World, path: str, act: Callable[[], None]) -> Run:
    """A run during which someone acts between our reading and our writing."""
    asked = world.ask()
    http = httpx.Client(transport=Meddler(world.sandbox, path, act))
    return run.execute(replace(world.app, http=http), world.ws, asked.id, owner="worker")


def a_pair(world: World, **properties: str) -> tuple[str, int]:
    record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", **properties})
    world.sync()
    return record, world.of_record(record).id


def decided(world: World) -> list[tuple[str, str, str]]:
    with world.app.db.read(world.ws) as tx:
        return [(c.local, c.remote, c.resolution) for c in conflicts.recent(tx, state="decided")]


def test_an_edit_that_our_write_ran_over_comes_back_when_hubspot_wins(both: World) -> None:
    record, ana = a_pair(both)
    both.edit(ana, first_name="Annie")

    sync_while(both, "batch/update", lambda: both.sandbox.update(record, {"firstname": "Theirs"}))
    both.sync()

    assert both.record(record)["firstname"] == both.contact(ana).fields["first_name"] == "Theirs"
    assert decided(both) == [("Annie", "Theirs", "hubspot")]


def test_an_edit_that_our_write_ran_over_is_kept_when_we_win(world: World) -> None:
    world.settings(conflict_policy="mercuri")
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie")

    sync_while(world, "batch/update", lambda: world.sandbox.update(record, {"firstname": "Theirs"}))
    world.sync()

    assert world.record(record)["firstname"] == world.contact(ana).fields["first_name"] == "Annie"
    assert decided(world) == [("Annie", "Theirs", "mercuri")]


def test_a_value_that_our_write_ran_over_and_someone_set_here_too_is_theirs(world: World) -> None:
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie")

    def both_sides() -> None:
        world.sandbox.update(record, {"firstname": "Anouk"})
        world.edit(ana, first_name="Anouk")

    done = sync_while(world, "batch/update", both_sides)
    world.sync()

    assert {change.side for change in world.changes(done)} == {"hubspot"}
    assert world.contact(ana).origins["first_name"].kind == "user"
    assert world.record(record)["firstname"] == "Anouk"


def test_an_edit_here_while_we_write_is_sent_with_the_next_run(world: World) -> None:
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie")

    sync_while(world, "batch/update", lambda: world.edit(ana, first_name="Anouk"))
    world.sync()

    assert world.record(record)["firstname"] == world.contact(ana).fields["first_name"] == "Anouk"


def test_a_record_archived_while_we_write_puts_the_link_to_sleep(world: World) -> None:
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie")

    done = sync_while(world, "batch/update", lambda: world.sandbox.archive(record))
    world.clock.advance(3600)
    world.sync(full=True)
    world.edit(ana, last_name="Souza")
    world.sync()

    assert done.state == "done"
    assert ana in world.contacts()
    assert not world.sandbox.contact_ids()


def test_a_record_merged_while_we_write_is_followed(world: World) -> None:
    record, ana = a_pair(world)
    other = world.sandbox.create({"firstname": "Anna", "email": "anna@example.com"})
    world.edit(ana, last_name="Souza")

    survivor = []
    sync_while(world, "batch/update", lambda: survivor.append(world.sandbox.merge(record, other)))
    world.clock.advance(3600)
    world.sync(full=True)
    world.sync()

    link = world.link_of(ana)
    assert link is not None
    assert world.record(survivor[0])["lastname"] == "Souza"


def test_a_contact_created_there_meanwhile_with_the_same_email_is_adopted(world: World) -> None:
    world.sync()
    bo = world.create(first_name="Bo", email="bo@example.com")

    sync_while(
        world,
        "batch/upsert",
        lambda: world.sandbox.create({"firstname": "Beau", "email": "bo@example.com"}) and None,
    )
    world.sync()

    assert len(world.sandbox.contact_ids()) == 1
    link = world.link_of(bo)
    assert link is not None
    assert world.record(link.record_id)["firstname"] == world.contact(bo).fields["first_name"] == "Beau"


def test_without_the_schema_scope_creates_go_by_email_and_others_wait(world: World) -> None:
    world.sandbox.grant(
        world.sandbox.static_token, frozenset({"crm.objects.contacts.read", "crm.objects.contacts.write"})
    )
    world.sync()
    bo = world.create(first_name="Bo", email="bo@example.com")
    cleo = world.create(first_name="Cleo")

    world.sync()
    world.sync()

    assert world.link_of(bo) is not None
    assert world.link_of(cleo) is None
    assert [failure.kind for failure in world.failures()] == ["scope"]
    assert len(world.sandbox.contact_ids()) == 1


def test_a_contact_without_name_and_email_is_said_to_lack_them_where_hubspot_wants_one(world: World) -> None:
    world.settings(two_way=True)
    contact = world.create(phone="+1 415 555 0132")
    world.sync()

    [failure] = world.failures()
    assert (failure.contact_id, failure.kind) == (contact, "validation")
    assert "neither an e-mail nor a name" in failure.message
    assert failure.raw
    world.edit(contact, last_name="Souza")
    world.sync()

    assert not world.failures()
    assert len(world.sandbox.contact_ids()) == 1


def test_one_bad_contact_does_not_hold_back_the_others(both: World) -> None:
    both.sync()
    both.create(first_name="Bad", email="not an e-mail")
    good = [both.create(first_name=f"Good {number}") for number in range(3)]

    both.sync()

    assert all(both.link_of(contact) is not None for contact in good)
    assert [failure.kind for failure in both.failures()] == ["validation"]


def test_a_failing_contact_works_again_once_it_is_edited(world: World) -> None:
    world.sync()
    bad = world.create(first_name="Bad", email="not an e-mail")
    world.sync()

    world.edit(bad, email="good@example.com")
    world.sync()

    assert world.link_of(bad) is not None
    assert not world.failures()


def test_connecting_and_importing_write_nothing_to_hubspot(world: World) -> None:
    world.settings(two_way=False)
    world.sandbox.add_contacts(10)

    world.sync()

    assert not any(entry["method"] != "GET" and "search" not in entry["path"] for entry in world.sandbox.log())


def test_a_field_that_only_comes_in_is_never_sent(world: World) -> None:
    mapping = [
        {"property": "firstname", "field": "first_name", "direction": "in"},
        {"property": "lastname", "field": "last_name", "direction": "out"},
        {"property": "email", "field": "email"},
    ]
    world.settings(mapping=mapping)
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie", last_name="Souza")
    world.sandbox.update(record, {"firstname": "Anna"})
    world.sync()
    world.sandbox.update(record, {"lastname": "Lima"})
    world.sync()

    assert world.contact(ana).fields["last_name"] == "Souza"
    assert (world.record(record)["firstname"], world.record(record)["lastname"]) == ("Anna", "Lima")


def test_an_open_conflict_writes_nothing_until_a_person_chooses(world: World) -> None:
    world.settings(conflict_policy="ask")
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie")
    world.sandbox.update(record, {"firstname": "Anna"})
    world.sync()
    world.sync()

    assert (world.contact(ana).fields["first_name"], world.record(record)["firstname"]) == ("Annie", "Anna")
    with world.app.db.read(world.ws) as tx:
        [conflict] = conflicts.recent(tx)
    edit.resolve_conflict(world.app, world.ws, conflict.id, "mercuri", OWNER)
    world.sync()
    assert world.record(record)["firstname"] == "Annie"


def test_the_later_edit_wins_when_the_settings_say_so(world: World) -> None:
    world.settings(conflict_policy="recent")
    record, ana = a_pair(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    world.clock.advance(300)
    world.edit(ana, first_name="Annie")

    world.sync()
    world.sync()

    assert world.record(record)["firstname"] == world.contact(ana).fields["first_name"] == "Annie"


def test_without_the_permission_to_write_the_rest_of_the_run_goes_on(world: World) -> None:
    record, ana = a_pair(world)
    token, write = world.sandbox.static_token, "crm.objects.contacts.write"
    world.edit(ana, last_name="Souza")
    world.sandbox.update(record, {"firstname": "Anna"})
    world.sandbox.grant(token, frozenset({"crm.objects.contacts.read"}))

    done = world.sync()

    assert done.state == "done"
    assert "1 could not be synced" in done.message
    assert world.contact(ana).fields["first_name"] == "Anna"
    assert [failure.kind for failure in world.failures()] == ["scope"]
    world.sandbox.grant(token, frozenset({"crm.objects.contacts.read", write}))
    world.sync()
    assert world.record(record)["lastname"] == "Souza"
    assert not world.failures()


def test_an_email_that_another_record_has_does_not_hold_back_the_other_fields(both: World) -> None:
    both.sandbox.create({"firstname": "Bo", "email": "bo@example.com"})
    record, ana = a_pair(both)
    both.edit(ana, email="bo@example.com", last_name="Souza")

    done = both.sync()
    both.sync()

    assert both.record(record)["lastname"] == "Souza"
    assert both.record(record)["email"] == "ana@example.com"
    assert [failure.kind for failure in both.failures()] == ["duplicate_key"]
    assert done.counts["failing"] == 1
