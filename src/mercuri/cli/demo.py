"""`mercuri demo`: a sandbox portal, connected through OAuth, synced and served with one command."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mercuri.cli import oauth, serving, sync
from mercuri.cli.edge import say
from mercuri.cli.session import Session, session
from mercuri.errors import AppError, UserError

if TYPE_CHECKING:
    from mercuri.config import Settings
    from mercuri.sandbox import Running
    from mercuri.store.portals import Portal

EMAIL = "demo@example.org"
_CLIENT = ("sandbox-client", "sandbox-secret")
#: How often the sandbox is written to its file while the demo runs, in seconds; and at the end.
_KEPT_EVERY = 30


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the web app listens.")] = serving.PORT,
    contacts: Annotated[int, typer.Option(min=0, help="How many contacts the sandbox has, at the first start.")] = 5000,
    serve: Annotated[bool, typer.Option(help="Serve the web app after the first sync.")] = True,
) -> None:
    """Try Mercuri: a sandbox portal, connected, synced and served. Everything stays in ./.demo."""
    home = Path(os.environ.get("MERCURI_DATA_DIR") or ".demo")
    with _sandbox(home, contacts) as running:
        settings = _settings(home, port, running.url)
        bell = threading.Event()
        with session(settings, bell.set) as s, serving.served(s, "127.0.0.1", port) as web:
            password = _login(s, home)
            portal = _connected(s, settings, password)
            _synced(s, portal)
            _tell(settings, running, home)
            if serve:
                running.sandbox.webhooks.aim(f"{settings.public_url}/webhooks/hubspot")
                with serving.working(s, "demo", bell):
                    web.wait()


@contextmanager
def _sandbox(home: Path, contacts: int) -> Iterator[Running]:
    """The sandbox on a free port, as it was when the demo last ended."""
    from mercuri.sandbox import Sandbox, start_in_thread
    from mercuri.sandbox.keeping import restore

    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{home} cannot be made: {error.strerror}.") from error
    file = home / "sandbox.state"
    made = Sandbox(client_id=_CLIENT[0], client_secret=_CLIENT[1])
    if restore(made, file):
        say("Starting the sandbox as it was.")
    else:
        say(f"Starting a sandbox portal with {contacts:,} contacts.")
        made.portal.seed(contacts)
    running, ended = start_in_thread(made), threading.Event()
    keeper = threading.Thread(target=_keep, args=(running, file, ended), name="sandbox-keeper", daemon=True)
    keeper.start()
    try:
        yield running
    finally:
        running.stop()
        ended.set()
        keeper.join()


def _keep(running: Running, file: Path, ended: threading.Event) -> None:
    from mercuri.sandbox.keeping import save

    is_over = False
    while not is_over:
        is_over = ended.wait(_KEPT_EVERY)
        # A full disk costs what was changed in the sandbox since, not the demo.
        with suppress(OSError):
            save(running.sandbox, file)


def _settings(home: Path, port: int, sandbox_url: str) -> Settings:
    from pydantic import SecretStr

    from mercuri.config import Settings

    return Settings(
        data_dir=home,
        public_url=f"http://127.0.0.1:{port}",
        hubspot_api_url=sandbox_url,
        hubspot_app_url=sandbox_url,
        hubspot_client_id=_CLIENT[0],
        hubspot_client_secret=SecretStr(_CLIENT[1]),
        log_level="WARNING",
    )


def _login(s: Session, home: Path) -> str:
    """The demo user's password: made at the first start, shown then, and kept in a file of 0600."""
    from mercuri.store import passwords, users

    file = home / "password"
    if file.exists():
        return file.read_text().strip()
    password = secrets.token_urlsafe(12)
    file.touch(0o600)
    file.write_text(password + "\n")
    with s.app.db.write(s.ws) as tx:
        known = users.find_login(tx, EMAIL)
        if known is None:
            users.add_user(tx, EMAIL, passwords.hashed(password), "owner", s.app.now())
        else:
            users.set_password(tx, known.user_id, passwords.hashed(password))
    return password


def _connected(s: Session, settings: Settings, password: str) -> Portal:
    """The sandbox's portal, connected the way a person would: log in, agree on HubSpot's page, come back."""
    from mercuri.engine.portal import client_for
    from mercuri.hubspot.pacing import Lane

    with suppress(AppError):
        known = s.the_portal(None)
        client_for(s.app, s.ws, known, Lane.BUTTON).account()
        return known
    say("Connecting through OAuth.")
    oauth.connect(settings.public_url, EMAIL, password)
    portal = s.the_portal(None)
    _map_consent(s, portal)
    return portal


def _map_consent(s: Session, portal: Portal) -> None:
    """Let the portal's own opt-in properties speak, as its owner would choose in Settings."""
    from mercuri.core.consent_mapping import consent_offers
    from mercuri.core.settings import to_document
    from mercuri.engine.portal import change_settings
    from mercuri.store import portals

    with s.app.db.read(s.ws) as tx:
        offers = consent_offers(portals.schema(tx, portal.id))
    items = [offer.item for offer in offers if offer.item is not None and offer.item.channel == "sms"]
    if items and not portal.settings.consent_mapping:
        from dataclasses import replace

        document = to_document(replace(portal.settings, consent_mapping=tuple(items[:1])))
        change_settings(s.app, s.ws, portal.id, {"consent_mapping": document["consent_mapping"]}, s.actor)


def _synced(s: Session, portal: Portal) -> None:
    """The first sync, or the end of one that was cut short; nothing where a sync was completed before."""
    from mercuri.store import runs

    with s.app.db.read(s.ws) as tx:
        live = runs.live(tx, portal.id)
    if live is None and portal.watermark is not None:
        return
    began = time.monotonic()
    run = sync.seen_through(s, (live or sync.started(s, portal.id, full=True, preview=False, wait=True)).id)
    if run.state != "done":
        raise UserError(run.message or f"The first sync ended as {run.state}.")
    say(f"Synced {run.counts['fetched']:,} contacts in {time.monotonic() - began:.1f} s.")
    _type_some_again(s)


def _type_some_again(s: Session) -> None:
    """One person in a hundred, of fifty at most, was typed in here as well: what safe merges are for."""
    from mercuri.engine import edit
    from mercuri.store import contacts

    with s.app.db.read(s.ws) as tx:
        with_email = (held for batch in contacts.each(tx) for held in batch if held.fields["email"])
        people = list(islice(with_email, 99, 5000, 100))
    for held in people:
        first, last = held.fields["first_name"], held.fields["last_name"]
        initial = f"{first[:1]}." if first.isascii() and first else first
        again = {"first_name": initial, "last_name": last, "email": held.fields["email"]}
        edit.create_contact(s.app, s.ws, again, s.actor)


def _tell(settings: Settings, running: Running, home: Path) -> None:
    say("")
    say(f"  Mercuri    {settings.public_url}")
    if not (home / "shown").exists():
        (home / "shown").touch(0o600)
        say(f"  log in as  {EMAIL}   password  {(home / 'password').read_text().strip()}")
    else:
        say(f"  log in as  {EMAIL}   password  in {home / 'password'}")
    say(f"  HubSpot    {running.url}   (the sandbox: edit a contact there and watch)")
    say("")
