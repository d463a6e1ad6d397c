"""Values of mapped opt-in properties that nobody can read: each is a failure of its record until it can be read.

They say nothing, so nobody is opted in or out by them. The value is kept with the failure, for whoever mends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mercuri.core.consent_values import Unreadable, heard
from mercuri.core.contact import LinkState, PortalId, RecordId, RunId
from mercuri.core.retry import FailureClass
from mercuri.core.settings import CHANNELS, ConsentItem
from mercuri.engine.hearing import Observed, hear_records
from mercuri.store import failures, links, portals
from mercuri.store.database import Tx
from mercuri.store.failures import Failure
from mercuri.store.links import Link
from mercuri.store.portals import Portal

#: How the keys of these failures begin; the property, the channel and the record follow. Earlier versions named no
#: channel: such a failure is taken for one of every channel that its property speaks of, until it is looked at again.
PREFIX = "consent:"

_FLAG = "{} holds a value that is neither true nor false. It says nothing: nobody is opted in or out by it."
_OPTION = "{} holds an option that has been given no meaning. It says nothing: nobody is opted in or out by it."
_DATE = "{} holds a value that is no date. It says nothing: nobody is opted in or out by it."
_MEND = "Correct the value in HubSpot, or map the property in another way under Settings, Subscription."
_MEAN = "Choose what the option means under Settings, Subscription. The records that hold it are heard at once."


def note(tx: Tx, portal: Portal, observed: Sequence[Observed], run: RunId | None, at: datetime) -> None:
    """Note what these records hold that cannot be read, and take back what can be read again."""
    done = []
    for one in observed:
        for item in portal.settings.consent_mapping:
            said = heard(item, one.properties)
            if isinstance(said, Unreadable):
                failures.put(tx, _failure(portal.id, item, said, one, run, at))
                done.append(_old_key(item, one.record_id))
            elif one.before is not None and isinstance(heard(item, one.before), Unreadable):
                done += [_key(item, one.record_id), _old_key(item, one.record_id)]
    failures.clear(tx, portal.id, done)


def read_again(tx: Tx, portal: Portal, noted: Collection[Failure], at: datetime) -> None:
    """Hear the records that can be read by now, after a change of the mapping; the others stay as they are.

    What is mapped no more, or stands in a record that is gone, is no failure any longer.
    """
    known = links.of_records(tx, portal.id, {one.record_id for one in noted if one.record_id is not None})
    done: list[str] = []
    news: list[tuple[ConsentItem, Observed]] = []
    for one in noted:
        is_kept = False
        for item, record in _held(portal, one, known):
            said = heard(item, record.properties)
            if not isinstance(said, Unreadable):
                news.append((item, record))
            elif one.key == _key(item, record.record_id):
                is_kept = True
            else:
                failures.put(tx, _failure(portal.id, item, said, record, one.run, one.at))
        if not is_kept:
            done.append(one.key)
    failures.clear(tx, portal.id, done)
    _hear(tx, portal, news, at)


def mapping_changed(tx: Tx, portal_id: PortalId, before: Iterable[ConsentItem], at: datetime) -> None:
    """Look again at what could not be read through items that are no longer mapped as they were."""
    portal = portals.get(tx, portal_id)
    for item in before:
        if item not in portal.settings.consent_mapping:
            read_again(tx, portal, failures.beginning(tx, portal_id, f"{PREFIX}{_name(item)}:"), at)


def of_item(tx: Tx, portal_id: PortalId, item: ConsentItem, *, limit: int) -> tuple[int, list[Failure]]:
    """How many records hold something that cannot be read through an item, and some of them."""
    of_property = f"{PREFIX}{_name(item)}:"
    prefixes = [f"{of_property}{channel}:" for channel in CHANNELS]
    counts = {prefix: failures.count_beginning(tx, portal_id, prefix) for prefix in prefixes}
    old = failures.count_beginning(tx, portal_id, of_property) - sum(counts.values())
    mine = f"{of_property}{item.channel}:"
    some = failures.beginning(tx, portal_id, mine, limit=limit)
    if old and len(some) < limit:
        found = failures.beginning(tx, portal_id, of_property)
        some += [one for one in found if not one.key.startswith(tuple(prefixes))][: limit - len(some)]
    return counts[mine] + old, some


def _name(item: ConsentItem) -> str:
    return item.properties[-1]


def _key(item: ConsentItem, record: RecordId) -> str:
    return f"{PREFIX}{_name(item)}:{item.channel}:{record}"


def _old_key(item: ConsentItem, record: RecordId) -> str:
    return f"{PREFIX}{_name(item)}:{record}"


def _items(portal: Portal, key: str) -> list[ConsentItem]:
    """Whose failure it is; that of a channel which is mapped no more goes to whatever its property speaks of now."""
    _, name, *channel, _ = key.split(":")
    items = [item for item in portal.settings.consent_mapping if _name(item) == name]
    return [item for item in items if item.channel in channel] or items


def _held(portal: Portal, one: Failure, known: Mapping[RecordId, Link]) -> list[tuple[ConsentItem, Observed]]:
    """What the record of a failure holds for each of its items; nothing once it is gone."""
    link = known.get(one.record_id or RecordId(""))
    if link is None or link.state not in (LinkState.LIVE, LinkState.BLOCKED):
        return []
    return [(item, _unheard(item, link)) for item in _items(portal, one.key)]


def _hear(tx: Tx, portal: Portal, news: Sequence[tuple[ConsentItem, Observed]], at: datetime) -> None:
    """Hear each record through the item that can read it by now, and through no other: those were heard before."""
    for item in portal.settings.consent_mapping:
        if records := [record for of, record in news if of == item]:
            alone = replace(portal, settings=replace(portal.settings, consent_mapping=(item,)))
            hear_records(tx, alone, records, None, at)


def _unheard(item: ConsentItem, link: Link) -> Observed:
    """A record as if the item's properties had just been filled."""
    before = {name: value for name, value in link.shadow.items() if name not in item.properties}
    return Observed(link.contact_id, link.record_id, link.shadow, before, changed_at=link.remote_at)


def _failure(
    portal: PortalId, item: ConsentItem, found: Unreadable, one: Observed, run: RunId | None, at: datetime
) -> Failure:
    message = {"enumeration": _OPTION, "date_pair": _DATE}.get(item.kind, _FLAG).format(found.property)
    return Failure(
        portal,
        _key(item, one.record_id),
        FailureClass.VALIDATION.value,
        message,
        _MEAN if item.kind == "enumeration" else _MEND,
        at,
        one.contact_id,
        one.record_id,
        run,
        f"{found.property}: {found.value}",
    )
