"""C1, C2, C6 against the tables, on both databases: labels and states are what the evidence gives, whatever happens."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.database import fresh_database
from tests.support.world import OWNER, PORTAL, a_world

from mercuri.core.consent import Register, State, shown, status_of_contact
from mercuri.core.contact import ContactId
from mercuri.core.settings import ConsentItem, PortalSettings
from mercuri.engine import consent, dedupe, edit
from mercuri.engine.consent import Observed
from mercuri.errors import UserError
from mercuri.store import consent as store
from mercuri.store import contacts, portals
from mercuri.store.portals import Portal

PHONES = ["+14155552671", "+14155552672", "+14155552673"]
phones = st.sampled_from(PHONES)
numbers = st.integers(0, 4)


class Consent(RuleBasedStateMachine):
    """People, staff, files and a portal speak of three numbers, while contacts come, change, go and return."""

    backend = "sqlite"

    @initialize()
    def begin(self) -> None:
        self.stack = contextlib.ExitStack()
        directory = self.stack.enter_context(tempfile.TemporaryDirectory())
        database = self.stack.enter_context(fresh_database(self.backend, Path(directory)))
        self.world = self.stack.enter_context(a_world(database))
        mapped = PortalSettings(consent_mapping=(ConsentItem("sms", "opt_in", "sms_opt_in"),))
        with self.world.app.db.write(self.world.ws) as tx:
            portals.add(tx, Portal(PORTAL, "Acme", "static", settings=mapped), None, self.world.clock.now())
            self.portal = portals.get(tx, PORTAL)
        self.contacts: list[ContactId] = []
        self.merges: list[int] = []
        self.shadows: dict[int, dict[str, str]] = {}
        self.closed_by_person: set[str] = set()  # by an act of theirs, and not opened by a later one

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    def _tick(self) -> None:
        self.world.clock.advance(60)

    def _pick(self, number: int) -> ContactId | None:
        return self.contacts[number % len(self.contacts)] if self.contacts else None

    # Contacts

    @rule(phone=phones)
    def create(self, phone: str) -> None:
        self._tick()
        self.contacts.append(self.world.create(first_name="Ana", phone=phone))

    @rule(number=numbers, phone=phones)
    def change_number(self, number: int, phone: str) -> None:
        self._tick()
        contact = self._pick(number)
        with contextlib.suppress(UserError):
            if contact is not None:
                self.world.edit(contact, phone=phone)

    @rule(number=numbers)
    def delete_or_restore(self, number: int) -> None:
        self._tick()
        contact = self._pick(number)
        if contact is None:
            return
        try:
            edit.delete_contact(self.world.app, self.world.ws, contact, OWNER)
        except UserError:
            with contextlib.suppress(UserError):
                edit.restore_contact(self.world.app, self.world.ws, contact, OWNER)

    @rule(number=numbers)
    def erase(self, number: int) -> None:
        self._tick()
        contact = self._pick(number)
        if contact is not None:
            edit.erase_contact(self.world.app, self.world.ws, contact, OWNER)
            self.contacts.remove(contact)

    @rule(phone=phones, said=st.sampled_from(["", "yes", "no", "maybe"]))
    def import_a_file(self, phone: str, said: str) -> None:
        self._tick()
        lines = ["first_name,phone,consent.sms\n", f"Bo,{phone},{said}\n"]
        edit.import_csv(self.world.app, self.world.ws, lines, None, OWNER, False, "paper forms")
        with self.world.app.db.read(self.world.ws) as tx:
            known = [held.id for batch in contacts.each(tx) for held in batch]
        self.contacts += [id_ for id_ in known if id_ not in self.contacts]

    @rule(one=numbers, other=numbers)
    def merge(self, one: int, other: int) -> None:
        self._tick()
        pair = {id_ for number in (one, other) if (id_ := self._pick(number)) is not None}
        before = self._states()
        with contextlib.suppress(UserError):
            if len(pair) == 2:
                done = dedupe.merge(self.world.app, self.world.ws, sorted(pair), OWNER)
                self.merges.append(done.merge.id)
        assert self._states() == before

    @rule()
    def undo_a_merge(self) -> None:
        self._tick()
        if self.merges:
            before = {phone for phone, state in self._states().items() if state}
            with contextlib.suppress(UserError):
                dedupe.undo_merge(self.world.app, self.world.ws, self.merges.pop(), OWNER)
            assert {phone for phone, state in self._states().items() if state} <= before

    def _states(self) -> dict[str, bool]:
        answers = consent.check(self.world.app, self.world.ws, "sms", PHONES)
        return {answer.address: answer.sendable for answer in answers}

    # Words

    def _record(self, phone: str, kind: str, **said: Any) -> bool:
        self._tick()
        try:
            consent.record(self.world.app, self.world.ws, "sms", phone, kind, OWNER, **said)
        except UserError:
            return False
        return True

    @rule(phone=phones, text=st.sampled_from(["STOP", "Arrêt", "START", "please stop", "hello"]))
    def person_says(self, phone: str, text: str) -> None:
        self._record(phone, "message", text=text)
        if text in ("STOP", "Arrêt"):
            self.closed_by_person.add(phone)
        elif text == "START":
            self.closed_by_person.discard(phone)

    @rule(phone=phones, minutes=st.integers(1, 500))
    def an_old_yes_arrives_late(self, phone: str, minutes: int) -> None:
        before = self.world.app.now() - timedelta(minutes=minutes)
        with self.world.app.db.read(self.world.ws) as tx:
            held = store.held(tx, "sms", [phone]).get(phone)
        person = held.registers.person if held else None
        self._record(phone, "form", state="in", occurred_at=before)
        if person is not None and person.at < before:
            self.closed_by_person.discard(phone)

    @rule(phone=phones)
    def a_carrier_blocks(self, phone: str) -> None:
        self._record(phone, "carrier", state="out")
        self.closed_by_person.add(phone)

    @rule(phone=phones, state=st.sampled_from(["in", "out", "resume"]))
    def staff_says(self, phone: str, state: str) -> None:
        self._record(phone, "staff", state=state, proof={"reason": "because"})

    @rule(number=numbers, value=st.sampled_from(["true", "false", "", "maybe"]), repeated=st.booleans())
    def hubspot_says(self, number: int, value: str, repeated: bool) -> None:
        self._tick()
        contact = self._pick(number)
        if contact is None:
            return
        with self.world.app.db.write(self.world.ws) as tx:
            held = contacts.held(tx, [contact])[contact]
            now = {"phone": held.fields["phone"], "sms_opt_in": value}
            seen = Observed(contact, str(contact), now, self.shadows.get(contact))  # type: ignore[arg-type]
            for _ in range(1 + repeated):
                consent.hear_records(tx, self.portal, [seen], None, self.world.clock.now())
            self.shadows[contact] = now

    # What must hold

    @invariant()
    def labels_states_and_evidence_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world.app.db.read(self.world.ws) as tx:
            states = store.held(tx, "sms", PHONES)
            for phone, held in states.items():
                assert store.rebuilt(tx, "sms", [phone]) == {phone: held.registers}
            verdicts = {("sms", phone): shown(held.registers) for phone, held in states.items()}
            for batch in contacts.each(tx):
                for contact in contacts.many(tx, [held.id for held in batch]):
                    label, _ = status_of_contact(contact.addresses, verdicts)
                    assert contact.subscription_status == label

    @invariant()
    def what_the_person_closed_stays_closed(self) -> None:
        if not hasattr(self, "world"):
            return
        answers = consent.check(self.world.app, self.world.ws, "sms", PHONES)
        assert not {answer.address for answer in answers if answer.sendable} & self.closed_by_person

    @invariant()
    def every_yes_has_a_proof(self) -> None:
        if not hasattr(self, "world"):
            return
        for answer in consent.check(self.world.app, self.world.ws, "sms", PHONES):
            if answer.sendable:
                found = consent.explain(self.world.app, self.world.ws, "sms", answer.address)
                assert any(event.state is State.IN for event in found.evidence)
                assert all(isinstance(event.register, Register) for event in found.evidence)


class ConsentOnPostgresql(Consent):
    """The same on PostgreSQL."""

    backend = "postgresql"


_SETTINGS = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestConsent = Consent.TestCase
TestConsent.settings = _SETTINGS
TestConsentOnPostgresql = ConsentOnPostgresql.TestCase
TestConsentOnPostgresql.settings = settings(_SETTINGS, max_examples=6)
