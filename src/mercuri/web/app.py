"""The web app: pages, API, static files, and what every request passes through."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from mercuri.store import conflicts, duplicates
from mercuri.web import api, auth, headers, health, problems, webhooks
from mercuri.web.limits import BodyLimit
from mercuri.web.pages import OPEN_ROUTERS, ROUTERS, views
from mercuri.web.pages.imports import LARGEST_BYTES
from mercuri.web.render import STATIC, Renderer, static_mark
from mercuri.web.services import app_of
from mercuri.wiring import Services

_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
#: Largest body of a request that carries no file.
_BODY = 4 * 1024 * 1024
#: Where whole files are sent.
_FILES = ("/contacts/import", "/api/v1/contacts/import")


def create_app(services: Services) -> FastAPI:
    """The app over these services. It starts no thread and no worker."""
    registry = CollectorRegistry()
    registry.register(health.State(services.app))
    middleware = [
        Middleware(health.Measured, registry=registry),
        Middleware(
            headers.SecurityHeaders,
            policy=headers.content_policy(services.settings.hubspot_app_url),
            https=services.settings.public_url.startswith("https://"),
        ),
        Middleware(GZipMiddleware, minimum_size=1000),
        Middleware(
            BodyLimit,
            most_bytes=_BODY,
            more=dict.fromkeys(_FILES, LARGEST_BYTES + _BODY),
        ),
    ]
    # The API's description is a route of the API.
    app = FastAPI(title="Mercuri", openapi_url=None, docs_url=None, redoc_url=None, middleware=middleware)
    app.state.services = services
    app.state.metrics = registry
    app.state.renderer = Renderer(services.app.now, _navigation, auth.csrf_of)
    problems.install(app)
    app.include_router(health.router, include_in_schema=False)
    app.include_router(webhooks.router, include_in_schema=False)
    app.include_router(api.router)
    for router in OPEN_ROUTERS:
        app.include_router(router, include_in_schema=False)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(auth.guarded)], include_in_schema=False)
    app.mount("/static", _Static(directory=STATIC))
    app.add_api_route("/", _home, include_in_schema=False)
    return app


def _home() -> Response:
    return RedirectResponse("/contacts", 303)


class _Static(StaticFiles):
    """Files under the mark of their state are kept for good; without it, or under an old one, asked for again."""

    def get_path(self, scope: Scope) -> str:
        """The path of the file, its mark taken away."""
        mark, _, rest = super().get_path(scope).partition("/")
        is_marked = len(mark) == len(static_mark()) and all(letter in "0123456789abcdef" for letter in mark)
        scope["is_current"] = mark == static_mark()
        return rest if is_marked else super().get_path(scope)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _FOR_GOOD if scope["is_current"] else _ASK_AGAIN
        return response


def _navigation(request: Request) -> list[tuple[str, str, str, int]]:
    identity = request.state.identity
    with app_of(request).db.read(identity.workspace) as tx:
        groups, open_conflicts = duplicates.totals(tx).groups, conflicts.count_open(tx)
        home = views.home(tx, identity)
    return [
        ("contacts", "Contacts", home, 0),
        ("duplicates", "Duplicates", "/duplicates", groups),
        ("runs", "Runs", "/runs", 0),
        ("conflicts", "Conflicts", "/conflicts", open_conflicts),
        ("settings", "Settings", "/settings", 0),
    ]
