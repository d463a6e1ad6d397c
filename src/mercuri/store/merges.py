"""The journal of merges: everything that a merge moved, so that it can be taken back; and batches of merges."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update

from mercuri.core.contact import ContactId
from mercuri.errors import NotFound
from mercuri.store import hubspot_merges, schema
from mercuri.store.database import Tx
from mercuri.store.hubspot_merges import HubSpotMerge
from mercuri.store.times import from_ms, maybe_moment, to_ms

_m = schema.merge.c
_b = schema.merge_batch.c


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge, and what becomes of it in each portal that has a part in it."""

    id: int
    survivor: ContactId
    absorbed: tuple[ContactId, ...]
    journal: Mapping[str, Any]
    actor: str
    at: datetime
    batch: int | None = None
    undone_at: datetime | None = None
    hubspot: tuple[HubSpotMerge, ...] = ()

    @property
    def in_hubspot(self) -> HubSpotMerge | None:
        """Of several portals the one that tells most: that something is still to happen, then that something failed."""
        return min(self.hubspot, key=lambda one: _TELLING.index(one.state), default=None)


#: States of a merge in HubSpot, the most telling first.
_TELLING = ("merging", "held", "failed", "done", "cancelled", "none")


@dataclass(frozen=True, slots=True)
class Batch:
    """A bulk merge: running, done, cancelled, undoing or undone.

    Of the `total` groups that there were when it began, `done` were merged; `skipped` counts those left alone by
    reason. `reached` is the last group that was looked at; while undoing, the last merge.
    """

    id: int
    actor: str
    state: str
    total: int
    done: int
    skipped: Mapping[str, int]
    at: datetime
    reached: int = 0
    undone_by: str = ""

    @property
    def is_at_work(self) -> bool:
        """Whether it has not come to an end."""
        return self.state in _AT_WORK

    @property
    def looked_at(self) -> int:
        """How many groups were looked at so far."""
        return self.done + sum(self.skipped.values())


_AT_WORK = ("running", "undoing")


def add(
    tx: Tx,
    survivor: ContactId,
    absorbed: Collection[ContactId],
    journal: Mapping[str, Any],
    actor: str,
    at: datetime,
    *,
    batch: int | None = None,
    hubspot: Sequence[HubSpotMerge] = (),
) -> Merge:
    """Write a merge down."""
    values = {
        "workspace_id": tx.workspace,
        "batch_id": batch,
        "survivor_id": survivor,
        "absorbed": json.dumps(list(absorbed)),
        "journal": _dump(journal),
        "actor": actor,
        "at": to_ms(at),
    }
    number = tx.execute(insert(schema.merge).values(values).returning(_m.id)).scalar_one()
    hubspot_merges.add_many(tx, number, hubspot)
    return get(tx, number)


def get(tx: Tx, id_: int, *, lock: bool = False) -> Merge:
    """A merge. Raises NotFound. With `lock` nobody else changes it until the transaction ends."""
    query = select(schema.merge).where(_m.workspace_id == tx.workspace, _m.id == id_)
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise NotFound("There is no such merge.")
    return _merges(tx, [row])[0]


def recent(tx: Tx, *, before: int | None = None, limit: int = 50) -> list[Merge]:
    """Merges, newest first."""
    mine = and_(_m.workspace_id == tx.workspace, _m.id < before) if before else _m.workspace_id == tx.workspace
    return _merges(tx, tx.execute(select(schema.merge).where(mine).order_by(_m.id.desc()).limit(limit)).all())


def of_batch(tx: Tx, batch: int, *, before: int, limit: int) -> list[Merge]:
    """The merges of a batch that stand and were made before another one, newest first."""
    mine = and_(_m.workspace_id == tx.workspace, _m.batch_id == batch, _m.id < before, _m.undone_at.is_(None))
    return _merges(tx, tx.execute(select(schema.merge).where(mine).order_by(_m.id.desc()).limit(limit)).all())


