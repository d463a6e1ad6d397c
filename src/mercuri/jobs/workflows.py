"""Workflow name -> use case: the whole list. A step returns a state word, never contacts."""

from __future__ import annotations

from typing import Protocol

from dbos import DBOS

from mercuri.core.contact import RunId, WorkspaceId
from mercuri.engine import run as runs
from mercuri.engine.app import App
from mercuri.store.runs import Run


class Left(Exception):
    """The worker stops: the run stays where its last checkpoint is, and goes on at the next start."""


class _Worker(Protocol):
    @property
    def app(self) -> App: ...
    @property
    def owner(self) -> str: ...
    @property
    def stopping(self) -> bool: ...


class _Bound:
    """What the workflows work with: set when a worker starts, since the job engine calls them by name."""

    worker: _Worker | None = None


def bind(worker: _Worker | None) -> None:
    """Let the workflows of this process work for `worker`, or for nobody."""
    _Bound.worker = worker


@DBOS.step(name="execute")
def _execute(workspace: int, run_id: int) -> str:
    assert _Bound.worker is not None, "a workflow ran before its worker started"
    worker = _Bound.worker

    def go_on(_: Run) -> None:
        if worker.stopping:
            raise Left

    found = runs.execute(worker.app, WorkspaceId(workspace), RunId(run_id), owner=worker.owner, progress=go_on)
    return found.state


@DBOS.workflow(name="run")
def run_workflow(workspace: int, run_id: int) -> str:
    """Execute one run, from where it stands. Killed in the middle, it is taken up again at its last checkpoint."""
    return _execute(workspace, run_id)
