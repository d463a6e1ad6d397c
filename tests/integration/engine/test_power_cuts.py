"""A run killed right after any of its commits or requests goes on, loses nothing and writes nothing twice."""

from __future__ import annotations

from pathlib import Path

from tests.support.fuse import Fuse, PowerCut, at_every_moment, fused
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World, adds_up

from mercuri.core.contact import ContactId
from mercuri.engine import run
from mercuri.store.runs import Run


def survive(world: World, after: int, *, full: bool = False) -> tuple[Run, bool]:
    """A run whose process dies after so many events, and another worker that goes on; whether it came to that."""
    world.clock.advance(120)
    asked = run.request(world.app, world.ws, PORTAL, full=full, trigger="button", actor=OWNER)
    fuse = Fuse(after)
    try:
        run.execute(fused(world.app, SandboxTransport(world.sandbox), fuse), world.ws, asked.id, owner="first")
    except PowerCut:
        pass
    world.clock.advance(600)
    return run.execute(world.app, world.ws, asked.id, owner="second"), fuse.blown


def test_a_first_load_survives_a_power_cut(tmp_path: Path) -> None:
    def story(world: World, after: int) -> bool:
        world.sandbox.add_contacts(220)

        done, cut = survive(world, after)

        assert done.state == "done"
        assert done.counts["fetched"] == done.counts["created"] + done.counts["unchanged"]
        assert adds_up(done)
        assert len(world.contacts()) == done.counts["created"] == 220
        return cut

    at_every_moment(tmp_path, story)


def test_edits_on_both_sides_survive_a_power_cut(tmp_path: Path) -> None:
    def story(world: World, after: int) -> bool:
        record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": "+14155552671"})
        world.sync()
        ana = world.of_record(record).id
        world.edit(ana, first_name="Annie", last_name="Souza")
        world.sandbox.update(record, {"phone": "+14155552672"})
        bo = world.create(first_name="Bo", email="bo@example.com")
        cleo = world.create(first_name="Cleo")
        dan = world.sandbox.create({"firstname": "Dan"})

        done, cut = survive(world, after)

        assert done.state == "done"
        assert adds_up(done)
        world.sync()  # HubSpot may have touched a new record meanwhile: then it belongs to the next run
        _all_agree(world, {ana, bo, cleo, world.of_record(dan).id})
        assert world.contact(ana).fields["phone"] == "+14155552672"
        _nothing_left_to_write(world)
        return cut

    at_every_moment(tmp_path, story)


def test_an_edit_made_right_after_a_power_cut_is_not_taken_for_an_older_one(tmp_path: Path) -> None:
    def story(world: World, after: int) -> bool:
        record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
        world.sync()
        ana = world.of_record(record).id
        world.edit(ana, first_name="Ann")
        world.clock.advance(120)
        asked = run.request(world.app, world.ws, PORTAL, trigger="button", actor=OWNER)
        fuse = Fuse(after)
        try:
            run.execute(fused(world.app, SandboxTransport(world.sandbox), fuse), world.ws, asked.id, owner="first")
        except PowerCut:
            pass

        world.edit(ana, first_name="Bob")
        world.clock.advance(600)
        run.execute(world.app, world.ws, asked.id, owner="second")
        world.sync()

        assert world.contact(ana).fields["first_name"] == world.record(record)["firstname"] == "Bob"
        return fuse.blown

    at_every_moment(tmp_path, story)


def test_an_edit_made_there_during_a_power_cut_is_not_missed(tmp_path: Path) -> None:
    def story(world: World, after: int) -> bool:
        record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
        world.sync()
        world.clock.advance(3600)
        for _ in range(3):
            world.sync()  # so that no second look is due
        asked = world.ask()
        fuse = Fuse(after)
        try:
            run.execute(fused(world.app, SandboxTransport(world.sandbox), fuse), world.ws, asked.id, owner="first")
        except PowerCut:
            pass
        world.clock.advance(60)
        world.sandbox.update(record, {"firstname": "Anna"})
        world.clock.advance(1500)

        run.execute(world.app, world.ws, asked.id, owner="second")
        world.sync()

        assert world.of_record(record).fields["first_name"] == "Anna"
        return fuse.blown

    at_every_moment(tmp_path, story)


def test_an_undo_survives_a_power_cut(tmp_path: Path) -> None:
    def story(world: World, after: int) -> bool:
        record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
        world.sync()
        ana = world.of_record(record).id
        world.sandbox.update(record, {"firstname": "Anna"})
        world.edit(ana, last_name="Souza")
        done = world.sync()
        asked = run.undo(world.app, world.ws, done.id, OWNER, "button")
        fuse = Fuse(after)
        try:
            run.execute(fused(world.app, SandboxTransport(world.sandbox), fuse), world.ws, asked.id, owner="first")
        except PowerCut:
            pass
        world.clock.advance(600)
        run.execute(world.app, world.ws, asked.id, owner="second")

        assert world.contact(ana).fields["first_name"] == "Ana"
        assert not world.record(record).get("lastname")
        _nothing_left_to_write(world)
        return fuse.blown

    at_every_moment(tmp_path, story)


def _all_agree(world: World, expected: set[ContactId]) -> None:
    people = world.contacts()
    assert set(people) == expected
    assert len(world.sandbox.contact_ids()) == len(expected)
    for contact, person in people.items():
        link = world.link_of(contact)
        assert link is not None
        there = world.record(link.record_id)
        for name, field in (("firstname", "first_name"), ("lastname", "last_name"), ("phone", "phone")):
            assert there.get(name, "") == person.fields[field]


def _nothing_left_to_write(world: World) -> None:
    world.sandbox.reset_counts()
    silent = world.sync()
    assert world.sandbox.counts()["write"] == 0
    assert silent.counts["updated"] == silent.counts["created"] == 0
