"""One portal: its contacts and the rules HubSpot keeps about them. No HTTP here.

Every method may raise `Refusal`, HubSpot's own answer to what was asked.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from mercuri.sandbox import calculated, merging
from mercuri.sandbox.answers import conflict, invalid, not_found
from mercuri.sandbox.holders import Holders
from mercuri.sandbox.index import SearchIndex
from mercuri.sandbox.people import people
from mercuri.sandbox.properties import BadValue, Property, check_value, invalid_values
from mercuri.sandbox.records import HUBSPOT, IMPORT, Author, Event, Record
from mercuri.sandbox.standard import LIFECYCLE, SUBSCRIPTION_TYPES, standard_properties
from mercuri.sandbox.switches import Switches
from mercuri.sandbox.times import DAY_MS, iso

_STAGES = [value for _, value in LIFECYCLE]
#: Record ids start here, twelve digits long.
_FIRST_ID = 100_000_000_000
_SWITCHED = ("hs_additional_emails", "hs_legal_basis", *(f"hs_email_optout_{each}" for each in SUBSCRIPTION_TYPES))
_BIN_DAYS = 90


class Portal:
    """Contacts, properties and history of one HubSpot account.

    `now_ms` gives the time in milliseconds. Not thread-safe: the sandbox holds a lock.
    """

    def __init__(self, portal_id: int, now_ms: Callable[[], int], seed: int, switches: Switches) -> None:
        self.portal_id = portal_id
        self.now_ms = now_ms
        self.rng = Random(seed)
        self.switches = switches
        self.properties: dict[str, Property] = standard_properties(switches, now_ms() - 1000 * DAY_MS)
        self.index = SearchIndex(self.rng)
        self.records: dict[int, Record] = {}
        self.live: list[int] = []
        self.archived: list[int] = []
        #: Merged-away id -> id of what it became.
        self.merged: dict[int, int] = {}
        self.holders = Holders(name for name, prop in self.properties.items() if prop.unique)
        self.blocklist: set[str] = set()
        #: Names of properties that this portal's admin requires at creation (enforced on 2026-09 paths alone).
        self.required: tuple[str, ...] = ()
        self.listeners: list[Callable[[Event], None]] = []
        self._bumps: list[tuple[int, int]] = []
        self._bin: deque[tuple[int, int]] = deque()
        self._made = 0
        self._top_id = _FIRST_ID

    # -- reading

    def find(self, record_id: int) -> Record | None:
        """The live record under an id, following merges."""
        while record_id in self.merged:
            record_id = self.merged[record_id]
        record = self.records.get(record_id)
        return record if record is not None and record.archived_ms is None else None

    def find_archived(self, record_id: int) -> Record | None:
        """The record in the recycle bin under an id. A merged-away id is not there."""
        record = self.records.get(record_id)
        return record if record is not None and record.archived_ms is not None else None

    def find_by(self, name: str, value: str) -> Record | None:
        """The live record with a unique value: `email` (primary or additional) or a property with unique values."""
        if name == "email":
            found = self.holders.of_address(value)
        else:
            prop = self.properties.get(name)
            if prop is None or not prop.unique:
                raise invalid(f"Unable to perform update/upsert by non-unique 0-1 property {name}")
            found = self.holders.of_value(name, value)
        return self.find(found) if found is not None else None

    # -- writing

    def set_switches(self, switches: Switches) -> None:
        """Behave differently from now on; the properties that a switch makes read-only follow."""
        self.switches = switches
        self.index.version += 1
        fresh = standard_properties(switches, 0)
        for name in _SWITCHED:
            if name in self.properties:
                self.set_property(replace(self.properties[name], read_only=fresh[name].read_only))

    def set_property(self, prop: Property) -> None:
        """Add a property, or put another definition in place of the present one."""
        self.properties[prop.name] = prop
        self.holders.unique_names = [name for name, each in self.properties.items() if each.unique]

    def seed(self, count: int) -> None:
        """Add many invented contacts: over the last three years in an empty portal, else just now, as by an import."""
        now = self.now_ms()
        span = 0 if self.records else 3 * 365 * DAY_MS
        first = self._top_id + 1
        ids = sorted(self.rng.sample(range(first, first + 40 * max(count, 1)), count))
        invented = zip(ids, people(self.rng, count, self._made), strict=True)
        fresh = [
            self._seeded(record_id, values, now - span + span * n // (count + 1), now)
            for n, (record_id, values) in enumerate(invented)
        ]
        self._made += count
        self._top_id = ids[-1] if ids else self._top_id
        self.live.extend(ids)
        self.index.load((each.id, each.values, each.modified_ms) for each in fresh)
        if span == 0:
            for each in fresh:
                self._tell("creation", each.id, now, IMPORT)

    def check_new(self, sent: Mapping[str, str], *, strict: bool) -> dict[str, str]:
        """The values a create would store. `strict` is what 2026-09 enforces and older paths do not."""
        checked = self.check_values(sent, {})
        if strict:
            self._check_required(checked)
        self._check_free(checked, None)
        return checked

    def check_change(self, record: Record, sent: Mapping[str, str]) -> dict[str, str]:
        """The values an update would store ("" clears), stage moves backwards left out."""
        checked = self.check_values(sent, record.values)
        self._check_free(checked, record)
        if _moves_back(record.values.get("lifecyclestage", ""), checked.get("lifecyclestage", "")):
            del checked["lifecyclestage"]
        return checked

    def check_values(self, sent: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
        """Every value as it would be stored, or one refusal naming all that is wrong."""
        checked: dict[str, str] = {}
        wrong: list[BadValue] = []
        for name, text in sent.items():
            prop = self.properties.get(name)
            if prop is None or prop.archived_ms is not None:
                wrong.append(BadValue(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'))
                continue
            value = check_value(prop, text, present.get(name, ""), self.switches)
            if isinstance(value, BadValue):
                wrong.append(value)
            else:
                checked[name] = value
        if wrong:
            raise invalid_values(wrong, self.portal_id)
        return checked

    def create(self, checked: Mapping[str, str], author: Author, at_ms: int) -> Record:
        """Make a record of checked values."""
        values = {name: value for name, value in checked.items() if value}
        if "lifecyclestage" not in values and self.switches.lifecycle_on_create == "lead":
            values["lifecyclestage"] = "lead"
        if values.get("lifecyclestage") == "lead":
            values["hs_lifecyclestage_lead_date"] = iso(at_ms)
        values |= calculated.values(values, values, self.switches)
        record_id = self._free_id()
        values |= _system_values(record_id, author, at_ms)
        record = Record(record_id, values, at_ms, at_ms, author)
        self.records[record_id] = record
        insort(self.live, record_id)
        self.holders.claim(record)
        self._publish(record, at_ms)
        self._tell("creation", record_id, at_ms, author)
        for name in checked:
            if values.get(name):
                self._tell("propertyChange", record_id, at_ms, author, name, values[name])
        self._plan_bumps(record_id, at_ms)
        return record

    def update(self, record: Record, checked: Mapping[str, str], author: Author, at_ms: int) -> dict[str, str]:
        """Store checked values; what really changed comes back, calculated companions included."""
        changed = {name: value for name, value in checked.items() if record.values.get(name, "") != value}
        if not changed:
            if self.switches.idle_write_bumps:
                self._store(record, {}, at_ms)
            return {}
        companions = calculated.values({**record.values, **changed}, changed, self.switches)
        for name, value in changed.items():
            record.note(name, value, at_ms, author)
        for name, value in companions.items():
            record.note(name, value, at_ms, HUBSPOT)
        self.holders.release(record)
        self._store(record, {**changed, **companions}, at_ms)
        self.holders.claim(record)
        for name, value in changed.items():
            self._tell("propertyChange", record.id, at_ms, author, name, value)
        return {**changed, **companions}

    def archive(self, record: Record, author: Author) -> None:
        """To the recycle bin. Neither modification date moves; the e-mail is free again."""
        now = self.now_ms()
        self.holders.release(record, keep_values=self.switches.archived_holds_unique)
        record.archived_ms = now
        self._remove(self.live, record.id)
        insort(self.archived, record.id)
        self._bin.append((now, record.id))
        self.index.put(record.id, None, record.modified_ms, now)
        self._tell("deletion", record.id, now, author)

    def restore(self, record_id: int, author: Author) -> Record:
        """Out of the recycle bin, as a person does within 90 days; refused while another contact has the e-mail."""
        record = self.find_archived(record_id)
        if record is None:
            raise not_found()
        now = self.now_ms()
        owners = [owner for each in record.addresses if (owner := self.holders.of_address(each)) is not None]
        if owners:
            raise conflict("Cannot restore: an active contact has this email address", owners[0])
        record.archived_ms = None
        self._remove(self.archived, record_id)
        insort(self.live, record_id)
        self.holders.claim(record)
        self._store(record, calculated.values(record.values, record.values, self.switches), now)
        self._tell("restore", record_id, now, author)
        return record

    def erase(self, record: Record, author: Author) -> None:
        """Remove a record for good (GDPR) and remember its addresses."""
        now = self.now_ms()
        self.blocklist.update(record.addresses)
        self._drop(record)
        self._tell("privacyDeletion", record.id, now, author)

    def block(self, address: str) -> None:
        """Erase an address nobody has: it goes to the blocklist."""
        self.blocklist.add(address.strip().lower())

    def merge(self, primary_id: int, other_id: int, author: Author) -> Record:
        """Two records become one, under a new id by default; both old ids lead to it."""
        primary, other = self.find(primary_id), self.find(other_id)
        if primary is None or other is None:
            raise not_found("Could not find one of the contacts to merge")
        if primary is other:
            raise invalid("Cannot merge a contact with itself")
        now = self.now_ms()
        new_id = primary.id if self.switches.merge_id == "primary" else self._free_id()
        survivor = merging.merged(primary, other, new_id, now, self.switches, self.holders.unique_names)
        for each in (primary, other):
            self._drop(each)
            if each.id != new_id:
                self.merged[each.id] = new_id
        self.records[new_id] = survivor
        insort(self.live, new_id)
        self.holders.claim(survivor)
        self._publish(survivor, now)
        self._tell_merge(primary, other, survivor, author, now)
        return survivor

    def stamp(self, count: int, spread_ms: int = 0) -> int:
        """HubSpot's month-end batch: `count` contacts get the same modification millisecond, which is returned.

        With `spread_ms` they were modified one after the other, in that time before now.
        """
        now = self.now_ms()
        for number, record_id in enumerate(self.live[:count], start=1):
            self._store(self.records[record_id], {}, now - spread_ms + spread_ms * number // count)
        return now

    def tick(self) -> None:
        """Do what HubSpot does by itself and is due: bump young contacts, empty the bin, let the index catch up."""
        now = self.now_ms()
        while self._bumps and self._bumps[0][0] <= now:
            due_ms, record_id = heapq.heappop(self._bumps)
            record = self.records.get(record_id)
            if record is not None and record.archived_ms is None:
                self._store(record, {"hs_is_unworked": "true"}, due_ms)
        while self._bin and self._bin[0][0] + _BIN_DAYS * DAY_MS <= now:
            archived_ms, record_id = self._bin.popleft()
            record = self.records.get(record_id)
            if record is not None and record.archived_ms == archived_ms:
                self._drop(record)
        self.index.catch_up(now)

    # -- the parts

    def _seeded(self, record_id: int, values: dict[str, str], created_ms: int, now: int) -> Record:
        if created_ms < now:
            # Ids do not follow creation: neighbours are up to two hours apart.
            created_ms -= int(self.rng.random() * 7_200_000)
        modified_ms = created_ms + int(self.rng.random() ** 3 * (now - created_ms))
        values["createdate"] = iso(created_ms)
        values["lastmodifieddate"] = iso(modified_ms)
        values["hs_object_source"] = "IMPORT"
        record = Record(record_id, values, created_ms, modified_ms, IMPORT)
        values["hs_object_id"] = record.text_id
        self.records[record_id] = record
        self.holders.claim(record)
        return record

    def _free_id(self) -> int:
        """A new id among the newest ones: above or below those given before."""
        spread = 2_000
        while True:
            candidate = max(_FIRST_ID, self._top_id - spread) + self.rng.randrange(2 * spread)
            if candidate not in self.records and candidate not in self.merged:
                self._top_id = max(self._top_id, candidate)
                return candidate
            spread *= 2

    def _check_required(self, checked: Mapping[str, str]) -> None:
        missing = [name for name in self.required if not checked.get(name)]
        if missing:
            message = f"Missing required properties: {', '.join(missing)}"
            context = {"propertyName": missing}
            raise invalid(
                message, errors=[{"message": message, "code": "MISSING_REQUIRED_PROPERTY", "context": context}]
            )
        named = any(checked.get(name) for name in ("email", "firstname", "lastname"))
        if self.switches.phone_only == "refuse" and not named:
            raise invalid("At least one of email, firstname or lastname is required to create a contact")

    def _check_free(self, checked: Mapping[str, str], record: Record | None) -> None:
        addresses = [checked.get("email", ""), *checked.get("hs_additional_emails", "").split(";")]
        for address in filter(None, addresses):
            owner = self.holders.of_address(address)
            if owner is not None and (record is None or owner != record.id):
                raise conflict(f"Contact already exists. Existing ID: {owner}", owner)
            if owner is None and address in self.blocklist and self.switches.recreate_erased == "refused":
                raise invalid(
                    "This email address was permanently deleted",
                    errors=[{"message": "blocked", "code": "GDPR_BLACKLISTED_EMAIL"}],
                )
        for name, value in checked.items():
            holder = self.holders.of_value(name, value)
            if value and holder is not None and (record is None or holder != record.id):
                raise conflict(f"Contact already exists. Existing ID: {holder}", holder)

    def _store(self, record: Record, changes: Mapping[str, str], at_ms: int) -> None:
        values = {name: value for name, value in {**record.values, **changes}.items() if value}
        values["lastmodifieddate"] = iso(at_ms)
        record.values = values
        record.modified_ms = at_ms
        self._publish(record, at_ms)

    def _publish(self, record: Record, at_ms: int) -> None:
        self.index.put(record.id, record.values, record.modified_ms, at_ms)

    def _drop(self, record: Record) -> None:
        self.holders.release(record)
        del self.records[record.id]
        self._remove(self.live if record.archived_ms is None else self.archived, record.id)
        self.index.put(record.id, None, record.modified_ms, self.now_ms())

    @staticmethod
    def _remove(ids: list[int], record_id: int) -> None:
        del ids[bisect_left(ids, record_id)]

    def _plan_bumps(self, record_id: int, at_ms: int) -> None:
        for _ in range(self.switches.bumps_after_create):
            heapq.heappush(self._bumps, (at_ms + self.rng.randrange(1_000, 15 * 60_000), record_id))

    def _tell(self, kind: str, record_id: int, at_ms: int, author: Author, name: str = "", value: str = "") -> None:
        event = Event(kind, record_id, at_ms, author, name, value)
        for listener in self.listeners:
            listener(event)

    def _tell_merge(self, primary: Record, other: Record, survivor: Record, author: Author, at_ms: int) -> None:
        moved = sum(1 for name in other.values if name not in primary.values)
        more = {
            "primaryObjectId": primary.id,
            "mergedObjectIds": [other.id] if survivor.id == primary.id else [primary.id, other.id],
            "newObjectId": survivor.id,
            "numberOfPropertiesMoved": moved,
        }
        for listener in self.listeners:
            listener(Event("merge", survivor.id, at_ms, author, more=more))
        if self.switches.merge_events == "none":
            return
        for each in (primary, other):
            if each.id != survivor.id:
                self._tell("deletion", each.id, at_ms, author)
        if self.switches.merge_events == "deletion_creation" and survivor.id != primary.id:
            self._tell("creation", survivor.id, at_ms, author)


def _moves_back(present: str, wanted: str) -> bool:
    return present in _STAGES and wanted in _STAGES and _STAGES.index(wanted) < _STAGES.index(present)


def _system_values(record_id: int, author: Author, at_ms: int) -> dict[str, str]:
    moment = iso(at_ms)
    source = {"hs_object_source_id": author.source_id} if author.source_id else {}
    return {
        "createdate": moment,
        "lastmodifieddate": moment,
        "hs_object_id": str(record_id),
        "hs_object_source": author.source,
        **source,
    }
