"""Runs: one execution each, with its counts, its place and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from mercuri.core.contact import PortalId, RunId, WorkspaceId
from mercuri.errors import Clash, NotFound
from mercuri.store import schema
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps, loads
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms, maybe_moment, maybe_ms, to_ms

_r = schema.run.c
#: States of a run that is not over.
LIVE = ("queued", "running", "waiting")
#: How the contacts of a run are counted: fetched is the sum of the next five.
COUNTS = (
    "fetched",
    "created",
    "updated",
    "unchanged",
    "excluded",
    "failing",
    "pushed_created",
    "pushed_updated",
    "conflicts",
    "archived",
)
#: Requests to HubSpot by lane, and how many of them had to wait for a limit.
CALLS = ("list", "search", "read", "write", "other", "throttled")


@dataclass(frozen=True, slots=True)
class Run:
    """One execution. `state` is queued, running, waiting, done, failed, cancelled or stopped (by a brake).

    `counts` and `calls` always have every key of COUNTS and CALLS. `expected` is how many records are to be read,
    where known. `checkpoint`, `options` and `plan` are plain JSON data of the engine.
    """

    id: RunId
    portal_id: PortalId
    kind: str  # full | incremental | undo
    trigger: str  # button | schedule | webhook | cli | api
    preview: bool
    state: str
    stage: str
    counts: Mapping[str, int]
    calls: Mapping[str, int]
    created_at: datetime
    expected: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    message: str = ""
    resume_at: datetime | None = None
    checkpoint: Mapping[str, Any] = field(default_factory=dict, repr=False)
    plan: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    undo_of: RunId | None = None
    undone_by: RunId | None = None
    requested_by: str = ""
    cancel_asked: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it is not over yet."""
        return self.state in LIVE


_COLUMNS = (
    _r.id,
    _r.portal_id,
    _r.kind,
    _r.trigger,
    _r.preview,
    _r.state,
    _r.stage,
    _r.counts,
    _r.calls,
    _r.created_at,
    _r.expected,
    _r.started_at,
    _r.ended_at,
    _r.message,
    _r.resume_at,
    _r.checkpoint,
    _r.plan,
    _r.options,
    _r.undo_of,
    _r.undone_by,
    _r.requested_by,
    _r.cancel_asked,
)
_TIMES = ("started_at", "ended_at", "resume_at")
_DOCUMENTS = ("counts", "calls", "checkpoint", "plan", "options")
_THIS = sa.and_(_r.workspace_id == WORKSPACE, _r.id == bindparam("this"))
_GET = Statement(sa.select(*_COLUMNS).where(_THIS))
_IS_CANCELLED = Statement(sa.select(_r.cancel_asked).where(_THIS))
_OF_PORTAL = sa.and_(_r.workspace_id == WORKSPACE, _r.portal_id == bindparam("portal"))
_LIVE = Statement(sa.select(*_COLUMNS).where(_OF_PORTAL, _r.state.in_(LIVE)))
_NEW = ("portal_id", "kind", "trigger", "preview", "state", "options", "undo_of", "requested_by", "created_at")
#: Inserts nothing where the portal has a live run; for SQLite, and for PostgreSQL.
_CREATE = {
    is_sqlite: Statement(
        dialect.insert(schema.run)
        .values({"workspace_id": WORKSPACE, **{name: bindparam(name) for name in _NEW}})
        .on_conflict_do_nothing()
        .returning(_r.id)
    )
    for is_sqlite, dialect in ((True, sqlite), (False, postgresql))
}


@cache
def _setting(names: tuple[str, ...]) -> Statement:
    return Statement(sa.update(schema.run).where(_THIS).values({name: bindparam(name) for name in names}))


def create(
    tx: Tx,
    portal: PortalId,
    *,
    kind: str,
    trigger: str,
    at: datetime,
    preview: bool = False,
    options: Mapping[str, Any] | None = None,
    undo_of: RunId | None = None,
    requested_by: str = "",
) -> Run:
    """Queue a run. A portal has one live run at a time: raises Clash with the live one."""
    row = {
        "portal_id": portal,
        "kind": kind,
        "trigger": trigger,
        "preview": preview,
        "state": "queued",
        "options": dumps(dict(options or {})),
        "undo_of": undo_of,
        "requested_by": requested_by,
        "created_at": to_ms(at),
    }
    made = tx.run(_CREATE[tx.is_sqlite], **row).scalar()
    if made is None:
        raise Clash("A run of this portal is under way. Nothing was started.", live(tx, portal))
    return get(tx, made)


