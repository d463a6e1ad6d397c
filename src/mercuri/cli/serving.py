"""`mercuri serve` and `mercuri worker`: the processes that stay."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mercuri.cli.edge import say
from mercuri.cli.session import read_settings, session
from mercuri.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mercuri.cli.session import Session

PORT = 8765


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = PORT,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave runs to other processes.")] = False,
) -> None:
    """Serve the web app and the API, with a worker in the same process."""
    bell = threading.Event()
    with session(wake=bell.set) as s:
        say(f"Mercuri is at {s.services.settings.public_url} (listening at {host}:{port}). Ctrl-C stops it.")
        if no_worker:
            run_web(s, host, port)
        else:
            with working(s, f"serve:{_host()}", bell):
                run_web(s, host, port)


def worker(
    name: Annotated[str | None, typer.Option(help="The same name at every start, and nobody else's.")] = None,
) -> None:
    """One more worker, on this or another host. With SQLite there is one, and `mercuri serve` has it."""
    bell, ended = threading.Event(), threading.Event()
    with session(wake=bell.set) as s:
        if s.app.db.is_sqlite and _is_alive(s):
            raise UserError("A worker is running already, and SQLite takes one. Nothing was started.")
        with working(s, name or f"worker:{_host()}", bell):
            say("The worker is running. Ctrl-C stops it.")
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: ended.set())
            while not ended.wait(1):
                pass
    say("The worker has stopped; its runs go on at its next start.")


@contextmanager
def working(s: Session, name: str, bell: threading.Event) -> Iterator[None]:
    """A worker in this process while the block runs."""
    from mercuri.jobs.worker import Worker

    made = Worker(s.services, name, bell)
    made.start()
    try:
        yield
    finally:
        made.stop()


def run_web(s: Session, host: str, port: int) -> None:
    """Serve until a signal ends it. Raises UserError when the address is taken."""
    import uvicorn

    from mercuri.web.app import create_app

    _free(host, port)
    # Streams of events never end by themselves: whoever watches one must not hold up the end of the process.
    config = uvicorn.Config(
        create_app(s.services),
        host=host,
        port=port,
        log_level=read_settings().log_level.lower(),
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    uvicorn.Server(config).run()


def _free(host: str, port: int) -> None:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(f"Cannot listen at {host}:{port}: {error.strerror}. Choose another --port.") from error


def _is_alive(s: Session) -> bool:
    from mercuri.store import workers
    from mercuri.store.database import ANY

    with s.app.db.read(ANY) as tx:
        return workers.any_alive(tx, s.app.now())


def _host() -> str:
    import socket

    return socket.gethostname()
