"""Consent: people, staff, files and a property in HubSpot speak of three numbers; nobody opens what a person closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.property.machine.histories import NUMBERS, PEOPLE, Step
from tests.property.machine.laws import demand, see
from tests.property.machine.life import Life
from tests.support.world import OWNER, PORTAL

from mercuri.core.consent import Register, State, closed_by, shown, status_of_contact
from mercuri.engine import consent, edit
from mercuri.errors import UserError
from mercuri.sandbox.answers import Refusal
from mercuri.store import consent as store
from mercuri.store import contacts, failures
from mercuri.store.consent import Held

OPT_IN = "sms_opt_in"
PROPERTY = {
    "name": OPT_IN,
    "label": "SMS opt-in",
    "type": "bool",
    "fieldType": "booleancheckbox",
    "groupName": "contactinformation",
    "options": [{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}],
}
MAPPING = [{"channel": "sms", "kind": "opt_in", "property": OPT_IN}]


def begin(life: Life) -> None:
    """A property of HubSpot's speaks of the numbers; what must hold is looked at after every step."""
    life.world.sandbox.add_property(PROPERTY)
    life.world.settings(consent_mapping=MAPPING)
    life.after_step.append(_check)
    life.at_rest.append(_check_heard)


def say(life: Life, step: Step) -> None:
    """Somebody speaks of a number through the API; `field` is the kind of word, `other` the number."""
    phone, said = NUMBERS[step.other % len(NUMBERS)], _WORDS[step.value]
    if said.get("occurred_at"):
        said = {**said, "occurred_at": life.world.app.now() - said["occurred_at"]}
    before = _person(life, phone)
    try:
        consent.record(life.world.app, life.world.ws, "sms", phone, actor=OWNER, **said)
    except UserError:
        return
    if said["kind"] in ("message", "carrier", "form"):
        at = said.get("occurred_at", life.world.app.now())
        if step.value in ("STOP", "block"):
            life.closed.add(phone)
        elif step.value in ("START", "old yes") and (before is None or before.at < at):
            life.closed.discard(phone)


_WORDS: dict[str, dict[str, Any]] = {
    "STOP": {"kind": "message", "text": "Stop!"},
    "START": {"kind": "message", "text": "start"},
    "block": {"kind": "carrier", "state": "out"},
    "old yes": {"kind": "form", "state": "in", "occurred_at": timedelta(hours=3)},
    "staff in": {"kind": "staff", "state": "in", "proof": {"reason": "because"}},
    "staff out": {"kind": "staff", "state": "out", "proof": {"reason": "because"}},
}


def tick(life: Life, step: Step) -> None:
    """Somebody in HubSpot sets the box on a record, or clears it."""
    record = life.record(step.who)
    try:
        if record is not None:
            life.world.sandbox.update(record, {OPT_IN: step.value})
    except Refusal:
        return


def import_file(life: Life, step: Step) -> None:
    """A file with one of the numbers is imported."""
    phone = NUMBERS[step.other % len(NUMBERS)]
    edit.import_csv(life.world.app, life.world.ws, ["first_name,phone\n", f"Bo,{phone}\n"], None, OWNER, False)


def erase_here(life: Life, step: Step) -> None:
    contact, record = life.contact(step.who), life.last_record(step.who)
    if contact is None:
        return
    life.forget(contact, record)
    life.gone_there |= {record} if record else set()
    try:
        edit.erase_contact(life.world.app, life.world.ws, contact, OWNER)
    except UserError:
        return
    life.has_moved_records = life.has_erased = True
    _forget_erased(life)


def _forget_erased(life: Life) -> None:
    """Whoever was the erased contact, also by a merge, is nobody any more."""
    known = see(life.world).people
    for who in range(PEOPLE):
        if (contact := life.contact(who)) is None or contact not in known:
            life.contacts.pop(who, None)
            life.records.pop(who, None)


def _person(life: Life, phone: str) -> Any:
    with life.world.app.db.read(life.world.ws) as tx:
        found = store.held(tx, "sms", [phone]).get(phone)
    return found.registers.person if found else None


def _check(life: Life) -> None:
    """C1, C2, C6: what a person closed is closed; states are what the evidence gives, and labels what states give."""
    with life.world.app.db.read(life.world.ws) as tx:
        ids = [held.id for batch in contacts.each(tx) for held in batch]
        people = contacts.many(tx, ids)
        numbers = {one.normal for person in people for one in person.addresses if one.kind == "phone" and one.normal}
        states = store.held(tx, "sms", sorted(numbers.union(NUMBERS)))
        for phone, held in states.items():
            given = store.rebuilt(tx, "sms", [phone])[phone]
            demand(given == held.registers, "C1 the evidence gives the state", phone, held)
        verdicts = {("sms", phone): shown(held.registers) for phone, held in states.items()}
        for person in people:
            label, _ = status_of_contact(person.addresses, verdicts)
            demand(person.subscription_status == label, "C1 a label is what its states give", person.id, label)
    for answer in consent.check(life.world.app, life.world.ws, "sms", NUMBERS):
        if answer.sendable:
            demand(answer.address not in life.closed, "C2 what a person closed stays closed", answer)
            found = consent.explain(life.world.app, life.world.ws, "sms", answer.address)
            demand(any(one.state is State.IN for one in found.evidence), "C6 a yes has a proof", answer)


def _check_heard(life: Life) -> None:
    """C5: every opt-out that HubSpot did not say itself has reached it, or stands among the failures.

    And every no of HubSpot's that is not our own has reached us.
    """
    with life.world.app.db.read(life.world.ws) as tx:
        states = store.held(tx, "sms", NUMBERS)
        failing = {row.key for row in failures.recent(tx)}
    for phone, record in _linked(life):
        held = states.get(phone, Held())
        is_no = life.world.record(record).get(OPT_IN) == "false"
        waits = f"address:sms:{phone}" in failing
        demand(not _is_closed(held) or is_no or waits, "C5 every opt-out reaches HubSpot", phone, record, PORTAL)
        demand(not is_no or _says_no(held), "C5 every no of HubSpot's is heard", phone, record, held)


def _says_no(held: Held) -> bool:
    """Whether HubSpot's no stands in the register, or is what we wrote there."""
    written = any(told.value == "false" for told in held.told.values())
    return written or any(entry.state is State.OUT for entry in held.registers.crm.values())


def _is_closed(held: Held) -> bool:
    return any(register is not Register.CRM for register, *_ in closed_by(held.registers))


def _linked(life: Life) -> Iterator[tuple[str, str]]:
    seen = see(life.world)
    for link in seen.live:
        person = seen.people[link.contact_id]
        if link.record_id in seen.alive:
            for phone in NUMBERS:
                if person.fields.get("phone") == phone == seen.alive[link.record_id].values.get("phone"):
                    yield phone, link.record_id
