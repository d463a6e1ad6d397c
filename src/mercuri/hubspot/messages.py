"""What goes to HubSpot and what comes back, as values: pages, filters, writes and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mercuri.core.contact import Record


@dataclass(frozen=True, slots=True)
class Page:
    """One page of records; `after` None is the last. `total` is known for searches only."""

    records: tuple[Record, ...]
    after: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition of a search. `value` and `high` bound BETWEEN; `values` are for IN, lower-case for texts."""

    property: str
    operator: str
    value: str | None = None
    high: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """What one record is to become; `key` is its id, or the value of the unique property of an upsert."""

    key: str
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """The portal itself. `domain` is the customer's web domain, empty where HubSpot does not tell."""

    portal_id: str
    time_zone: str = ""
    ui_domain: str = ""
    hosting: str = ""
    account_type: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """One result of a batch write: the record as far as HubSpot shows it, and which input it answers."""

    record: Record
    trace: str | None
    created: bool | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of a batch, and the inputs it names: by trace id, or by record id."""

    category: str
    message: str
    traces: tuple[str, ...]
    ids: tuple[str, ...]
    existing_id: str | None
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a batch write did, in no order to rely on."""

    written: tuple[Written, ...]
    faults: tuple[Fault, ...]
