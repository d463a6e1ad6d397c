"""Previews that are applied, and runs that are undone and redone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.property.machine.histories import MAPPED, Step
from tests.property.machine.laws import Seen, demand, norm, see, stored
from tests.property.machine.life import Life
from tests.property.machine.running import ask, quiet, rest, through
from tests.support.world import OWNER, PORTAL

from mercuri.core.contact import ContactId, RunId
from mercuri.engine import consent, run
from mercuri.store import runs
from mercuri.store.runs import Run


def preview(life: Life, step: Step) -> None:
    """A preview changes nothing, and applying it does what it showed."""
    if life.asked is not None:
        through(life, ask(life))
    before = see(life.world)
    writes = life.wire.writes
    shown = through(life, ask(life, preview=True))
    after = see(life.world)
    demand(life.wire.writes == writes, "I13 a preview writes nothing there")
    people = {i: (held.fields, held.deleted_at) for i, held in before.people.items()}
    demand(people == {i: (h.fields, h.deleted_at) for i, h in after.people.items()}, "I13 a preview changes nobody")
    if shown.state != "done":
        return
    life.asked = run.apply(life.world.app, life.world.ws, shown.id, OWNER, "button")
    done = through(life, life.asked)
    # A write whose fate was open is concluded by the run that comes next, and stands in its log.
    if done.state == "done" and not before.intents:
        _check_applied(life, before, shown, done)


def _check_applied(life: Life, before: Seen, shown: Run, done: Run) -> None:
    linked = {link.contact_id for link in before.live}
    log, after = see(life.world).log, see(life.world)
    sure = linked - after.failing - life.typed.unsure

    def of(run_id: RunId) -> set[tuple[object, ...]]:
        return {
            (row.contact_id, row.field, row.side, norm(row.field, stored(row.field, row.after, life.setup.lossy)))
            for row in log
            if row.run_id == run_id and row.field != "*" and row.contact_id in sure
        }

    demand(of(shown.id) == of(done.id), "I13 applying does what was shown", of(shown.id), of(done.id))


def undo(life: Life, step: Step) -> None:
    """Undo the last run that changed anything; then all is quiet; then redo it."""
    rest(life)
    run_id = _to_undo(life)
    if run_id is None:
        return
    life.undone = True
    before = see(life.world)
    undoing = _undo_run(life, run_id)
    rows = [row for row in before.log if row.run_id == run_id and row.field != "*" and not row.planned]
    _check_back(life, before, rows)
    _silence(life, undoing, "I12 an undo is followed by silence")
    left = see(life.world)
    redoing = _undo_run(life, undoing.id)
    _check_redone(life, before, left, rows)
    _silence(life, redoing, "I12 a redo is followed by silence")


def _undo_run(life: Life, run_id: RunId) -> Run:
    world = life.world
    world.clock.advance(120)
    life.asked = run.undo(world.app, world.ws, run_id, OWNER, "button")
    return through(life, life.asked)


def _silence(life: Life, undoing: Run, law: str) -> None:
    if undoing.portal_id != PORTAL:
        # Who came or went with a run of another portal is news for this one.
        through(life, ask(life))
    # A number that came back may be closed: HubSpot is told so without a run.
    consent.push_outs(life.world.app, life.world.ws, PORTAL)
    quiet(life, law)


def _to_undo(life: Life) -> RunId | None:
    log = see(life.world).log
    for run_id in reversed(life.done):
        with life.world.app.db.read(life.world.ws) as tx:
            found = runs.get(tx, run_id)
        has_rows = any(row.run_id == run_id and not row.planned for row in log)
        if has_rows and found.undone_by is None and not found.preview:
            return run_id
    return None


def _check_back(life: Life, before: Seen, rows: Sequence[Any]) -> None:
    now = see(life.world)
    for key, first, last in _spans(rows):
        stood, stands = _value(before, key), _value(now, key)
        if stood == last and stands is not None and key[1] != "email":
            demand(stands == first, "I12 an undo puts back what nobody touched", key, first, last, stands)


def _check_redone(life: Life, before: Seen, left: Seen, rows: Sequence[Any]) -> None:
    now = see(life.world)
    for key, first, last in _spans(rows):
        stood, stands = _value(before, key), _value(now, key)
        # Between the two, another portal may have brought what it still had to bring.
        if stood == last and _value(left, key) == first and stands is not None and key[1] != "email":
            demand(stands == last, "I12 a redo does it again", key, last, stands)


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
        is_here = held is not None and held.deleted_at is None and held.merged_into is None
        return held.fields.get(name, "") if held is not None and is_here else None
    record = seen.alive.get(str(number))
    return None if record is None else record.values.get(MAPPED[name], "")
