"""What people wait for: pages of contacts and of a search, and the second start of the demo."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.harness import BACKENDS, Figure, ms, share, timed
from bench.store import Filled, filled
from mercuri.store import pages
from mercuri.store.pages import Query

_ROUNDS = 40
_ROOT = Path(__file__).parent.parent


def measure(count: int) -> Iterator[Figure]:
    """Each on both databases."""
    for backend in BACKENDS:
        with filled(backend, count) as here:
            where = f"{count:,} contacts, {backend}"
            for name, query in _queries(count).items():
                yield Figure(f"{name}, {where}", f"p95 {ms(share(_paged(here, query), 0.95))}", "p95 < 50 ms")
    yield _second_start()


def _queries(count: int) -> dict[str, Callable[[int], Query]]:
    return {
        "contacts page": lambda n: Query(sort=("name", "-updated", "created")[n % 3]),
        "search as you type": lambda n: Query(q=("son", "souza", f"person{n * 7 % count}", "Müller 1")[n % 4]),
        "filters": lambda n: Query(duplicate=n % 2 == 0, has_email=True, status="not_subscribed"),
    }


def _paged(here: Filled, query: Callable[[int], Query]) -> list[float]:
    def one(number: int) -> Any:
        with here.app.db.read(here.ws) as tx:
            return pages.page(tx, query(number))

    return [timed(lambda number=number: one(number)) for number in range(_ROUNDS)]  # type: ignore[misc]


def _second_start() -> Figure:
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "MERCURI_DATA_DIR": directory, "PYTHONUNBUFFERED": "1"}
        _started(environment)
        return Figure("`./run`, second start to a served page", f"{_started(environment):.1f} s", "< 6 s")


def _started(environment: dict[str, str]) -> float:
    began = time.perf_counter()
    command = [str(_ROOT / "run"), "demo", "--port", "8799"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(r"^\s+HubSpot\s+http", line):
                break
        took = time.perf_counter() - began
        process.terminate()
        process.stderr.read()
    return took
