"""Merges of contacts made here, taken back, and carried to HubSpot after their hold."""

from __future__ import annotations

from tests.property.machine.histories import MAPPED, Step
from tests.property.machine.laws import demand, norm, see
from tests.property.machine.life import Life
from tests.support.world import OWNER, PORTAL

from mercuri.core.contact import RecordId
from mercuri.engine import dedupe
from mercuri.engine.hubspot_merging import hubspot_merges_due
from mercuri.errors import UserError
from mercuri.store import hubspot_merges, links


def merge_here(life: Life, step: Step) -> None:
    one, other = life.contact(step.who), life.contact(step.other)
    if one is None or other is None or one == other:
        return
    try:
        done = dedupe.merge(life.world.app, life.world.ws, sorted([one, other]), OWNER)
    except UserError:
        return
    life.merges.append(done.merge.id)
    _forget(life, step)


def unmerge_here(life: Life, step: Step) -> None:
    try:
        if life.merges:
            dedupe.undo_merge(life.world.app, life.world.ws, life.merges.pop(), OWNER, confirm=True)
    except UserError:
        return
    _forget(life, step)


def carry_merges(life: Life, step: Step) -> None:
    """The hold of merges is over: they are made in HubSpot."""
    life.world.clock.advance(90_000)
    typed = _typed_during_the_hold(life)
    life.is_merging = True
    made = hubspot_merges_due(life.world.app, life.world.ws)
    life.is_merging = False
    if made:
        life.has_moved_records = True
        life.forget(*life.world.sandbox.contact_ids())
        _check_kept(life, typed)


def _typed_during_the_hold(life: Life) -> list[tuple[RecordId, str, str]]:
    """What people typed into records that are to be merged away, and that differs from what we knew: with its field."""
    with life.world.app.db.read(life.world.ws) as tx:
        due = hubspot_merges.due(tx, life.world.clock.now(), limit=100)
        held = hubspot_merges.of_merges(tx, [merge for merge, _ in due])
        others = [other for items in held.values() for item in items if item.portal == PORTAL for other in item.others]
        known = links.of_records(tx, PORTAL, others)
    found = []
    for other, link in known.items():
        values = life.world.sandbox.contact(other) or {}
        for name, prop in MAPPED.items():
            value = values.get(prop, "")
            if norm(name, value) not in ("", norm(name, link.shadow.get(prop, ""))):
                found.append((other, name, value))
    return found


def _check_kept(life: Life, typed: list[tuple[RecordId, str, str]]) -> None:
    """Of what HubSpot gave up in a merge that we made, nothing that a person typed is lost."""
    seen, outs = see(life.world), {name for name, way in life.setup.directions if way == "out"}
    for other, name, value in typed:
        if name in outs or name == "email" or life.resolved(other) == other:
            continue
        known = {norm(name, held.fields.get(name, "")) for held in seen.people.values()}
        known |= {norm(name, record.values.get(MAPPED[name], "")) for record in seen.alive.values()}
        known |= {norm(name, text) for row in seen.conflicts if row.field == name for text in (row.local, row.remote)}
        demand(norm(name, value) in known, "I7 what was typed during a merge's hold is kept", name, value, other)


def _forget(life: Life, step: Step) -> None:
    """Values move among all who may be in a merge, and nothing certain is asked of them."""
    for who in range(4):
        life.forget(life.contact(who), life.last_record(who))
