"""How fast a first load is: under HubSpot's limits with and without the search lane, and without limits.

    python bench/first_load.py [CONTACTS] [--unlimited] [--postgresql URL]      default 60,000, under limits

The sandbox serves from a process of its own. Baselines of the same run: a plain serial reader of the list, and
HubSpot's official client. A report: nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import os
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mercuri.config import Settings
from mercuri.engine import portal as portals
from mercuri.engine import run as runs
from mercuri.engine.app import Actor
from mercuri.hubspot import searching
from mercuri.sandbox import Sandbox, start_in_thread
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.wiring import build

OWNER = Actor("bench", "owner")
LIMITS = {"burst": "110/10", "search": "5/1", "latency_ms": 300}
NAMES = "firstname,lastname,email,phone"


def _serve(contacts: int, options: dict[str, Any], ready: Any) -> None:
    made = Sandbox(contacts=contacts, **options)
    made.switch(list_after="works", static_account_info="allowed")
    ready.put(start_in_thread(made).url)
    time.sleep(86_400)


@contextmanager
def a_sandbox(contacts: int, **options: Any) -> Iterator[str]:
    """A sandbox in a process of its own; its address."""
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=_serve, args=(contacts, options, ready), daemon=True)
    process.start()
    try:
        yield ready.get(timeout=300)
    finally:
        process.terminate()
        process.join()


def load(
    hubspot: str, database: str, *, limited: bool, profile: bool = False
) -> tuple[float, float, dict[str, int], int]:
    """Connect and do the first run: seconds, seconds of this process's CPU, requests by kind, contacts."""
    with tempfile.TemporaryDirectory() as directory:
        limits = {"burst_limit": LIMITS["burst"], "search_limit": LIMITS["search"]} if limited else {}
        free = {} if limited else {"burst_limit": "1000000/1", "search_limit": "1000000/1"}
        settings = Settings(
            data_dir=Path(directory),
            database_url=database,
            hubspot_api_url=hubspot,
            **limits,
            **free,  # type: ignore[arg-type]
        )
        services = build(settings)
        app, ws = services.app, services.default_workspace
        found = portals.connect_static(app, ws, STATIC_TOKEN, OWNER)
        portals.change_settings(app, ws, found.id, {"burst_share": 100}, OWNER)
        asked = runs.request(app, ws, found.id, trigger="button", actor=OWNER)
        profiler = cProfile.Profile()
        began, busy = time.perf_counter(), time.process_time()
        if profile:
            profiler.enable()
        done = runs.execute(app, ws, asked.id, owner="bench")
        profiler.disable()
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        services.close()
        if profile:
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(35)
        assert done.state == "done", done.message
        return seconds, busy, dict(done.calls), done.counts["created"]


def serial(hubspot: str, pages: int) -> float:
    """Contacts a second of a plain loop over the list."""
    after, began, read = None, time.perf_counter(), 0
    with httpx.Client(headers={"authorization": f"Bearer {STATIC_TOKEN}"}) as http:
        for _ in range(pages):
            query = {"limit": "100", "properties": NAMES} | ({"after": after} if after else {})
            body = http.get(f"{hubspot}/crm/objects/2026-09/contacts", params=query).json()
            read += len(body["results"])
            after = body.get("paging", {}).get("next", {}).get("after")
            if after is None:
                break
    return read / (time.perf_counter() - began)


def official(hubspot: str, pages: int) -> float | None:
    """Contacts a second of the loop in the official client's `get_all`; None where it is not installed."""
    try:
        from hubspot import HubSpot  # type: ignore[import-untyped]
    except ImportError:
        return None
    client = HubSpot(access_token=STATIC_TOKEN)
    client.config["host"] = hubspot
    after, began, read = None, time.perf_counter(), 0
    for _ in range(pages):
        page = client.crm.contacts.basic_api.get_page(limit=100, after=after, properties=NAMES.split(","))
        read += len(page.results)
        if page.paging is None:
            break
        after = page.paging.next.after
    return read / (time.perf_counter() - began)


def told(name: str, seconds: float, busy: float, calls: dict[str, int], contacts: int) -> float:
    rate = contacts / seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    asked = f"{calls['list']} list, {calls['search']} search, {calls['throttled']} throttled"
    spent = f"{busy / contacts * 1e6:.0f} µs CPU each"
    print(f"| {name} | {contacts:,} in {seconds:.1f} s | {rate:,.0f}/s | {spent} | {asked} | {peak} MB |", flush=True)
    return rate


def main() -> None:
    """Run what was asked for, and print rows of a table."""
    options = argparse.ArgumentParser()
    options.add_argument("contacts", type=int, nargs="?", default=60_000)
    options.add_argument("--unlimited", action="store_true")
    options.add_argument("--profile", action="store_true")
    options.add_argument("--list-only", action="store_true")
    options.add_argument("--baselines", action="store_true")
    options.add_argument("--postgresql", default="")
    chosen = options.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if chosen.list_only:
        searching.Searching.fits = lambda _: False  # type: ignore[method-assign]
    with a_sandbox(chosen.contacts, **({} if chosen.unlimited else LIMITS)) as url:
        name = ("without limits" if chosen.unlimited else "under limits") + (", list only" if chosen.list_only else "")
        rate = told(name, *load(url, chosen.postgresql, limited=not chosen.unlimited, profile=chosen.profile))
        if chosen.baselines:
            plain, client = serial(url, 40), official(url, 40)
            print(f"plain serial reader {plain:,.0f}/s, ratio {rate / plain:.1f}")
            if client:
                print(f"official client {client:,.0f}/s, ratio {rate / client:.1f}")


if __name__ == "__main__":
    main()
