"""Random edits, deletions, merges, lost replies and power cuts on both sides; at rest both sides must agree."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from tests.support.database import fresh_database
from tests.support.fuse import Fuse, PowerCut, fused
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, World, a_world, adds_up

from mercuri.core.contact import ContactId, LinkState
from mercuri.core.normalise import equal_form
from mercuri.engine import edit, run
from mercuri.store import links

FIELDS = {"first_name": "firstname", "last_name": "lastname", "phone": "phone"}
NAMES = st.sampled_from(["Ann", "Bob", "Eve", "Ian"])
#: The same number in two spellings, and another one.
PHONES = st.sampled_from(["+14155552671", "(415) 555-2671", "+14155552672"])


class TwoSides(RuleBasedStateMachine):
    """A workspace, a portal, and what each side was last given since they were at rest."""

    people = Bundle("people")

    @initialize(
        policy=st.sampled_from(["hubspot", "mercuri", "recent"]),
        switches=st.sampled_from([{}, {"merge_id": "primary"}]),
    )
    def connect(self, policy: str, switches: dict[str, str]) -> None:
        self.stack = ExitStack()
        directory = Path(tempfile.mkdtemp(prefix="mercuri-two-sides-"))
        self.stack.callback(shutil.rmtree, directory, True)
        database = self.stack.enter_context(fresh_database("sqlite", directory))
        self.world: World = self.stack.enter_context(a_world(database))
        self.world.connect(two_way=True, conflict_policy=policy)
        self.world.sandbox.switch(**switches)
        # One who stays: a list that shows nothing at all proves nothing.
        self.world.sandbox.create({"firstname": "Zoe"})
        self.number = 0
        self.local: dict[tuple[ContactId, str], str] = {}
        self.remote: dict[tuple[ContactId, str], str] = {}
        self.unsure: set[ContactId] = set()  # merged, archived or deleted: no longer asked for a certain value

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    # Somebody acts

    @rule(target=people, first=NAMES, has_email=st.booleans())
    def someone_new_here(self, first: str, has_email: bool) -> ContactId:
        self.number += 1
        email = {"email": f"h{self.number}@example.com"} if has_email else {}
        return self.world.create(first_name=first, **email)

    @rule(target=people, first=NAMES, phone=PHONES)
    def someone_new_there(self, first: str, phone: str) -> ContactId:
        self.number += 1
        record = self.world.sandbox.create({"firstname": first, "phone": phone, "email": f"t{self.number}@example.com"})
        self.rest()
        return self.world.of_record(record).id

    @rule(person=people, field=st.sampled_from(["first_name", "last_name"]), value=NAMES)
    def edit_here(self, person: ContactId, field: str, value: str) -> None:
        if self._is_here(person):
            self.world.clock.advance(1)
            self.world.edit(person, **{field: value})
            self.local[person, field] = value

    @rule(person=people, value=PHONES)
    def edit_phone_here(self, person: ContactId, value: str) -> None:
        if self._is_here(person):
            self.world.edit(person, phone=value)
            self.unsure.add(person)

    @rule(person=people, field=st.sampled_from(["first_name", "last_name"]), value=NAMES)
    def edit_there(self, person: ContactId, field: str, value: str) -> None:
        record = self._record(person)
        if record:
            self.world.clock.advance(1)
            self.world.sandbox.update(record, {FIELDS[field]: value})
            self.remote[person, field] = value

    @rule(person=people)
    def archive_there(self, person: ContactId) -> None:
        record = self._record(person)
        if record:
            self.world.sandbox.archive(record)
            self.unsure.add(person)

    @rule(person=people)
    def delete_here(self, person: ContactId) -> None:
        if self._is_here(person):
            edit.delete_contact(self.world.app, self.world.ws, person, OWNER)
            self.unsure.add(person)

    @rule(one=people, other=people)
    def merge_there(self, one: ContactId, other: ContactId) -> None:
        records = [self._record(one), self._record(other)]
        if one != other and all(records):
            self.world.sandbox.merge(str(records[0]), str(records[1]))
            self.unsure |= {one, other}

    # Something goes wrong

    @rule(kind=st.sampled_from(["lost_reply_after", "lost_reply_before", "timeout", "429"]), skip=st.integers(0, 6))
    def hubspot_fails(self, kind: str, skip: int) -> None:
        self.world.sandbox.fault(kind, skip=skip)

    @rule(after=st.integers(0, 25))
    def power_cut(self, after: int) -> None:
        asked = self.world.ask()
        fuse = Fuse(after)
        try:
            app = fused(self.world.app, SandboxTransport(self.world.sandbox), fuse)
            run.execute(app, self.world.ws, asked.id, owner="first")
        except PowerCut:
            pass
        self.world.clock.advance(600)
        self.world.go_through(asked)

    @rule()
    def sync(self) -> None:
        done = self.world.go_through(self.world.ask())
        assert done.state == "done"
        assert adds_up(done)

    # Both come to rest

    @rule()
    def rest(self) -> None:
        self.world.sandbox.clear_faults()
        self.world.clock.advance(3600)
        self.world.go_through(self.world.ask(full=True))
        self.world.go_through(self.world.ask())
        before = {i: (c.fields, c.version) for i, c in self.world.contacts().items()}
        self.world.sandbox.reset_counts()
        quiet = self.world.go_through(self.world.ask())

        assert self.world.sandbox.counts()["write"] == 0, "a run without edits wrote to HubSpot"
        assert {i: (c.fields, c.version) for i, c in self.world.contacts().items()} == before
        assert adds_up(quiet)
        self._check_links()
        self._check_edits()
        self.local.clear()
        self.remote.clear()

    def _check_links(self) -> None:
        """Live links are one to one, each record belongs to at most one contact, and linked values agree."""
        with self.world.app.db.read(self.world.ws) as tx:
            live = links.each(tx, "4242", limit=10_000)  # type: ignore[arg-type]
        assert len({link.contact_id for link in live}) == len(live)
        there = set(self.world.sandbox.contact_ids())
        assert {link.record_id for link in live} <= there
        for link in live:
            person, record = self.world.contact(link.contact_id), self.world.record(link.record_id)
            for field, name in FIELDS.items():
                here, base = person.fields[field], link.base[field]
                kind = "phone" if field == "phone" else "name"
                assert equal_form(kind, here, "US") == equal_form(kind, base.local, "US")
                assert equal_form(kind, record.get(name, ""), "US") == equal_form(kind, base.remote, "US")

    def _check_edits(self) -> None:
        """A field that only one side edited has that side's last value on both."""
        for (person, field), value in {**self.local, **self.remote}.items():
            link = self.world.link_of(person)
            if person in self.unsure or link is None or link.state is not LinkState.LIVE:
                continue
            if ((person, field) in self.local) != ((person, field) in self.remote):
                assert self.world.contact(person).fields[field] == value
                assert self.world.record(link.record_id)[FIELDS[field]] == value

    def _is_here(self, person: ContactId) -> bool:
        return self.world.contact(person).deleted_at is None

    def _record(self, person: ContactId) -> str | None:
        link = self.world.link_of(person)
        known = link is not None and link.state is LinkState.LIVE and link.record_id in self.world.sandbox.contact_ids()
        return link.record_id if link is not None and known else None


TwoSides.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestBothSidesAgreeAfterAnyHistory = TwoSides.TestCase
