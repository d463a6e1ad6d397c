"""Mercuri connected to a sandbox in one process, on a clock that is set by hand: what tests of the engine live in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from cryptography.fernet import Fernet
from tests.support.clock import Clock
from tests.support.sandbox import SandboxTransport

from mercuri.config import Settings
from mercuri.core.contact import Contact, ContactId, PortalId, RecordId, WorkspaceId
from mercuri.core.settings import WorkspaceSettings
from mercuri.engine import edit, portal, run
from mercuri.engine.app import Actor, App, Registry
from mercuri.hubspot.pacing import Limit, Pacer
from mercuri.sandbox import Sandbox
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.store import changes, contacts, failures, links, runs, vault, workspaces
from mercuri.store.database import ANY, Database
from mercuri.store.links import Link
from mercuri.store.runs import Run

#: Where HubSpot is.
HUBSPOT = "https://hubspot.test"
OWNER = Actor("olga", "owner")
KEY = Fernet.generate_key().decode()
PORTAL = PortalId("4242")


class HandSet(Registry):
    """Request budgets on the clock that is set by hand: a wait for HubSpot takes no time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        limit = Limit(100_000, 1)
        self._one = Pacer(limit, limit, now=clock.monotonic, wall=clock.now, sleep=clock.sleep)

    def pacer(self, ws: WorkspaceId, portal: PortalId, limits: object, make: Callable[[], Pacer]) -> Pacer:
        return self._one


@dataclass
class World:
    """A workspace connected to a sandbox."""

    app: App
    ws: WorkspaceId
    sandbox: Sandbox
    clock: Clock

    def connect(self, **settings: object) -> PortalId:
        """Connect the sandbox's portal by its static token and set its settings."""
        self.sandbox.switch(static_account_info="allowed")
        found = portal.connect_static(self.app, self.ws, STATIC_TOKEN, OWNER)
        if settings:
            self.settings(**settings)
        return found.id

    def settings(self, **settings: object) -> None:
        """Change settings of the portal."""
        portal.change_settings(self.app, self.ws, PORTAL, settings, OWNER)

    def sync(self, *, full: bool = False, preview: bool = False, **options: Any) -> Run:
        """Ask for a run and do it, two minutes after whatever was before."""
        self.clock.advance(120)
        asked = run.request(
            self.app, self.ws, PORTAL, full=full, preview=preview, trigger="button", actor=OWNER, **options
        )
        return self.go(asked)

    def go(self, asked: Run) -> Run:
        """Do a run, or go on with it."""
        return run.execute(self.app, self.ws, asked.id, owner="worker")

    def go_through(self, asked: Run) -> Run:
        """Go on with a run whenever it says that it can, until it is over."""
        for _ in range(20):
            done = self.go(asked)
            if done.state != "waiting":
                return done
            assert done.resume_at is not None
            self.clock.advance(max(1.0, (done.resume_at - self.clock.now()).total_seconds()))
        raise AssertionError("the run waits for ever")

    def ask(self, *, full: bool = False) -> Run:
        """Ask for a run, two minutes after whatever was before."""
        self.clock.advance(120)
        return run.request(self.app, self.ws, PORTAL, full=full, trigger="button", actor=OWNER)

    def create(self, **fields: str) -> ContactId:
        """A person makes a contact here."""
        return edit.create_contact(self.app, self.ws, fields, OWNER).id

    def edit(self, contact: ContactId, **fields: str) -> None:
        """A person changes a contact here."""
        edit.update_contact(self.app, self.ws, contact, fields, OWNER)

    def contacts(self) -> dict[ContactId, Contact]:
        """Every live contact."""
        with self.app.db.read(self.ws) as tx:
            ids = [held.id for batch in contacts.each(tx) for held in batch]
            return {contact.id: contact for contact in contacts.many(tx, ids)}

    def contact(self, contact: ContactId) -> Contact:
        """One contact, deleted or not."""
        with self.app.db.read(self.ws) as tx:
            return contacts.get(tx, contact)

    def of_record(self, record: str) -> Contact:
        """The contact of a record."""
        found = self.link(record)
        assert found is not None
        return self.contact(found.contact_id)

    def link(self, record: str) -> Link | None:
        """The link of a record."""
        with self.app.db.read(self.ws) as tx:
            return links.of_records(tx, PORTAL, [RecordId(record)]).get(RecordId(record))

    def link_of(self, contact: ContactId) -> Link | None:
        """The link of a contact."""
        with self.app.db.read(self.ws) as tx:
            return links.of_contacts(tx, PORTAL, [contact]).get(contact)

    def changes(self, of: Run) -> list[changes.Change]:
        """What a run changed."""
        with self.app.db.read(self.ws) as tx:
            return changes.of_run(tx, of.id, limit=1000)

    def failures(self) -> list[failures.Failure]:
        """What fails at present."""
        with self.app.db.read(self.ws) as tx:
            return failures.recent(tx)

    def run(self, asked: Run) -> Run:
        """A run as it stands."""
        with self.app.db.read(self.ws) as tx:
            return runs.get(tx, asked.id)

    def record(self, record: str) -> dict[str, str]:
        """What HubSpot holds of a record."""
        found = self.sandbox.contact(record)
        assert found is not None
        return found


@cache
def _settings() -> Settings:
    return Settings(
        secret_key=KEY,
        hubspot_api_url=HUBSPOT,
        hubspot_app_url=HUBSPOT,
        hubspot_client_id="sandbox-client",
        hubspot_client_secret="sandbox-secret",
        burst_limit="100000/1",
        search_limit="100000/1",
    )


@contextmanager
def a_world(database: Database, clock: Clock | None = None, **sandbox: Any) -> Iterator[World]:
    """A workspace and a sandbox that are not yet connected."""
    clock = clock or Clock()
    portal_there = Sandbox(now=clock.now, **sandbox)
    with database.write(ANY) as tx:
        ws = workspaces.create(tx, "Team", WorkspaceSettings(), clock.now())
    with httpx.Client(transport=SandboxTransport(portal_there)) as http:
        app = App(_settings(), database, vault.Vault(KEY), http, clock.now, portals=HandSet(clock))
        yield World(app, ws, portal_there, clock)


def adds_up(found: Run) -> bool:
    """Whether every fetched record is accounted for."""
    counts = found.counts
    return counts["fetched"] == sum(counts[name] for name in ("created", "updated", "unchanged", "excluded", "failing"))
