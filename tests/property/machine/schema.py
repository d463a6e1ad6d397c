"""The portal's admin changes properties: one vanishes, comes back, may no longer be written, or takes other values."""

from __future__ import annotations

from dataclasses import replace

from tests.property.machine.histories import MAPPED, Step
from tests.property.machine.laws import demand
from tests.property.machine.life import Life
from tests.support.world import PORTAL

from mercuri.store import outbox
from mercuri.store.runs import Run


def begin(life: Life) -> None:
    """The laws of values whose property is not what it was."""
    life.before_rest.append(_mend)
    life.after_run.append(_check)


def change_schema(life: Life, step: Step) -> None:
    portal = life.world.sandbox.portal
    name = MAPPED[step.field]
    known = portal.properties[name]
    life.properties.setdefault(name, known)
    changed = {
        "gone": replace(known, archived_ms=portal.now_ms()),
        "read_only": replace(known, read_only=True),
        "number": replace(known, type="number", field_type="number"),
        "options": replace(known, type="enumeration", field_type="select", options=(("Lee", "Lee"), ("Ann", "Ann"))),
    }
    portal.set_property(changed.get(step.value, life.properties[name]))
    if step.value == "gone":
        with life.world.app.db.read(life.world.ws) as tx:
            # Whether a write that was not answered came about can be seen no more.
            life.forget(*(intent.contact_id for intent in outbox.open_intents(tx, PORTAL)))
    life.gone = {n for n in life.properties if portal.properties[n].archived_ms is not None}


def _check(life: Life, done: Run) -> None:
    """A property that is gone empties nothing here."""
    fields = {field for field, name in MAPPED.items() if name in life.gone}
    with life.world.app.db.read(life.world.ws) as tx:
        rows = tx.execute("SELECT field, side, before, after FROM change WHERE run_id = :run", {"run": done.id})
        emptied = [row for row in rows if row.side == "mercuri" and row.field in fields and not row.after]
    demand(not emptied, "a property that vanished empties nothing", emptied)


def _mend(life: Life) -> None:
    """The admin puts everything back, and the schema is read anew."""
    for known in life.properties.values():
        life.world.sandbox.portal.set_property(known)
    life.properties.clear()
    life.gone = set()
