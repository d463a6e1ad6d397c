"""A second portal with the same people: what is typed in one arrives in the other, by way of the contact here."""

from __future__ import annotations

from tests.property.machine import running
from tests.property.machine.histories import MAPPED, Step
from tests.property.machine.laws import Seen, check_far, demand, norm, see, stored
from tests.property.machine.life import Life
from tests.support.world import OWNER, PORTAL

from mercuri.core.contact import ContactId, PortalId
from mercuri.engine import portal
from mercuri.sandbox import Sandbox
from mercuri.sandbox.answers import Refusal
from mercuri.store import links

FAR = PortalId("4343")
_TOKEN = "pat-na1-far"
#: Steps after which nothing certain is asked of a person's values any more.
_RARE = ("delete_here", "restore_here", "archive_there", "restore_there", "merge_there", "settle", "undo", "new_far")


def begin(life: Life) -> None:
    """Connect the second portal, with the settings of the first."""
    world, setup = life.world, life.setup
    life.far = Sandbox(now=world.clock.now, seed=7, portal_id=int(FAR), static_token=_TOKEN, lag_ms=setup.lag_s * 1000)
    life.far.switch(**{**dict(setup.switches), "static_account_info": "allowed"})
    life.wire.others[f"Bearer {_TOKEN}"] = life.far
    portal.connect_static(life.running, world.ws, _TOKEN, OWNER)
    settings = {
        "two_way": True,
        "conflict_policy": setup.policy,
        "blanks": setup.blanks,
        "deletions": setup.deletions,
        "match_by": setup.match_by,
    }
    portal.change_settings(life.running, world.ws, FAR, settings, OWNER)
    life.at_rest.append(_rest)


def edit_far(life: Life, step: Step) -> None:
    contact = life.contact(step.who)
    record = record_of(life, contact)
    if contact is None or record is None or record not in life.far.contact_ids():
        return
    try:
        life.far.update(record, {MAPPED[step.field]: step.value})
    except Refusal:
        return
    life.typed_far.pop((contact, step.field), None)
    if contact not in life.typed.unsure:
        life.typed_far[contact, step.field] = (life.far.contact(record) or {}).get(MAPPED[step.field], ""), _rare(life)
    life.forget(contact, life.record(step.who))


def new_far(life: Life, step: Step) -> None:
    """Somebody makes a record there, of a person who may be known already."""
    life.forget(life.contact(step.who), life.record(step.who))
    try:
        life.far.create({MAPPED[name]: value for name, value in step.values})
    except Refusal:
        return


def sync_far(life: Life, step: Step) -> None:
    """A run of the second portal, once the one under way is over."""
    if life.asked is None or running.go(life, running.ask(life)) is not None:
        running.go(life, running.ask(life, FAR, full=step.full), step.at)


def record_of(life: Life, contact: ContactId | None) -> str | None:
    """The record of a contact in the second portal."""
    if contact is None:
        return None
    with life.world.app.db.read(life.world.ws) as tx:
        link = links.of_contacts(tx, FAR, [contact]).get(contact)
    return link.record_id if link else None


def _rare(life: Life) -> int:
    return sum(life.happened[f"step: {kind}"] for kind in _RARE)


def _rest(life: Life) -> None:
    """Each portal hears of the other, and then there is nothing to do in either."""
    full = life.has_moved_records
    for number in range(2):
        for one in (FAR, PORTAL):
            running.past_the_brake(life, one, full=full and number == 0)
    running.quiet(life, "I1 a run without edits does nothing, with two portals")
    far = running.quiet(life, "I1 a run without edits does nothing in the second portal", FAR)
    check_far(see(life.world), far)
    _check_edits(life, far)
    life.typed_far.clear()


def _check_edits(life: Life, far: Seen) -> None:
    """I5: what was edited in the second portal alone stands here and in the first."""
    near = see(life.world)
    for (contact, name), (value, rare) in life.typed_far.items():
        linked = {one.contact_id: one for one in near.live}, {one.contact_id: one for one in far.live}
        if rare != _rare(life) or any(contact not in one for one in linked) or contact in near.failing | far.failing:
            continue
        records = near.alive.get(linked[0][contact].record_id), far.alive.get(linked[1][contact].record_id)
        edited = life.typed.here.get((contact, name)) or life.typed.there.get((linked[0][contact].record_id, name))
        if edited or None in records or name in dict(life.setup.directions) or not norm(name, value):
            continue
        disputed = {field for _, field in near.disputed | far.disputed}
        stand = [one.values.get(MAPPED[name], "") for one in records if one is not None]
        stand.append(near.people[contact].fields.get(name, ""))
        same = len({norm(name, stored(name, one, life.setup.lossy)) for one in [*stand, value]}) == 1
        demand(same or name in disputed, "I5 the only edit, made in the second portal, arrives", name, value, stand)
