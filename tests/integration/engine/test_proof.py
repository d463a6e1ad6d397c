"""A full run proves by HubSpot's own count that nothing is missing, or names what differs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.connected import connected
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState
from mercuri.engine import edit, proof, run
from mercuri.engine.app import SYSTEM
from mercuri.store import portals
from mercuri.store.runs import Run


def proven(world: World) -> dict[str, Any]:
    with world.app.db.read(world.ws) as tx:
        return dict(portals.get(tx, PORTAL).sweep)


def test_a_full_run_counts_as_many_records_as_hubspot(both: World) -> None:
    both.sandbox.add_contacts(30)

    done = both.sync(full=True)

    found = proven(both)
    assert (found["run"], found["hubspot"], found["in_sync"], found["excluded"]) == (done.id, 30, 30, {})
    assert (found["missing"], found["surplus"]) == ([], [])


def test_records_that_are_kept_out_are_counted_by_their_reason(world: World) -> None:
    world.sandbox.add_contacts(5)
    world.sync()
    edit.delete_contact(world.app, world.ws, next(iter(world.contacts())), OWNER)

    world.sync(full=True)

    found = proven(world)
    assert (found["hubspot"], found["in_sync"], sum(found["excluded"].values())) == (5, 4, 1)


def test_a_record_that_the_whole_read_missed_is_found_by_the_count_and_fetched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sandbox.add_contacts(20)
    hidden = world.sandbox.contact_ids()[7]
    ask = world.sandbox.portal.live

    world.clock.advance(86_400 * 30)
    ask.remove(int(hidden))
    try:
        asked = world.ask(full=True)
        monkeypatch.setattr(proof, "_look", _showing(world, int(hidden), proof._look))
        done = world.go(asked)
    finally:
        if int(hidden) not in ask:
            ask.insert(7, int(hidden))

    assert done.state == "done"
    assert proven(world)["missing"] == [int(hidden)]
    assert world.link(hidden) is not None


def _showing(world: World, hidden: int, look: Any) -> Any:
    """The list forgot a record until HubSpot is asked how many there are."""

    def shown(*values: Any) -> Any:
        if hidden not in world.sandbox.portal.live:
            world.sandbox.portal.live.insert(7, hidden)
        return look(*values)

    return shown


@pytest.mark.parametrize("contacts", [10, 1500])
def test_the_differences_are_exact(contacts: int) -> None:
    desk = connected(contacts=contacts)
    theirs = [int(record) for record in desk.sandbox.contact_ids()]
    invented = theirs[-1] + 5

    fewer = proof.differences(desk.client, theirs[1:-1])
    more = proof.differences(desk.client, [theirs[0] - 1, *theirs, invented])

    assert fewer == ([theirs[0], theirs[-1]], [])
    assert more == ([], [theirs[0] - 1, invented])


def test_equal_numbers_of_different_records_in_one_page_are_told_apart() -> None:
    desk = connected(contacts=50)
    theirs = [int(record) for record in desk.sandbox.contact_ids()]

    assert proof.differences(desk.client, [*theirs[:-1], theirs[-1] + 1]) == ([theirs[-1]], [theirs[-1] + 1])


def test_a_record_deleted_while_a_full_run_reads_on_is_settled_by_its_proof(both: World) -> None:
    both.sandbox.add_contacts(30)
    both.sync()
    gone = both.sandbox.contact_ids()[3]
    both.clock.advance(120)
    asked = both.ask(full=True)

    def delete_once(now: Run) -> None:
        if now.counts["fetched"] == 30 and gone in both.sandbox.contact_ids():
            both.sandbox.archive(gone)
            both.clock.advance(60)

    run.execute(both.app, both.ws, asked.id, owner="worker", progress=delete_once)

    found, link = proven(both), both.link(gone)
    assert (found["hubspot"], found["in_sync"], found["surplus"]) == (29, 29, [int(gone)])
    assert link is not None
    assert link.state is LinkState.ASLEEP


def test_a_daily_sweep_reads_by_the_list_alone_and_leaves_search_to_others(world: World) -> None:
    world.sandbox.switch(list_after="works")
    world.sandbox.add_contacts(2500)
    world.sync()

    hurried = world.sync(full=True)
    world.clock.advance(120)
    asked = run.request(world.app, world.ws, PORTAL, full=True, trigger="schedule", actor=SYSTEM)
    daily = world.go(asked)

    found = proven(world)
    assert (daily.counts["fetched"], found["in_sync"], found["run"]) == (2500, 2500, daily.id)
    assert daily.calls["search"] <= 6 < hurried.calls["search"]
    assert daily.calls["list"] >= 25
