"""Portals: one HubSpot account each, with encrypted tokens, settings, watermark, schema and the lease of a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.core.properties import Option, Property
from mercuri.core.settings import DEFAULTS, PortalSettings, from_document, to_document
from mercuri.errors import AppError, NotFound, Remedy
from mercuri.store import schema as tables
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps, loads
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import maybe_moment, maybe_ms, to_ms

_p = tables.portal.c


class LeaseLost(AppError):
    """Another worker took the portal over: whoever gets this stops at once and writes nothing."""

    remedy = Remedy.RETRY


@dataclass(frozen=True, slots=True)
class Portal:
    """One HubSpot account as connected. `state` is connected, reconnect or disconnected.

    `reading`, `sweep`, `journal`, `usage` and `account` are plain JSON data of the engine. Tokens are not part of it.
    """

    id: PortalId
    name: str
    kind: str  # oauth | static
    state: str = "connected"
    settings: PortalSettings = DEFAULTS
    scopes: tuple[str, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    watermark: datetime | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    swept_at: datetime | None = None
    sweep: Mapping[str, Any] = field(default_factory=dict)
    hint_at: datetime | None = None
    journal: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)
    next_at: datetime | None = None
    parked_until: datetime | None = None

    @property
    def portal_id(self) -> PortalId:
        """HubSpot's account id."""
        return self.id


_COLUMNS = (
    _p.portal_id,
    _p.name,
    _p.kind,
    _p.state,
    _p.settings,
    _p.scopes,
    _p.account,
    _p.problem,
    _p.watermark,
    _p.reading,
    _p.swept_at,
    _p.sweep,
    _p.hint_at,
    _p.journal,
    _p.usage,
    _p.next_at,
    _p.parked_until,
)
_TIMES = ("watermark", "swept_at", "hint_at", "next_at", "parked_until")
_DOCUMENTS = ("account", "reading", "sweep", "journal", "usage")
_THIS = sa.and_(_p.workspace_id == WORKSPACE, _p.portal_id == bindparam("this"))
_GET = Statement(sa.select(*_COLUMNS).where(_THIS))
_ALL = Statement(sa.select(*_COLUMNS).where(_p.workspace_id == WORKSPACE).order_by(_p.created_at, _p.portal_id))
_TOKENS = Statement(sa.select(_p.secrets).where(_THIS))


@cache
def _setting(names: tuple[str, ...]) -> Statement:
    return Statement(sa.update(tables.portal).where(_THIS).values({name: bindparam(name) for name in names}))


def add(tx: Tx, portal: Portal, secrets: bytes | None, at: datetime) -> None:
    """Connect a portal, or connect it again: then its settings, watermark and schema stay as they were."""
    values = {
        "name": portal.name,
        "kind": portal.kind,
        "secrets": secrets,
        "scopes": dumps(list(portal.scopes)),
        "account": dumps(dict(portal.account)),
        "state": "connected",
        "problem": "",
    }
    if not tx.run(_setting(tuple(values)), this=portal.id, **values).rowcount:
        settings = dumps(to_document(portal.settings))
        key = {"workspace_id": tx.workspace, "portal_id": portal.id}
        tx.execute(sa.insert(tables.portal).values(**key, **values, settings=settings, created_at=to_ms(at)))


def _portal(row: Any) -> Portal:
    values = row._asdict()
    for name in _TIMES:
        values[name] = maybe_moment(values[name])
    for name in _DOCUMENTS:
        values[name] = loads(values[name])
    settings = _settings(values.pop("settings"))
    scopes = tuple(loads(values.pop("scopes")))
    return Portal(id=values.pop("portal_id"), settings=settings, scopes=scopes, **values)


@lru_cache(maxsize=64)
def _settings(stored: str) -> PortalSettings:
    # Remembered, since every page of a load asks for them.
    return from_document(loads(stored))


def get(tx: Tx, portal: PortalId) -> Portal:
    """One portal, disconnected ones too. Raises NotFound."""
    row = tx.run(_GET, this=portal).first()
    if row is None:
        raise NotFound(f"No portal {portal} is connected.")
    return _portal(row)


