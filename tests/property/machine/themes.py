"""What histories are about, beside the edits, deletions and crashes of all: drawn with the seed, one theme for each.

A theme adds some of its own steps and leaves the rest as it is, so that a history stays short.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tests.property.machine.histories import NUMBERS, Drawing, History, Moment, Step, Story


def draw(seed: int) -> History:
    """The history of a seed. Every twelfth has a second portal, the others one of the other themes, or none.

    Every 48th is about consent in two portals, every 24th about stops while two-way is off.
    """
    rng = Random(seed)
    if seed % 48 == 47:
        return Drawing(rng, "consent in portals", _consent_in_portals).history()
    if seed % 24 == 5:
        return Drawing(rng, "consent", _one_way).history()
    if seed % 12 == 11:
        return Drawing(rng, "portals", _portals).history()
    theme = rng.choice(["", *THEMES]) if rng.random() < 0.8 else ""
    return Drawing(rng, theme, THEMES.get(theme)).history()


def _late(drawing: Drawing) -> list[Step]:
    """A write takes effect after its answer was lost, perhaps after people went on and the next run has looked."""
    rng = drawing.rng
    late = Moment("write", rng.choice([0, 0, 0, 1]), "late", later=rng.choice([1, 30, 130, 170]))
    after = [drawing.edit() for _ in range(rng.choice([0, 1, 1, 2]))]
    return [drawing.edit("edit_here"), Step("sync", at=(late,)), *after, drawing.sync()]


def _hints(drawing: Drawing) -> list[Step]:
    """Something happens in HubSpot, and HubSpot tells of it in its own way."""
    rng = drawing.rng
    acts = [drawing.rare() if rng.random() < 0.3 else drawing.edit() for _ in range(rng.choice([0, 1, 2]))]
    calm = drawing.sync()
    return [*acts, Step("hint", value=rng.choice(["", "lost", "twice", "old"]), at=calm.at)]


def _merges(drawing: Drawing) -> list[Step]:
    """People here find that two contacts are one, and think better of it."""
    rng = drawing.rng
    kinds = ["merge_here", "merge_here", "merge_here", "unmerge_here", "carry_merges"]
    steps = [Step(rng.choice(kinds), drawing.who(), other=drawing.who())]
    steps += [drawing.edit()] if rng.random() < 0.5 else []
    return [*steps, *([drawing.sync()] if rng.random() < 0.6 else [])]


def _schema(drawing: Drawing) -> list[Step]:
    """The portal's admin changes a property, and people go on."""
    rng = drawing.rng
    what = rng.choice(["gone", "gone", "back", "read_only", "number", "options"])
    after = [drawing.edit()] if rng.random() < 0.6 else []
    return [Step("change_schema", field=drawing.focus[1], value=what), *after, drawing.sync()]


def _consent(drawing: Drawing) -> list[Step]:
    """Somebody speaks of a number, or does what could make its word be forgotten."""
    rng = drawing.rng
    who, number = drawing.who(), rng.randrange(3)
    words = ["STOP", "STOP", "START", "block", "old yes", "staff in", "staff out"]
    step = rng.choice(
        [
            *[Step("say", other=number, value=rng.choice(words))] * 3,
            *[Step("tick", who, value=rng.choice(["true", "true", "false", ""]))] * 3,
            Step("import_file", other=number),
            Step("erase_here", who),
            Step("merge_here", who, other=drawing.who()),
            Step("unmerge_here"),
            Step("merge_there", who, other=drawing.who()),
            Step("edit_here", who, field="phone", value=NUMBERS[number]),
        ]
    )
    return [step, *([drawing.sync()] if rng.random() < 0.5 else [])]


def _one_way(drawing: Drawing) -> list[Step]:
    """Somebody says stop while two-way is off; or anything else that is said."""
    stop = Step("stop_one_way", other=drawing.rng.randrange(len(NUMBERS)))
    return [stop, drawing.sync()] if drawing.rng.random() < 0.5 else _consent(drawing)


def _consent_in_portals(drawing: Drawing) -> list[Step]:
    """Somebody speaks of a number, in one portal or in both."""
    rng = drawing.rng
    if rng.random() < 0.3:
        return _portals(drawing)
    tick = Step("tick_far", drawing.who(), value=rng.choice(["true", "true", "false", ""]))
    said = [tick] if rng.random() < 0.4 else _consent(drawing)
    return [*said, *([Step("sync_far")] if rng.random() < 0.5 else [])]


def _limits(drawing: Drawing) -> list[Step]:
    """Much happens at once, and all of it is read again."""
    return [*(drawing.edit() for _ in range(drawing.rng.choice([1, 2, 4]))), Step("sync", full=True), drawing.sync()]


def _portals(drawing: Drawing) -> list[Step]:
    """The same people are known in a second portal, and edited there as well."""
    rng, who = drawing.rng, drawing.who()
    calm = drawing.sync()
    far = Step("sync_far", full=calm.full, at=calm.at)
    if rng.random() < 0.15:
        return [Step("new_far", who, values=drawing.person(who)), far]
    edit = drawing.edit()
    return [Step("sync_far"), Step("edit_far", edit.who, field=edit.field, value=edit.value), far]


#: By name: what draws a few steps of it; and `_portals`, which is drawn apart.
THEMES: Mapping[str, Story] = {
    "late": _late,
    "hints": _hints,
    "merges": _merges,
    "schema": _schema,
    "consent": _consent,
    "limits": _limits,
}
