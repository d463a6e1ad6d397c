"""Merges of contacts made here, taken back, and carried to HubSpot after their hold."""

from __future__ import annotations

from tests.property.machine.histories import Step
from tests.property.machine.life import Life
from tests.support.world import OWNER

from mercuri.engine import dedupe
from mercuri.engine.hubspot_merging import hubspot_merges_due
from mercuri.errors import UserError


def merge_here(life: Life, step: Step) -> None:
    one, other = life.contact(step.who), life.contact(step.other)
    if one is None or other is None or one == other:
        return
    try:
        done = dedupe.merge(life.world.app, life.world.ws, sorted([one, other]), OWNER)
    except UserError:
        return
    life.merges.append(done.merge.id)
    _forget(life, step)


def unmerge_here(life: Life, step: Step) -> None:
    try:
        if life.merges:
            dedupe.undo_merge(life.world.app, life.world.ws, life.merges.pop(), OWNER, confirm=True)
    except UserError:
        return
    _forget(life, step)


def carry_merges(life: Life, step: Step) -> None:
    """The hold of merges is over: they are made in HubSpot."""
    life.world.clock.advance(90_000)
    life.is_merging = True
    made = hubspot_merges_due(life.world.app, life.world.ws)
    life.is_merging = False
    if made:
        life.has_moved_records = True
        life.forget(*life.world.sandbox.contact_ids())


def _forget(life: Life, step: Step) -> None:
    """Values move among all who may be in a merge, and nothing certain is asked of them."""
    for who in range(4):
        life.forget(life.contact(who), life.last_record(who))