def all(tx: Tx) -> list[Portal]:  # read as `portals.all`
    """Every portal of the workspace, in order of connection."""
    return [_portal(row) for row in tx.run(_ALL)]


def everywhere(tx: Tx, portal: PortalId) -> list[WorkspaceId]:
    """The workspaces that have a portal connected; asked in no workspace (`ANY`)."""
    query = sa.select(_p.workspace_id).where(_p.portal_id == portal, _p.state != "disconnected")
    return [WorkspaceId(found) for found in tx.execute(query.order_by(_p.workspace_id)).scalars()]


def save(tx: Tx, portal: PortalId, **values: Any) -> None:
    """Set fields of `Portal` by name, other than id and settings. Raises NotFound."""
    stored = dict(values)
    for name, value in values.items():
        if name in _TIMES:
            stored[name] = maybe_ms(value)
        elif name in _DOCUMENTS:
            stored[name] = dumps(dict(value))
        elif name == "scopes":
            stored[name] = dumps(list(value))
    if not tx.run(_setting(tuple(stored)), this=portal, **stored).rowcount:
        raise NotFound(f"No portal {portal} is connected.")


def update_settings(tx: Tx, portal: PortalId, settings: PortalSettings) -> None:
    """Store checked settings. Raises NotFound."""
    save(tx, portal, settings=dumps(to_document(settings)))


def set_state(tx: Tx, portal: PortalId, state: str, problem: str = "") -> None:
    """Say how the connection stands; `disconnected` forgets the tokens."""
    save(tx, portal, state=state, problem=problem)
    if state == "disconnected":
        save(tx, portal, secrets=None)


def set_watermark(tx: Tx, portal: PortalId, watermark: datetime | None) -> None:
    """Move the moment up to which the portal has been read; in the transaction that stores what was read."""
    save(tx, portal, watermark=watermark)


def save_tokens(tx: Tx, portal: PortalId, secrets: bytes) -> None:
    """Store tokens, encrypted by the caller."""
    save(tx, portal, secrets=secrets)


def load_tokens(tx: Tx, portal: PortalId) -> bytes | None:
    """The encrypted tokens, None once disconnected."""
    found: bytes | None = tx.run(_TOKENS, this=portal).scalar()
    return found


# --- the lease: one worker at a time ------------------------------------------------------------------------------

_FREE = sa.or_(_p.lease_owner.is_(None), _p.lease_until <= bindparam("now"), _p.lease_owner == bindparam("owner"))
_LEASED = {"lease_owner": bindparam("owner"), "lease_until": bindparam("until"), "fence": _p.fence + 1}
_TAKE = Statement(sa.update(tables.portal).where(_THIS, _FREE).values(_LEASED).returning(_p.fence))
_FENCED = sa.and_(_THIS, _p.fence == bindparam("held"))
_RENEW = Statement(
    sa.update(tables.portal).where(_FENCED, _p.lease_owner.is_not(None)).values(lease_until=bindparam("until"))
)
_RELEASE = Statement(sa.update(tables.portal).where(_FENCED).values(lease_owner=None, lease_until=None))
_END = Statement(
    sa.update(tables.portal)
    .where(_THIS, _p.lease_owner == bindparam("owner"))
    .values(lease_owner=None, lease_until=None)
)
_FENCE = Statement(sa.select(_p.fence).where(_THIS).with_for_update(read=True))
_HOLDER = Statement(sa.select(_p.lease_owner).where(_THIS, _p.lease_until > bindparam("now")))


def take_lease(tx: Tx, portal: PortalId, owner: str, now: datetime, until: datetime) -> int | None:
    """Take the portal for `owner` when nobody holds it at `now`; the answer is the fence, None when it is taken.

    Each lease has a higher fence than the last, so that a worker that slept through its lease is known. Taking it
    again as the same owner is a new lease.
    """
    fence: int | None = tx.run(_TAKE, this=portal, owner=owner, now=to_ms(now), until=to_ms(until)).scalar()
    return fence


