"""Faults on demand: the next few requests that match go wrong in a chosen way."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mercuri.sandbox.answers import Refusal
from mercuri.sandbox.oauth import expired, refused_refresh, unauthorised

KINDS = (
    "429", "500", "502", "503", "504", "423", "477", "cut", "truncated", "timeout", "expired_token", "revoked",
    "outage", "lost_reply_before", "lost_reply_after",
)  # fmt: skip


_MESSAGES = {423: "The resource is locked", 477: "This account is being migrated between data centres"}


@dataclass(slots=True)
class Fault:
    """`count` matching requests fail, after `skip` that pass; a count of 0 fails until it is cleared."""

    kind: str
    count: int
    skip: int
    match: re.Pattern[str]
    method: str
    retry_after: int | None

    def refusal(self, path: str) -> Refusal:
        """The error this fault answers with; the token endpoint and search have their own words."""
        headers = {"retry-after": str(self.retry_after)} if self.retry_after is not None else {}
        if self.kind == "expired_token":
            return expired(17)
        if self.kind == "revoked":
            return refused_refresh() if path.startswith("/oauth/") else unauthorised()
        if self.kind == "429":
            return Refusal(429, _throttled(path), headers)
        status = 503 if self.kind == "outage" else int(self.kind)
        if status == 477 and not headers:
            headers = {"retry-after": "3600"}
        return Refusal(status, {"status": "error", "message": _MESSAGES.get(status, "internal error")}, headers)


def _throttled(path: str) -> dict[str, str]:
    if path.startswith("/oauth/"):
        return {"status": "error", "message": "You have reached your rate limit."}
    if path.endswith("/search"):
        return {"status": "error", "message": "You have reached your secondly limit.", "category": "RATE_LIMITS"}
    message = "You have reached your ten_secondly_rolling limit."
    return {"status": "error", "message": message, "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}


class Faults:
    """What was asked for and not yet spent, first come first served."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(
        self,
        kind: str,
        count: int = 1,
        match: str = "",
        method: str = "",
        skip: int = 0,
        retry_after: int | None = None,
    ) -> None:
        """Ask for a fault. `match` is a regular expression searched in the path; `retry_after` is in seconds.

        Raises ValueError with a sentence for an unknown kind or a broken expression.
        """
        if kind not in KINDS:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(KINDS)}.")
        try:
            pattern = re.compile(match)
        except re.error as error:
            raise ValueError(f"{match!r} is no regular expression: {error}.") from error
        self._pending.append(Fault(kind, 0 if kind == "outage" else count, skip, pattern, method.upper(), retry_after))

    def clear(self) -> None:
        """Everything works again."""
        self._pending.clear()

    def pending(self) -> list[dict[str, object]]:
        """What is still to come."""
        return [
            {
                "kind": each.kind,
                "count": each.count,
                "skip": each.skip,
                "match": each.match.pattern,
                "method": each.method,
            }
            for each in self._pending
        ]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request, if any."""
        for fault in self._pending:
            if (fault.method and fault.method != method) or not fault.match.search(path):
                continue
            if fault.kind == "expired_token" and path.startswith("/oauth/"):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            self._spend(fault)
            return fault
        return None

    def _spend(self, fault: Fault) -> None:
        if fault.count == 1:
            self._pending.remove(fault)
        elif fault.count:
            fault.count -= 1
