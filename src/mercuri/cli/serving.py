"""`mercuri serve` and `mercuri worker`: the processes that stay."""

from __future__ import annotations

import fcntl
import re
import signal
import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from mercuri.cli.edge import say
from mercuri.cli.session import read_settings, session
from mercuri.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import uvicorn

    from mercuri.cli.session import Session
    from mercuri.config import Settings

PORT = 8765


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = PORT,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave runs to other processes.")] = False,
) -> None:
    """Serve the web app and the API, with a worker beside them."""
    bell = threading.Event()
    with (
        session(_settings(host, port), bell.set) as s,
        nullcontext() if no_worker else working(s, f"serve:{_host()}", bell),
        served(s, host, port) as web,
    ):
        say(f"Mercuri is at {s.services.settings.public_url} (listening at {host}:{port}). Ctrl-C stops it.")
        _tell_first_step(s)
        web.wait()


def _tell_first_step(s: Session) -> None:
    from mercuri.web.pages.setup import setup_address

    if address := setup_address(s.app):
        say(f"Nobody can log in yet. Create the owner at {address}, or by `mercuri user add EMAIL --role owner`.")


def _settings(host: str, port: int) -> Settings:
    """The environment's; where it names no public address, people and HubSpot come to the one we listen at."""
    settings = read_settings()
    if "public_url" in settings.model_fields_set:
        return settings
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return settings.model_copy(update={"public_url": f"http://{f'[{name}]' if ':' in name else name}:{port}"})


def worker(
    name: Annotated[str | None, typer.Option(help="The same name at every start, and nobody else's.")] = None,
) -> None:
    """One more worker, on this or another host. With SQLite there is one, and `mercuri serve` has it."""
    bell, ended = threading.Event(), threading.Event()
    with session(wake=bell.set) as s, working(s, name or f"worker:{_host()}", bell):
        say("The worker is running. Ctrl-C stops it.")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        while not ended.wait(1):
            pass
    say("The worker has stopped; its runs go on at its next start.")


@contextmanager
def working(s: Session, name: str, bell: threading.Event) -> Iterator[None]:
    """A worker in this process while the block runs. Raises UserError when another process is this worker."""
    from mercuri.jobs.worker import Worker

    with _only_one(s, name):
        made = Worker(s.services, name, bell)
        made.start()
        try:
            yield
        finally:
            made.stop()


@contextmanager
def _only_one(s: Session, name: str) -> Iterator[None]:
    """Hold the lock of this worker's name, or of the one worker that SQLite takes; it ends with the process."""
    file = "worker.lock" if s.app.db.is_sqlite else f"worker-{re.sub('[^A-Za-z0-9_.-]', '_', name)}.lock"
    path = s.services.settings.data_path / file
    with path.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"A worker is running already ({path} is locked). Nothing was started; serve with --no-worker, "
                "or on PostgreSQL start a worker with another --name."
            ) from error
        yield


class Web:
    """The web app, served from a thread of this process."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def wait(self) -> None:
        """Stay until Ctrl-C or SIGTERM."""
        ended = threading.Event()
        before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while self._thread.is_alive() and not ended.wait(1):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def served(s: Session, host: str, port: int) -> Iterator[Web]:
    """The web app, answering, while the block runs. Raises UserError when the address is taken."""
    server = _server(s, host, port)
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.02)
    if not server.started:
        raise UserError(f"Mercuri could not start at {host}:{port}. What went wrong is logged above.")
    try:
        yield Web(thread)
    finally:
        server.should_exit = True
        thread.join()


def _server(s: Session, host: str, port: int) -> uvicorn.Server:
    import uvicorn

    from mercuri.web.app import create_app

    _free(host, port)
    # Streams of events never end by themselves: whoever watches one must not hold up the end of the process.
    config = uvicorn.Config(
        create_app(s.services),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    return uvicorn.Server(config)


def _free(host: str, port: int) -> None:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(f"Cannot listen at {host}:{port}: {error.strerror}. Choose another --port.") from error


def _host() -> str:
    import socket

    return socket.gethostname()
