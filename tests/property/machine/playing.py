"""Live through a history: people act on both sides, runs are made, cut and resumed, and the laws are checked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from tests.property.machine.histories import CROWD, MAPPED, History, Moment, Setup, Step
from tests.property.machine.laws import Seen, Typed, check_rest, demand, norm, see, stored
from tests.property.machine.surroundings import GuardedDatabase, Moments, Wire, in_one_thread
from tests.support.clock import Clock
from tests.support.database import fresh_url
from tests.support.fuse import PowerCut
from tests.support.world import OWNER, PORTAL, World, a_world, adds_up

from mercuri.core.contact import ContactId, LinkState, RunId
from mercuri.engine import edit, run, writes
from mercuri.errors import Clash, UserError
from mercuri.sandbox.answers import Refusal
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.sandbox.oauth import KNOWN_SCOPES
from mercuri.sandbox.records import Event
from mercuri.store import conflicts, contacts, runs
from mercuri.store.database import Database, Tx
from mercuri.store.runs import Run

DAY = 86_400


def play(history: History) -> None:
    """Live through a history to its rest. Raises Violation where a law is broken."""
    with _database() as database, a_world(database, Clock(), lag_ms=history.setup.lag_s * 1000) as world:
        life = _Life(world, history.setup)
        with in_one_thread(life.before_taking):
            life.begin()
            for step in history.steps:
                life.do(step)
            life.rest()


@cache
def _file() -> tuple[Path, Database]:
    """The database of this process: emptied before each history, so that compiled statements are kept."""
    directory = Path(tempfile.mkdtemp(prefix="mercuri-machine-", dir=_memory()))
    with fresh_url("sqlite", directory) as url:
        file = Path(url.removeprefix("sqlite:///"))
    shutil.copy(file, file.with_suffix(".empty"))
    return file, Database.open(url)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def _database() -> Iterator[Database]:
    file, database = _file()
    database.close()
    for more in ("-wal", "-shm"):
        file.with_name(file.name + more).unlink(missing_ok=True)
    shutil.copy(file.with_suffix(".empty"), file)
    yield database
    database.close()


class _Life:
    """One history under way. People are slots; each knows its contact, its record, or both."""

    def __init__(self, world: World, setup: Setup) -> None:
        self.world, self.setup = world, setup
        self.moments = Moments(self._during)
        self.wire = Wire(world.sandbox, self.moments)
        guarded: Any = GuardedDatabase(world.app.db, self.moments)
        self.running = replace(world.app, db=guarded, http=httpx.Client(transport=self.wire))
        self.typed = Typed()
        self.contacts: dict[int, ContactId] = {}
        self.records: dict[int, str] = {}
        self.asked: Run | None = None  # a run that is not over
        self.done: list[RunId] = []
        self.made_by_us: set[str] = set()
        self.gone_here: set[ContactId] = set()  # deleted by people
        self.gone_there: set[str] = set()  # archived or merged by people
        self.archived_by_us: list[str] = []
        #: What a value was when the last run ended, for each that people changed since, outside of runs.
        self.fresh_here: dict[tuple[ContactId, str], str] = {}
        self.fresh_there: dict[tuple[str, str], str] = {}
        self.has_moved_records = self.undone = self.brake_is_off = False

    # Beginning

    def begin(self) -> None:
        """Connect, with the settings and switches of the history."""
        world, setup, sandbox = self.world, self.setup, self.world.sandbox
        if not setup.own_id:
            sandbox.grant(STATIC_TOKEN, KNOWN_SCOPES - {"crm.schemas.contacts.write"})
        sandbox.switch(**dict(setup.switches))
        directions = dict(setup.directions)
        mapping = [
            {"property": there, "field": here, "direction": directions.get(here, "both")}
            for here, there in MAPPED.items()
        ]
        world.connect(
            two_way=True,
            mapping=mapping,
            conflict_policy=setup.policy,
            blanks=setup.blanks,
            deletions=setup.deletions,
            match_by=setup.match_by,
        )
        if setup.lossy:
            self._rewrite_lossily()
        sandbox.portal.listeners.append(self._hear)
        for number in range(CROWD if setup.crowd else 0):
            sandbox.create({"firstname": f"C{number}", "email": f"crowd{number}@example.com"})

    def _rewrite_lossily(self) -> None:
        portal: Any = self.world.sandbox.portal
        check: Callable[..., dict[str, str]] = portal.check_values

        def lossily(*values: Any) -> dict[str, str]:
            checked = check(*values)
            return {n: stored("last_name", text, True) if n == "lastname" else text for n, text in checked.items()}

        portal.check_values = lossily

    def _hear(self, event: Event) -> None:
        """HubSpot did something; what we made it do must be allowed."""
        if event.author.source != "INTEGRATION":
            return
        record = str(event.record_id)
        if event.kind == "creation":
            self.made_by_us.add(record)
        if event.kind == "deletion" and not self.undone:
            self.archived_by_us.append(record)
            self._check_archive(record)

    def _check_archive(self, record: str) -> None:
        link = self.world.link(record)
        owner = link.contact_id if link else None
        demand(self.setup.deletions == "archive", "I14 records are archived only where that was chosen", record)
        demand(owner in self.gone_here, "I14 a record is archived only when its contact was deleted", record, link)
        values = self.world.sandbox.portal.records[int(record)].values
        for (other, name), before in self.fresh_there.items():
            edited = other == record and norm(name, values.get(MAPPED[name], "")) != norm(name, before)
            demand(not edited, "I15 an edit there survives a deletion here", record, name, before)

    # Steps

    def do(self, step: Step) -> None:
        """One step, a second after whatever was before."""
        self.world.clock.advance(1)
        act: Callable[[Step], None] = getattr(self, f"_{step.kind}")
        act(step)

    def _during(self, step: Step) -> None:
        """Somebody acts during a run: its order with the run's own steps is not known to the laws."""
        fresh = dict(self.fresh_here), dict(self.fresh_there)
        self.do(step)
        self.fresh_here, self.fresh_there = fresh

    def before_taking(self, tx: Tx, contact: ContactId) -> None:
        """A run is about to write a value here; someone may commit an edit of it first."""
        for one in self.moments.reached("take"):
            if one.act is not None:
                held = contacts.held(tx, [contact])[contact]
                name, value = one.act.field, one.act.value.strip()
                if held.fields.get(name, "") != value:
                    by = writes.By("olga", "user", self.world.clock.now(), "edited")
                    writes.change(tx, held, {name: value}, by, writes.rules_of(tx))
                    self.typed.here[contact, name].append(value)

    def _new_here(self, step: Step) -> None:
        if step.who in self.contacts or step.who in self.records:
            return
        self.contacts[step.who] = contact = self.world.create(**dict(step.values))
        if any(value for name, value in step.values if "99" in value or "hared" in value):
            self.typed.unsure.add(contact)
        for name, value in step.values:
            if value:
                self.typed.here[contact, name].append(value)

    def _new_there(self, step: Step) -> None:
        if step.who in self.contacts or step.who in self.records:
            return
        try:
            record = self.world.sandbox.create({MAPPED[name]: value for name, value in step.values})
        except Refusal:
            return
        self.records[step.who] = record
        if any(value for name, value in step.values if "99" in value or "hared" in value):
            self.typed.unsure.add(record)
        values = self.world.record(record)
        for name, other in MAPPED.items():
            if values.get(other):
                self.typed.there[record, name].append(values[other])

    def _edit_here(self, step: Step) -> None:
        contact = self._contact(step.who)
        person = self.world.contact(contact) if contact is not None else None
        if contact is None or person is None or person.deleted_at is not None or person.merged_into is not None:
            return
        before = person.fields.get(step.field, "")
        value = step.value if step.value.strip() else ""
        if before != value:
            self.world.edit(contact, **{step.field: value})
            self.typed.here[contact, step.field].append(value)
            self.fresh_here.setdefault((contact, step.field), before)

    def _edit_there(self, step: Step) -> None:
        record = self._record(step.who)
        if record is None:
            return
        other = MAPPED[step.field]
        before = self.world.record(record).get(other, "")
        try:
            self.world.sandbox.update(record, {other: step.value})
        except Refusal:
            return
        value = self.world.record(record).get(other, "")
        if value != before:
            self.typed.there[record, step.field].append(value)
            self.fresh_there.setdefault((record, step.field), before)

    def _delete_here(self, step: Step) -> None:
        contact = self._contact(step.who)
        if contact is not None and self.world.contact(contact).deleted_at is None:
            self._forget(contact, self._record(step.who))
            edit.delete_contact(self.world.app, self.world.ws, contact, OWNER)
            self.gone_here.add(contact)

    def _restore_here(self, step: Step) -> None:
        contact = self._contact(step.who)
        if contact is not None and self.world.contact(contact).deleted_at is not None:
            self._forget(contact, self._record(step.who))
            edit.restore_contact(self.world.app, self.world.ws, contact, OWNER)
            self.gone_here.discard(contact)

    def _archive_there(self, step: Step) -> None:
        record = self._record(step.who)
        if record is not None:
            self._forget(self._contact(step.who), record)
            self.world.sandbox.archive(record)
            self.gone_there.add(record)
            self.has_moved_records = True

    def _restore_there(self, step: Step) -> None:
        record = self._last_record(step.who)
        if record is None or record in self.world.sandbox.contact_ids():
            return
        try:
            self.world.sandbox.restore(record)
        except Refusal:
            return
        self._forget(self._contact(step.who), record)
        self.has_moved_records = True

    def _merge_there(self, step: Step) -> None:
        one, other = self._record(step.who), self._record(step.other)
        if one is None or other is None or one == other:
            return
        for who in (step.who, step.other):
            self._forget(self._contact(who), self._record(who))
        self.gone_there |= {one, other}
        self.typed.unsure.add(self.world.sandbox.merge(one, other))
        self.has_moved_records = True

    def _delete_crowd(self, step: Step) -> None:
        sandbox = self.world.sandbox
        for record in [
            r for r in sandbox.contact_ids() if (self.world.record(r).get("email") or "").startswith("crowd")
        ]:
            link = self.world.link(record)
            if step.value == "there":
                sandbox.archive(record)
                self.gone_there.add(record)
                self.has_moved_records = True
            elif link is not None and self.world.contact(link.contact_id).deleted_at is None:
                edit.delete_contact(self.world.app, self.world.ws, link.contact_id, OWNER)
                self.gone_here.add(link.contact_id)

    def _settle(self, step: Step) -> None:
        with self.world.app.db.read(self.world.ws) as tx:
            rows = list(tx.execute("SELECT id FROM conflict WHERE state = 'open' AND field <> '*' ORDER BY id"))
            if not rows:
                return
            chosen = conflicts.get(tx, rows[0].id)
        self.typed.unsure |= {chosen.contact_id, chosen.record_id}
        self.undone = True  # a person may choose a blank
        try:
            edit.resolve_conflict(self.world.app, self.world.ws, chosen.id, step.value, OWNER)
        except (Clash, UserError):
            return

    def _wait(self, step: Step) -> None:
        self.world.clock.advance(int(step.value))

    # Runs

    def _sync(self, step: Step) -> None:
        self._go(self._ask(full=step.full), step.at)

    def _ask(self, *, full: bool = False, preview: bool = False) -> Run:
        """The run that is not over, once it can go on, or a new one."""
        world = self.world
        self.world.clock.advance(120)
        if self.asked is not None:
            world.clock.advance(600)
            now = world.run(self.asked)
            if now.resume_at is not None and now.resume_at > world.clock.now():
                world.clock.advance((now.resume_at - world.clock.now()).total_seconds())
            return self.asked
        self.asked = run.request(world.app, world.ws, PORTAL, full=full, preview=preview, trigger="button", actor=OWNER)
        return self.asked

    def _go(self, asked: Run, at: Sequence[Moment] = ()) -> Run | None:
        """Do a run as far as it comes; None when it is not over."""
        self.moments.start(at)
        self.wire.clear()
        before = self._deleted()
        self.archived_by_us.clear()
        try:
            done = run.execute(self.running, self.world.ws, asked.id, owner="worker")
        except PowerCut:
            return None
        finally:
            self.moments.start(())
            self.wire.clear()
        if done.state == "waiting":
            return None
        self.asked = None
        self._check_run(done, before)
        return done

    def _deleted(self) -> set[ContactId]:
        with self.world.app.db.read(self.world.ws) as tx:
            return {ContactId(row.id) for row in tx.execute("SELECT id FROM contact WHERE deleted_at IS NOT NULL")}

    def _check_run(self, done: Run, before: set[ContactId]) -> None:
        deleted = self._deleted() - before - self.gone_here
        demand(done.state in ("done", "stopped"), "a run ends well", done.state, done.message)
        demand(done.state == "done" or self.setup.crowd, "a run stops only at the brake", done.message)
        demand(adds_up(done), "I18 counts add up", done.counts)
        if done.kind != "undo" and not self.undone:
            demand(not deleted or self.setup.deletions == "archive", "I14 contacts are deleted only if chosen", deleted)
            for contact, name in self.fresh_here:
                edited = contact in deleted and norm(name, self.fresh_here[contact, name]) != norm(
                    name, self.world.contact(contact).fields.get(name, "")
                )
                demand(not edited, "I15 an edit here survives a deletion there", contact, name)
            most = max(len(deleted), len(self.archived_by_us))
            demand(self.brake_is_off or most <= 10, "the brake stops a run that deletes many", most)
        if done.state == "done":
            self.done.append(done.id)
            self.fresh_here.clear()
            self.fresh_there.clear()

    def _through(self, asked: Run) -> Run:
        """A clean run, to its end."""
        for _ in range(12):
            done = self._go(asked)
            if done is not None:
                return done
            asked = self._ask()
        raise AssertionError("the run waits for ever")

    # Rest

    def _rest(self, step: Step) -> None:
        self.rest()

    def rest(self) -> None:
        """Let all be done that waits; two clean runs must suffice, and the third finds nothing to do."""
        if self.asked is not None:
            self._through(self._ask())
        self.world.clock.advance(1.1 * DAY)
        for full in (self.has_moved_records, False):
            if self._through(self._ask(full=full)).state == "stopped":
                self.world.settings(delete_brake=100)
                self.brake_is_off = True
                self._through(self._ask(full=full))
        seen = self._quiet("I1 a run without edits does nothing")
        check_rest(
            self.setup, seen, self.typed, swept=self.has_moved_records, made_by_us=self.made_by_us, undone=self.undone
        )
        self.typed.clear(seen)

    def _quiet(self, law: str) -> Seen:
        """One more run, which must do nothing."""
        before = see(self.world)
        self.world.sandbox.reset_counts()
        self._through(self._ask())
        demand(self.world.sandbox.counts()["write"] == 0, law, "wrote to HubSpot", self.world.sandbox.log())
        after = see(self.world)
        demand(after.values() == before.values(), law, _difference(before, after))
        return after

    # Preview and undo

    def _preview(self, step: Step) -> None:
        """A preview changes nothing, and applying it does what it showed."""
        if self.asked is not None:
            self._through(self._ask())
        before = see(self.world)
        self.world.sandbox.reset_counts()
        shown = self._through(self._ask(preview=True))
        after = see(self.world)
        demand(self.world.sandbox.counts()["write"] == 0, "I13 a preview writes nothing there")
        people = {i: (held.fields, held.deleted_at) for i, held in before.people.items()}
        demand(people == {i: (h.fields, h.deleted_at) for i, h in after.people.items()}, "I13 a preview changes nobody")
        if shown.state != "done":
            return
        self.asked = run.apply(self.world.app, self.world.ws, shown.id, OWNER, "button")
        done = self._through(self.asked)
        if done.state == "done":
            self._check_applied(before, shown, done)

    def _check_applied(self, before: Seen, shown: Run, done: Run) -> None:
        linked = {link.contact_id for link in before.live}
        log, after = see(self.world).log, see(self.world)
        sure = linked - after.failing - self.typed.unsure

        def of(run_id: RunId) -> set[tuple[object, ...]]:
            return {
                (row.contact_id, row.field, row.side, norm(row.field, stored(row.field, row.after, self.setup.lossy)))
                for row in log
                if row.run_id == run_id and row.field != "*" and row.contact_id in sure
            }

        demand(of(shown.id) == of(done.id), "I13 applying does what was shown", of(shown.id), of(done.id))

    def _undo(self, step: Step) -> None:
        """Undo the last run that changed anything; then all is quiet; then redo it."""
        self.rest()
        run_id = self._to_undo()
        if run_id is None:
            return
        self.undone = True
        before = see(self.world)
        undoing = self._undo_run(run_id)
        rows = [row for row in before.log if row.run_id == run_id and row.field != "*" and not row.planned]
        self._check_back(before, rows)
        self._quiet("I12 an undo is followed by silence")
        if undoing is not None:
            self._undo_run(undoing)
            self._check_redone(before, rows)
            self._quiet("I12 a redo is followed by silence")

    def _undo_run(self, run_id: RunId) -> RunId | None:
        world = self.world
        world.clock.advance(120)
        self.asked = run.undo(world.app, world.ws, run_id, OWNER, "button")
        return self._through(self.asked).id

    def _to_undo(self) -> RunId | None:
        log = see(self.world).log
        for run_id in reversed(self.done):
            with self.world.app.db.read(self.world.ws) as tx:
                found = runs.get(tx, run_id)
            has_rows = any(row.run_id == run_id and not row.planned for row in log)
            if has_rows and found.undone_by is None and not found.preview:
                return run_id
        return None

    def _check_back(self, before: Seen, rows: Sequence[Any]) -> None:
        now = see(self.world)
        for key, first, last in _spans(rows):
            stood, stands = _value(before, key), _value(now, key)
            if stood == last and stands is not None and key[1] != "email":
                demand(stands == first, "I12 an undo puts back what nobody touched", key, first, last, stands)

    def _check_redone(self, before: Seen, rows: Sequence[Any]) -> None:
        now = see(self.world)
        for key, _, last in _spans(rows):
            stood, stands = _value(before, key), _value(now, key)
            if stood == last and stands is not None and key[1] != "email":
                demand(stands == last, "I12 a redo does it again", key, last, stands)

    # Who is who

    def _contact(self, who: int) -> ContactId | None:
        if who not in self.contacts and who in self.records:
            link = self.world.link(self._resolved(self.records[who]))
            if link is None or link.contact_id == 0:
                return None
            return link.contact_id
        return self.contacts.get(who)

    def _record(self, who: int) -> str | None:
        """The record of a person, while it is not archived."""
        record = self._last_record(who)
        return record if record in self.world.sandbox.contact_ids() else None

    def _last_record(self, who: int) -> str | None:
        if who in self.records:
            return self._resolved(self.records[who])
        link = self.world.link_of(self.contacts[who]) if who in self.contacts else None
        if link is None or link.state is LinkState.MERGED:
            return None
        return self._resolved(link.record_id)

    def _resolved(self, record: str) -> str:
        merged, number = self.world.sandbox.portal.merged, int(record)
        while number in merged:
            number = merged[number]
        return str(number)

    def _forget(self, *ids: Any) -> None:
        self.typed.unsure |= set(ids) - {None}


def _spans(rows: Sequence[Any]) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    """For each value that rows changed: what it was before the first of them, and after the last."""
    found: dict[tuple[Any, ...], tuple[str, str]] = {}
    for row in rows:
        key = (row.side, row.field, row.contact_id if row.side == "mercuri" else row.record_id)
        found[key] = (found[key][0] if key in found else row.before, row.after)
    for key, (first, last) in found.items():
        yield key, first, last


def _value(seen: Seen, key: tuple[Any, ...]) -> str | None:
    side, name, number = key
    if side == "mercuri":
        held = seen.people.get(ContactId(number))
        return None if held is None or held.deleted_at is not None else held.fields.get(name, "")
    record = seen.alive.get(str(number))
    return None if record is None else record.values.get(MAPPED[name], "")


def _difference(before: Seen, after: Seen) -> str:
    pairs = zip(before.values(), after.values(), strict=True)  # type: ignore[call-overload]  # both are tuples
    return "; ".join(f"{one} -> {other}" for one, other in pairs if one != other)