def _run(values: dict[str, Any]) -> Run:
    for name in _TIMES:
        values[name] = maybe_moment(values[name])
    for name in _DOCUMENTS:
        values[name] = loads(values[name])
    values["created_at"] = from_ms(values["created_at"])
    values["counts"] = {name: values["counts"].get(name, 0) for name in COUNTS}
    values["calls"] = {name: values["calls"].get(name, 0) for name in CALLS}
    return Run(**values)


def get(tx: Tx, id_: RunId) -> Run:
    """One run. Raises NotFound."""
    row = tx.run(_GET, this=id_).first()
    if row is None:
        raise NotFound(f"There is no run {id_}.")
    return _run(row._asdict())


def live(tx: Tx, portal: PortalId) -> Run | None:
    """The portal's run that is not over."""
    row = tx.run(_LIVE, portal=portal).first()
    return None if row is None else _run(row._asdict())


def newest(tx: Tx, portal: PortalId, kind: str) -> Run | None:
    """The portal's newest run of a kind that was no preview."""
    query = sa.select(*_COLUMNS).where(_r.workspace_id == tx.workspace, _r.portal_id == portal)
    query = query.where(_r.kind == kind, _r.preview.is_(False)).order_by(_r.id.desc()).limit(1)
    row = tx.execute(query).first()
    return None if row is None else _run(row._asdict())


def recent(
    tx: Tx, portal: PortalId | None = None, state: str | None = None, before: RunId | None = None, limit: int = 50
) -> list[Run]:
    """Runs, newest first; `before` goes on after that one."""
    query = sa.select(*_COLUMNS).where(_r.workspace_id == tx.workspace).order_by(_r.id.desc()).limit(limit)
    if portal is not None:
        query = query.where(_r.portal_id == portal)
    if state is not None:
        query = query.where(_r.state == state)
    if before is not None:
        query = query.where(_r.id < before)
    return [_run(row._asdict()) for row in tx.execute(query)]


def save(tx: Tx, id_: RunId, **values: Any) -> None:
    """Set fields of `Run` by name, in the form that they have there. Raises NotFound."""
    stored = dict(values)
    for name, value in values.items():
        if name in _TIMES:
            stored[name] = maybe_ms(value)
        elif name in _DOCUMENTS:
            stored[name] = dumps(dict(value))
    if not tx.run(_setting(tuple(stored)), this=id_, **stored).rowcount:
        raise NotFound(f"There is no run {id_}.")


def ask_cancel(tx: Tx, id_: RunId) -> bool:
    """Ask a run to stop at its next safe place; false when it is over already."""
    change = sa.update(schema.run).where(_r.workspace_id == tx.workspace, _r.id == id_, _r.state.in_(LIVE))
    return tx.execute(change.values(cancel_asked=True)).rowcount == 1


def is_cancelled(tx: Tx, id_: RunId) -> bool:
    """Whether someone asked the run to stop."""
    return bool(tx.run(_IS_CANCELLED, this=id_).scalar())


def due(tx: Tx, now: datetime) -> list[tuple[WorkspaceId, Run]]:
    """Runs of all workspaces that a worker should take up, oldest first.

    These are queued ones, waiting ones whose time has come, and running ones whose worker's lease has run out.
    """
    p = schema.portal.c
    free = sa.or_(p.lease_until.is_(None), p.lease_until <= to_ms(now))
    wanted = sa.or_(
        _r.state == "queued",
        sa.and_(_r.state == "waiting", sa.or_(_r.resume_at.is_(None), _r.resume_at <= to_ms(now), _r.cancel_asked)),
        _r.state == "running",
    )
    query = (
        sa.select(*_COLUMNS, _r.workspace_id)
        .join(schema.portal, sa.and_(p.workspace_id == _r.workspace_id, p.portal_id == _r.portal_id))
        .where(_r.state.in_(LIVE), wanted, free)
        .order_by(_r.id)
    )
    found = [row._asdict() for row in tx.execute(query)]
    return [(WorkspaceId(values.pop("workspace_id")), _run(values)) for values in found]


def forget_quiet(tx: Tx, before: datetime) -> int:
    """Forget runs that nobody asked for by hand, that ended well before a moment and left no trace; how many."""
    f, g, c = schema.failure.c, schema.change.c, schema.contact.c
    traces = (
        sa.exists().where(g.workspace_id == _r.workspace_id, g.run_id == _r.id),
        sa.exists().where(f.workspace_id == _r.workspace_id, f.run_id == _r.id),
        sa.exists().where(c.workspace_id == _r.workspace_id, c.created_run == _r.id),
    )
    quiet = sa.and_(
        _r.workspace_id == tx.workspace,
        _r.trigger.in_(("webhook", "schedule")),
        _r.state == "done",
        _r.ended_at < to_ms(before),
        *(~trace for trace in traces),
    )
    return tx.execute(sa.delete(schema.run).where(quiet)).rowcount
