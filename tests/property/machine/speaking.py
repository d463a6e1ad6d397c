"""Consent where it has far to go: a stop while two-way is off, and words of one portal that the other has to hear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.property.machine import portals, words
from tests.property.machine.histories import NUMBERS, Step
from tests.property.machine.laws import demand, see
from tests.property.machine.life import Life
from tests.property.machine.portals import FAR
from tests.support.world import OWNER, PORTAL

from mercuri.core.contact import PortalId
from mercuri.engine import consent, portal
from mercuri.engine.registers import speaks_elsewhere
from mercuri.sandbox import Sandbox
from mercuri.sandbox.answers import Refusal
from mercuri.store import consent as store
from mercuri.store import failures


def begin(life: Life) -> None:
    """A second portal, and the same property in both."""
    portals.begin(life)
    life.far.add_property(words.PROPERTY)
    portal.change_settings(life.running, life.world.ws, FAR, {"consent_mapping": words.MAPPING}, OWNER)
    words.begin(life)
    life.at_rest.append(_check_both)


def stop_one_way(life: Life, step: Step) -> None:
    """Somebody says stop while two-way is off: HubSpot is told at once all the same."""
    world = life.world
    fresh = {record for _, record, is_known in _holding(life, PORTAL) if is_known}
    world.settings(two_way=False)
    words.say(life, replace(step, value="STOP"))
    consent.push_outs(world.app, world.ws, PORTAL)
    _check_told(life, PORTAL, "C5 a stop reaches HubSpot with two-way off", only=fresh)
    world.settings(two_way=True)


def tick_far(life: Life, step: Step) -> None:
    """Somebody sets the box on a person's record in the second portal, or clears it."""
    record = portals.record_of(life, life.contact(step.who))
    if record is None or record not in life.far.contact_ids():
        return
    try:
        life.far.update(record, {words.OPT_IN: step.value})
    except Refusal:
        return


def _check_both(life: Life) -> None:
    for one in (PORTAL, FAR):
        _check_told(life, one, "C5 what is said elsewhere reaches each portal")


def _check_told(life: Life, one: PortalId, law: str, *, only: set[str] | None = None) -> None:
    with life.world.app.db.read(life.world.ws) as tx:
        known = store.held(tx, "sms", NUMBERS)
        failing = {row.key for row in failures.recent(tx) if row.portal_id == one}
    closed = {phone for phone, held in known.items() if speaks_elsewhere(held.registers, one)}
    for phone, record, _ in _holding(life, one):
        if phone in closed and (only is None or record in only):
            value = _sandbox(life, one).contact(record) or {}
            demand(value.get(words.OPT_IN) == "false" or f"address:sms:{phone}" in failing, law, one, phone, record)


def _holding(life: Life, one: PortalId) -> Iterator[tuple[str, str, bool]]:
    """Number and record of those who have it on both sides, and whether what the record says of it is known here."""
    seen = see(life.world, one, _sandbox(life, one))
    for link in seen.live:
        values = seen.alive[link.record_id].values if link.record_id in seen.alive else {}
        for phone in NUMBERS:
            if seen.people[link.contact_id].fields.get("phone") == phone == values.get("phone"):
                said = values.get(words.OPT_IN, "")
                yield phone, link.record_id, said == link.shadow.get(words.OPT_IN, "")


def _sandbox(life: Life, one: PortalId) -> Sandbox:
    return life.far if one == FAR else life.world.sandbox
