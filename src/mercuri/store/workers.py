"""Which workers are alive: a row each, with their last sign of life."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from mercuri.store import schema
from mercuri.store.database import Tx
from mercuri.store.times import to_ms

_w = schema.worker.c
#: A worker that has given no sign for this long is taken for dead.
LIFE = timedelta(seconds=20)

_REMEMBERED = timedelta(days=1)


def beat(tx: Tx, worker: str, at: datetime) -> None:
    """Note that a worker is alive; a new one has those forgotten that died long ago."""
    now = to_ms(at)
    seen = tx.execute(sa.update(schema.worker).where(_w.id == worker).values(seen_at=now))
    if not seen.rowcount:
        # On a host that gives its containers new names, each start is another worker.
        tx.execute(sa.delete(schema.worker).where(_w.seen_at < to_ms(at - _REMEMBERED)))
        tx.execute(sa.insert(schema.worker).values(id=worker, started_at=now, seen_at=now))


def gone(tx: Tx, worker: str) -> None:
    """Forget a worker that stops."""
    tx.execute(sa.delete(schema.worker).where(_w.id == worker))


def any_alive(tx: Tx, now: datetime) -> bool:
    """Whether some worker gave a sign of life lately."""
    return bool(tx.execute(sa.select(sa.exists().where(_w.seen_at > to_ms(now - LIFE)))).scalar())
