"""What histories are about, beside the edits, deletions and crashes of all: drawn with the seed, one theme for each.

A theme adds some of its own steps and leaves the rest as it is, so that a history stays short.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tests.property.machine.histories import Drawing, History, Moment, Step, Story


def draw(seed: int) -> History:
    """The history of a seed."""
    rng = Random(seed)
    theme = rng.choice(["", *THEMES]) if rng.random() < 0.8 else ""
    return Drawing(rng, theme, THEMES.get(theme)).history()


def _late(drawing: Drawing) -> list[Step]:
    """A write takes effect after its answer was lost, perhaps after people went on and the next run has looked."""
    rng = drawing.rng
    late = Moment("write", rng.choice([0, 0, 0, 1]), "late", later=rng.choice([1, 30, 130, 170]))
    after = [drawing.edit() for _ in range(rng.choice([0, 1, 1, 2]))]
    return [drawing.edit("edit_here"), Step("sync", at=(late,)), *after, drawing.sync()]


#: By name: what draws a few steps of it.
THEMES: Mapping[str, Story] = {
    "late": _late,
}
