"""A full run proves by HubSpot's own count that nothing is missing, or names what differs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.connected import connected
from tests.support.world import OWNER, PORTAL, World

from mercuri.engine import edit, proof
from mercuri.store import portals


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
        monkeypatch.setattr(proof, "_count", _showing(world, int(hidden), proof._count))
        done = world.go(asked)
    finally:
        if int(hidden) not in ask:
            ask.insert(7, int(hidden))

    assert done.state == "done"
    assert proven(world)["missing"] == [int(hidden)]
    assert world.link(hidden) is not None


def _showing(world: World, hidden: int, count: Any) -> Any:
    """The list forgot a record until HubSpot is asked how many there are."""

    def shown(*values: Any) -> int:
        if hidden not in world.sandbox.portal.live:
            world.sandbox.portal.live.insert(7, hidden)
        return int(count(*values))

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
