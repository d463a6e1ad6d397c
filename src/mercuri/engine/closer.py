"""A second look at records whose own moment matters: when a property was set, and by whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mercuri.core.contact import LinkState, PropertyVersion, Record, RecordId
from mercuri.core.diff import Base
from mercuri.core.mapping import fields_of
from mercuri.core.settings import MappingItem, Policy
from mercuri.engine.hearing import properties_heard
from mercuri.engine.reconcile import Times
from mercuri.engine.work import Work
from mercuri.store.links import NOBODY, Link


@dataclass(frozen=True, slots=True)
class Closer:
    """The newest version of each property that was looked up, by record."""

    times: Mapping[RecordId, Mapping[str, PropertyVersion]] = field(default_factory=dict)

    def by_property(self, record: RecordId) -> dict[str, datetime | None]:
        """When each property was set."""
        return {name: version.at for name, version in self.times.get(record, {}).items()}

    def sources(self, record: RecordId) -> dict[str, str]:
        """Who set each property, in HubSpot's words."""
        found = self.times.get(record, {})
        return {name: f"{version.source} {version.source_id}".strip() for name, version in found.items()}

    def by_field(self, work: Work, record: RecordId) -> Times:
        """The same by our field names, with the author."""
        found = self.times.get(record, {})
        named = {item.field: found[item.property] for item in work.mapping if item.property in found}
        return Times(
            {name: version.at for name, version in named.items() if version.at},
            {name: f"{version.source} {version.source_id}".strip() for name, version in named.items()},
        )


#: No record was looked at again.
NOTHING = Closer()


def unsure(work: Work, records: Iterable[Record], known: Mapping[RecordId, Link]) -> list[RecordId]:
    """The records whose history has to be read: a flipped opt-in, or a field that the later edit wins.

    An opt-in that was never asked for counts too: it may be older than the record's number, or than a person's word.
    `known` are the links of those that have one.
    """
    consents, recent = properties_heard(work.settings), {item.field for item in by_time(work)}
    if not known or not (consents or recent):
        return []
    return [r.id for r in records if r.id in known and _matters(work, known[r.id], r, consents, recent)]


def look(work: Work, records: Sequence[RecordId]) -> Closer:
    """Read the history of records."""
    consents = properties_heard(work.settings)
    # When an address changed decides whether a yes is of the old one or of the new one.
    addresses = [item.property for item in work.mapping if consents and item.field in ("phone", "email")]
    names = list(dict.fromkeys([*sorted(consents), *addresses, *(item.property for item in by_time(work))]))
    found = work.client.read_many(records, work.ask, history=names)
    return Closer({RecordId(key): _newest(record, names) for key, record in found.items()})


def by_time(work: Work) -> list[MappingItem]:
    """The mapped fields whose conflicts the later edit wins; none while nothing is merged."""
    return [item for item in work.mapping if work.rules[item.field].policy is Policy.RECENT] if work.two_way else []


def times_of(work: Work, record: Record) -> Times:
    """When the fields that the later edit wins were set, of a record that was read with their history."""
    names = [item.property for item in by_time(work)]
    return Closer({record.id: _newest(record, names)}).by_field(work, record.id)


def _matters(work: Work, link: Link, record: Record, consents: Collection[str], recent: set[str]) -> bool:
    if link.contact_id == NOBODY:
        return False
    if any(record.properties.get(name, "") != link.shadow.get(name, "") for name in consents):
        return True
    if link.state is not LinkState.LIVE:
        return False
    remote = fields_of(record, work.mapping)
    nothing = Base("", "")
    return any(remote.get(name, "") != link.base.get(name, nothing).remote for name in recent)


def _newest(record: Record, names: Sequence[str]) -> dict[str, PropertyVersion]:
    return {name: record.history[name][0] for name in names if record.history.get(name)}
