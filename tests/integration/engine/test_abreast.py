"""Several batches of a push under way at once: what goes wrong with one of them is no other one's trouble."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from tests.property.machine.abreast import in_any_order
from tests.property.machine.histories import Setup
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import ContactId
from mercuri.engine import push, run
from mercuri.sandbox import Sandbox
from mercuri.store import outbox, portals
from mercuri.store.runs import Run

#: Contacts of one batch, and how many batches there are.
BATCH, BATCHES = 3, 5
#: Far longer than a test takes, in seconds: only a batch that never leaves is waited for so long.
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "BATCH", BATCH)


class Together(httpx.BaseTransport):
    """A wire on which the first two updates wait for each other; then someone acts, told which records are in one."""

    def __init__(self, sandbox: Sandbox, act: Callable[[list[str]], None] = lambda ids: None) -> None:
        self._there, self._act = SandboxTransport(sandbox), act
        self._pair = threading.Barrier(2)
        self._mutex = threading.Lock()
        self._left = 2
        self._away: list[str] = []
        #: Record ids that were in two updates at once.
        self.twice: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/batch/update"):
            return self._there.handle_request(request)
        ids = [one["id"] for one in json.loads(request.read())["inputs"]]
        with self._mutex:
            self.twice |= set(ids) & set(self._away)
            self._away += ids
            waits, self._left = self._left > 0, self._left - 1
        try:
            if waits and self._pair.wait(PATIENCE) == 0:
                self._act(ids)
            return self._there.handle_request(request)
        finally:
            with self._mutex:
                self._away = [one for one in self._away if one not in ids]


def edited(world: World) -> dict[str, ContactId]:
    """People on both sides, whose last names were changed here; contact by record."""
    for number in range(BATCH * BATCHES):
        world.sandbox.create({"firstname": f"P{number}", "email": f"p{number}@example.com"})
    world.sync()
    found = {record: world.of_record(record).id for record in world.sandbox.contact_ids()}
    for record, contact in found.items():
        world.edit(contact, last_name=f"Of {record}")
    world.sandbox.reset_counts()
    return found


def go(world: World, wire: httpx.BaseTransport, asked: Run | None = None) -> Run:
    asked = asked or world.ask()
    with httpx.Client(transport=wire) as http:
        return run.execute(replace(world.app, http=http), world.ws, asked.id, owner="worker")


def arrived(world: World) -> set[str]:
    """The records that have the last name given here."""
    return {r for r in world.sandbox.contact_ids() if world.record(r).get("lastname") == f"Of {r}"}


def written(world: World) -> list[int]:
    """How often each record got a last name."""
    return [len(record.entries("lastname")) for record in world.sandbox.portal.records.values()]


def open_intents(world: World) -> int:
    with world.app.db.read(world.ws) as tx:
        return len(outbox.open_intents(tx, PORTAL))


@contextmanager
def all_well_afterwards(world: World) -> Iterator[None]:
    """After what happens in the block and a run or two, every edit has arrived, once, and nothing is left to do."""
    yield
    world.sandbox.clear_faults()
    world.clock.advance(3600)
    world.sync()
    assert arrived(world) == set(world.sandbox.contact_ids())
    assert set(written(world)) == {1}
    assert (open_intents(world), world.failures()) == (0, [])
    world.sandbox.reset_counts()
    world.sync()
    assert world.sandbox.counts()["write"] == 0


def test_batches_are_under_way_together_and_no_record_is_in_two_of_them(both: World) -> None:
    edited(both)
    wire = Together(both.sandbox)

    with all_well_afterwards(both):
        done = go(both, wire)

        assert (done.state, done.counts["pushed_updated"]) == ("done", BATCH * BATCHES)
        assert done.calls["write"] == BATCHES
    assert not wire.twice


def test_an_edit_made_while_its_batch_is_under_way_follows_in_another(both: World) -> None:
    pairs = edited(both)
    wire = Together(both.sandbox, lambda ids: both.edit(pairs[ids[0]], first_name="Later"))

    done = go(both, wire)

    assert done.state == "done"
    assert sum(both.record(record)["firstname"] == "Later" for record in pairs) == 1
    assert not wire.twice


def test_a_value_that_hubspot_refuses_holds_up_neither_its_batch_nor_the_others(both: World) -> None:
    pairs = edited(both)
    bad, contact = next(iter(pairs.items()))
    both.edit(contact, email="not an e-mail")

    done = go(both, Together(both.sandbox))

    assert done.state == "done"
    assert arrived(both) == set(pairs)  # of the bad one, everything but the e-mail
    assert both.record(bad)["email"].endswith("@example.com")
    assert [failure.record_id for failure in both.failures()] == [bad]
    assert set(written(both)) == {1}


def test_a_record_that_a_batch_names_as_missing_is_not_written_while_the_others_are(both: World) -> None:
    both.sandbox.switch(update_old_id="not_found")
    pairs = edited(both)

    done = go(both, Together(both.sandbox, lambda ids: both.sandbox.archive(ids[0])))

    assert done.state == "done"
    gone = set(pairs) - arrived(both)
    assert len(gone) == 1
    assert {failure.record_id for failure in both.failures()} == gone


@pytest.mark.parametrize("fault", ["lost_reply_after", "lost_reply_before", "429", "423", "503", "truncated"])
def test_what_happens_to_one_batch_delays_only_that_one(both: World, fault: str) -> None:
    edited(both)
    both.sandbox.fault(fault, match="/batch/update", skip=1)

    with all_well_afterwards(both):
        done = go(both, Together(both.sandbox))

        assert done.state == "done"
        assert len(arrived(both)) >= BATCH * (BATCHES - 1)


def test_a_run_cancelled_while_batches_are_under_way_sends_no_more_and_forgets_none(both: World) -> None:
    edited(both)
    asked = both.ask()
    wire = Together(both.sandbox, lambda _: run.cancel(both.app, both.ws, asked.id, OWNER))

    with all_well_afterwards(both):
        cancelled = go(both, wire, asked)

        assert cancelled.state == "cancelled"
        # The other batch may have been answered before.
        assert BATCH <= open_intents(both) <= len(arrived(both))


def test_a_worker_that_lost_its_lease_stores_nothing_and_the_next_one_finds_out(both: World) -> None:
    edited(both)
    asked = both.ask()

    def take_over(_: list[str]) -> None:
        taken = None
        while taken is None:
            both.clock.advance(600)
            with both.app.db.write(both.ws) as tx:
                now = both.clock.now()
                taken = portals.take_lease(tx, PORTAL, "another", now, now + timedelta(hours=1))

    with all_well_afterwards(both):
        left = go(both, Together(both.sandbox, take_over), asked)

        assert left.is_live
        assert left.counts["pushed_updated"] < BATCH * BATCHES
        both.clock.advance(7200)
        assert both.go(asked).state == "done"


def test_a_token_revoked_while_batches_are_under_way_ends_the_run_and_keeps_what_was_done(both: World) -> None:
    edited(both)
    both.sandbox.fault("revoked", count=0, match="/batch/update", skip=2)

    with all_well_afterwards(both):
        failed = go(both, Together(both.sandbox))

        assert failed.state == "failed"
        assert failed.counts["pushed_updated"] == len(arrived(both)) == 2 * BATCH
        assert open_intents(both) == 0


@pytest.mark.parametrize("order", range(6))
def test_two_people_with_one_email_are_not_under_way_at_once(world: World, order: int) -> None:
    world.sync()
    first = world.create(first_name="Ana", email="shared@example.com")
    world.create(first_name="Bo", email="Shared@Example.com")
    world.sandbox.reset_counts()

    with in_any_order(Setup(batch=1, order=order)):
        world.sync()

    assert [entry["path"].rsplit("/")[-1] for entry in world.sandbox.log()].count("upsert") == 1
    assert world.link_of(first) is not None
    assert [failure.kind for failure in world.failures()] == ["duplicate_key"]