def later(tx: Tx, merge: Merge) -> Merge | None:
    """The newest merge that stands and was made after this one into or out of the same survivor."""
    mine = and_(_m.workspace_id == tx.workspace, _m.id > merge.id, _m.undone_at.is_(None))
    # Who went into another contact says into which: both are found by the survivor, and no merge but theirs is read.
    c = schema.contact.c
    into = select(c.merged_into).where(c.workspace_id == tx.workspace, c.id == merge.survivor).scalar_subquery()
    # `absorbed` is a list of numbers as text: each stands between a bracket or a space and a comma or a bracket.
    gone = or_(*(_m.absorbed.like(f"%{left}{merge.survivor}{right}%") for left in "[ " for right in ",]"))
    either = or_(_m.survivor_id == merge.survivor, gone)
    found = tx.execute(select(_m.id).where(mine, _m.survivor_id.in_([merge.survivor, into]), either)).scalars().all()
    return get(tx, max(found)) if found else None


def set_undone(tx: Tx, id_: int, at: datetime) -> None:
    """Say that a merge was taken back."""
    tx.execute(update(schema.merge).where(_m.workspace_id == tx.workspace, _m.id == id_).values(undone_at=to_ms(at)))


# --- batches ----------------------------------------------------------------------------------------------------


def start_batch(tx: Tx, actor: str, total: int, at: datetime) -> Batch:
    """Begin a bulk merge of `total` groups."""
    values = {"workspace_id": tx.workspace, "actor": actor, "state": "running", "total": total, "at": to_ms(at)}
    number = tx.execute(insert(schema.merge_batch).values(values).returning(_b.id)).scalar_one()
    return batch(tx, number)


def batch(tx: Tx, id_: int, *, lock: bool = False) -> Batch:
    """A bulk merge. Raises NotFound."""
    query = select(schema.merge_batch).where(_b.workspace_id == tx.workspace, _b.id == id_)
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise NotFound("There is no such bulk merge.")
    return _batch(row)


def at_work(tx: Tx) -> list[Batch]:
    """Bulk merges that are not at their end."""
    found = select(schema.merge_batch).where(_b.workspace_id == tx.workspace, _b.state.in_(_AT_WORK)).order_by(_b.id)
    return [_batch(row) for row in tx.execute(found)]


def standing(tx: Tx, id_: int) -> int:
    """How many merges of a batch stand."""
    mine = and_(_m.workspace_id == tx.workspace, _m.batch_id == id_, _m.undone_at.is_(None))
    return int(tx.execute(select(func.count()).select_from(schema.merge).where(mine)).scalar_one())


def save_batch(tx: Tx, batch: Batch) -> None:
    """Note how far a bulk merge is."""
    values = {
        "state": batch.state,
        "done": batch.done,
        "skipped": json.dumps(dict(batch.skipped)),
        "reached": batch.reached,
        "undone_by": batch.undone_by,
    }
    tx.execute(update(schema.merge_batch).where(_b.workspace_id == tx.workspace, _b.id == batch.id).values(values))


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        id=row.id,
        actor=row.actor,
        state=row.state,
        total=row.total,
        done=row.done,
        skipped=json.loads(row.skipped),
        at=from_ms(row.at),
        reached=row.reached,
        undone_by=row.undone_by,
    )


def _merges(tx: Tx, rows: Sequence[Row[Any]]) -> list[Merge]:
    hubspot = hubspot_merges.of_merges(tx, [row.id for row in rows])
    return [_merge(row, hubspot.get(row.id, ())) for row in rows]


def _merge(row: Row[Any], hubspot: Sequence[HubSpotMerge]) -> Merge:
    return Merge(
        row.id,
        ContactId(row.survivor_id),
        tuple(map(ContactId, json.loads(row.absorbed))),
        json.loads(row.journal),
        row.actor,
        from_ms(row.at),
        row.batch_id,
        maybe_moment(row.undone_at),
        tuple(hubspot),
    )


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
