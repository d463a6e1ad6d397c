"""A worker: executes the runs that are due, gives signs of life, and does each duty in its turn.

What is due stands in our own tables; the job engine makes the execution durable, so that a run killed with its
process is taken up again at its last checkpoint: by the same worker at its next start, or by another once the dead
one's lease on the portal is over.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import structlog
from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowHandle
from sqlalchemy import make_url

from mercuri import __version__
from mercuri.core.contact import RunId, WorkspaceId
from mercuri.engine import run as runs_of
from mercuri.engine.app import App
from mercuri.errors import AppError
from mercuri.jobs import workflows
from mercuri.jobs.schedule import DUTIES, Duty
from mercuri.store import runs, workers, workspaces
from mercuri.store.database import ANY
from mercuri.wiring import Services

_log = structlog.get_logger("mercuri.worker")
#: How long a worker sleeps when nobody wakes it.
PULSE = timedelta(seconds=1)
_BEAT = timedelta(seconds=5)
#: How long a stopping worker waits for its runs to reach a checkpoint.
_PATIENCE = timedelta(seconds=20)
_UNFORESEEN = (
    "The run met an error that nobody foresaw, and stopped. What was stored so far is kept. Start it again; "
    "if it stops again, the log of the worker names the error."
)


class Worker:
    """One worker in this process. On SQLite there is one for the database; on PostgreSQL as many as one likes.

    `wake` is set by whoever writes work into the tables of this process, so that it starts at once. `worker_id` must
    be the same at every start of the same worker, and no other's.
    """

    def __init__(self, services: Services, worker_id: str, wake: threading.Event | None = None) -> None:
        self.owner = worker_id
        self._services = services
        self._wake = wake or threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="worker", daemon=True)
        self._duties = ThreadPoolExecutor(max_workers=4, thread_name_prefix="duty")
        self._busy: dict[str, Future[None]] = {}
        self._done_at: dict[str, float] = {}
        self._running: dict[tuple[WorkspaceId, RunId], WorkflowHandle[str]] = {}

    @property
    def app(self) -> App:
        """The use cases' surroundings."""
        return self._services.app

    @property
    def stopping(self) -> bool:
        """Whether runs have to be left at their next checkpoint."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start working in a thread of its own, and take up what a former process of this worker left."""
        workflows.bind(self)
        DBOS(config=_config(self._services, self.owner))
        DBOS.launch()
        self._forget_ended()
        self._thread.start()

    def _forget_ended(self) -> None:
        """Have the job engine forget what ended when nobody looked: as a former process of this worker stopped."""
        ended = ["SUCCESS", "ERROR", "CANCELLED"]
        for left in DBOS.list_workflows(executor_id=self.owner, status=ended, load_input=False, load_output=False):
            DBOS.delete_workflow(left.workflow_id)

    def stop(self) -> None:
        """Stop after the pages under way; runs go on at the next start."""
        self._stop.set()
        self._wake.set()
        self._thread.join(_PATIENCE.total_seconds())
        self._wait_for_runs()
        self._duties.shutdown(wait=True, cancel_futures=True)
        DBOS.destroy(workflow_completion_timeout_sec=0)
        workflows.bind(None)
        with suppress(AppError), self.app.db.write(ANY) as tx:
            workers.gone(tx, self.owner)

    def _loop(self) -> None:
        last_beat = 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() - last_beat >= _BEAT.total_seconds():
                    with self.app.db.write(ANY) as tx:
                        workers.beat(tx, self.owner, self.app.now())
                    last_beat = time.monotonic()
                self._start_runs()
                self._start_duties()
            except Exception as error:  # noqa: BLE001 - an edge: noted, and tried again at the next pulse
                _log.warning("worker.pulse_failed", error=type(error).__name__)
            self._wake.wait(PULSE.total_seconds())
            self._wake.clear()

    def _wait_for_runs(self) -> None:
        """Wait until the runs under way have come to a checkpoint, where they are left."""
        end = time.monotonic() + _PATIENCE.total_seconds()
        while self._running and time.monotonic() < end:
            self._look_at_ends()
            time.sleep(0.02)

    def _look_at_ends(self) -> None:
        for key, handle in list(self._running.items()):
            if handle.get_status().status not in ("PENDING", "ENQUEUED"):
                del self._running[key]
                self._look_at_end(key, handle)

    def _start_runs(self) -> None:
        self._look_at_ends()
        with self.app.db.read(ANY) as tx:
            due = runs.due(tx, self.app.now())
        for ws, found in due:
            if (ws, found.id) not in self._running:
                # A run that waited is started again under another name: each execution is a workflow of its own.
                with SetWorkflowID(f"run-{ws}-{found.id}-{time.time_ns()}"):
                    self._running[ws, found.id] = DBOS.start_workflow(workflows.run_workflow, ws, found.id)

    def _look_at_end(self, key: tuple[WorkspaceId, RunId], handle: WorkflowHandle[str]) -> None:
        try:
            handle.get_result()
        except workflows.Left:
            pass
        except Exception as error:  # noqa: BLE001 - an edge: the run is ended with a sentence
            _log.error("run.failed", run=key[1], error=type(error).__name__)
            sentence = (
                "The run met an error that nobody foresaw, and stopped. What was stored so far is kept. Start it again."
            )
            runs_of.give_up(self.app, key[0], key[1], sentence)
        # The run's own row tells what became of it; the job engine need not remember it too.
        DBOS.delete_workflow(handle.workflow_id)

    def _start_duties(self) -> None:
        for duty in DUTIES:
            if not duty.always and self._services.settings.scheduler != "on":
                continue
            pending = self._busy.get(duty.name)
            waited = time.monotonic() - self._done_at.get(duty.name, float("-inf"))
            if (pending is None or pending.done()) and waited >= duty.period.total_seconds():
                self._done_at[duty.name] = time.monotonic()
                self._busy[duty.name] = self._duties.submit(self._do, duty)

    def _do(self, duty: Duty) -> None:
        with self.app.db.read(ANY) as tx:
            known = workspaces.all(tx)
        for workspace in known:
            try:
                duty.act(self.app, workspace.id)
            except Exception as error:  # noqa: BLE001 - an edge: one workspace's trouble is not another's
                _log.warning("duty.failed", duty=duty.name, workspace=workspace.id, error=type(error).__name__)


def _config(services: Services, owner: str) -> DBOSConfig:
    logging.getLogger("dbos").setLevel(logging.ERROR)
    return DBOSConfig(
        name="mercuri",
        system_database_url=_jobs_url(services),
        executor_id=owner,
        application_version=__version__,
        log_level="ERROR",
    )


def _jobs_url(services: Services) -> str:
    """Where the job engine keeps its own tables: beside our SQLite file, or in a schema of our PostgreSQL database."""
    url = make_url(services.settings.url)
    if url.get_backend_name() != "sqlite":
        return url.set(drivername="postgresql").render_as_string(hide_password=False)
    file = services.settings.data_path / "jobs.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return f"sqlite:///{file}"
