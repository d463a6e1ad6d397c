"""What must hold after a run, and when both sides have come to rest; the numbers are those of docs/reliability.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.property.machine.histories import MAPPED, Setup
from tests.support.world import PORTAL, World

from mercuri.core.contact import ContactId, LinkState, PortalId
from mercuri.engine.fields import norm_for
from mercuri.sandbox import Sandbox
from mercuri.sandbox.records import Record
from mercuri.store import contacts, links, merges, outbox
from mercuri.store.contact_rows import Held
from mercuri.store.links import Link

KINDS = {"first_name": "name", "last_name": "name", "email": "email", "phone": "phone"}
_NORM = norm_for("US")


class Violation(AssertionError):
    """A law was broken; the message names it."""


def demand(holds: object, law: str, *facts: object) -> None:
    """Raise Violation unless it holds."""
    if not holds:
        raise Violation(f"{law}: " + ", ".join(str(fact) for fact in facts))


def norm(name: str, value: str) -> str:
    """The form in which two values of a field are equal."""
    return _NORM(KINDS[name], value)


def stored(name: str, value: str, lossy: bool) -> str:
    """What HubSpot makes of a value: a lossy one cuts exclamation marks off last names, which no form forgives."""
    return value.rstrip(" !") if lossy and name == "last_name" else value


@dataclass
class Seen:
    """Both sides as they stand."""

    people: dict[ContactId, Held]
    links: list[Link]
    records: Mapping[int, Record]
    log: list[Any]
    conflicts: list[Any]
    failing: set[ContactId]
    pending: set[ContactId]
    intents: int
    runs: set[int]
    #: Contacts that a merge in the journal absorbed.
    absorbed: set[ContactId]
    from_merges: set[int]

    @property
    def alive(self) -> dict[str, Record]:
        """Records that are not archived, by id."""
        return {record.text_id: record for record in self.records.values() if record.archived_ms is None}

    @property
    def live(self) -> list[Link]:
        """Live links."""
        return [link for link in self.links if link.state is LinkState.LIVE]

    @property
    def disputed(self) -> set[tuple[str, str]]:
        """Record and field of the open conflicts."""
        return {(row.record_id, row.field) for row in self.conflicts if row.state == "open"}

    def values(self) -> object:
        """What another run must not change when nobody did anything."""
        return (
            {i: (held.fields, held.version, held.deleted_at) for i, held in self.people.items()},
            {link.record_id: (link.contact_id, link.state, link.base) for link in self.links},
            {i: record.values for i, record in self.records.items()},
            [(row.id, row.state) for row in self.conflicts],
        )


def see(world: World, portal: PortalId = PORTAL, sandbox: Sandbox | None = None) -> Seen:
    """Look at both sides, in a portal."""
    with world.app.db.read(world.ws) as tx:
        ask = tx.raw().execute
        ids = [ContactId(id_) for (id_,) in ask("SELECT id FROM contact WHERE workspace_id = ?", [world.ws])]
        records = [record for (record,) in ask("SELECT record_id FROM link WHERE workspace_id = ?", [world.ws])]
        found = links.of_records(tx, portal, records)
        log = "SELECT id, run_id, contact_id, record_id, field, side, before, after, planned FROM change ORDER BY id"
        disputes = "SELECT id, contact_id, record_id, field, local, remote, state FROM conflict WHERE portal_id = :p"
        failures = "SELECT contact_id FROM failure WHERE contact_id IS NOT NULL AND portal_id = ?"
        failing = ask(failures, [portal]).fetchall()
        pending = ask("SELECT key FROM outbox WHERE kind = 'contact' AND portal_id = ?", [portal]).fetchall()
        done = ask("SELECT id FROM run WHERE portal_id = ?", [portal]).fetchall()
        return Seen(
            contacts.held(tx, ids),
            list(found.values()),
            (sandbox or world.sandbox).portal.records,
            list(tx.execute(log)),
            list(tx.execute(f"{disputes} ORDER BY id", {"p": portal})),
            {ContactId(id_) for (id_,) in failing},
            {ContactId(int(key)) for (key,) in pending},
            len(outbox.open_intents(tx, portal)),
            {run for (run,) in done},
            {contact for merge in merges.recent(tx) if merge.undone_at is None for contact in merge.absorbed},
            set((sandbox or world.sandbox).portal.merged.values()),
        )


@dataclass
class Typed:
    """What people did since the last rest (edits), and in the whole history."""

    here: dict[tuple[ContactId, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    there: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Contacts and records that were merged, deleted, undone, ... : nothing certain is asked of their values.
    unsure: set[Any] = field(default_factory=set)
    #: Record and field of conflicts that were open already: they stay so until a person decides.
    disputed: set[tuple[str, str]] = field(default_factory=set)

    def clear(self, seen: Seen) -> None:
        """Both sides are at rest."""
        self.here.clear()
        self.there.clear()
        self.unsure.clear()
        self.disputed = seen.disputed


def check_rest(setup: Setup, seen: Seen, typed: Typed, *, swept: bool, made_by_us: set[str], undone: bool) -> None:
    """The laws of two sides at rest."""
    demand(seen.intents == 0, "I2 no write is left whose fate is unknown", seen.intents)
    _check_links(seen, swept=swept)
    _check_once(seen, made_by_us)
    _check_bases(seen)
    _check_last_edits(setup, seen, typed)
    _check_log(seen)
    if not undone:
        if not setup.lossy:
            _check_trampled(setup, seen)
        _check_one_way(setup, seen)
        _check_blanks(setup, seen)


def check_far(near: Seen, far: Seen) -> None:
    """The laws of two portals at rest."""
    demand(near.intents == far.intents == 0, "I2 no write is left whose fate is unknown", near.intents, far.intents)
    for seen in (near, far):
        _check_links(seen, swept=False)
        _check_bases(seen)


def _check_links(seen: Seen, *, swept: bool) -> None:
    owners = [link.contact_id for link in seen.live]
    demand(len(set(owners)) == len(owners), "I4 one live link per contact", sorted(owners))
    by_contact: dict[ContactId, list[Link]] = defaultdict(list)
    for link in seen.links:
        by_contact[link.contact_id].append(link)
    for link in seen.live:
        person = seen.people.get(link.contact_id)
        is_here = person is not None and person.deleted_at is None and person.merged_into is None
        demand(is_here, "I4 a live link has a contact", link)
        # An empty portal proves nothing (I14).
        demand(not (swept and seen.alive) or link.record_id in seen.alive, "I4 a live link has a record", link)
    known = {link.record_id: link for link in seen.links}
    for record in seen.alive:
        demand(record in known, "I18 every record is known", record, seen.alive[record].values)
        link = known[record]
        owner = seen.people.get(link.contact_id)
        is_here = owner is not None and owner.deleted_at is None and owner.merged_into is None
        demand(not (link.state is LinkState.ASLEEP and is_here), "I16 a link sleeps only while one side is gone", link)
        accounted = link.state is not LinkState.UNLINKED or link.excluded
        demand(accounted, "I18 a record is linked, or left out for a reason", link)
    for contact, person in seen.people.items():
        journalled = person.merged_into is None or contact in seen.absorbed
        demand(journalled, "I17 a merge is in the journal, from which it can be taken back", person)
        accounted = contact in by_contact or contact in seen.failing or person.merged_into is not None
        demand(person.deleted_at is not None or accounted, "I18 every contact is linked or failing", person)


def _check_once(seen: Seen, made_by_us: set[str]) -> None:
    for link in seen.links:
        person = seen.people.get(link.contact_id)
        # A contact may get a record of ours later: after a restore, or when a merge is taken back. Its link tells.
        imported = person is not None and person.created_run in seen.runs and link.created_there is None
        demand(
            not (imported and link.record_id in made_by_us),
            "I3 one record per contact",
            link,
            person,
            sorted(made_by_us),
        )


def _check_bases(seen: Seen) -> None:
    for link in seen.live:
        person, record = seen.people[link.contact_id], seen.alive.get(link.record_id)
        for name, other in MAPPED.items():
            if record is None or (link.record_id, name) in seen.disputed or link.contact_id in seen.failing:
                continue
            here, there, base = person.fields.get(name, ""), record.values.get(other, ""), link.base.get(name)
            settled = base is not None and (norm(name, base.local), norm(name, base.remote)) == (
                norm(name, here), norm(name, there),
            )  # fmt: skip
            demand(settled, "I6 a base explains what stands", name, here, there, base, link.record_id)


def _check_last_edits(setup: Setup, seen: Seen, typed: Typed) -> None:
    directions = dict(setup.directions)
    for link in seen.live:
        record = seen.alive.get(link.record_id)
        is_sure = not {link.contact_id, link.record_id} & typed.unsure and link.contact_id not in seen.failing
        if record is None or not is_sure:
            continue
        for name, other in MAPPED.items():
            here, there = seen.people[link.contact_id].fields.get(name, ""), record.values.get(other, "")
            mine, theirs = typed.here.get((link.contact_id, name)), typed.there.get((link.record_id, name))
            direction = directions.get(name, "both")
            if bool(mine) == bool(theirs) or (link.record_id, name) in typed.disputed:
                continue
            value = (mine or theirs or [""])[-1]
            if not norm(name, value) and setup.blanks != "erase":
                demand((here if mine else there) == value, "I5 a blank that is not carried stays", name, here, there)
            elif mine:
                demand(here == value, "I5 the last value here stays", name, value, here, there)
                carried = norm(name, there) == norm(name, stored(name, value, setup.lossy))
                demand(direction == "in" or carried, "I5 the only edit, made here, arrives", name, value, there)
            else:
                demand(there == value, "I5 the last value there stays", name, value, there, here)
                carried = norm(name, value) in (norm(name, here), norm(name, stored(name, here, setup.lossy)))
                demand(direction == "out" or carried, "I5 the only edit, made there, arrives", name, value, here)


def _check_log(seen: Seen) -> None:
    """The log of a field is a chain: each row begins where the one before it ended, so that no value is missing."""
    stands: dict[tuple[int, str], str] = {}
    for row in seen.log:
        if row.side != "mercuri" or row.field == "*" or row.planned or row.contact_id is None:
            continue
        key = (row.contact_id, row.field)
        demand(stands.get(key, row.before) == row.before, "I7 the log has every value", key, stands.get(key), row)
        stands[key] = row.after
    for (contact, name), value in stands.items():
        held = seen.people.get(ContactId(contact))
        demand(
            held is None or held.fields.get(name, "") == value, "I7 the log ends with what stands", name, value, held
        )


def _is_ours(source: str) -> bool:
    return source == "INTEGRATION"


def _check_trampled(setup: Setup, seen: Seen) -> None:
    """A person's value that a write of ours ran over is known here: on a side, in the log or in a conflict."""
    directions = dict(setup.directions)
    for name, other in MAPPED.items():
        known = {norm(name, held.fields.get(name, "")) for held in seen.people.values()}
        known |= {norm(name, text) for row in seen.log if row.field == name for text in (row.before, row.after)}
        known |= {norm(name, text) for row in seen.conflicts if row.field == name for text in (row.local, row.remote)}
        for record in seen.records.values():
            # The histories of two records that were merged tell nothing of what ran over what.
            if record.id in seen.from_merges or directions.get(name) == "out":
                continue
            entries = record.entries(other)
            for over, under in pairwise(entries):
                over_a_person = _is_ours(over.author.source) and not _is_ours(under.author.source)
                lost = over_a_person and norm(name, under.value) and norm(name, under.value) not in known
                gone = norm(name, record.values.get(other, "")) != norm(name, under.value)
                demand(not (lost and gone), "I7 a trampled edit is kept", name, under.value, over.value, record.text_id)


def _check_one_way(setup: Setup, seen: Seen) -> None:
    for name, direction in setup.directions:
        if direction == "in":
            for record in seen.records.values():
                ours = [e for e in record.history.get(MAPPED[name], [])[:-1] if _is_ours(e.author.source)]
                demand(not ours, "I11 nothing is written there against the direction", name, ours)
        else:
            for held in seen.people.values():
                origin = held.origins.get(name)
                demand(origin is None or origin.kind != "hubspot", "I11 nothing is written here against it", name, held)


def _check_blanks(setup: Setup, seen: Seen) -> None:
    if setup.blanks != "keep":
        return
    for row in seen.log:
        emptied = row.run_id is not None and not row.planned and row.field != "*" and row.before and not row.after
        demand(not emptied, "I10 no run empties a value", row)
