"""Runs: asked for, troubled, gone on with and looked at when they are over; and the rest to which two of them lead."""

from __future__ import annotations

from collections.abc import Sequence

from tests.property.machine.histories import Moment, Step
from tests.property.machine.laws import Seen, check_rest, demand, norm, see
from tests.property.machine.life import Life
from tests.support.fuse import PowerCut
from tests.support.world import OWNER, PORTAL, adds_up

from mercuri.core.contact import ContactId, PortalId
from mercuri.engine import run
from mercuri.engine.portal import change_settings
from mercuri.store import failures
from mercuri.store.runs import Run

DAY = 86_400


def sync(life: Life, step: Step) -> None:
    """A run is made, or one that is not over is gone on with."""
    go(life, ask(life, full=step.full), step.at)


def ask(life: Life, portal: PortalId = PORTAL, *, full: bool = False, preview: bool = False) -> Run:
    """The run that is not over, once it can go on, or a new one."""
    world = life.world
    world.clock.advance(120)
    if life.asked is not None:
        world.clock.advance(600)
        now = world.run(life.asked)
        if now.resume_at is not None and now.resume_at > world.clock.now():
            world.clock.advance((now.resume_at - world.clock.now()).total_seconds())
        return life.asked
    life.asked = run.request(world.app, world.ws, portal, full=full, preview=preview, trigger="button", actor=OWNER)
    return life.asked


def go(life: Life, asked: Run, at: Sequence[Moment] = ()) -> Run | None:
    """Do a run as far as it comes; None when it is not over."""
    life.happened[f"run: {asked.kind}"] += 1
    life.moments.start(at)
    life.wire.clear()
    before = _deleted(life)
    life.archived_by_us.clear()
    try:
        done = run.execute(life.running, life.world.ws, asked.id, owner="worker")
    except PowerCut:
        return None
    finally:
        life.moments.start(())
        life.wire.clear()
    life.happened[f"run {done.state}"] += 1
    if done.state == "waiting":
        return None
    life.asked = None
    _check_run(life, done, before)
    return done


def _deleted(life: Life) -> set[ContactId]:
    with life.world.app.db.read(life.world.ws) as tx:
        return {ContactId(id_) for (id_,) in tx.raw().execute("SELECT id FROM contact WHERE deleted_at IS NOT NULL")}


def _check_run(life: Life, done: Run, before: set[ContactId]) -> None:
    deleted = _deleted(life) - before - life.gone_here
    demand(done.state in ("done", "stopped"), "a run ends well", done.state, done.message)
    demand(done.state == "done" or life.setup.crowd, "a run stops only at the brake", done.message)
    demand(adds_up(done), "I18 counts add up", done.counts)
    if done.kind != "undo" and not life.undone:
        demand(not deleted or life.setup.deletions == "archive", "I14 contacts are deleted only if chosen", deleted)
        for contact, name in life.fresh_here:
            edited = contact in deleted and norm(name, life.fresh_here[contact, name]) != norm(
                name, life.world.contact(contact).fields.get(name, "")
            )
            demand(not edited, "I15 an edit here survives a deletion there", contact, name)
        most = max(len(deleted), len(life.archived_by_us))
        demand(life.brake_is_off or most <= 10, "the brake stops a run that deletes many", most)
    for law in life.after_run:
        law(life, done)
    if done.state == "done":
        life.done.append(done.id)
        life.fresh_here.clear()
        life.fresh_there.clear()


def through(life: Life, asked: Run) -> Run:
    """A clean run, to its end."""
    for _ in range(12):
        done = go(life, asked)
        if done is not None:
            return done
        asked = ask(life)
    raise AssertionError("the run waits for ever")


def past_the_brake(life: Life, portal: PortalId = PORTAL, *, full: bool = False) -> None:
    """A clean run, and another one with the brake let off when it stops there."""
    if through(life, ask(life, portal, full=full)).state == "stopped":
        change_settings(life.running, life.world.ws, portal, {"delete_brake": 100}, OWNER)
        life.brake_is_off = True
        through(life, ask(life, portal, full=full))


def rest(life: Life) -> None:
    """Let all be done that waits; two clean runs must suffice, and the third finds nothing to do."""
    for act in life.before_rest:
        act(life)
    if life.asked is not None:
        through(life, ask(life))
    life.world.clock.advance(1.1 * DAY)
    # An erasure reaches the record at the end of the first run, which is not always where it was when that run looked.
    for full in (life.has_moved_records, *([True] if life.has_erased else []), False):
        past_the_brake(life, full=full)
    seen = quiet(life, "I1 a run without edits does nothing")
    check_rest(
        life.setup, seen, life.typed, swept=life.has_moved_records, made_by_us=life.made_by_us, undone=life.undone
    )
    for law in life.at_rest:
        law(life)
    life.typed.clear(seen)


def quiet(life: Life, law: str, portal: PortalId = PORTAL) -> Seen:
    """One more run, which must do nothing."""
    sandbox = life.world.sandbox if portal == PORTAL else life.far
    before = see(life.world, portal, sandbox)
    writes = life.wire.writes
    through(life, ask(life, portal))
    after = see(life.world, portal, sandbox)
    with life.world.app.db.read(life.world.ws) as tx:
        # Whoever asks for a run has a stop that HubSpot could not be told tried again: its record may be back.
        is_untold = any(failure.key.startswith("address:") for failure in failures.recent(tx))
    demand(life.wire.writes == writes or is_untold, law, "wrote to HubSpot", life.world.sandbox.log())
    demand(after.values() == before.values(), law, _difference(before, after))
    return after


def _difference(before: Seen, after: Seen) -> str:
    pairs = zip(before.values(), after.values(), strict=True)  # type: ignore[call-overload]  # both are tuples
    return "; ".join(f"{one} -> {other}" for one, other in pairs if one != other)
