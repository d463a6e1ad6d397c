"""What consent costs in a load; and how long the gate, the list filtered by status and the settings take among many."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

from cryptography.fernet import Fernet

from bench.harness import BACKENDS, Figure, ms, timed
from bench.store import a_database
from mercuri.config import Settings
from mercuri.core.contact import Address, LinkState, PortalId, RecordId, RunId, WorkspaceId
from mercuri.core.settings import ConsentItem, PortalSettings, WorkspaceSettings
from mercuri.engine import consent, consent_setup, load, unreadable
from mercuri.engine.app import App
from mercuri.engine.consent import Observed
from mercuri.hubspot.transport import open_http
from mercuri.store import contacts, links, pages, portals, vault, workspaces
from mercuri.store.contacts import NewContact
from mercuri.store.database import ANY, Database, Tx
from mercuri.store.links import Link
from mercuri.store.pages import Query
from mercuri.store.portals import Portal

#: As many as a load stores in one transaction.
PAGE = load.STEP
PORTAL = PortalId("4242")
NOW = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
MAPPED = PortalSettings(consent_mapping=(ConsentItem("sms", "opt_in", "sms_opt_in"),))
#: Contacts of a load that is measured.
_LOADED = 50_000
_ASKED = 10_000
_ROUNDS = 9


def measure(count: int) -> Iterator[Figure]:
    """Each on both databases. Of a load the processor time of this process counts, of the rest the time that passes."""
    for backend in BACKENDS:
        with _a_team(backend) as (app, ws):
            many = min(count, _LOADED)
            loaded, heard = _load(app, ws, many)
            told = f"{heard * 1e6:.1f} µs per contact, beside {loaded * 1e6:.1f} µs"
            yield Figure(f"what consent adds to a load of {many:,} contacts, {backend}", told, "< 20 µs")
        with _a_team(backend) as (app, ws):
            where = f"{count:,} contacts, {backend}"
            _fill(app, ws, count)
            yield _gate(app, ws, count, f"may {_ASKED:,} addresses be sent to, of {where}")
            yield _filter(app, ws, f"a page of the list filtered by status, {where}")
            setup = _told([partial(consent_setup.setup_of, app, ws, PORTAL)])
            yield Figure(f"what Settings, Subscription reads, {where}", setup, "< 50 ms")


@contextlib.contextmanager
def _a_team(backend: str) -> Iterator[tuple[App, WorkspaceId]]:
    with a_database(backend) as url, contextlib.closing(Database.open(url)) as database:
        with database.write(ANY) as tx:
            ws = workspaces.create(tx, "Bench", WorkspaceSettings(), NOW)
        app = App(Settings(), database, vault.Vault(Fernet.generate_key().decode()), open_http(), lambda: NOW)
        with database.write(ws) as tx:
            portals.add(tx, Portal(PORTAL, "Bench", "static", settings=MAPPED), None, NOW)
        yield app, ws
        app.http.close()


def _load(app: App, ws: WorkspaceId, count: int) -> tuple[float, float]:
    """Seconds of this process's processor for each contact of a load, and those that a mapped property adds to it.

    Pages with and without it take turns, since other programs use the machine too: what counts is their medians.
    """
    with app.db.read(ws) as tx:
        mapped = portals.get(tx, PORTAL)
    spent: dict[bool, list[float]] = {False: [], True: []}
    for number, start in enumerate(range(0, count, PAGE)):
        hears = number % 2 == 1
        portal = mapped if hears else replace(mapped, settings=PortalSettings())
        with app.db.write(ws) as tx:
            began = time.process_time()
            _store(tx, portal, range(start, start + PAGE))
            spent[hears].append((time.process_time() - began) / PAGE)
    plain = median(spent[False])
    return plain, median(spent[True]) - plain


#: Contacts with a number each, of whom a third says yes in HubSpot, a third no and a third nothing. The database makes
#: them by itself, since what is measured is the reading.
_NUMBERS = (
    "WITH RECURSIVE n (i) AS (SELECT CAST(0 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT {ws}"
)
_PHONE = "'+1415' || (2000000 + i)"
_FILL = (
    "INSERT INTO contact (workspace_id, id, first_name, phone, name_key, subscribed, status_reason, created_at,"
    f" updated_at) {_NUMBERS}, i + 1, 'Ana', {_PHONE}, 'ana ' || (i * 7919 % 1000003), i % 3 = 0, 'HubSpot said so.',"
    " {at}, {at} + i FROM n",
    "INSERT INTO contact_address (workspace_id, contact_id, position, kind, raw, normal, label, is_primary)"
    f" {_NUMBERS}, i + 1, 0, 'phone', {_PHONE}, {_PHONE}, 'phone', true FROM n",
    "INSERT INTO consent_state (workspace_id, channel, address, registers, state, reason, updated_at)"
    f" {_NUMBERS}, 'sms', {_PHONE}, '{{{{}}}}', CASE i % 3 WHEN 0 THEN 'subscribed' ELSE 'unsubscribed' END,"
    " 'HubSpot said so.', {at} FROM n WHERE i % 3 <> 1",
    "INSERT INTO consent_event (workspace_id, event_key, channel, address, register, state, kind, source, occurred_at,"
    f" observed_at) {_NUMBERS}, 'k' || i, 'sms', {_PHONE}, 'crm', CASE i % 3 WHEN 0 THEN 'in' ELSE 'out' END,"
    """ 'property', '["4242","' || i || '","sms_opt_in"]', {at}, {at} FROM n WHERE i % 3 <> 1""",
    "ANALYZE",
)


def _fill(app: App, ws: WorkspaceId, count: int) -> None:
    for statement in _FILL:
        with app.db.write(ws) as tx:
            tx.execute(statement.format(ws=ws, last=count - 1, at=int(NOW.timestamp() * 1000)))


def _gate(app: App, ws: WorkspaceId, count: int, what: str) -> Figure:
    chosen = random.Random(1)
    numbers = [chosen.randrange(count) for _ in range(_ASKED)]
    asked = [_phone(number) for number in numbers]
    answers = consent.check(app, ws, "sms", asked)
    assert [one.sendable for one in answers] == [number % 3 == 0 for number in numbers]
    return Figure(what, _told([lambda: consent.check(app, ws, "sms", asked)]), "< 300 ms")


def _filter(app: App, ws: WorkspaceId, what: str) -> Figure:
    def read(query: Query) -> Any:
        with app.db.read(ws) as tx:
            return pages.page(tx, query)

    queries = []
    for status in ("subscribed", "not_subscribed"):
        for sort in ("name", "-updated"):
            first = Query(status=status, sort=sort)
            queries += [first, Query(status=status, sort=sort, cursor=read(first).next_cursor)]
    return Figure(what, _told([partial(read, query) for query in queries]), "< 50 ms")


def _told(works: Sequence[Callable[[], object]]) -> str:
    """How long these take, each some times: the median, the best, and the processor time of this process."""
    began = time.process_time()
    times = [timed(work) for work in works for _ in range(_ROUNDS)]
    busy = (time.process_time() - began) / len(times)
    return f"median {ms(median(times))}, best {ms(min(times))}, processor {ms(busy)}"


def _phone(number: int) -> str:
    return f"+1415{2_000_000 + number:07d}"


def _store(tx: Tx, portal: Portal, numbers: range) -> None:
    """A page of new records, of whom a third says yes, a third nothing and a third no, as a load stores it."""
    ids = contacts.reserve(tx, len(numbers))
    own = {
        id_: (Address("phone", _phone(n), _phone(n), "phone", primary=True),)
        for id_, n in zip(ids, numbers, strict=True)
    }
    said = [{"phone": _phone(n), "sms_opt_in": ("true", "", "false")[n % 3]} for n in numbers]
    observed = [
        Observed(id_, RecordId(str(n)), value, changed_at=NOW) for id_, n, value in zip(ids, numbers, said, strict=True)
    ]
    labels = consent.hear_newcomers(tx, portal, observed, own, RunId(1), NOW)
    new = [
        NewContact(
            {"first_name": f"Ana {n * 7919 % 1_000_003}", "phone": _phone(n)},
            None,
            own[id_],
            NOW,
            RunId(1),
            *labels.get(id_, (False, "")),
        )
        for id_, n in zip(ids, numbers, strict=True)
    ]
    contacts.insert_many(tx, new, ids=ids, bulk=True)
    rows = [
        Link(one.record_id, one.contact_id, LinkState.LIVE, {}, one.properties, NOW, NOW, RunId(1)) for one in observed
    ]
    links.insert_many(tx, PORTAL, rows)
    unreadable.note(tx, portal, observed, RunId(1), NOW)
