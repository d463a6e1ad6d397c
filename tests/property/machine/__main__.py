"""Play many histories: `python -m tests.property.machine --histories 10000 --seed 1`; `--only 17` shortens one."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.property.machine import History, Violation, draw, play, shorten


def main() -> int:
    """0 when all histories are clean, 1 with the seeds that are not."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.machine")
    parser.add_argument("--histories", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--only", type=int, help="play this seed alone, and shorten it when it breaks a law")
    parser.add_argument("--until", type=int, default=1, help="stop after so many broken ones")
    told = parser.parse_args()
    if told.only is not None:
        return _explain(told.only)
    return _many(told.seed, told.histories, told.until)


def _many(first: int, count: int, until: int) -> int:
    began, broken = time.process_time(), []
    for number, seed in enumerate(range(first, first + count), 1):
        problem = _problem(draw(seed))
        if problem:
            broken.append(seed)
            print(f"seed {seed}: {problem}", flush=True)
        if number % 100 == 0 or number == count:
            each = (time.process_time() - began) / number
            print(f"{number} histories, {len(broken)} broken, {1000 * each:.0f} ms of CPU each", flush=True)
        if len(broken) >= until:
            break
    return 1 if broken else 0


def _problem(history: History) -> str:
    try:
        play(history)
    except Violation as violation:
        return str(violation)[:1500]
    except Exception as error:  # noqa: BLE001  # whatever falls over is a finding too
        return f"{type(error).__name__}: {error}"[:1500]
    return ""


def _explain(seed: int) -> int:
    history = draw(seed)
    problem = _problem(history)
    if not problem:
        print(f"seed {seed} is clean")
        return 0
    law = problem.split(":")[0]
    shortest = shorten(history, lambda one: _problem(one).split(":")[0] == law)
    print(shortest)
    try:
        play(shortest)
    except Exception:  # noqa: BLE001  # shown, whatever it is
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    sys.exit(main())
