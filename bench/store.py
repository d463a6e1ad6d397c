"""Databases to measure on, empty or filled without HubSpot."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.database import fresh_url

from mercuri.config import Settings
from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.core.normalise import addresses_of
from mercuri.engine import dedupe
from mercuri.engine.app import App
from mercuri.store import contacts, search
from mercuri.store.contacts import NewContact
from mercuri.wiring import Services, build

_PAGE = 1000
_FIRST = ("Ana", "Bo", "Cleo", "Dan", "Eva", "Femi", "Gil", "Hanna", "Ines", "Jan", "Kofi", "Lea")
_LAST = ("Souza", "Müller", "Okafor", "Tanaka", "Rossi", "Novák", "Dubois", "Silva", "Kaya", "Larsen")


@dataclass(frozen=True)
class Filled:
    """A workspace with contacts, no portal."""

    services: Services
    ids: list[ContactId] = field(default_factory=list)

    @property
    def app(self) -> App:
        """What use cases need."""
        return self.services.app

    @property
    def ws(self) -> WorkspaceId:
        """The only workspace."""
        return self.services.default_workspace


@contextlib.contextmanager
def a_database(backend: str) -> Iterator[str]:
    """The URL of an empty database. Without a PostgreSQL server the measurement is left out by an error."""
    with tempfile.TemporaryDirectory() as directory, fresh_url(backend, Path(directory)) as url:
        yield url


@contextlib.contextmanager
def an_empty_store(backend: str) -> Iterator[Filled]:
    """A workspace without contacts."""
    with a_database(backend) as url, tempfile.TemporaryDirectory() as directory:
        services = build(Settings(data_dir=Path(directory), database_url=url))
        try:
            yield Filled(services)
        finally:
            services.close()


@contextlib.contextmanager
def filled(backend: str, count: int) -> Iterator[Filled]:
    """A workspace with so many contacts: each has a phone, seven of ten an e-mail, one in fifty shares one."""
    with an_empty_store(backend) as here:
        here.ids.extend(_fill(here.app, here.ws, count))
        yield here


def person(number: int) -> dict[str, str]:
    """The fields of an invented contact; the same number is the same person."""
    chance = random.Random(number)
    shared = number - 1 if number % 50 == 1 else number
    names = {"first_name": chance.choice(_FIRST), "last_name": f"{chance.choice(_LAST)} {number}"}
    email = f"person{shared}@example.com" if chance.random() < 0.7 or shared != number else ""
    return {**names, "phone": f"+1 415 {2_000_000 + number:07d}", "email": email}


def _fill(app: App, ws: WorkspaceId, count: int) -> list[ContactId]:
    ids: list[ContactId] = []
    for start in range(0, count, _PAGE):
        people = [person(number) for number in range(start, min(count, start + _PAGE))]
        new = [NewContact(fields, None, addresses_of(fields, "US"), app.now()) for fields in people]
        with app.db.write(ws) as tx:
            made = contacts.insert_many(tx, new, bulk=True)
            dedupe.contacts_loaded(tx, dict(zip(made, new, strict=True)))
        ids.extend(made)
    with app.db.write(ws) as tx:
        search.index_missing(tx)
        dedupe.rebuild(tx, app.now())
    return ids
