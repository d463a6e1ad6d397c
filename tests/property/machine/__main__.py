"""Play many histories: `python -m tests.property.machine --histories 10000 --seed 1`; `--only 17` shortens one."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.property.machine import History, Violation, draw, play, shorten


def main() -> int:
    """0 when all histories are clean, 1 with the seeds that are not."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.machine")
    parser.add_argument("--histories", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--only", type=int, help="play this seed alone, and shorten it when it breaks a law")
    parser.add_argument("--until", type=int, default=1, help="stop after so many broken ones; 0: go on to the end")
    parser.add_argument("--processes", type=int, default=1, help="how many play at the same time")
    told = parser.parse_args()
    if told.only is not None:
        return _explain(told.only)
    return _many(range(told.seed, told.seed + told.histories), told.until, told.processes)


@dataclass(frozen=True)
class _Played:
    """What became of a seed: the problem in words, what happened in it, and its seconds of CPU."""

    seed: int
    problem: str
    happened: Counter[str]
    cpu_s: float


def _many(seeds: range, until: int, processes: int) -> int:
    broken, happened, cpu_s = 0, Counter[str](), 0.0
    with _playing(seeds, processes) as playing:
        for number, played in enumerate(playing, 1):
            happened += played.happened
            cpu_s += played.cpu_s
            if played.problem:
                broken += 1
                print(f"seed {played.seed}: {played.problem}", flush=True)
            is_last = number == len(seeds) or 0 < until <= broken
            if number % 100 == 0 or is_last:
                each_ms = 1000 * cpu_s / number
                print(f"{number} histories, {broken} broken, {each_ms:.0f} ms of CPU each", flush=True)
            if is_last:
                break
    print(f"What happened, per 1,000 of these {number} histories:")
    for name, count in happened.most_common():
        print(f"  {1000 * count / number:9,.1f}  {name}")
    return 1 if broken else 0


@contextmanager
def _playing(seeds: range, processes: int) -> Iterator[Iterator[_Played]]:
    """The histories of the seeds, in their order, as they are played."""
    if processes == 1:
        _prepare()
        yield map(_play, seeds)
        return
    with multiprocessing.Pool(processes, _prepare) as pool:
        yield pool.imap(_play, seeds, chunksize=10)


def _prepare() -> None:
    """What is loaded stays: to look for garbage in it takes a tenth of a history's time."""
    gc.freeze()
    gc.set_threshold(20_000)
    # A process that is told to end takes its database away with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())


def _play(seed: int) -> _Played:
    began, happened = time.process_time(), Counter[str]()
    problem = _problem(draw(seed), happened)
    return _Played(seed, problem, happened, time.process_time() - began)


def _problem(history: History, happened: Counter[str]) -> str:
    try:
        play(history, happened)
    except Violation as violation:
        return str(violation)[:1500]
    except Exception as error:  # noqa: BLE001  # whatever falls over is a finding too
        return f"{type(error).__name__}: {error}"[:1500]
    return ""


def _explain(seed: int) -> int:
    history = draw(seed)
    problem = _problem(history, Counter())
    if not problem:
        print(f"seed {seed} is clean")
        return 0
    law = problem.split(":")[0]
    shortest = shorten(history, lambda one: _problem(one, Counter()).split(":")[0] == law)
    print(shortest)
    try:
        play(shortest)
    except Exception:  # noqa: BLE001  # shown, whatever it is
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main())
