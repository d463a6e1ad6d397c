"""What people wait for: pages of contacts, of a search and of duplicates, an edit, and the second start of the demo."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.harness import BACKENDS, OWNER, Figure, ms, share, timed
from bench.store import Filled, filled, person
from mercuri.core import normalise
from mercuri.engine import dedupe, edit
from mercuri.store import pages
from mercuri.store.pages import Query

_ROUNDS = 40
_ROOT = Path(__file__).parent.parent


def measure(count: int) -> Iterator[Figure]:
    """Each on both databases."""
    yield _phones(min(count, 100_000))
    for backend in BACKENDS:
        with filled(backend, count) as here:
            where = f"{count:,} contacts, {backend}"
            for name, query in _queries(count).items():
                yield Figure(f"{name}, {where}", f"p95 {ms(share(_paged(here, query), 0.95))}", "p95 < 50 ms")
            yield from _duplicates(here, where)
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


def _duplicates(here: Filled, where: str) -> Iterator[Figure]:
    app, ws = here.app, here.ws

    def rebuild() -> None:
        with app.db.write(ws) as tx:
            dedupe.rebuild(tx, app.now())

    yield Figure(f"duplicates from scratch, {where}", f"{timed(rebuild):.2f} s", "< 5 s at 1,000,000")
    banner = [timed(lambda: dedupe.totals(app, ws)) for _ in range(_ROUNDS)]
    yield Figure(f"banner count, {where}", f"p95 {ms(share(banner, 0.95))}", "< 5 ms")
    manage = [timed(lambda: dedupe.list_groups(app, ws, dedupe.GroupQuery(limit=50))) for _ in range(_ROUNDS)]
    yield Figure(f"a page of groups, {where}", f"p95 {ms(share(manage, 0.95))}", "p95 < 50 ms")
    edits = list(_edits(here, 300))
    told = f"p50 {ms(share(edits, 0.5))}, p99 {ms(share(edits, 0.99))}"
    yield Figure(f"one edit of an e-mail, all of it, {where}", told, "p50 < 1 ms, p99 < 5 ms (SQLite)")
    keys = timed(lambda: _keys_again(here, 1000))
    yield Figure(f"keys of an import, {where}", f"{keys * 1000:.0f} µs per contact", "< 60 µs")


def _edits(here: Filled, count: int) -> Iterator[float]:
    """Half of them give a contact the e-mail of another, and half a new one."""
    for number in range(count):
        id_ = here.ids[number * 13 % len(here.ids)]
        email = person(number * 29 % len(here.ids))["email"] if number % 2 else f"new{number}@example.com"
        yield timed(partial(edit.update_contact, here.app, here.ws, id_, {"email": email}, OWNER))


def _keys_again(here: Filled, count: int) -> None:
    with here.app.db.write(here.ws) as tx:
        dedupe.contacts_changed(tx, here.ids[:count], here.app.now())


def _phones(count: int) -> Figure:
    shapes = ("+1 (415) 2{:06d}", "0044 7911 {:06d}", "+49 151 2{:07d}", "+55 11 9{:08d}", "06 12 {:06d}")
    typed = [(shapes[n % 5].format(n), "FR" if n % 5 == 4 else "US") for n in range(count)]
    took = timed(lambda: normalise.normalise_phones(typed))
    return Figure(f"phones of five countries, {count:,}", f"{took / count * 1e6:.1f} µs each", "≤ 25 µs")


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
