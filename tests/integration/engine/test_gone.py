from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World, adds_up

from mercuri.core.contact import LinkState, RecordId
from mercuri.engine import dedupe, edit, run
from mercuri.sandbox import Sandbox
from mercuri.store import merges, outbox


def a_pair(world: World, name: str = "Ana") -> tuple[str, int]:
    record = world.sandbox.create({"firstname": name, "email": f"{name.lower()}@example.com"})
    world.sync()
    return record, world.of_record(record).id


def state(world: World, record: str) -> LinkState:
    link = world.link(record)
    assert link is not None
    return link.state


def test_a_record_deleted_in_hubspot_leaves_the_contact_and_its_link_sleeps(both: World) -> None:
    record, ana = a_pair(both)
    a_pair(both, "Bo")
    both.sandbox.archive(record)

    done = both.sync(full=True)

    assert ana in both.contacts()
    assert state(both, record) is LinkState.ASLEEP
    assert adds_up(done)


def test_a_record_deleted_in_hubspot_is_noticed_by_an_increment_without_a_webhook(both: World) -> None:
    record, ana = a_pair(both)
    a_pair(both, "Bo")
    both.settings(deletions="archive")
    both.sandbox.archive(record)

    both.sync()

    assert state(both, record) is LinkState.ASLEEP
    assert ana not in both.contacts()


def test_a_recycle_bin_of_many_pages_is_read_page_by_page(world: World) -> None:
    world.sandbox.add_contacts(230)
    world.sync()
    records = world.sandbox.contact_ids()
    for record in records:
        world.sandbox.archive(record)

    slept = []
    for _ in range(3):
        world.sync()
        slept.append(sum(state(world, record) is LinkState.ASLEEP for record in records))

    assert slept == [100, 200, 230]


def test_a_record_in_the_bin_that_was_restored_meanwhile_stays_linked(world: World) -> None:
    record, _ = a_pair(world)
    asked = world.ask()
    app = replace(world.app, http=httpx.Client(transport=Slow(world.sandbox, record)))
    world.sandbox.archive(record)

    run.execute(app, world.ws, asked.id, owner="worker")

    assert state(world, record) is LinkState.LIVE


def test_a_record_that_comes_back_wakes_the_same_link(world: World) -> None:
    record, ana = a_pair(world)
    a_pair(world, "Bo")
    world.sandbox.archive(record)
    world.sync(full=True)

    world.sandbox.restore(record)
    world.sync()

    assert state(world, record) is LinkState.LIVE
    assert world.of_record(record).id == ana
    assert len(world.contacts()) == 2


def test_a_contact_deleted_here_is_not_imported_again(both: World) -> None:
    record, ana = a_pair(both)
    edit.delete_contact(both.app, both.ws, ana, OWNER)

    both.sync()
    both.sandbox.update(record, {"firstname": "Anna"})
    done = both.sync(full=True)

    assert not both.contacts()
    assert done.counts["excluded"] == 1
    assert both.record(record)["firstname"] == "Anna"


def test_a_contact_restored_here_is_synced_again(world: World) -> None:
    record, ana = a_pair(world)
    edit.delete_contact(world.app, world.ws, ana, OWNER)
    world.sync()
    world.sandbox.update(record, {"firstname": "Anna"})
    world.sync()

    edit.restore_contact(world.app, world.ws, ana, OWNER)
    world.sync()

    assert state(world, record) is LinkState.LIVE
    assert world.contact(ana).fields["first_name"] == "Anna"


