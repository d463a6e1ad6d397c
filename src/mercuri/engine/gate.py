"""The gate that every send passes, the explanation of a state, and the proof for an auditor.

It reads our own tables and nothing else; when they cannot be read, the error says no.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mercuri.core.consent import ConsentEvent, Register, Registers, Verdict, closed_by, may_open, shown
from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.core.normalise import Phone, Refused, normalise_phones
from mercuri.engine.app import Actor, App, require
from mercuri.engine.csv_files import csv_lines
from mercuri.engine.said import check_channel, normal_address, normal_or_refused
from mercuri.errors import UserError
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import workspaces
from mercuri.store.consent import KIND_OF
from mercuri.store.database import Tx

#: Most addresses of one question.
MOST = 50_000
_NEVER = shown(Registers())
_SUPPRESSED = Verdict(
    "unsubscribed",
    False,
    "Opted out by the person, kept from before their data was erased. Only the person can open it again.",
    Register.PERSON,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether an address may be sent to now; `address` is as it was asked."""

    address: str
    sendable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The state of an address on a channel with all of its evidence, oldest first.

    `closers` name everyone who keeps it closed; `staff_may_open`: a user's yes would open it.
    """

    channel: str
    address: str
    verdict: Verdict
    evidence: Sequence[ConsentEvent]
    closers: Sequence[str]
    staff_may_open: bool
    contacts: Sequence[ContactId]


def check(app: App, ws: WorkspaceId, channel: str, addresses: Sequence[str]) -> list[Checked]:
    """Which addresses may be sent to, and why not, in the order asked; the state as it is now."""
    check_channel(channel, "checked")
    if len(addresses) > MOST:
        raise UserError(f"At most {MOST:,} addresses can be checked at once. Nothing was checked; ask in parts.")
    with app.db.read(ws) as tx:
        # Most are asked in their normal form, under which what is known of them stands: one look finds both.
        found = store.verdicts(tx, channel, set(addresses))
        normals = _normals(tx, channel, addresses, found)
        rest = {normal for normal in normals if isinstance(normal, str)} - found.keys()
        found.update(store.verdicts(tx, channel, rest.difference(addresses)))
        found.update(_erased(tx, channel, rest - found.keys()))
    return [_checked(address, normal, found) for address, normal in zip(addresses, normals, strict=True)]


def verdicts(tx: Tx, channel: str, addresses: set[str]) -> dict[str, Verdict]:
    """What is shown of normal addresses; "never asked" is left out."""
    found = store.verdicts(tx, channel, addresses)
    return {**found, **_erased(tx, channel, addresses - found.keys())}


def explain(app: App, ws: WorkspaceId, channel: str, address: str) -> Explained:
    """Why an address is open or closed. Raises UserError for one that cannot be normalised."""
    with app.db.read(ws) as tx:
        return explained(tx, channel, normal_address(tx, channel, address))


def explained(tx: Tx, channel: str, normal: str) -> Explained:
    """`explain` of a normal address."""
    held = store.held(tx, channel, [normal]).get(normal)
    verdict = shown(held.registers) if held else verdicts(tx, channel, {normal}).get(normal, _NEVER)
    registers = held.registers if held else Registers()
    return Explained(
        channel,
        normal,
        verdict,
        [item.event for item in store.evidence(tx, channel, [normal])],
        [_who(register, source) for register, source, _ in closed_by(registers)],
        verdict.closed_by is not Register.PERSON and may_open(registers, Register.STAFF),
        holders.owners(tx, channel, [normal]).get(normal, ()),
    )


def proof(
    app: App, ws: WorkspaceId, actor: Actor, *, channel: str | None = None, address: str | None = None
) -> Iterator[Mapping[str, object]]:
    """All evidence, or that of one address (with `channel`): one flat row for each event, oldest first.

    Raises UserError at once for an address that cannot be normalised.
    """
    require(actor, "manager")
    if (channel is None) != (address is None):
        raise UserError("A proof of one address needs its channel and the address.")
    if channel is not None and address is not None:
        with app.db.read(ws) as tx:
            normal = normal_address(tx, channel, address)
            rows = [_row(item.event) for item in store.evidence(tx, channel, [normal])]
        return iter(rows)
    return _all_rows(app, ws)


def as_csv(rows: Iterator[Mapping[str, object]]) -> Iterator[str]:
    """Rows of proof as the lines of a CSV file; no cell is run by a spreadsheet."""
    return csv_lines(COLUMNS, ([_cell(row[name]) for name in COLUMNS] for row in rows))


def as_json(rows: Iterator[Mapping[str, object]]) -> Iterator[str]:
    """Rows of proof as the text of one JSON list."""
    yield "["
    for number, row in enumerate(rows):
        yield ("," if number else "") + "\n" + json.dumps(row, ensure_ascii=False)
    yield "\n]\n"


#: What a row of proof says, in order.
COLUMNS = ("channel", "address", "register", "state", "kind", "actor", "source", "occurred_at", "observed_at", "proof")


def _all_rows(app: App, ws: WorkspaceId) -> Iterator[Mapping[str, object]]:
    last = 0
    while True:
        with app.db.read(ws) as tx:
            batch = store.evidence_after(tx, last)
        if not batch:
            return
        yield from (_row(item.event) for item in batch)
        last = batch[-1].id


def _row(event: ConsentEvent) -> Mapping[str, object]:
    return {
        "channel": event.channel,
        "address": event.address,
        "register": event.register.value,
        "state": event.state.value,
        "kind": event.kind,
        "actor": event.actor,
        "source": "/".join(event.source_key) if event.source_key else event.source,
        "occurred_at": _time(event.occurred_at),
        "observed_at": _time(event.observed_at),
        "proof": dict(event.proof),
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _who(register: Register, source: tuple[str, str, str] | None) -> str:
    if register is Register.PERSON:
        return "the person"
    if register is Register.STAFF:
        return "staff"
    portal, record, name = source or ("", "", "")
    return f"HubSpot ({name} of record {record} in portal {portal})"


def _erased(tx: Tx, channel: str, addresses: Collection[str]) -> dict[str, Verdict]:
    erased = store.suppressed(tx, [(channel, address) for address in addresses])
    return {address: _SUPPRESSED for _, address in erased}


def _normals(tx: Tx, channel: str, addresses: Sequence[str], known: Collection[str]) -> list[str | Refused]:
    """The normal forms. One that is `known`, or that somebody has, is normal; only the others are worth parsing."""
    unknown = [address for address in dict.fromkeys(addresses) if address not in known]
    had = store.had(tx, channel, unknown)
    rest = [address for address in unknown if address not in had]
    region = workspaces.settings(tx).default_region
    if KIND_OF[channel] == "email":
        parsed: dict[str, str | Refused] = {address: normal_or_refused(channel, address, region) for address in rest}
    else:
        found = normalise_phones([(address, region) for address in rest])
        parsed = {address: _one(phones) for address, phones in zip(rest, found, strict=True)}
    return [parsed.get(address, address) for address in addresses]


def _one(phones: Sequence[Phone | Refused]) -> str | Refused:
    """The one number of a text; a text that holds several names nobody in particular."""
    if not phones:
        return Refused("it is empty")
    if len(phones) > 1:
        return Refused("it holds more than one number")
    return phones[0] if isinstance(phones[0], Refused) else phones[0].e164


def _checked(address: str, normal: str | Refused, found: Mapping[str, Verdict]) -> Checked:
    if isinstance(normal, Refused):
        return Checked(address, False, f"Not a valid address: {normal.reason}.")
    verdict = found.get(normal, _NEVER)
    return Checked(address, verdict.sendable, verdict.reason)
