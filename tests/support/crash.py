"""A portal and its contacts while the processes that sync them are killed, again and again, at moments of chance."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from tests.support.cli import Terminal
from tests.support.world import OWNER, PORTAL, adds_up

from mercuri.config import Settings
from mercuri.core.contact import ContactId, RecordId
from mercuri.engine import edit
from mercuri.engine.app import App
from mercuri.sandbox import Running
from mercuri.store import contacts, links, outbox, runs, schema
from mercuri.store.database import ANY
from mercuri.store.runs import Run
from mercuri.wiring import Services, build

#: How long a process may take for what it is waited for, in seconds: far more than it needs.
PATIENCE = 120.0
#: How often one run is killed before it may come to its end, so that later runs are killed too.
KILLS_OF_A_RUN = 2
LATENCY_MS = 25
_FIELDS = (("firstname", "first_name"), ("lastname", "last_name"), ("email", "email"))


@contextmanager
def mercuri(terminal: Terminal, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`mercuri` as a process of its own; it is killed with the block."""
    log = (terminal.home / "process.log").open("ab")
    command = [sys.executable, "-m", "mercuri", *words]
    with log, subprocess.Popen(command, env={**os.environ, **terminal.env}, stdout=log, stderr=log) as child:
        try:
            yield child
        finally:
            child.kill()


