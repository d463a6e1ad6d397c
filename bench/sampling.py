"""Where the processor time of the main thread goes, by module of ours; what a library does counts for its caller."""

from __future__ import annotations

import signal
import time
from collections import Counter
from types import FrameType
from typing import Any

_EVERY = 0.001


class Sampling:
    """Used with `with`; afterwards `told` says it in one line. Costs a few per cent of what is measured."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._seen = 0.0

    def __enter__(self) -> Sampling:
        signal.signal(signal.SIGPROF, self._sample)
        self._seen = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
        return self

    def __exit__(self, *raised: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, number: int, frame: FrameType | None) -> Any:
        # Weighed by what was spent since the last sample: while C code runs, signals wait and become one.
        now = time.thread_time()
        self._spent[_ours(frame)] += now - self._seen  # type: ignore[assignment]  # a Counter counts seconds as well
        self._seen = now

    def told(self, most: int = 12) -> str:
        """The modules that cost most, each with its share."""
        whole = sum(self._spent.values()) or 1
        return ", ".join(f"{module} {spent / whole:.0%}" for module, spent in self._spent.most_common(most))


def _ours(frame: FrameType | None) -> str:
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("mercuri."):
            return name.removeprefix("mercuri.")
        frame = frame.f_back
    return "other"
