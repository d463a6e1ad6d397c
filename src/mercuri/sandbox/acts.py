"""What a test or a person does to the sandbox from outside HubSpot's API: act as a user, change rules, count."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from mercuri.sandbox.answers import not_found
from mercuri.sandbox.faults import Faults
from mercuri.sandbox.limits import Limits
from mercuri.sandbox.oauth import OAuth
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Record, person
from mercuri.sandbox.request import whole
from mercuri.sandbox.schema_api import Schema
from mercuri.sandbox.webhooks import Webhooks

#: The portal lives at UTC-5 all year.
UTC_OFFSET_MS = -5 * 3_600_000
_UNCHANGED: Any = object()


class Acts:
    """The plain methods of a sandbox. All take the lock and the time, and may raise `Refusal`."""

    portal: Portal
    limits: Limits
    limit_texts: dict[str, Any]
    oauth: OAuth
    webhooks: Webhooks
    faults: Faults
    schema: Schema
    latency_ms: int
    static_token: str
    app_id: int
    _lock: threading.RLock
    _counts: Counter[str]
    _log: deque[dict[str, Any]]

    def _advance(self) -> None:
        raise NotImplementedError

    # -- as a user of HubSpot

    def add_contacts(self, count: int) -> None:
        """More invented contacts, as by an import."""
        with self._lock:
            self._advance()
            self.portal.seed(count)

    def create(self, properties: Mapping[str, str]) -> str:
        """A person makes a contact; its id."""
        with self._lock:
            self._advance()
            checked = self.portal.check_new(properties, strict=False)
            return self.portal.create(checked, person(), self.portal.now_ms()).text_id

    def update(self, record_id: str, properties: Mapping[str, str]) -> None:
        """A person changes a contact; "" clears."""
        with self._lock:
            self._advance()
            record = self._record(record_id)
            self.portal.update(record, self.portal.check_change(record, properties), person(), self.portal.now_ms())

    def archive(self, record_id: str) -> None:
        """A person deletes a contact: to the recycle bin."""
        with self._lock:
            self._advance()
            self.portal.archive(self._record(record_id), person())

    def restore(self, record_id: str) -> None:
        """A person takes a contact out of the recycle bin."""
        with self._lock:
            self._advance()
            self.portal.restore(_number(record_id), person())

    def merge(self, primary_id: str, other_id: str) -> str:
        """A person merges two contacts; the id of the result."""
        with self._lock:
            self._advance()
            return self.portal.merge(_number(primary_id), _number(other_id), person()).text_id

    def erase(self, record_id: str) -> None:
        """A person deletes a contact for good (GDPR)."""
        with self._lock:
            self._advance()
            self.portal.erase(self._record(record_id), person())

    def stamp(self, count: int, spread_ms: int = 0) -> int:
        """HubSpot's month-end batch gives many contacts the same modification millisecond, which is returned.

        With `spread_ms`, a busy hour: they were modified one after the other, in that time before now.
        """
        with self._lock:
            self._advance()
            return self.portal.stamp(count, spread_ms)

    # -- looking

    def contact(self, record_id: str) -> dict[str, str] | None:
        """Filled properties of the live contact (of the survivor, for an old id), or None."""
        with self._lock:
            record = self.portal.find(_number(record_id))
            return dict(record.values) if record is not None else None

    def contact_ids(self) -> list[str]:
        """Ids of all live contacts, ascending."""
        with self._lock:
            return [str(each) for each in self.portal.live]

    def counts(self) -> dict[str, int]:
        """API requests so far by kind: list, search, read, write, other, throttled."""
        with self._lock:
            return {kind: self._counts[kind] for kind in ("list", "search", "read", "write", "other", "throttled")}

    def reset_counts(self) -> None:
        """Count from nothing again, and forget the log."""
        with self._lock:
            self._counts.clear()
            self._log.clear()

    def log(self) -> list[dict[str, Any]]:
        """The last API requests, oldest first: at (ms), method, path, status, kind, fate."""
        with self._lock:
            return list(self._log)

    # -- rules

    def switch(self, **changes: Any) -> None:
        """Move switches (see `Switches`).

        Raises ValueError for a switch or value that does not exist.
        """
        with self._lock:
            self.portal.set_switches(self.portal.switches.changed(**changes))

    def set_limits(
        self,
        *,
        burst: Any = _UNCHANGED,
        search: Any = _UNCHANGED,
        daily: Any = _UNCHANGED,
        latency_ms: Any = _UNCHANGED,
        lag_ms: Any = _UNCHANGED,
    ) -> None:
        """Other limits, latency or lag of search from now on; what is not named stays.

        Raises ValueError for a limit that cannot be read.
        """
        with self._lock:
            given = {"burst": burst, "search": search, "daily": daily}
            texts = {**self.limit_texts, **{name: value for name, value in given.items() if value is not _UNCHANGED}}
            if texts != self.limit_texts:
                self.limits.set(**texts)
                self.limit_texts = texts
            if latency_ms is not _UNCHANGED:
                self.latency_ms = int(latency_ms)
            if lag_ms is not _UNCHANGED:
                self.portal.index.lag_ms = int(lag_ms)

    def require(self, *names: str) -> None:
        """The portal's admin makes these properties required at creation; paths before 2026-09 do not care."""
        with self._lock:
            self.portal.required = names

    def fault(
        self,
        kind: str,
        count: int = 1,
        match: str = "",
        method: str = "",
        skip: int = 0,
        retry_after: int | None = None,
    ) -> None:
        """The next `count` API requests that match go wrong (see `faults.KINDS`), after `skip` that pass."""
        with self._lock:
            self.faults.add(kind, count, match, method, skip, retry_after)

    def clear_faults(self) -> None:
        """Everything works again."""
        with self._lock:
            self.faults.clear()

    def revoke_tokens(self) -> None:
        """The app is uninstalled: neither refresh nor access tokens work any more."""
        with self._lock:
            self.oauth.revoke_all()

    def revoke_static_tokens(self) -> None:
        """Static tokens stop working."""
        with self._lock:
            self.oauth.revoke_static()

    def expire_tokens(self) -> None:
        """Every access token by OAuth runs out now; refreshing works."""
        with self._lock:
            self._advance()
            self.oauth.expire_all()

    def add_property(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A person adds a property, or changes the one of this name; the property object."""
        with self._lock:
            self._advance()
            known = self.portal.properties.get(str(definition.get("name")))
            if known is not None and known.archived_ms is None:
                return self.schema.change(
                    known.name, {key: value for key, value in definition.items() if key != "name"}
                ).to_json()
            return self.schema.create(definition).to_json()

    def archive_property(self, name: str) -> None:
        """A person deletes a custom property."""
        with self._lock:
            self._advance()
            self.schema.archive(name)

    def grant(self, text: str, scopes: frozenset[str]) -> None:
        """A static token with these scopes alone."""
        with self._lock:
            self.oauth.set_static(text, scopes)

    def account(self) -> dict[str, Any]:
        """The body of account info."""
        return {
            "portalId": self.portal.portal_id,
            "timeZone": "America/Bogota",
            "utcOffset": "-05:00",
            "utcOffsetMilliseconds": UTC_OFFSET_MS,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
            "accountType": "DEVELOPER_TEST",
            "companyCurrency": "USD",
            "additionalCurrencies": [],
        }

    def _record(self, record_id: str) -> Record:
        record = self.portal.find(_number(record_id))
        if record is None:
            raise not_found()
        return record


def _number(record_id: str) -> int:
    number = whole(record_id)
    if number is None:
        raise not_found()
    return number
