"""Faults on demand: the next few requests that match go wrong in a chosen way."""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = (
    "429", "500", "502", "503", "504", "423", "477", "cut", "truncated", "timeout", "expired_token", "revoked", "outage",
    "lost_reply_before", "lost_reply_after",
)  # fmt: skip


@dataclass(slots=True)
class Fault:
    """`count` matching requests fail, after `skip` that pass; a count of 0 fails until it is cleared."""

    kind: str
    count: int
    skip: int
    match: re.Pattern[str]
    method: str
    retry_after: int | None


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