def test_a_deletion_here_is_carried_over_when_the_settings_say_so(world: World) -> None:
    _, ana = a_pair(world)
    world.settings(deletions="archive")
    edit.delete_contact(world.app, world.ws, ana, OWNER)

    done = world.sync()

    assert not world.sandbox.contact_ids()
    assert done.counts["archived"] == 1


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("fault", ["", "lost_reply_after", "lost_reply_before"])
def test_a_contact_restored_here_whose_record_we_archived_is_created_anew_and_once(
    both: World, fault: str, holds: bool
) -> None:
    both.sandbox.switch(archived_holds_unique=holds)
    both.sync()
    ana = both.create(first_name="Ana", last_name="Souza")
    both.sync()
    first = both.link_of(ana)
    assert first is not None
    both.settings(deletions="archive")
    edit.delete_contact(both.app, both.ws, ana, OWNER)
    both.sync()
    assert not both.sandbox.contact_ids()

    edit.restore_contact(both.app, both.ws, ana, OWNER)
    if fault:
        both.sandbox.fault(fault, match="/batch/upsert")
    both.sync()
    both.clock.advance(3600)
    both.sync()

    now = both.link_of(ana)
    assert now is not None
    assert both.sandbox.contact_ids() == [now.record_id] != [first.record_id]
    assert both.record(now.record_id)["lastname"] == "Souza"
    assert (now.state, both.failures()) == (LinkState.LIVE, [])
    both.sandbox.restore(first.record_id)
    both.clock.advance(3600)
    done = both.sync(full=True)
    assert set(both.contacts()) == {ana}
    assert done.counts["excluded"] == 1


def test_a_contact_restored_here_keeps_the_record_that_somebody_restored_there_too(world: World) -> None:
    record, ana = a_pair(world)
    world.settings(deletions="archive")
    edit.delete_contact(world.app, world.ws, ana, OWNER)
    world.sync()

    world.sandbox.restore(record)
    edit.restore_contact(world.app, world.ws, ana, OWNER)
    world.sync()

    assert state(world, record) is LinkState.LIVE
    assert world.sandbox.contact_ids() == [record]


def test_a_contact_restored_here_stays_alone_when_its_record_was_deleted_there(world: World) -> None:
    record, ana = a_pair(world)
    other, _ = a_pair(world, "Bo")
    world.settings(deletions="archive")
    world.sandbox.archive(record)
    world.clock.advance(3600)
    world.sync(full=True)
    assert world.contact(ana).deleted_at is not None

    edit.restore_contact(world.app, world.ws, ana, OWNER)
    world.sync()

    assert world.sandbox.contact_ids() == [other]
    assert state(world, record) is LinkState.ASLEEP


def test_too_many_deletions_stop_the_run_and_nothing_is_written(world: World) -> None:
    world.sandbox.add_contacts(30)
    world.sync()
    world.settings(deletions="archive")
    for contact in list(world.contacts())[:11]:
        edit.delete_contact(world.app, world.ws, contact, OWNER)
    world.sandbox.reset_counts()

    done = world.sync()

    assert done.state == "stopped"
    assert "11 of 30" in done.message
    assert world.sandbox.counts()["write"] == 0


def test_a_merge_in_hubspot_is_made_here_with_a_way_back(both: World) -> None:
    one, ana = a_pair(both)
    other, bo = a_pair(both, "Bo")
    survivor = both.sandbox.merge(one, other)

    both.sync(full=True)
    both.sync(full=True)

    assert state(both, survivor) is LinkState.LIVE
    kept = both.of_record(survivor)
    assert list(both.contacts()) == [kept.id]
    assert {address.normal for address in kept.addresses} == {"ana@example.com", "bo@example.com"}
    assert both.sandbox.contact_ids() == [survivor]
    with both.app.db.read(both.ws) as tx:
        (merge,) = merges.recent(tx)
    assert merge.actor == f"HubSpot {PORTAL}"
    assert [(one.portal, one.state) for one in merge.hubspot] == [(PORTAL, "done")]
    dedupe.undo_merge(both.app, both.ws, merge.id, OWNER, confirm=True)
    assert set(both.contacts()) == {ana, bo}


def test_a_merged_record_of_a_deleted_contact_stays_deleted(world: World) -> None:
    one, ana = a_pair(world)
    edit.delete_contact(world.app, world.ws, ana, OWNER)
    world.sync()
    stranger = world.sandbox.create({"firstname": "Anne", "email": "anne@example.com"})

    world.sandbox.merge(one, stranger)
    done = world.sync(full=True)

    assert not world.contacts()
    assert done.counts["excluded"] == 1


