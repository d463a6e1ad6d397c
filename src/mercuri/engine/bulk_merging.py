"""Merge all groups that are safe, and take such a bulk merge back: jobs of small steps that survive a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mercuri.core.contact import WorkspaceId
from mercuri.core.match import SAFE_SIZE, safe_to_merge
from mercuri.engine import grouping, merging, unmerging
from mercuri.engine.app import SYSTEM, Actor, App, require
from mercuri.engine.grouping import GroupView
from mercuri.errors import Clash, UserError
from mercuri.store import duplicates, merges, users
from mercuri.store.database import Tx
from mercuri.store.duplicates import GroupRow
from mercuri.store.merges import Batch

#: Groups that are looked at in one go; groups or merges of one transaction; transactions before others have a turn.
_LOOK, _STEP, _TURN = 200, 20, 10
#: Groups that are judged by one request.
_PREVIEW = 2_000
_TOO_LARGE = "too large"
#: Greater than every id.
_TOP = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SafePreview:
    """What a bulk merge would do: groups, the contacts in them, and the groups left alone, by reason.

    `reached` is the last group that was judged, None once all were.
    """

    groups: int = 0
    contacts: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    reached: int | None = 0

    @property
    def looked_at(self) -> int:
        """How many groups were judged."""
        return self.groups + sum(self.skipped.values())


def preview_safe(app: App, ws: WorkspaceId, so_far: SafePreview = SafePreview()) -> SafePreview:
    """Judge the next 2,000 groups, and add them to those counted so far. Nothing is changed."""
    known, after, left = so_far, so_far.reached, _PREVIEW
    while after is not None and left > 0:
        size = min(_LOOK, left)
        with app.db.read(ws) as tx:
            found = duplicates.after(tx, after, size)
            judged = _judge(tx, found)
        after = found[-1].id if len(found) == size else None
        known, left = _counted(known, found, judged, after), left - size
    return known


def _counted(
    known: SafePreview, found: list[GroupRow], judged: Mapping[int, str | None], reached: int | None
) -> SafePreview:
    safe = [row.size for row in found if judged[row.id] is None]
    skipped = Counter(known.skipped) + Counter(reason for reason in judged.values() if reason is not None)
    return SafePreview(known.groups + len(safe), known.contacts + sum(safe), dict(skipped), reached)


def merge_safe(app: App, ws: WorkspaceId, actor: Actor) -> Batch:
    """Ask for a bulk merge of all safe groups; `work_on_batches` does it. Raises UserError when one is at work."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        if merges.at_work(tx):
            raise UserError("A bulk merge, or the undo of one, is at work already. Nothing was started.")
        batch = merges.start_batch(tx, actor.name, duplicates.totals(tx).groups, app.now())
        users.note_audit(tx, actor.name, "duplicates.merge_safe", {"batch": batch.id}, app.now())
    app.wake()
    return batch


def undo_batch(app: App, ws: WorkspaceId, batch_id: int, actor: Actor) -> Batch:
    """Ask for every merge of a batch to be taken back, newest first; `work_on_batches` does it.

    What more happened after stays merged. Raises Clash while the batch is at work, or with nothing left to take back.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        batch = merges.batch(tx, batch_id, lock=True)
        if batch.is_at_work:
            raise Clash("This bulk merge is at work. Nothing was undone; wait for its end, or cancel it first.")
        if not merges.standing(tx, batch_id):
            raise Clash("None of this bulk merge stands any more. Nothing was changed.")
        batch = replace(batch, state="undoing", reached=_TOP, undone_by=actor.name)
        merges.save_batch(tx, batch)
        users.note_audit(tx, actor.name, "duplicates.undo_batch", {"batch": batch_id}, app.now())
    app.wake()
    return batch


def cancel_batch(app: App, ws: WorkspaceId, batch_id: int, actor: Actor) -> Batch:
    """Stop a bulk merge, or its undo, after the step under way: what was done stays. Raises Clash when it has ended."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        batch = merges.batch(tx, batch_id, lock=True)
        if not batch.is_at_work:
            raise Clash("This bulk merge has come to its end. Nothing was cancelled.")
        batch = replace(batch, state="cancelled")
        merges.save_batch(tx, batch)
        users.note_audit(tx, actor.name, "duplicates.cancel_batch", {"batch": batch_id}, app.now())
    return batch


def work_on_batches(app: App, ws: WorkspaceId) -> bool:
    """A turn of what bulk merges and their undos have left to do; whether there is more.

    Several may work at once, and one may die: each step goes on from where the last one was stored.
    """
    with app.db.read(ws) as tx:
        waiting = merges.at_work(tx)
    left = [_turn(app, ws, batch.id) for batch in waiting]
    return any(left)


def _turn(app: App, ws: WorkspaceId, batch_id: int) -> bool:
    return all(_step(app, ws, batch_id) for _ in range(_TURN))


def _step(app: App, ws: WorkspaceId, batch_id: int) -> bool:
    """One transaction of a batch; whether there is more to do."""
    with app.db.write(ws) as tx:
        batch = merges.batch(tx, batch_id, lock=True)
        if batch.state == "running":
            batch = _merge_some(app, tx, batch)
        elif batch.state == "undoing":
            batch = _undo_some(app, tx, batch)
        else:
            return False
        merges.save_batch(tx, batch)
    return batch.is_at_work


def _merge_some(app: App, tx: Tx, batch: Batch) -> Batch:
    found = duplicates.after(tx, batch.reached, _STEP)
    judged = _judge(tx, found)
    outcomes = [judged[row.id] or _merge(app, tx, batch, row) for row in found]
    skipped = Counter(batch.skipped) + Counter(reason for reason in outcomes if reason is not None)
    return replace(
        batch,
        state="running" if len(found) == _STEP else "done",
        done=batch.done + outcomes.count(None),
        skipped=dict(skipped),
        reached=found[-1].id if found else batch.reached,
    )


def _merge(app: App, tx: Tx, batch: Batch, row: GroupRow) -> str | None:
    """Merge one group; None, or the reason for leaving it."""
    ids = duplicates.members(tx, [row.id])[row.id]
    try:
        merging.merge_now(tx, ids, Actor(batch.actor, SYSTEM.role), app.now(), batch=batch.id)
    except UserError:
        return "changed meanwhile"
    return None


def _undo_some(app: App, tx: Tx, batch: Batch) -> Batch:
    found = merges.of_batch(tx, batch.id, before=batch.reached, limit=_STEP)
    for one in found:
        try:
            unmerging.undo_now(tx, one, Actor(batch.undone_by, SYSTEM.role), app.now())
        except UserError:
            continue  # more happened after this merge: it stands
    state = "undoing" if len(found) == _STEP else "undone"
    return replace(batch, state=state, reached=found[-1].id if found else batch.reached)


def _judge(tx: Tx, found: list[GroupRow]) -> dict[int, str | None]:
    """Why each group is left alone; None for one that is safe."""
    judged: dict[int, str | None] = {row.id: _TOO_LARGE for row in found if row.size > SAFE_SIZE}
    views = grouping.views(tx, [row for row in found if row.size <= SAFE_SIZE])
    return judged | {view.id: reason_to_leave(view) for view in views}


def reason_to_leave(view: GroupView) -> str | None:
    """Why a group is not merged without a person looking at it."""
    people = [grouping.as_member(contact) for contact in view.members]
    joined = [one.members for one in view.reasons]
    return safe_to_merge(people, joined, [(one.a, one.b) for one in view.different])
