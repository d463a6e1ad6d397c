"""Runs in the store: one live run per portal, their state, and which of them a worker takes up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.people import ACME, NOON, OTHER, PORTAL, a_portal

from mercuri.core.contact import PortalId
from mercuri.errors import Clash, NotFound
from mercuri.store import changes, portals, runs
from mercuri.store.changes import Change
from mercuri.store.database import ANY, Database, Tx


def _queue(tx: Tx, portal: str = PORTAL) -> runs.Run:
    return runs.create(
        tx, PortalId(portal), kind="incremental", trigger="button", at=NOON, requested_by="bo@example.org"
    )


def test_a_new_run_is_queued_with_every_count_at_zero(database: Database) -> None:
    with database.write(ACME) as tx:
        run = _queue(tx)

        assert runs.get(tx, run.id) == run
    assert (run.state, run.is_live, run.started_at, run.preview) == ("queued", True, None, False)
    assert run.counts == dict.fromkeys(runs.COUNTS, 0)
    assert run.calls == dict.fromkeys(runs.CALLS, 0)


def test_a_portal_has_one_live_run_and_the_refusal_names_it(database: Database) -> None:
    with database.write(ACME) as tx:
        run = _queue(tx)

        with pytest.raises(Clash) as refused:
            _queue(tx)

        assert refused.value.present == run
        runs.save(tx, run.id, state="done")
        assert _queue(tx).id != run.id
        assert _queue(tx, "999").portal_id == "999"


def test_what_is_saved_is_read_and_the_rest_stays(database: Database) -> None:
    with database.write(ACME) as tx:
        run = _queue(tx)

        runs.save(
            tx,
            run.id,
            state="running",
            stage="match",
            counts={"fetched": 3},
            started_at=NOON,
            checkpoint={"after": "51"},
        )
        runs.save(tx, run.id, message="Half way.", plan={"here": 1}, resume_at=NOON)

        now = runs.get(tx, run.id)
    assert (now.state, now.stage, now.counts["fetched"], now.started_at) == ("running", "match", 3, NOON)
    assert (now.message, now.plan, now.checkpoint, now.resume_at) == ("Half way.", {"here": 1}, {"after": "51"}, NOON)


def test_runs_are_listed_newest_first_page_by_page(database: Database) -> None:
    with database.write(ACME) as tx:
        made = [_queue(tx, str(n)).id for n in range(5)]
        runs.save(tx, made[2], state="done")

        first = [run.id for run in runs.recent(tx, limit=2)]
        rest = [run.id for run in runs.recent(tx, before=first[-1])]

        assert first + rest == made[::-1]
        assert [run.id for run in runs.recent(tx, state="done")] == [made[2]]
        assert [run.id for run in runs.recent(tx, portal=PortalId("4"))] == [made[4]]


def test_only_a_live_run_can_be_cancelled(database: Database) -> None:
    with database.write(ACME) as tx:
        run = _queue(tx)
        asked = runs.ask_cancel(tx, run.id)
        heard = runs.is_cancelled(tx, run.id)
        runs.save(tx, run.id, state="cancelled")

        assert (asked, heard, runs.ask_cancel(tx, run.id)) == (True, True, False)


def test_a_workspace_never_sees_or_changes_another_ones_run(database: Database) -> None:
    with database.write(ACME) as tx:
        run = _queue(tx)

    with database.write(OTHER) as tx:
        assert runs.recent(tx) == []
        assert runs.live(tx, PORTAL) is None
        assert not runs.ask_cancel(tx, run.id)
        with pytest.raises(NotFound):
            runs.get(tx, run.id)
        with pytest.raises(NotFound):
            runs.save(tx, run.id, state="done")
    with database.read(ACME) as tx:
        assert runs.get(tx, run.id) == run


def test_due_are_queued_runs_due_waiting_ones_and_those_of_a_dead_worker(database: Database) -> None:
    soon = NOON + timedelta(minutes=1)
    states = {
        "1": {"state": "queued"},
        "2": {"state": "waiting", "resume_at": NOON},
        "3": {"state": "waiting", "resume_at": soon},
        "4": {"state": "running"},  # its lease has run out
        "5": {"state": "running"},  # its worker lives
        "6": {"state": "done"},
        "7": {"state": "waiting", "resume_at": soon},  # but someone asked it to stop
    }
    with database.write(ACME) as tx:
        for portal, values in states.items():
            portals.add(tx, a_portal(portal), None, NOON)
            runs.save(tx, _queue(tx, portal).id, **values)
        portals.take_lease(tx, PortalId("4"), "dead", NOON - timedelta(hours=1), NOON)
        portals.take_lease(tx, PortalId("5"), "alive", NOON, soon)
        stopped = runs.live(tx, PortalId("7"))
        assert stopped is not None
        runs.ask_cancel(tx, stopped.id)
    with database.write(OTHER) as tx:
        portals.add(tx, a_portal("8"), None, NOON)
        _queue(tx, "8")

    with database.read(ANY) as tx:
        found = [(workspace, run.portal_id) for workspace, run in runs.due(tx, NOON)]

    assert found == [(ACME, "1"), (ACME, "2"), (ACME, "4"), (ACME, "7"), (OTHER, "8")]


@pytest.mark.parametrize(
    ("trigger", "days", "changed", "kept"),
    [
        ("webhook", 8, False, False),
        ("schedule", 8, False, False),
        ("webhook", 6, False, True),
        ("webhook", 8, True, True),
        ("button", 8, False, True),
    ],
)
def test_only_old_runs_that_came_by_themselves_and_found_nothing_are_forgotten(
    database: Database, trigger: str, days: int, changed: bool, kept: bool
) -> None:
    with database.write(ACME) as tx:
        run = runs.create(tx, PortalId(PORTAL), kind="incremental", trigger=trigger, at=NOON)
        runs.save(tx, run.id, state="done", ended_at=NOON - timedelta(days=days))
        if changed:
            changes.add_many(tx, [Change(None, "phone", "mercuri", "1", "2", "x", "edited", NOON, run=run.id)])

        runs.forget_quiet(tx, NOON - timedelta(days=7))

        assert [one.id for one in runs.recent(tx)] == ([run.id] if kept else [])
