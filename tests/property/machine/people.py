"""What people do on both sides: create, edit, delete, restore, merge, settle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.property.machine import running
from tests.property.machine.histories import MAPPED, Step
from tests.property.machine.laws import demand, norm, see
from tests.property.machine.life import Life
from tests.support.world import OWNER

from mercuri.core.contact import ContactId
from mercuri.engine import edit, writes
from mercuri.errors import Clash, UserError
from mercuri.sandbox.answers import Refusal
from mercuri.store import conflicts, contacts
from mercuri.store.database import Tx


def before_taking(life: Life, tx: Tx, contact: ContactId) -> None:
    """A run is about to write a value here; someone may commit an edit of it first."""
    for one in life.moments.reached("take"):
        if one.act is not None:
            held = contacts.held(tx, [contact])[contact]
            name, value = one.act.field, one.act.value.strip()
            if held.fields.get(name, "") != value:
                by = writes.By("olga", "user", life.world.clock.now(), "edited")
                writes.change(tx, held, {name: value}, by, writes.rules_of(tx))
                life.typed.here[contact, name].append(value)


def new_here(life: Life, step: Step) -> None:
    if step.who in life.contacts or step.who in life.records:
        return
    life.contacts[step.who] = contact = life.world.create(**dict(step.values))
    if any(value for name, value in step.values if "99" in value or "hared" in value):
        life.typed.unsure.add(contact)
    for name, value in step.values:
        if value:
            life.typed.here[contact, name].append(value)


def new_there(life: Life, step: Step) -> None:
    if step.who in life.contacts or step.who in life.records:
        return
    try:
        record = life.world.sandbox.create({MAPPED[name]: value for name, value in step.values})
    except Refusal:
        return
    life.records[step.who] = record
    if any(value for name, value in step.values if "99" in value or "hared" in value):
        life.typed.unsure.add(record)
    values = life.world.record(record)
    for name, other in MAPPED.items():
        if values.get(other):
            life.typed.there[record, name].append(values[other])


def edit_here(life: Life, step: Step) -> None:
    contact = life.contact(step.who)
    person = life.world.contact(contact) if contact is not None else None
    if contact is None or person is None or person.deleted_at is not None or person.merged_into is not None:
        return
    before = person.fields.get(step.field, "")
    value = step.value if step.value.strip() else ""
    if before != value:
        life.world.edit(contact, **{step.field: value})
        _note(life.typed.here, (contact, step.field), before, value)
        life.fresh_here.setdefault((contact, step.field), before)


def _note(typed: dict[Any, list[str]], key: tuple[Any, str], before: str, value: str) -> None:
    """The same value in another guise is no edit, unless it is the latest of several."""
    if key in typed or norm(key[1], before) != norm(key[1], value):
        typed[key].append(value)


def edit_there(life: Life, step: Step) -> None:
    record = life.record(step.who)
    if record is None:
        return
    other = MAPPED[step.field]
    before = life.world.record(record).get(other, "")
    try:
        life.world.sandbox.update(record, {other: step.value})
    except Refusal:
        return
    value = life.world.record(record).get(other, "")
    if value != before:
        _note(life.typed.there, (record, step.field), before, value)
        life.fresh_there.setdefault((record, step.field), before)


def delete_here(life: Life, step: Step) -> None:
    contact = life.contact(step.who)
    if contact is not None and _is_here(life, contact):
        _know_what_is_settled(life, contact)
        life.forget(contact, life.record(step.who))
        edit.delete_contact(life.world.app, life.world.ws, contact, OWNER)
        life.gone_here.add(contact)


def _know_what_is_settled(life: Life, contact: ContactId | None) -> None:
    """What a run has carried over already, though it was cut short, is no edit that a deletion could overlook."""
    link = life.world.link_of(contact) if contact is not None else None
    record = life.world.sandbox.contact(link.record_id) if link else None
    if contact is None or link is None or record is None:
        return
    fields = life.world.contact(contact).fields
    for name, base in link.base.items():
        if norm(name, base.remote) == norm(name, record.get(MAPPED[name], "")):
            life.fresh_there.pop((link.record_id, name), None)
        if norm(name, base.local) == norm(name, fields.get(name, "")):
            life.fresh_here.pop((contact, name), None)


def _is_here(life: Life, contact: ContactId) -> bool:
    person = life.world.contact(contact)
    return person.deleted_at is None and person.merged_into is None


def restore_here(life: Life, step: Step) -> None:
    contact = life.contact(step.who)
    if contact is not None and life.world.contact(contact).deleted_at is not None:
        life.forget(contact, life.record(step.who))
        edit.restore_contact(life.world.app, life.world.ws, contact, OWNER)
        life.gone_here.discard(contact)
        life.restored[contact] = life.world.clock.now()


def archive_there(life: Life, step: Step) -> None:
    record = life.record(step.who)
    if record is not None:
        _know_what_is_settled(life, life.contact(step.who))
        life.forget(life.contact(step.who), record)
        life.world.sandbox.archive(record)
        life.gone_there.add(record)
        life.has_moved_records = True


def restore_there(life: Life, step: Step) -> None:
    record = life.last_record(step.who)
    if record is None or record in life.world.sandbox.contact_ids():
        return
    try:
        life.world.sandbox.restore(record)
    except Refusal:
        return
    life.forget(life.contact(step.who), record)
    life.has_moved_records = True


def merge_there(life: Life, step: Step) -> None:
    one, other = life.record(step.who), life.record(step.other)
    if one is None or other is None or one == other:
        return
    for who in (step.who, step.other):
        life.forget(life.contact(who), life.record(who))
    life.gone_there |= {one, other}
    merged = life.world.sandbox.merge(one, other)
    life.typed.unsure.add(merged)
    life.made_by_us.discard(merged)  # it is the record of either contact now, whoever made it
    life.has_moved_records = True


def reformat(life: Life, step: Step) -> None:
    """I8: the same value in another guise, typed on one side of a rest, is written nowhere else."""
    running.rest(life)
    contact, record = life.contact(step.who), life.record(step.who)
    seen = see(life.world)
    link = next((one for one in seen.live if (one.contact_id, one.record_id) == (contact, record)), None)
    if contact is None or record is None or link is None or contact in seen.failing:
        return
    other = MAPPED[step.field]
    here, there = seen.people[contact].fields.get(step.field, ""), seen.alive[record].values.get(other, "")
    guise = _disguised(step.field, here)
    same = norm(step.field, here) == norm(step.field, there) == norm(step.field, guise)
    if not here or not same or (record, step.field) in seen.disputed:
        return
    (edit_here if step.value == "here" else edit_there)(life, replace(step, value=guise))
    now = running.quiet(life, "I8 another guise is written nowhere")
    stand = now.people[contact].fields.get(step.field, ""), now.alive[record].values.get(other, "")
    unchanged = there == stand[1] if step.value == "here" else here == stand[0]
    demand(unchanged, "I8 the other side keeps its form", step.field, here, there, stand)


def _disguised(name: str, value: str) -> str:
    if name == "phone" and value.startswith("+1") and len(value) == 12:
        return f"({value[2:5]}) {value[5:8]}-{value[8:]}"
    return value.upper() if name == "email" else value.replace(" ", "  ") + " "


def delete_crowd(life: Life, step: Step) -> None:
    sandbox = life.world.sandbox
    for record in [r for r in sandbox.contact_ids() if (life.world.record(r).get("email") or "").startswith("crowd")]:
        link = life.world.link(record)
        if step.value == "there":
            sandbox.archive(record)
            life.gone_there.add(record)
            life.has_moved_records = True
        elif link is not None and life.world.contact(link.contact_id).deleted_at is None:
            edit.delete_contact(life.world.app, life.world.ws, link.contact_id, OWNER)
            life.gone_here.add(link.contact_id)


def settle(life: Life, step: Step) -> None:
    with life.world.app.db.read(life.world.ws) as tx:
        rows = list(tx.execute("SELECT id FROM conflict WHERE state = 'open' AND field <> '*' ORDER BY id"))
        if not rows:
            return
        chosen = conflicts.get(tx, rows[0].id)
    life.typed.unsure |= {chosen.contact_id, chosen.record_id}
    life.undone = True  # a person may choose a blank
    try:
        edit.resolve_conflict(life.world.app, life.world.ws, chosen.id, step.value, OWNER)
    except (Clash, UserError):
        return


def wait(life: Life, step: Step) -> None:
    life.world.clock.advance(int(step.value))
