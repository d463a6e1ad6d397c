"""The web app for tests: in-process, on a real SQLite database, with a person who is logged in."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import httpx
from fastapi import FastAPI
from tests.support.clock import Clock
from tests.support.database import fresh_url
from tests.support.html import Element, parse

from mercuri.config import Settings
from mercuri.engine import edit
from mercuri.engine.app import Actor
from mercuri.store import users
from mercuri.store.passwords import hashed
from mercuri.web import auth
from mercuri.web.app import create_app
from mercuri.wiring import Services, build

HOST = "http://mercuri.test"
PASSWORD = "a long enough sentence"
_HASH = hashed(PASSWORD)  # once: argon2 is slow on purpose
OWNER = Actor("owner@example.org", "owner")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One event loop for all requests, in a thread of its own: the test's thread may have a browser's loop."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


class AsgiTransport(httpx.BaseTransport):
    """Asks an ASGI app directly, with no socket; an error of the app is its answer 500."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(self._ask(request), _loop()).result()

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        inner = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
        answer = await inner.handle_async_request(sent)
        body = await answer.aread()
        headers = [(name, value) for name, value in answer.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(answer.status_code, headers=headers, content=body, request=request)


class Browser(httpx.Client):
    """Keeps cookies and follows redirects, as a person's browser does."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(transport=AsgiTransport(app), base_url=HOST, follow_redirects=True)

    def page(self, address: str, status: int = 200) -> Element:
        """A page as a tree; fails unless it has this status."""
        answer = self.get(address)
        assert answer.status_code == status, f"{address}: {answer.status_code}"
        return parse(answer.text)

    def submit(self, form: Element, **values: str) -> httpx.Response:
        """Send a form of a page with these values changed."""
        return self.post(form.attributes["action"], data={**form.fields(), **values})

    def part(self, address: str, target: str = "", **headers: str) -> httpx.Response:
        """What htmx would be answered."""
        return self.get(address, headers={"HX-Request": "true", "HX-Target": target, **headers})


@dataclass(frozen=True)
class Site:
    """The app, what is behind it, and its clock."""

    web: FastAPI
    services: Services
    clock: Clock

    def add_user(self, email: str, role: str) -> None:
        """Make a user whose password is PASSWORD."""
        app, workspace = self.services.app, self.services.default_workspace
        with app.db.write(workspace) as tx:
            users.add_user(tx, email, _HASH, role, app.now())

    def browser(self, role: str | None = None) -> Browser:
        """A browser, with a person of this role logged in, or nobody."""
        browser = Browser(self.web)
        if role is None:
            return browser
        email, app = f"{role}@example.org", self.services.app
        with app.db.read(self.services.default_workspace) as tx:
            known = {user.email for user in users.users(tx)}
        if email not in known:
            self.add_user(email, role)
        with app.db.write(self.services.default_workspace) as tx:
            login = users.find_login(tx, email)
            assert login is not None
            token = users.start_session(tx, login.user_id, app.now(), auth.LIFETIME)
        browser.cookies.set(auth.COOKIE, token, domain="mercuri.test")
        return browser

    def a_contact(self, **fields: str) -> int:
        """A contact typed by the owner; its id."""
        values = {"first_name": "Ana", "last_name": "Duarte", **fields}
        return edit.create_contact(self.services.app, self.services.default_workspace, values, OWNER).id


@contextlib.contextmanager
def a_site(directory: Path, **settings: object) -> Iterator[Site]:
    """An app over an empty SQLite database."""
    clock = Clock()
    with fresh_url("sqlite", directory) as url:
        made = Settings(data_dir=directory, database_url=url, public_url=HOST, **settings)  # type: ignore[arg-type]
        services = build(made)
        services = replace(services, app=replace(services.app, now=clock.now))
        try:
            yield Site(create_app(services), services, clock)
        finally:
            services.close()