@dataclass
class Story:
    """What people did on both sides, while nothing that synced them lived long."""

    terminal: Terminal
    hubspot: Running
    services: Services
    chance: random.Random
    #: Last names typed here, by contact; first names typed there, by record.
    typed_here: dict[ContactId, str] = field(default_factory=dict)
    typed_there: dict[str, str] = field(default_factory=dict)
    made: int = 0
    killed: int = 0
    struck: int = 0  # of them, those that found a run under way
    runs: int = 0
    last: str = ""

    @property
    def app(self) -> App:
        """The engine's surroundings in this process, for looking and for people's edits."""
        return self.services.app

    def first_load(self) -> Run:
        """Queue the first run."""
        self.terminal.run("settings", "set", "two_way", "true")
        return self._queue()

    def edits(self) -> Run:
        """People change, make and find contacts on both sides; a run is queued."""
        mine, theirs = self._pairs()
        for contact in mine:
            self.typed_here[contact] = f"Here {self.chance.randrange(10**6)}"
            fields = {"last_name": self.typed_here[contact]}
            edit.update_contact(self.app, self.services.default_workspace, contact, fields, OWNER)
        for record in theirs:
            self.typed_there[record] = f"There {self.chance.randrange(10**6)}"
            self.hubspot.sandbox.update(record, {"firstname": self.typed_there[record]})
        for _ in range(3):
            self.made += 2
            here, there = f"here{self.made}@example.com", f"there{self.made}@example.com"
            person = {"first_name": "New", "email": here}
            edit.create_contact(self.app, self.services.default_workspace, person, OWNER)
            self.hubspot.sandbox.create({"firstname": "New", "email": there})
        return self._queue()

    def kill_one(self) -> None:
        """Let a process work on the run that is queued or was left, and kill it some requests later."""
        kind = self.chance.choice(("sync", "worker"))
        self._dead_are_noticed(kind)
        before, moment = self._asked(), self.chance.randrange(12)
        rest = self.chance.random() * 0.03
        with mercuri(self.terminal, kind) as child:
            end = time.monotonic() + PATIENCE
            while self._asked() - before < moment and self._live() is not None and child.poll() is None:
                assert time.monotonic() < end, "the process did nothing"
                time.sleep(0.002)
            self.struck += child.poll() is None and self._live() is not None
            time.sleep(rest)  # not for timing: any moment will do, also one between two requests
        self.killed += 1

    def edit_all(self, last_name: str) -> None:
        """People give everybody here another last name."""
        for contact in self._everybody():
            edit.update_contact(self.app, self.services.default_workspace, contact, {"last_name": last_name}, OWNER)

    def kill_when(self, reached: Callable[[], bool]) -> None:
        """Let a process sync, and kill it at a certain moment."""
        with mercuri(self.terminal, "sync") as child:
            end = time.monotonic() + PATIENCE
            while not reached():
                assert child.poll() is None, "the process ended by itself"
                assert time.monotonic() < end, "the moment never came"
                time.sleep(0.002)

    def open_intents(self) -> int:
        """How many writes were announced whose outcome is not known."""
        with self.app.db.read(self.services.default_workspace) as tx:
            return len(outbox.open_intents(tx, PORTAL, limit=10_000))

    def finish(self) -> None:
        """Let this process, which nobody kills, do the rest of the run."""
        self._dead_are_noticed("sync")
        self.hubspot.sandbox.latency_ms = 0
        self.terminal.run("sync")
        self.hubspot.sandbox.latency_ms = LATENCY_MS

    def check(self, first: int) -> None:
        """Every contact once on both sides, no typed value lost, counts that add up, and nothing left to write."""
        everybody, pairs = self._everybody(), self._links()
        records = self.hubspot.sandbox.contact_ids()
        assert len(everybody) == len(records) == first + self.made
        assert sorted(pairs) == sorted(records)
        assert len(set(pairs.values())) == len(pairs)
        for record, contact in pairs.items():
            there, here = self.hubspot.sandbox.contact(record), everybody[contact]
            assert there is not None
            for name, own in _FIELDS:
                assert there.get(name, "").casefold() == here.get(own, "").casefold(), (record, name)
            assert here["last_name"] == self.typed_here.get(contact, here["last_name"])
            assert there.get("firstname", "") == self.typed_there.get(record, there.get("firstname", ""))
        done = self._past()
        self.runs = len(done)
        assert all(adds_up(run) for run in done)
        self.hubspot.sandbox.reset_counts()
        silent = self.terminal.json("sync", "--full")
        assert self.hubspot.sandbox.counts()["write"] == 0
        assert silent["counts"]["fetched"] == silent["counts"]["unchanged"] == len(records)

    def _past(self) -> list[Run]:
        with self.app.db.read(self.services.default_workspace) as tx:
            return runs.recent(tx, limit=1000)

    def _queue(self) -> Run:
        self._dead_are_noticed("sync")
        self.terminal.run("sync", "--no-wait")
        found = self._live()
        assert found is not None
        return found

    def _live(self) -> Run | None:
        with self.app.db.read(self.services.default_workspace) as tx:
            return runs.live(tx, PORTAL)

    def _asked(self) -> int:
        return sum(self.hubspot.sandbox.counts().values())

    def _dead_are_noticed(self, next_kind: str) -> None:
        """A worker takes up its own run at once; for any other the dead one's time runs out, here without waiting.

        So does the time in which what it sent may take effect: the sandbox has done what it was sent.
        """
        same, self.last = self.last == next_kind == "worker", next_kind
        if same:
            return
        with self.app.db.write(ANY) as tx:
            tx.execute(sa.update(schema.portal).values(lease_until=0))
            tx.execute(sa.delete(schema.worker))
            tx.execute(sa.update(schema.intent).values(sent_at=0))
            tx.execute(sa.update(schema.outbox).values(not_before=0))

    def _everybody(self) -> dict[ContactId, dict[str, Any]]:
        with self.app.db.read(self.services.default_workspace) as tx:
            ids = [held.id for batch in contacts.each(tx) for held in batch]
            return {one.id: dict(one.fields) for one in contacts.many(tx, ids)}

    def _links(self) -> dict[str, ContactId]:
        records = [RecordId(record) for record in self.hubspot.sandbox.contact_ids()]
        with self.app.db.read(self.services.default_workspace) as tx:
            return {str(link.record_id): link.contact_id for link in links.of_records(tx, PORTAL, records).values()}

    def _pairs(self) -> tuple[list[ContactId], list[str]]:
        """Some contacts to edit here, and the records of others to edit there."""
        pairs = sorted(self._links().items())
        chosen = self.chance.sample(pairs, min(16, len(pairs)))
        return [contact for _, contact in chosen[::2]], [record for record, _ in chosen[1::2]]


@contextmanager
def a_story(terminal: Terminal, hubspot: Running, seed: int = 1) -> Iterator[Story]:
    """A story with the engine's surroundings in this process."""
    services = build(_settings(terminal))
    try:
        yield Story(terminal, hubspot, services, random.Random(seed))
    finally:
        services.close()


def survive(terminal: Terminal, hubspot: Running, kills: int, seed: int) -> Story:
    """Load, edit and sync until so many processes have been killed; then check."""
    first = len(hubspot.sandbox.contact_ids())
    terminal.run("connect", "--token", hubspot.sandbox.static_token)
    hubspot.sandbox.latency_ms = LATENCY_MS
    with a_story(terminal, hubspot, seed) as story:
        story.first_load()
        while True:
            for _ in range(min(KILLS_OF_A_RUN, kills - story.killed)):
                story.kill_one()
            story.finish()
            if story.killed == kills:
                break
            story.edits()
        hubspot.sandbox.latency_ms = 0
        story.check(first)
    return story


def _settings(terminal: Terminal) -> Settings:
    values = {name.removeprefix("MERCURI_").lower(): value for name, value in terminal.env.items()}
    return Settings(**values)  # type: ignore[arg-type]  # pydantic reads them as it reads the environment
