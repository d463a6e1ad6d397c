"""A real worker, with its job engine, on a real sandbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dbos import DBOS
from tests.support.database import BACKENDS, fresh_url
from tests.support.sandbox import running_sandbox

from mercuri.config import Settings
from mercuri.core.contact import PortalId, RunId
from mercuri.engine import portal as portals_of
from mercuri.engine import run as runs_of
from mercuri.engine.app import SYSTEM
from mercuri.jobs.worker import Worker
from mercuri.store import portals, runs, workers
from mercuri.store.database import ANY
from mercuri.store.runs import Run
from mercuri.wiring import Services, build


@pytest.fixture(params=BACKENDS)
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Services, threading.Event, PortalId]]:
    wake = threading.Event()
    with running_sandbox(contacts=250) as hubspot, fresh_url(request.param, tmp_path) as url:
        settings = Settings(data_dir=tmp_path, database_url=url, hubspot_api_url=hubspot.url)
        with closing(build(settings, wake.set)) as built:
            token = hubspot.sandbox.static_token
            portal = portals_of.connect_static(built.app, built.default_workspace, token, SYSTEM)
            yield built, wake, portal.portal_id


@contextmanager
def _working(services: Services, wake: threading.Event) -> Iterator[Worker]:
    worker = Worker(services, "one", wake)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def _ended(services: Services, run: RunId) -> Run:
    for _ in range(600):
        with services.app.db.read(services.default_workspace) as tx:
            found = runs.get(tx, run)
        if not found.is_live:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the run is still {found.state}: {found.message}")


def _job_history(wake: threading.Event) -> list[str]:
    """What the job engine still remembers, once the worker has looked at the ends of its runs."""
    for _ in range(200):
        wake.set()
        left = [one.workflow_id for one in DBOS.list_workflows()]
        if not left:
            break
        time.sleep(0.05)
    return left


def test_a_worker_executes_a_run_that_is_asked_for(services: tuple[Services, threading.Event, PortalId]) -> None:
    built, wake, portal = services

    with _working(built, wake):
        asked = runs_of.request(built.app, built.default_workspace, portal, trigger="button", actor=SYSTEM)
        done = _ended(built, asked.id)

        left = _job_history(wake)

    assert done.state == "done"
    assert done.counts["created"] == 250
    assert left == []


def _is_anyone_alive(built: Services) -> bool:
    with built.app.db.read(ANY) as tx:
        return workers.any_alive(tx, built.app.now())


def test_a_worker_shows_that_it_lives_until_it_stops(services: tuple[Services, threading.Event, PortalId]) -> None:
    built, wake, _ = services
    before = _is_anyone_alive(built)

    with _working(built, wake):
        for _ in range(200):
            if _is_anyone_alive(built):
                break
            time.sleep(0.05)
        during = _is_anyone_alive(built)

    assert (before, during, _is_anyone_alive(built)) == (False, True, False)


def test_a_scheduled_time_missed_is_caught_up_once(services: tuple[Services, threading.Event, PortalId]) -> None:
    built, wake, portal = services
    ws = built.default_workspace
    portals_of.change_settings(built.app, ws, portal, {"schedule": "every 1h"}, SYSTEM)
    with built.app.db.write(ws) as tx:
        portals.save(tx, portal, next_at=datetime.now(UTC) - timedelta(days=3))

    with _working(built, wake):
        for _ in range(400):
            with built.app.db.read(ws) as tx:
                found = runs.recent(tx, portal, limit=10)
            if found and not found[0].is_live:
                break
            time.sleep(0.05)

    with built.app.db.read(ws) as tx:
        next_at = portals.get(tx, portal).next_at
    assert [(run.trigger, run.state) for run in found] == [("schedule", "done")]
    assert next_at is not None
    assert next_at > datetime.now(UTC)


def test_a_worker_that_stops_and_starts_again_leaves_nothing_in_the_job_engine(
    services: tuple[Services, threading.Event, PortalId],
) -> None:
    built, wake, portal = services

    with _working(built, wake):
        asked = runs_of.request(built.app, built.default_workspace, portal, trigger="button", actor=SYSTEM)
        for _ in range(400):
            if DBOS.list_workflows():
                break
            time.sleep(0.01)
    with _working(built, wake):
        done = _ended(built, asked.id)
        left = _job_history(wake)

    assert done.counts["created"] == 250
    assert left == []
