"""Measure, and write docs/benchmarks.md.

PYTHONPATH=src:. .venv/bin/python -m bench [NAME…] [--contacts N]      `--help` lists the names
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.database import remove_all

from bench import consent, current, duplicates, load, pages, push, urgent, webhooks
from bench.harness import Figure

FILE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_BENCHES: dict[str, Callable[[int], Iterator[Figure]]] = {
    "load": load.measure,
    "current": current.measure,
    "large": current.measure_large,
    "push": push.measure,
    "pages": pages.measure,
    "duplicates": duplicates.measure,
    "consent": consent.measure,
    "urgent": urgent.measure,
    "webhooks": webhooks.measure,
}
_HEAD = """# Benchmarks

Written by `python -m bench {words}` on {machine}; reports, no pass or fail. HubSpot is the sandbox, in a process of
its own on the same machine; under limits means {limits}. The official client is `hubspot-api-client`, reading the
same sandbox in the same run. The processor is shared between the program, the sandbox and the database.

| what | measured | to reach |
| --- | --- | --- |
"""
#: Where the written part of the page ends.
_END = "<!-- end of the figures -->"
_LIMITS = "110 requests per 10 seconds, 5 searches per second and 300 ms for every answer"


def main() -> None:
    """Measure what was named, or everything; each figure is shown as it comes."""
    options = argparse.ArgumentParser(prog="python -m bench")
    options.add_argument("names", nargs="*", help=f"of {', '.join(_BENCHES)}; all but large by default")
    options.add_argument("--contacts", type=int, default=100_000)
    options.add_argument("--out", type=Path, default=FILE)
    chosen = options.parse_args()
    if unknown := set(chosen.names) - set(_BENCHES):
        options.error(f"unknown: {', '.join(sorted(unknown))}")
    rows = []
    try:
        for name in chosen.names or [name for name in _BENCHES if name != "large"]:
            for figure in _BENCHES[name](chosen.contacts):
                rows.append(f"| {figure.what} | {figure.measured} | {figure.reach} |")
                print(rows[-1], flush=True)
    finally:
        remove_all()
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    head = _HEAD.format(words=" ".join(sys.argv[1:]), machine=machine, limits=_LIMITS).replace("bench `", "bench`")
    table = head + "\n".join(rows) + f"\n\n{_END}\n"
    # What people wrote below the table stays.
    _, _, below = (chosen.out.read_text(encoding="utf-8") if chosen.out.exists() else "").partition(f"{_END}\n")
    chosen.out.write_text(table + below, encoding="utf-8")


if __name__ == "__main__":
    main()