def renew_lease(tx: Tx, portal: PortalId, fence: int, until: datetime) -> None:
    """Keep the lease longer. Raises LeaseLost."""
    if not tx.run(_RENEW, this=portal, held=fence, until=to_ms(until)).rowcount:
        raise LeaseLost("Another worker took this portal over.")


def release_lease(tx: Tx, portal: PortalId, fence: int) -> None:
    """Give the lease back; does nothing when another worker has it by now."""
    tx.run(_RELEASE, this=portal, held=fence)


def end_lease(tx: Tx, portal: PortalId, owner: str) -> None:
    """Take the lease from an owner that is dead; its fence stays behind the next one's."""
    tx.run(_END, this=portal, owner=owner)


def check_fence(tx: Tx, portal: PortalId, fence: int) -> None:
    """Raise LeaseLost unless the lease is still this one; it stays so until the transaction ends."""
    if tx.run(_FENCE, this=portal).scalar() != fence:
        raise LeaseLost("Another worker took this portal over.")


def lease_holder(tx: Tx, portal: PortalId, now: datetime) -> str | None:
    """Who holds the portal at `now`."""
    owner: str | None = tx.run(_HOLDER, this=portal, now=to_ms(now)).scalar()
    return owner


# --- the schema of its properties ---------------------------------------------------------------------------------

_s = tables.property_schema.c
_SCHEMA = Statement(
    sa.select(_s.body)
    .where(_s.workspace_id == WORKSPACE, _s.portal_id == bindparam("portal"), _s.gone_at.is_(None))
    .order_by(_s.name)
)


def save_schema(tx: Tx, portal: PortalId, properties: Sequence[Property], at: datetime) -> list[str]:
    """Store what the portal's properties are now; the answer is the names that were there before and are gone."""
    before = {p.name: p for p in schema(tx, portal)}
    now = {p.name: p for p in properties}
    gone = sorted(before.keys() - now.keys())
    new = [p for p in now.values() if before.get(p.name) != p]
    mine = (_s.workspace_id == tx.workspace, _s.portal_id == portal)
    if gone:
        tx.execute(sa.update(tables.property_schema).where(*mine, _s.name.in_(gone)).values(gone_at=to_ms(at)))
    if new:
        tx.execute(sa.delete(tables.property_schema).where(*mine, _s.name.in_([p.name for p in new])))
        rows = [(tx.workspace, portal, p.name, _body(p), to_ms(at)) for p in new]
        tx.insert_many(tables.property_schema, ("workspace_id", "portal_id", "name", "body", "seen_at"), rows)
    return gone


def schema(tx: Tx, portal: PortalId) -> tuple[Property, ...]:
    """The portal's properties as last seen, without those that are gone, by name."""
    return tuple(_property(body) for body in tx.run(_SCHEMA, portal=portal).scalars())


def property_of(tx: Tx, portal: PortalId, name: str) -> Property | None:
    """One property of the portal as last seen; None when it has none of that name, or no more."""
    query = sa.select(_s.body).where(_s.workspace_id == tx.workspace, _s.portal_id == portal, _s.name == name)
    body = tx.execute(query.where(_s.gone_at.is_(None))).scalar()
    return None if body is None else _property(body)


def gone(tx: Tx, portal: PortalId) -> dict[str, datetime]:
    """Properties that vanished from the portal, and since when."""
    query = sa.select(_s.name, _s.gone_at).where(_s.workspace_id == tx.workspace, _s.portal_id == portal)
    found = tx.execute(query.where(_s.gone_at.is_not(None)).order_by(_s.name))
    return {name: moment for name, at in found if (moment := maybe_moment(at)) is not None}


def _body(of: Property) -> str:
    values = {each.name: getattr(of, each.name) for each in fields(of)}
    return dumps({**values, "options": [asdict(option) for option in of.options]})


@lru_cache(maxsize=2_000)
def _property(body: str) -> Property:
    # Remembered, since every run asks for hundreds of them, and they hardly ever change.
    values = loads(body)
    options = tuple(Option(**option) for option in values.pop("options"))
    return Property(**values, options=options)
