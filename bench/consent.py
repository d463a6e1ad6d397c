"""How long the send gate takes for 10,000 addresses, and what consent adds to a first load, per contact.

    python bench/consent.py [CONTACTS]       default 100,000; a million takes a few minutes

A report: nothing here passes or fails. Times are those of the processor, so that a busy machine does not count.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from cryptography.fernet import Fernet

from bench.harness import Figure, ms
from mercuri.config import Settings
from mercuri.core.contact import Address, ContactId, LinkState, PortalId, RecordId, RunId
from mercuri.core.settings import ConsentItem, PortalSettings, WorkspaceSettings
from mercuri.engine import consent, load
from mercuri.engine.app import App
from mercuri.engine.consent import Observed
from mercuri.hubspot.transport import open_http
from mercuri.store import contacts, links, portals, vault, workspaces
from mercuri.store.contacts import NewContact
from mercuri.store.database import ANY, Database
from mercuri.store.links import Link
from mercuri.store.portals import Portal

#: As many as a load stores in one transaction.
PAGE = load.STEP
PORTAL = PortalId("4242")
NOW = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
MAPPED = PortalSettings(consent_mapping=(ConsentItem("sms", "opt_in", "sms_opt_in"),))


def measure(count: int) -> Iterator[Figure]:
    """Load, then ask."""
    with tempfile.TemporaryDirectory() as directory:
        database = Database.open(f"sqlite:///{Path(directory, 'bench.db')}")
        with database.write(ANY) as tx:
            ws = workspaces.create(tx, "Bench", WorkspaceSettings(), NOW)
        app = App(Settings(), database, vault.Vault(Fernet.generate_key().decode()), open_http(), lambda: NOW)
        with database.write(ws) as tx:
            portals.add(tx, Portal(PORTAL, "Bench", "static", settings=MAPPED), None, NOW)
            portal = portals.get(tx, PORTAL)
        spent_load, spent_consent = 0.0, 0.0
        for start in range(0, count, PAGE):
            with database.write(ws) as tx:
                began = time.process_time()
                observed = _page(tx, start)
                loaded = time.process_time()
                consent.contacts_changed(tx, [one.contact_id for one in observed], NOW)
                consent.hear_records(tx, portal, observed, RunId(1), NOW)
                heard = time.process_time()
            spent_load += loaded - began
            spent_consent += heard - loaded
        yield Figure(
            f"what consent adds to an import of {count:,}",
            f"{spent_consent / count * 1e6:.1f} µs per contact, beside {spent_load / count * 1e6:.1f} µs",
            "< 20 µs",
        )
        chosen = random.Random(1)
        asked = [_phone(chosen.randrange(count)) for _ in range(10_000)]
        times = []
        for _ in range(7):
            began = time.process_time()
            found = consent.check(app, ws, "sms", asked)
            times.append(time.process_time() - began)
        yield Figure(
            f"may 10,000 addresses be sent to, of {count:,} contacts",
            f"median {ms(median(times))}, worst {ms(max(times))} ({sum(one.sendable for one in found):,} yes)",
            "< 300 ms",
        )
        app.http.close()
        database.close()


def _phone(number: int) -> str:
    return f"+1415{2_000_000 + number:07d}"


def _page(tx: object, start: int) -> list[Observed]:
    numbers = range(start, start + PAGE)
    new = [
        NewContact(
            {"first_name": "Ana", "phone": _phone(n)},
            None,
            (Address("phone", _phone(n), _phone(n), "phone", primary=True),),
            NOW,
            RunId(1),
        )
        for n in numbers
    ]
    ids = contacts.insert_many(tx, new, bulk=True)  # type: ignore[arg-type]
    values = [{"phone": _phone(n), "sms_opt_in": ("true", "", "false")[n % 3]} for n in numbers]
    rows = [
        Link(RecordId(str(n)), ContactId(id_), LinkState.LIVE, {}, value, NOW, NOW, RunId(1))
        for n, id_, value in zip(numbers, ids, values, strict=True)
    ]
    links.insert_many(tx, PORTAL, rows)  # type: ignore[arg-type]
    return [Observed(row.contact_id, row.record_id, row.shadow, changed_at=NOW) for row in rows]
