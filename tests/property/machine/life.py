"""One history under way: the world it is played in, who is who, and what its laws have to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.property.machine.histories import Setup, Step
from tests.property.machine.laws import Typed
from tests.property.machine.surroundings import GuardedDatabase, Moments, Wire
from tests.support.world import World

from mercuri.core.contact import ContactId, LinkState, RunId
from mercuri.sandbox.properties import Property
from mercuri.store.runs import Run

#: What a kind of step does.
Act = Callable[["Life", Step], None]


class Life:
    """One history under way. People are slots; each knows its contact, its record, or both.

    `acts` are the kinds of steps.
    """

    def __init__(self, world: World, setup: Setup, acts: Mapping[str, Act], happened: Counter[str]) -> None:
        self.world, self.setup, self.acts = world, setup, acts
        self.happened = happened
        self.moments = Moments(self._during, happened)
        self.wire = Wire(world.sandbox, self.moments, world.clock)
        guarded: Any = GuardedDatabase(world.app.db, self.moments)
        wire: Any = self.wire
        self.running = replace(world.app, db=guarded, http=wire)
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
        #: What themes add: laws of one more run, of both sides at rest, of every step; and what is done before rest.
        self.after_run: list[Callable[[Life, Run], None]] = []
        self.at_rest: list[Callable[[Life], None]] = []
        self.after_step: list[Callable[[Life], None]] = []
        self.before_rest: list[Callable[[Life], None]] = []
        self.events: list[Any] = []  # of HubSpot, so far
        self.merges: list[int] = []  # made here
        self.properties: dict[str, Property] = {}  # that were changed, as they were
        self.gone: set[str] = set()  # properties that vanished
        self.closed: set[str] = set()  # numbers that a person closed, and did not open since
        self.far = world.sandbox  # of the second portal, where there is one
        #: What was typed there: the value, and how many rare steps there had been.
        self.typed_far: dict[tuple[ContactId, str], tuple[str, int]] = {}
        self.is_merging = False  # in HubSpot: what it deletes there is no deletion
        self.restored: dict[ContactId, datetime] = {}
        self.has_moved_records = self.has_erased = self.undone = self.brake_is_off = False

    def do(self, step: Step) -> None:
        """One step, a second after whatever was before."""
        self.world.clock.advance(1)
        self.happened[f"step: {step.kind}"] += 1
        self.acts[step.kind](self, step)
        for law in self.after_step:
            law(self)

    def _during(self, step: Step) -> None:
        """Somebody acts during a run: its order with the run's own steps is not known to the laws."""
        fresh = dict(self.fresh_here), dict(self.fresh_there)
        self.do(step)
        self.fresh_here = {key: value for key, value in fresh[0].items() if key in self.fresh_here}
        self.fresh_there = {key: value for key, value in fresh[1].items() if key in self.fresh_there}

    def contact(self, who: int) -> ContactId | None:
        """The contact of a person, deleted or not."""
        if who not in self.contacts and who in self.records:
            link = self.world.link(self.resolved(self.records[who]))
            if link is None or link.contact_id == 0:
                return None
            return link.contact_id
        return self.contacts.get(who)

    def record(self, who: int) -> str | None:
        """The record of a person, while it is not archived."""
        record = self.last_record(who)
        return record if record in self.world.sandbox.contact_ids() else None

    def last_record(self, who: int) -> str | None:
        """The record of a person, archived or not, or the one that it was merged into."""
        if who in self.records:
            return self.resolved(self.records[who])
        link = self.world.link_of(self.contacts[who]) if who in self.contacts else None
        if link is None or link.state is LinkState.MERGED:
            return None
        return self.resolved(link.record_id)

    def resolved(self, record: str) -> str:
        """The record that a record was merged into, or itself."""
        merged, number = self.world.sandbox.portal.merged, int(record)
        while number in merged:
            number = merged[number]
        return str(number)

    def forget(self, *ids: Any) -> None:
        """Nothing certain is asked of the values of these any more."""
        self.typed.unsure |= set(ids) - {None}