def test_an_empty_answer_deletes_nothing(world: World) -> None:
    record, ana = a_pair(world)
    world.settings(deletions="archive")
    world.sandbox.archive(record)

    world.sync(full=True)

    assert ana in world.contacts()


def test_a_hint_of_a_privacy_deletion_erases_the_person(world: World) -> None:
    record, _ = a_pair(world)
    world.sandbox.erase(record)
    with world.app.db.write(world.ws) as tx:
        outbox.note_look(tx, PORTAL, RecordId(record), world.app.now(), erased=True)

    world.sync()

    assert not world.contacts()


class Slow(httpx.BaseTransport):
    """A record is restored while the answer with the recycle bin is on its way."""

    def __init__(self, sandbox: Sandbox, record: str) -> None:
        self._transport, self._sandbox, self._record = SandboxTransport(sandbox), sandbox, record

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._transport.handle_request(request)
        if request.method == "GET" and "archived=true" in str(request.url):
            self._sandbox.restore(self._record)
        return answer


class Forgetful(httpx.BaseTransport):
    """A list that leaves out one record that is there."""

    def __init__(self, sandbox: Sandbox, record: str) -> None:
        self._transport, self._record = SandboxTransport(sandbox), record

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._transport.handle_request(request)
        if request.method == "GET" and request.url.path.endswith("/contacts"):
            body = answer.json()
            body["results"] = [item for item in body["results"] if item.get("id") != self._record]
            return httpx.Response(answer.status_code, json=body)
        return answer


def test_a_record_that_the_list_leaves_out_is_not_taken_for_deleted(world: World) -> None:
    record, ana = a_pair(world)
    a_pair(world, "Bo")
    world.settings(deletions="archive")
    asked = world.ask(full=True)
    app = replace(world.app, http=httpx.Client(transport=Forgetful(world.sandbox, record)))

    done = run.execute(app, world.ws, asked.id, owner="worker")

    assert (done.counts["fetched"], done.counts["archived"]) == (2, 0)
    assert state(world, record) is LinkState.LIVE
    assert ana in world.contacts()


def test_a_deletion_there_is_carried_over_when_the_settings_say_so(both: World) -> None:
    record, ana = a_pair(both)
    a_pair(both, "Bo")
    both.settings(deletions="archive")
    both.sandbox.archive(record)

    both.sync(full=True)
    assert ana not in both.contacts()

    both.sandbox.restore(record)
    both.sync()
    assert ana in both.contacts()


def test_an_edit_here_outlives_a_deletion_there(world: World) -> None:
    record, ana = a_pair(world)
    a_pair(world, "Bo")
    world.settings(deletions="archive")
    world.sandbox.archive(record)
    world.edit(ana, first_name="Anna")

    world.sync(full=True)

    assert world.contacts()[ana].fields["first_name"] == "Anna"


def test_an_edit_here_of_a_field_whose_property_takes_no_values_outlives_a_deletion_there(world: World) -> None:
    world.settings(deletions="archive")
    record, ana = a_pair(world)
    a_pair(world, "Bo")
    portal = world.sandbox.portal
    portal.set_property(replace(portal.properties["firstname"], type="enumeration", field_type="select"))
    world.edit(ana, first_name="Annie")
    world.sandbox.archive(record)

    world.sync(full=True)

    assert world.contacts()[ana].fields["first_name"] == "Annie"


@pytest.mark.parametrize("deleted", ["here", "there"])
def test_a_deletion_carries_nothing_away_that_a_person_has_still_to_choose(world: World, deleted: str) -> None:
    world.settings(deletions="archive", conflict_policy="ask")
    a_pair(world, "Bo")
    ana = world.create(first_name="Ana", email="ana@example.com")
    record = world.sandbox.create({"firstname": "Annie", "email": "ana@example.com"})
    world.sync()

    if deleted == "here":
        edit.delete_contact(world.app, world.ws, ana, OWNER)
    else:
        world.sandbox.archive(record)
    world.sync(full=True)
    world.sync()

    assert (record in world.sandbox.contact_ids()) == (deleted == "here")
    assert (ana in world.contacts()) == (deleted == "there")
