"""Find the few steps of a history that break a law."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.property.machine.histories import History, Setup


def shorten(history: History, fails: Callable[[History], bool]) -> History:
    """A history that still fails, from which nothing more can be taken away."""
    while True:
        smaller = next((one for one in _smaller(history) if fails(one)), None)
        if smaller is None:
            return history
        history = smaller


def _smaller(history: History) -> Iterator[History]:
    steps = history.steps
    for size in (8, 4, 2, 1):
        for start in range(len(steps) - 1, -1, -size):
            yield replace(history, steps=(*steps[: max(0, start - size + 1)], *steps[start + 1 :]))
    for place, step in enumerate(steps):
        for moment in step.at:
            calmer = replace(step, at=tuple(one for one in step.at if one is not moment))
            yield replace(history, steps=(*steps[:place], calmer, *steps[place + 1 :]))
        if step.full:
            yield replace(history, steps=(*steps[:place], replace(step, full=False), *steps[place + 1 :]))
        for pair in step.values[1:]:
            fewer = replace(step, values=tuple(one for one in step.values if one != pair))
            yield replace(history, steps=(*steps[:place], fewer, *steps[place + 1 :]))
    plain = Setup()
    for name in ("policy", "blanks", "deletions", "match_by", "directions", "lag_s", "own_id", "crowd", "lossy"):
        if getattr(history.setup, name) != getattr(plain, name):
            yield replace(history, setup=replace(history.setup, **{name: getattr(plain, name)}))
    for switch in history.setup.switches:
        rest = tuple(one for one in history.setup.switches if one != switch)
        yield replace(history, setup=replace(history.setup, switches=rest))
