"""What one execution of a run carries from step to step, and the one way in which a step is stored.

Everything that a run does is divided into steps: requests to HubSpot first, then one transaction that stores their
outcome together with the counts and the checkpoint. A run can be killed between any two instructions and goes on from
its last step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from mercuri.core.contact import Origin, PortalId, WorkspaceId
from mercuri.core.diff import Rule
from mercuri.core.settings import Direction, MappingItem, PortalSettings
from mercuri.engine.app import App
from mercuri.hubspot.client import Client
from mercuri.store import portals, runs
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.portals import Portal
from mercuri.store.runs import Run

#: The form of a run's checkpoint; another one is not understood, and the run starts over from its beginning.
CHECKPOINT_VERSION = 1
#: How long a claim on a portal lasts without a sign of life.
LEASE = timedelta(seconds=90)


class Stopped(Exception):
    """A person asked the run to stop; what was stored stays."""


@dataclass(frozen=True)
class Carried:
    """What of the settings the portal's schema can carry now; `ask` are the properties that every read names."""

    mapping: tuple[MappingItem, ...]
    rules: Mapping[str, Rule]
    ask: tuple[str, ...]

    @cached_property
    def one_way(self) -> frozenset[str]:
        """The fields that HubSpot's values never come into."""
        return frozenset(item.field for item in self.mapping if item.direction is Direction.OUT)


@dataclass
class Work:
    """One execution of a run, by the one who holds the portal's lease (`fence`)."""

    app: App
    ws: WorkspaceId
    portal: Portal
    settings: PortalSettings
    carried: Carried
    region: str
    own_id: str  # what our contact ids start with in HubSpot
    run: Run
    client: Client
    fence: int
    owner: str
    progress: Callable[[Run], None] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    stage: str = "observe"
    has_young_schema: bool = False

    @property
    def portal_id(self) -> PortalId:
        """The portal that the run is about."""
        return self.portal.portal_id

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.app.now()

    @property
    def two_way(self) -> bool:
        """Whether fields may be written: a preview shows what would be written if they might."""
        return self.settings.two_way

    @property
    def preview(self) -> bool:
        """Whether the run only shows what it would do."""
        return self.run.preview

    @property
    def mapping(self) -> tuple[MappingItem, ...]:
        """The mapped properties that carry values now."""
        return self.carried.mapping

    @property
    def rules(self) -> Mapping[str, Rule]:
        """How each of their fields is merged."""
        return self.carried.rules

    @property
    def ask(self) -> tuple[str, ...]:
        """The properties that every read names."""
        return self.carried.ask

    def origin(self) -> Origin:
        """The origin of a value that this run takes from HubSpot."""
        return Origin("hubspot", self.portal_id, self.now, self.run.id)

    @contextmanager
    def step(self) -> Iterator[Tx]:
        """One transaction of the run: at its end the counts, the checkpoint and the lease are stored with it.

        Raises Stopped, before anything is stored, when a person asked the run to stop, and LeaseLost when another
        worker has taken over. A step that raised leaves the counts and the checkpoint as they were.
        """
        counts, checkpoint = Counter(self.counts), dict(self.checkpoint)
        try:
            with self.app.db.write(self.ws) as tx:
                portals.check_fence(tx, self.portal_id, self.fence)
                if runs.is_cancelled(tx, self.run.id):
                    raise Stopped
                yield tx
                self.checkpoint.pop("waits", None)
                portals.renew_lease(tx, self.portal_id, self.fence, self.now + LEASE)
                self._save(tx)
        except BaseException:
            self.counts, self.checkpoint = counts, checkpoint
            raise
        if self.progress:
            self.progress(self.run)

    def look(self) -> AbstractContextManager[Tx]:
        """A transaction that only reads."""
        return self.app.db.read(self.ws)

    def is_cancelled(self) -> bool:
        """Whether a person asked the run to stop."""
        with self.look() as tx:
            return runs.is_cancelled(tx, self.run.id)

    def _save(self, tx: Tx) -> None:
        body = {"v": CHECKPOINT_VERSION, **self.checkpoint}
        values = {
            "stage": self.stage,
            "counts": dict(self.counts),
            "calls": self.client.calls.as_dict(),
            "checkpoint": body,
        }
        runs.save(tx, self.run.id, **values)
        self.run = replace(self.run, **values)  # type: ignore[arg-type]  # the names are Run's own

    def note_reading(self, tx: Tx, **values: Any) -> None:
        """Change some values of how far the portal is read; others may have changed meanwhile, and stay."""
        now = portals.get(tx, self.portal_id).reading
        portals.save(tx, self.portal_id, reading={**now, **values})

    def recount(self, outcome: str) -> None:
        """Count a record that was counted before in this run under another word, `unchanged` most likely."""
        before = next((name for name in ("unchanged", "updated", "created") if self.counts[name]), None)
        if before is None:
            self.count(outcome)
            return
        self.counts[before] -= 1
        self.counts[outcome] += 1

    def count_updated(self, link: Link) -> None:
        """Count a contact that changed without its record having been fetched just now."""
        if link.run == self.run.id and self.counts["unchanged"]:
            self.counts["unchanged"] -= 1
            self.counts["updated"] += 1
        elif link.run != self.run.id:
            self.count("updated")

    def count(self, outcome: str, number: int = 1) -> None:
        """Count records that were fetched, by what became of them."""
        self.counts["fetched"] += number
        self.counts[outcome] += number
