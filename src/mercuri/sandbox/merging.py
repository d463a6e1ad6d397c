"""What becomes of two contacts that are merged."""

from __future__ import annotations

from collections.abc import Collection

from mercuri.sandbox.answers import invalid
from mercuri.sandbox.records import Entry, Record
from mercuri.sandbox.standard import LIFECYCLE
from mercuri.sandbox.switches import Switches
from mercuri.sandbox.times import iso

_STAGES = [value for _, value in LIFECYCLE]
_MOST_IDENTITIES = 250


def merged(
    primary: Record, other: Record, new_id: int, now_ms: int, switches: Switches, unique_names: Collection[str]
) -> Record:
    """The record that results: the primary's values, the other's only where the primary has none.

    Raises Refusal (414) above 250 identities.
    """
    identities = [*primary.addresses, *other.addresses, *absorbed_ids(primary), *absorbed_ids(other)]
    if len(identities) > _MOST_IDENTITIES:
        raise invalid("Cannot have more than 250 identities on a profile", status=414)
    values = _values(primary, other, switches, unique_names)
    values |= _traces(primary, other, now_ms) if switches.merge_traces == "filled" else {}
    modified = now_ms if switches.merge_bumps else max(primary.modified_ms, other.modified_ms)
    created = min(primary.created_ms, other.created_ms)
    values |= {"hs_object_id": str(new_id), "lastmodifieddate": iso(modified), "createdate": iso(created)}
    survivor = Record(
        new_id, {name: value for name, value in values.items() if value}, created, modified, primary.created_by
    )
    survivor.history = {name: _joined(primary, other, name) for name in {*primary.history, *other.history}}
    return survivor


def absorbed_ids(record: Record) -> list[str]:
    """The ids that went into this record in earlier merges."""
    return [each for each in record.values.get("hs_merged_object_ids", "").split(";") if each]


def further_stage(one: str, other: str) -> str:
    """The lifecycle stage that is further down."""
    return max(one, other, key=lambda each: _STAGES.index(each) if each in _STAGES else -1)


def _values(primary: Record, other: Record, switches: Switches, unique_names: Collection[str]) -> dict[str, str]:
    cleared = {name for name in primary.history if not primary.values.get(name)}
    lost = cleared if switches.merge_cleared_wins else set()
    # The primary's subscription status prevails: an opt-out of the other one goes with it (community report).
    taken = {
        name: value
        for name, value in other.values.items()
        if name not in lost and name not in unique_names and not name.startswith("hs_email_optout")
    }
    addresses = list(dict.fromkeys([*primary.addresses, *other.addresses]))
    values = {**taken, **primary.values, "hs_additional_emails": ";".join(addresses[1:])}
    if addresses:
        values["email"] = addresses[0]
    values["lifecyclestage"] = further_stage(
        primary.values.get("lifecyclestage", ""), other.values.get("lifecyclestage", "")
    )
    for name in unique_names:
        if other.values.get(name) and (switches.merge_unique == "lost" or not values.get(name)):
            values[name] = other.values[name]
    return values


def _traces(primary: Record, other: Record, now_ms: int) -> dict[str, str]:
    """Of the two traces the second leaves earlier merges out, as captures show (fivetran/dbt_hubspot#168)."""
    ids = dict.fromkeys([*absorbed_ids(primary), *absorbed_ids(other), primary.text_id, other.text_id])
    return {"hs_merged_object_ids": ";".join(ids), "hs_calculated_merged_vids": f"{other.id}:{now_ms}"}


def _joined(primary: Record, other: Record, name: str) -> list[Entry]:
    return sorted([*primary.entries(name), *other.entries(name)], key=lambda each: -each.at_ms)
