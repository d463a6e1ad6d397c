"""A merge while a sync runs: in a first load, in a page of the increment, in a push. Nothing is lost either way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, World, adds_up

from mercuri.core.contact import ContactId
from mercuri.engine import dedupe
from mercuri.errors import Clash
from mercuri.store import groups

PHONE = "+44 7911 123456"


class _Meanwhile(httpx.BaseTransport):
    """HubSpot, which answers only once something else has happened: at the first request whose path ends like this."""

    def __init__(self, world: World, path: str, act: Callable[[], object]) -> None:
        self.inner, self.path, self.act, self.is_due = SandboxTransport(world.sandbox), path, act, True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_due and request.url.path.endswith(self.path):
            self.is_due = False
            self.act()
        return self.inner.handle_request(request)


@contextmanager
def meanwhile(world: World, path: str, act: Callable[[], object]) -> Iterator[None]:
    before, hubspot = world.app, _Meanwhile(world, path, act)
    with httpx.Client(transport=hubspot) as http:
        world.app = replace(before, http=http)
        yield
        world.app = before
    assert not hubspot.is_due, f"{path} was never asked"


def merge(world: World, *ids: ContactId) -> dedupe.MergeDone:
    return dedupe.merge(world.app, world.ws, list(ids), OWNER, survivor_id=ids[0])


def groups_are_right(world: World) -> bool:
    with world.app.db.read(world.ws) as tx:
        return groups.differences(tx) == 0


def test_a_merge_inside_a_first_load_stands_and_loses_no_record(world: World) -> None:
    here = [world.create(first_name="Ana", email=f"{name}@example.com", phone=PHONE) for name in ("ana", "a")]
    for name in ("ana", "a", "other"):
        world.sandbox.create({"firstname": "Ana", "email": f"{name}@example.com", "phone": PHONE, "city": name})

    with meanwhile(world, "/contacts", lambda: merge(world, *here)):
        first = world.sync(full=True)
    last = world.sync(full=True)

    assert (first.state, adds_up(first), adds_up(last)) == ("done", True, True)
    survivor, absorbed = (world.contact(id_) for id_ in here)
    assert absorbed.merged_into == survivor.id
    assert {"ana@example.com", "a@example.com"} <= {address.normal for address in survivor.addresses}
    # Two records claim the survivor, as after a merge before the load: each comes in by itself and is flagged.
    assert {contact.duplicate_group for contact in world.contacts().values()} == {survivor.id}
    assert len(world.contacts()) == 4
    assert groups_are_right(world)


def test_a_merge_inside_a_page_of_the_increment_keeps_what_the_page_says_of_the_absorbed(world: World) -> None:
    one = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": PHONE})
    other = world.sandbox.create({"firstname": "Ana", "email": "a@example.com", "phone": PHONE})
    world.sync()
    ana, a = world.of_record(one).id, world.of_record(other).id
    world.sandbox.update(one, {"firstname": "Anna"})
    world.sandbox.update(other, {"firstname": "Annabel"})
    done: list[dedupe.MergeDone] = []

    with meanwhile(world, "/search", lambda: done.append(merge(world, ana, a))):
        run = world.sync()
    world.sync(full=True)

    assert (run.state, adds_up(run)) == ("done", True)
    assert world.contact(ana).fields["first_name"] == "Anna"
    assert world.contact(a).merged_into == ana
    assert groups_are_right(world)
    dedupe.undo_merge(world.app, world.ws, done[0].merge.id, OWNER)
    world.sync()
    assert world.contact(a).fields["first_name"] == "Annabel"
    assert world.record(other)["firstname"] == "Annabel"


def test_a_merge_inside_a_push_waits_for_the_answer(world: World) -> None:
    one = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": PHONE})
    other = world.sandbox.create({"firstname": "Ana", "email": "a@example.com", "phone": PHONE})
    world.sync()
    ana, a = world.of_record(one).id, world.of_record(other).id
    world.edit(a, first_name="Annabel")
    refused: list[Clash] = []

    def merge_now() -> None:
        with pytest.raises(Clash, match="just writing one of these contacts") as clash:
            merge(world, ana, a)
        refused.append(clash.value)

    with meanwhile(world, "/batch/update", merge_now):
        world.sync()

    assert refused
    assert world.contact(a).merged_into is None
    assert world.record(other)["firstname"] == "Annabel"
    merge(world, ana, a)
    world.sync(full=True)
    assert (len(world.contacts()), groups_are_right(world)) == (1, True)


def test_a_merge_while_its_contact_is_created_in_hubspot_waits_for_the_answer(world: World) -> None:
    ana = world.create(first_name="Ana", email="ana@example.com", phone=PHONE)
    a = world.create(first_name="A.", email="a@example.com", phone=PHONE)

    def merge_now() -> None:
        with pytest.raises(Clash, match="just writing one of these contacts"):
            merge(world, ana, a)

    with meanwhile(world, "/batch/upsert", merge_now):
        world.sync()

    assert {world.contact(id_).merged_into for id_ in (ana, a)} == {None}
    assert all(world.link_of(id_) for id_ in (ana, a))
