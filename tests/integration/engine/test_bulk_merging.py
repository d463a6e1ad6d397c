"""Merging all safe groups at once, and taking it back: jobs in turns, which die, are cancelled, and go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.duplicates import MANAGER, Team, a_team

from mercuri.engine import bulk_merging, dedupe
from mercuri.engine.app import Actor
from mercuri.errors import Clash, Forbidden, NotFound, UserError
from mercuri.store import merges
from mercuri.store.database import Database
from mercuri.store.merges import Batch


@pytest.fixture
def team(database: Database) -> Iterator[Team]:
    with a_team(database) as made:
        yield made


def test_safe_groups_are_merged_in_bulk_and_taken_back_as_one(team: Team) -> None:
    ana = team.add(first_name="Ana", phone="+44 7911 123456")
    a = team.add(first_name="A.", phone="07911 123456")
    bo = team.add(first_name="Bo", last_name="Lind", email="bo@example.org")
    bob = team.add(first_name="Bo", last_name="Lind", email="BO@example.org")
    zoe = team.add(first_name="Zoe", phone="+44 7400 123456")
    max_ = team.add(first_name="Max", phone="+44 7400 123456")
    before = team.groups()

    preview = dedupe.preview_safe(team.app, team.ws)
    batch = dedupe.merge_safe(team.app, team.ws, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)

    assert (preview.groups, preview.contacts, preview.skipped) == (2, 4, {"names differ": 1})
    assert team.groups() == {zoe: (zoe, max_)}
    assert {team.contact(i).merged_into for i in (a, bob)} <= {ana, bo, None}
    dedupe.undo_batch(team.app, team.ws, batch.id, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)
    undone = batch_now(team, batch.id)
    assert (undone.state, undone.done, undone.skipped) == ("undone", 2, {"names differ": 1})
    assert team.groups() == before
    team.check()


def batch_now(team: Team, batch: int) -> Batch:
    with team.app.db.read(team.ws) as tx:
        return merges.batch(tx, batch)


def five_pairs(team: Team) -> None:
    for n in range(5):
        team.add(first_name="Ana", email=f"p{n}@example.org")
        team.add(first_name="Ana", email=f"p{n}@example.org")


@pytest.fixture
def small_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is one transaction of two groups, so that a job is soon seen in its middle."""
    monkeypatch.setattr(bulk_merging, "_STEP", 2)
    monkeypatch.setattr(bulk_merging, "_TURN", 1)


@pytest.mark.usefixtures("small_turns")
def test_a_bulk_merge_and_its_undo_go_on_where_a_turn_ended(team: Team) -> None:
    five_pairs(team)
    before = team.groups()

    batch = dedupe.merge_safe(team.app, team.ws, MANAGER)
    merged = [(dedupe.work_on_batches(team.app, team.ws), len(team.groups())) for _ in range(3)]
    bo = Actor("bo@example.org", "manager")
    dedupe.undo_batch(team.app, team.ws, batch.id, bo)
    undone = [(dedupe.work_on_batches(team.app, team.ws), len(team.groups())) for _ in range(3)]

    assert merged == [(True, 3), (True, 1), (False, 0)]
    assert undone == [(True, 2), (True, 4), (False, 5)]
    assert team.groups() == before
    found = batch_now(team, batch.id)
    assert (found.state, found.total, found.done, found.undone_by) == ("undone", 5, 5, "bo@example.org")
    team.check()


@pytest.mark.usefixtures("small_turns")
def test_a_bulk_merge_and_its_undo_stop_where_they_are_when_cancelled(team: Team) -> None:
    five_pairs(team)
    batch = dedupe.merge_safe(team.app, team.ws, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)

    dedupe.cancel_batch(team.app, team.ws, batch.id, MANAGER)
    assert not dedupe.work_on_batches(team.app, team.ws)
    assert (batch_now(team, batch.id).state, len(team.groups())) == ("cancelled", 3)
    dedupe.merge_safe(team.app, team.ws, MANAGER)
    while dedupe.work_on_batches(team.app, team.ws):
        pass
    dedupe.undo_batch(team.app, team.ws, batch.id + 1, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)
    dedupe.cancel_batch(team.app, team.ws, batch.id + 1, MANAGER)

    assert (batch_now(team, batch.id + 1).state, len(team.groups())) == ("cancelled", 2)
    for one in (batch.id, batch.id + 1):
        dedupe.undo_batch(team.app, team.ws, one, MANAGER)
        while dedupe.work_on_batches(team.app, team.ws):
            pass
    assert len(team.groups()) == 5
    team.check()


def test_the_undo_of_a_bulk_merge_leaves_what_was_merged_again(team: Team) -> None:
    five_pairs(team)
    batch = dedupe.merge_safe(team.app, team.ws, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)
    with team.app.db.read(team.ws) as tx:
        first, second = merges.recent(tx, limit=2)
    dedupe.merge(team.app, team.ws, [first.survivor, second.survivor], MANAGER, survivor_id=first.survivor)

    dedupe.undo_batch(team.app, team.ws, batch.id, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)

    with team.app.db.read(team.ws) as tx:
        left = merges.of_batch(tx, batch.id, before=2**63 - 1, limit=9)
    assert [one.id for one in left] == [first.id, second.id]
    assert batch_now(team, batch.id).state == "undone"


def test_a_bulk_merge_is_undone_and_cancelled_only_when_there_is_something_to_do(team: Team) -> None:
    five_pairs(team)
    batch = dedupe.merge_safe(team.app, team.ws, MANAGER)

    with pytest.raises(UserError, match="at work already"):
        dedupe.merge_safe(team.app, team.ws, MANAGER)
    with pytest.raises(Clash, match="wait for its end"):
        dedupe.undo_batch(team.app, team.ws, batch.id, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)
    with pytest.raises(Clash, match="come to its end"):
        dedupe.cancel_batch(team.app, team.ws, batch.id, MANAGER)
    dedupe.undo_batch(team.app, team.ws, batch.id, MANAGER)
    dedupe.work_on_batches(team.app, team.ws)
    with pytest.raises(Clash, match="None of this bulk merge stands"):
        dedupe.undo_batch(team.app, team.ws, batch.id, MANAGER)
    with pytest.raises(NotFound):
        dedupe.undo_batch(team.app, team.ws, batch.id + 1, MANAGER)
    with pytest.raises(Forbidden):
        dedupe.cancel_batch(team.app, team.ws, batch.id, Actor("eve@example.org", "viewer"))


def test_a_preview_counts_on_from_the_group_that_it_reached(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_merging, "_PREVIEW", 4)
    five_pairs(team)
    team.add(first_name="Ana", phone="+44 7911 123456")
    team.add(first_name="A.", phone="07911 123456")
    team.add(first_name="Zoe", phone="+44 7400 123456")
    team.add(first_name="Max", phone="+44 7400 123456")

    part = dedupe.preview_safe(team.app, team.ws)
    whole = dedupe.preview_safe(team.app, team.ws, part)

    assert (part.groups, part.contacts, part.skipped, part.reached) == (4, 8, {}, sorted(team.groups())[3])
    assert (whole.groups, whole.skipped, whole.looked_at, whole.reached) == (6, {"names differ": 1}, 7, None)
