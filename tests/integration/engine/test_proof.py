"""A full run proves by HubSpot's own count that nothing is missing, or names what differs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.connected import Desk, connected
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState
from mercuri.engine import edit, proof, run
from mercuri.store import portals
from mercuri.store.runs import Run


def proven(world: World) -> dict[str, Any]:
    with world.app.db.read(world.ws) as tx:
        return dict(portals.get(tx, PORTAL).sweep)


def differing(desk: Desk, ours: list[int], part: range | None = None) -> tuple[list[int], list[int]]:
    return proof.differences(desk.client, ours, range(len(ours)) if part is None else part)


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

    fewer = differing(desk, theirs[1:-1])
    more = differing(desk, [theirs[0] - 1, *theirs, invented])

    assert fewer == ([theirs[0], theirs[-1]], [])
    assert more == ([], [theirs[0] - 1, invented])


def test_equal_numbers_of_different_records_in_one_page_are_told_apart() -> None:
    desk = connected(contacts=50)
    theirs = [int(record) for record in desk.sandbox.contact_ids()]

    assert differing(desk, [*theirs[:-1], theirs[-1] + 1]) == ([theirs[-1]], [theirs[-1] + 1])


def test_as_many_missing_as_surplus_records_do_not_cancel_out() -> None:
    desk = connected(contacts=1500)
    theirs = [int(record) for record in desk.sandbox.contact_ids()]
    invented = theirs[700] + 1
    assert invented not in theirs

    ours = sorted({*theirs, invented} - {theirs[705], theirs[3]} | {theirs[3] + 1})

    assert differing(desk, ours) == ([theirs[3], theirs[705]], [theirs[3] + 1, invented])


def test_a_portal_too_large_for_one_comparison_is_compared_part_by_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "COMPARED", 300)
    world.sandbox.add_contacts(1000)
    theirs = [int(record) for record in world.sandbox.contact_ids()]

    parts = [(world.sync(full=True), proven(world))[1] for _ in range(6)]

    assert [part["compared"] for part in parts] == [0, 300, 300, 300, 100, 300]
    assert [part["upto"] for part in parts] == [0, theirs[299], theirs[599], theirs[899], theirs[999], theirs[299]]


def test_a_difference_hidden_by_equal_counts_is_found_by_the_run_that_compares_its_part() -> None:
    desk = connected(contacts=1000)
    theirs = [int(record) for record in desk.sandbox.contact_ids()]
    ours = sorted({*theirs, theirs[700] + 1} - {theirs[705]})

    assert differing(desk, ours, range(300)) == ([], [])
    assert differing(desk, ours, range(600, 900)) == ([theirs[705]], [theirs[700] + 1])


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
