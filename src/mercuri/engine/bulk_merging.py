"""Merge all groups that are safe: counted first, then done in small steps that survive a crash, undone as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mercuri.core.contact import WorkspaceId
from mercuri.core.match import SAFE_SIZE, safe_to_merge
from mercuri.engine import grouping, merging
from mercuri.engine.app import SYSTEM, Actor, App, require
from mercuri.engine.grouping import GroupView
from mercuri.errors import UserError
from mercuri.store import duplicates, merges, users
from mercuri.store.database import Tx
from mercuri.store.duplicates import GroupRow
from mercuri.store.merges import Batch

#: Groups that are looked at in one go, and merged in one transaction.
_LOOK, _STEP = 200, 20
_TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class SafePreview:
    """What a bulk merge would do: groups, the contacts in them, and the groups left alone, by reason."""

    groups: int
    contacts: int
    skipped: Mapping[str, int]


def preview_safe(app: App, ws: WorkspaceId) -> SafePreview:
    """Judge every group. Nothing is changed."""
    groups, contacts, after = 0, 0, 0
    skipped: Counter[str] = Counter()
    while True:
        with app.db.read(ws) as tx:
            found = duplicates.after(tx, after, _LOOK)
            judged = _judge(tx, found)
        for row in found:
            reason = judged[row.id]
            if reason is None:
                groups, contacts = groups + 1, contacts + row.size
            else:
                skipped[reason] += 1
        if len(found) < _LOOK:
            return SafePreview(groups, contacts, dict(skipped))
        after = found[-1].id


def merge_safe(app: App, ws: WorkspaceId, actor: Actor) -> Batch:
    """Ask for a bulk merge of all safe groups; `work_on_batches` does it. Raises UserError when one is running."""
    require(actor, "manager")
    expected = preview_safe(app, ws)
    with app.db.write(ws) as tx:
        if merges.running(tx):
            raise UserError("A bulk merge is running already. Nothing was started.")
        batch = merges.start_batch(tx, actor.name, expected.groups, app.now())
        users.note_audit(tx, actor.name, "duplicates.merge_safe", {"batch": batch.id}, app.now())
    app.wake()
    return batch


def work_on_batches(app: App, ws: WorkspaceId) -> int:
    """Do what bulk merges have left to do; returns how many were brought to their end.

    Several may work at once, and one may die: each step goes on from where the last one was stored.
    """
    with app.db.read(ws) as tx:
        waiting = merges.running(tx)
    for batch in waiting:
        while _step(app, ws, batch.id):
            pass
    return len(waiting)


def _step(app: App, ws: WorkspaceId, batch_id: int) -> bool:
    """One step of a batch; whether there is more to do."""
    with app.db.write(ws) as tx:
        batch = merges.batch(tx, batch_id, lock=True)
        if batch.state != "running":
            return False
        found = duplicates.after(tx, batch.reached, _STEP)
        skipped, done = Counter(batch.skipped), batch.done
        judged = _judge(tx, found)
        for row in found:
            reason = judged[row.id] or _merge(app, tx, batch, row)
            done, skipped[reason or ""] = done + (reason is None), skipped[reason or ""] + 1
        del skipped[""]
        state = "running" if len(found) == _STEP else "done"
        reached = found[-1].id if found else batch.reached
        merges.save_batch(tx, batch_id, state=state, done=done, skipped=skipped, reached=reached)
    return state == "running"


def _merge(app: App, tx: Tx, batch: Batch, row: GroupRow) -> str | None:
    """Merge one group; None, or the reason for leaving it."""
    ids = duplicates.members(tx, [row.id])[row.id]
    try:
        merging.merge_now(tx, ids, Actor(batch.actor, SYSTEM.role), app.now(), batch=batch.id)
    except UserError:
        return "changed meanwhile"
    return None


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
