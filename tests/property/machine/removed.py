"""Rules of the sync taken away, one at a time: a machine that does not notice is of no use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from mercuri.core import consent
from mercuri.core.consent import Entry, Registers, State
from mercuri.core.diff import Base
from mercuri.core.echo import Echo
from mercuri.engine import creating, optouts, parting, portal, pull, registers, schema, sending, settle, sweep
from mercuri.engine.work import Work
from mercuri.errors import HubSpotError
from mercuri.hubspot.client import Outcome
from mercuri.store import contacts, outbox
from mercuri.store.outbox import Intent

_Patches = Iterator[Any]


def _journal() -> _Patches:
    """A write whose answer was lost is forgotten, instead of being looked for."""

    def forget(work: Work) -> None:
        with work.step() as tx:
            outbox.close(tx, [intent.id for intent in outbox.open_intents(tx, work.portal_id)], "dropped")

    yield patch.object(settle, "settle_intents", forget)


def _bases() -> _Patches:
    """One base for both sides, which is what HubSpot keeps."""
    yield patch.object(sending, "settle_sent", lambda payload, stored, norm: Base(stored, stored))


def _unique_property() -> _Patches:
    """Records are created blindly, and nothing tells whose they are."""

    def create(work: Work, intents: Sequence[Intent]) -> list[Any]:
        return [_create(work, intent) for intent in intents]

    yield patch.object(creating, "_upsert", create)
    yield patch.object(settle, "_created", lambda work, intents: {})


def _create(work: Work, intent: Intent) -> Any:
    try:
        return Outcome("", work.client.create(dict(intent.payload)), None, created=True)
    except HubSpotError as error:
        return Outcome("", None, error)


def _history_check() -> _Patches:
    """Our write is taken for the only one: what it ran over is not looked for."""
    find = sending.find_echo

    def without(*values: Any, **more: Any) -> Echo | None:
        found = find(*values, **more)
        return None if found is None else Echo(found.stored)

    yield patch.object(sending, "find_echo", without)


def _patience() -> _Patches:
    """A write without a trace is given up at once, though HubSpot may be about to do it."""
    yield patch.object(sending, "may_come", lambda *_: False)


def _word_of_the_person() -> _Patches:
    """Whoever said yes last opens a number, whoever closed it."""

    def reopened(registers: Registers, entry: Entry) -> bool:
        later = [registers.person, registers.staff, *registers.crm.values()]
        return any(one is not None and one.state is State.IN and one.at > entry.at for one in later)

    yield patch.object(consent, "_reopened", reopened)


def _past_the_switch() -> _Patches:
    """A stop waits until two-way is on."""
    concerns = optouts._concerns
    yield patch.object(optouts, "_concerns", lambda portal, held: portal.settings.two_way and concerns(portal, held))


def _word_met_by_a_preview() -> _Patches:
    """A preview remembers what a record says, though it hears nothing."""
    yield patch.object(pull._Page, "_speaks_anew", lambda *_: False)


def _every_portal() -> _Patches:
    """What one portal says no to is not told to the others."""
    yield patch.object(registers, "speaks_elsewhere", lambda held, _: held.person is not None)


def _pause() -> _Patches:
    """The portal's schema is not looked at: what vanished reads as empty."""
    yield patch.object(schema, "active_mapping", lambda mapping, _: mapping)


def _taking_up() -> _Patches:
    """What was missed while a property was away is not read later."""
    yield patch.object(portal, "_take_up", lambda *_: None)


def _brake() -> _Patches:
    """Deletions go through, however many."""
    for module in (parting, sweep):
        yield patch.object(module, "deletions_brake", lambda *_: False)


def _compare_and_set() -> _Patches:
    """HubSpot's values are written here whatever stands here by now."""
    change = contacts.change_fields

    def blindly(*values: Any, expect: Mapping[str, str] | None = None, **more: Any) -> Any:
        return change(*values, **more)

    yield patch.object(contacts, "change_fields", blindly)


RULES: Mapping[str, Callable[[], _Patches]] = {
    "intent journal": _journal,
    "base per side": _bases,
    "unique property": _unique_property,
    "history check": _history_check,
    "patience": _patience,
    "word of the person": _word_of_the_person,
    "stop past the two-way switch": _past_the_switch,
    "word met by a preview": _word_met_by_a_preview,
    "no of another portal": _every_portal,
    "pause of a field": _pause,
    "taking up of a field": _taking_up,
    "brake": _brake,
    "per-field compare-and-set": _compare_and_set,
}


@contextmanager
def without(rule: str) -> Iterator[None]:
    """The engine without one of its `RULES`."""
    with ExitStack() as stack:
        for one in RULES[rule]():
            stack.enter_context(one)
        yield
