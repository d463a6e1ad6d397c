"""Search as HubSpot does it: typed comparison, its limits, and results out of the index, not out of the records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mercuri.sandbox.answers import Refusal, invalid
from mercuri.sandbox.filters import Filter, Range, parse_filter
from mercuri.sandbox.index import SearchIndex
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.request import whole
from mercuri.sandbox.times import parse_instant

MOST_RESULTS = 10_000
MOST_PER_PAGE = 200
MOST_GROUPS, MOST_PER_GROUP, MOST_FILTERS = 5, 6, 18
MOST_CHARACTERS = 3_000
_QUERIED = (
    "firstname", "lastname", "email", "phone", "hs_additional_emails", "fax", "mobilephone", "company",
    "hs_marketable_until_renewal",
)  # fmt: skip
_REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search: ids in order, how many there are in all, and the next `after` when there is more."""

    ids: list[int]
    total: int
    after: str | None


class Search:
    """Searches of one portal; the last few results are kept while nothing changes, since clients page through them."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._kept: dict[str, list[int]] = {}
        self._kept_version = -1

    def run(self, body: Mapping[str, Any], size: int) -> Found:
        """One page of what `body` asks for; `size` is the length of the request body in characters.

        Raises Refusal for whatever HubSpot refuses.
        """
        self._check_size(body, size)
        limit, offset = _limit(body), _offset(body)
        self._check_cap(limit, offset)
        ids = self._matching(body)
        end = offset + limit
        return Found(ids[offset:end], len(ids), str(end) if end < len(ids) else None)

    def _check_size(self, body: Mapping[str, Any], size: int) -> None:
        if self._portal.switches.search_limit_on == "query":
            size = len(str(body.get("query") or ""))
        if size > MOST_CHARACTERS:
            raise invalid(f"The request is longer than {MOST_CHARACTERS} characters")

    def _check_cap(self, limit: int, offset: int) -> None:
        reach = offset + limit if self._portal.switches.search_cap_counts_limit else offset + 1
        if reach > MOST_RESULTS:
            if self._portal.switches.search_cap_body == "empty":
                raise Refusal(400, {})
            raise invalid("Paging past 10,000 results is not supported")

    def _matching(self, body: Mapping[str, Any]) -> list[int]:
        index = self._portal.index
        if index.version != self._kept_version:
            self._kept.clear()
            self._kept_version = index.version
        key = json.dumps([body.get("filterGroups"), body.get("sorts"), body.get("query")], sort_keys=True)
        if key not in self._kept:
            if len(self._kept) >= _REMEMBERED:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._evaluate(body)
        return self._kept[key]

    def _evaluate(self, body: Mapping[str, Any]) -> list[int]:
        groups = self._groups(body)
        index = self._portal.index
        sort = self._sort(body)
        ids = _union([_members(index, group) for group in groups]) if groups else list(index.ids)
        words = str(body.get("query") or "").lower().split()
        if words:
            ids = [each for each in ids if _mentions(index.rows[each], words)]
        return self._in_order(ids, *sort)

    def _groups(self, body: Mapping[str, Any]) -> list[list[Filter]]:
        groups = _list_of(body.get("filterGroups"), "filterGroups")
        filters = [_list_of(each.get("filters"), "filters") for each in groups]
        if len(groups) > MOST_GROUPS:
            raise invalid(f"Too many filter groups: {len(groups)}, the maximum is {MOST_GROUPS}")
        if any(len(each) > MOST_PER_GROUP for each in filters):
            raise invalid(f"Too many filters in a group, the maximum is {MOST_PER_GROUP}")
        if sum(map(len, filters)) > MOST_FILTERS:
            raise invalid(f"Too many filters, the maximum is {MOST_FILTERS}")
        survivors = self._portal.merged if self._portal.switches.search_old_id == "survivor" else {}
        return [[parse_filter(each, self._portal.properties, survivors) for each in group] for group in filters]

    def _sort(self, body: Mapping[str, Any]) -> tuple[str, bool]:
        sorts = body.get("sorts") or []
        if not isinstance(sorts, list) or len(sorts) > 1:
            raise invalid("Only one sort is supported")
        if not sorts:
            return "createdate", False
        name, descending = _sort_item(sorts[0])
        if name not in self._portal.properties:
            raise invalid(f"Property {name} does not exist and cannot be sorted by")
        return name, descending

    def _in_order(self, ids: list[int], name: str, descending: bool) -> list[int]:
        index = self._portal.index
        if name == "hs_object_id":
            return sorted(ids, reverse=descending)
        kind = self._portal.properties[name].type
        if name == "lastmodifieddate":
            keys: dict[int, Any] = {each: index.modified[each] for each in ids}
        else:
            keys = {each: _sort_key(index.rows[each].get(name), kind) for each in ids}
        filled = [each for each in ids if keys[each] is not None]
        empty = [each for each in ids if keys[each] is None]
        if kind == "datetime" and self._portal.switches.search_disorder:
            # Results come up to an hour out of the order asked for (estuary/connectors#5180): times only, and the
            # same on every page.
            keys = {each: keys[each] + _stray(each) for each in filled}
        return sorted(filled, key=lambda each: (keys[each], each), reverse=descending) + empty


def _members(index: SearchIndex, group: list[Filter]) -> list[int]:
    """Ids that satisfy every filter, looked for in the narrowest range that the filters give."""
    ids_range, time_range = Range(), Range()
    for each in group:
        if each.range is not None:
            if each.name == "hs_object_id":
                ids_range = ids_range.within(each.range)
            elif each.name == "lastmodifieddate":
                time_range = time_range.within(each.range)
    by_id = index.count_ids_between(ids_range.low, ids_range.high)
    by_time = index.count_modified_between(time_range.low, time_range.high)
    if by_time < by_id:
        candidates = index.modified_between(time_range.low, time_range.high)
    else:
        candidates = index.ids_between(ids_range.low, ids_range.high)
    for each in group:
        if each.range is not None and each.name == "hs_object_id":
            low, high = each.range.low, each.range.high
            candidates = [one for one in candidates if low <= one <= high]
        elif each.range is not None and each.name == "lastmodifieddate":
            low, high, modified = each.range.low, each.range.high, index.modified
            candidates = [one for one in candidates if low <= modified[one] <= high]
        else:
            rows, name, test = index.rows, each.name, each.test
            candidates = [one for one in candidates if test(rows[one].get(name))]
    return candidates


def _union(parts: list[list[int]]) -> list[int]:
    return parts[0] if len(parts) == 1 else list(dict.fromkeys(each for part in parts for each in part))


def _mentions(row: Mapping[str, str], words: list[str]) -> bool:
    text = " ".join(row.get(name, "") for name in _QUERIED).lower()
    tokens = text.replace(";", " ").replace("@", " @ ").split()
    return all(any(token.startswith(word) for token in tokens) or ("@" in word and word in text) for word in words)


def _stray(record_id: int) -> int:
    return (record_id * 2_654_435_761 >> 7) % 7_200_000 - 3_600_000 if record_id % 20 == 0 else 0


def _sort_key(text: str | None, kind: str) -> Any:
    if text is None:
        return None
    if kind in ("datetime", "date"):
        return parse_instant(text)
    if kind == "number":
        return float(text)
    return text.lower()


def _sort_item(item: object) -> tuple[str, bool]:
    if isinstance(item, str):
        return item.lstrip("-"), item.startswith("-")
    if isinstance(item, dict) and isinstance(item.get("propertyName"), str):
        direction = item.get("direction", "ASCENDING")
        if direction in ("ASCENDING", "DESCENDING"):
            return item["propertyName"], direction == "DESCENDING"
    raise invalid("Invalid sort")


def _list_of(value: object, name: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise invalid(f"Invalid input JSON: {name} must be a list of objects")
    return value


def _limit(body: Mapping[str, Any]) -> int:
    limit = body.get("limit", 10)
    if isinstance(limit, str):
        limit = whole(limit)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_PER_PAGE:
        raise invalid(f"Invalid limit: the maximum is {MOST_PER_PAGE}")
    return limit


def _offset(body: Mapping[str, Any]) -> int:
    after = body.get("after") or 0
    if isinstance(after, str):
        after = whole(after)
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise invalid("Invalid after: it must be an integer")
    return after
