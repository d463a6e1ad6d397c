"""Is the process up, can it work, and how much does it do: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mercuri.engine.app import App
from mercuri.errors import AppError
from mercuri.store import conflicts, failures, portals, runs, users, workspaces
from mercuri.store.database import ANY
from mercuri.web.problems import problem
from mercuri.web.services import app_of, services_of

router = APIRouter()


@router.get("/healthz")
def healthz() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok")


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """Database, migrations and keys are in order; 503 with the reasons otherwise."""
    app = app_of(request)
    try:
        reasons = app.db.problems()
        app.vault.decrypt(app.vault.encrypt(b"ready"))
    except AppError as error:
        reasons = [error.message]
    return JSONResponse({"ready": not reasons, "problems": reasons}, 503 if reasons else 200)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus metrics, for an API token, or for everybody where the settings say so."""
    if not services_of(request).settings.metrics_public and not _has_token(request):
        return problem(401, "Log in first", "Send an API token, or set MERCURI_METRICS_PUBLIC=1.")
    registry: CollectorRegistry = request.app.state.metrics
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _has_token(request: Request) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    with app_of(request).db.read(ANY) as tx:
        return kind.lower() == "bearer" and users.find_token(tx, token.strip()) is not None


class Measured:
    """ASGI middleware: how many requests, how long they took, by method and class of status."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self.app = app
        self.seconds = Histogram(
            "mercuri_http_request_seconds", "Time to answer a request.", ("method", "status"), registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it when its answer begins: a stream may last for hours."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
                self.seconds.labels(scope["method"], status).observe(perf_counter() - began)
            await send(message)

        await self.app(scope, receive, counted)


class State(Collector):
    """What the database says at the moment of asking, by workspace."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """One gauge each for failing things, open conflicts, live runs and broken portals."""
        gauges = {
            "mercuri_failing": "Things that fail at present.",
            "mercuri_conflicts_open": "Conflicts that wait for a person.",
            "mercuri_runs_live": "Runs that are under way.",
            "mercuri_portals_broken": "Portals that must be connected again.",
        }
        families = {name: GaugeMetricFamily(name, text, labels=("workspace",)) for name, text in gauges.items()}
        with self._app.db.read(ANY) as tx:
            known = workspaces.all(tx)
        for workspace in known:
            with self._app.db.read(workspace.id) as tx:
                held = portals.all(tx)
                values = (
                    failures.count(tx),
                    conflicts.count_open(tx),
                    sum(runs.live(tx, portal.id) is not None for portal in held),
                    sum(portal.state == "reconnect" for portal in held),
                )
            for family, value in zip(families.values(), values, strict=True):
                family.add_metric((str(workspace.id),), value)
        yield from families.values()
