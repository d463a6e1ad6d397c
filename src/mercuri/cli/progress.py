"""A run as it goes on, at the terminal: stage, counts, rate, time left. All of it on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from mercuri.cli.edge import say

if TYPE_CHECKING:
    from mercuri.store.runs import Run

_STAGES = {
    "observe": "Reading HubSpot",
    "match": "Matching people",
    "compare": "Comparing",
    "write": "Writing",
    "check": "Checking",
    "": "Starting",
}


class Watcher(Protocol):
    """Is shown a run each time it moved on."""

    def __call__(self, run: Run) -> None: ...


@contextmanager
def shown(quiet: bool = False) -> Iterator[Watcher]:
    """A bar where somebody looks at standard error, a line per stage where it is a file, nothing when `quiet`."""
    if quiet:
        yield lambda run: None
    elif sys.stderr.isatty():
        with _bar() as watcher:
            yield watcher
    else:
        yield _Lines()


class _Lines:
    def __init__(self) -> None:
        self._last = ""

    def __call__(self, run: Run) -> None:
        line = f"{run.state} {run.stage}".strip()
        if line != self._last and run.is_live:
            self._last = line
            say(f"Run {run.id}: {title(run)}" + ("" if run.state == "waiting" else f", {counted(run)}"))


@contextmanager
def _bar() -> Iterator[Watcher]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Starting", total=None, rate="", counts="")

        def watcher(run: Run) -> None:
            speed = progress.tasks[0].speed
            progress.update(
                task,
                description=title(run),
                total=run.expected or None,
                completed=run.counts.get("fetched", 0),
                rate=f"{speed:,.0f}/s" if speed else "",
                counts=counted(run),
            )

        yield watcher


def title(run: Run) -> str:
    """What a run is doing, in words."""
    if run.state == "waiting":
        until = f" until {run.resume_at:%d %b %H:%M} UTC" if run.resume_at else ""
        return f"Waiting{until}: {run.message}" if run.message else f"Waiting{until}"
    return "Queued" if run.state == "queued" else _STAGES.get(run.stage, run.stage)


def counted(run: Run) -> str:
    """The counts that are not zero, in words."""
    words = {"pushed_created": "created in HubSpot", "pushed_updated": "updated in HubSpot"}
    parts = [f"{number:,} {words.get(name, name)}" for name, number in run.counts.items() if number]
    return ", ".join(parts) or "nothing yet"
