"""A base per side, what stands here, what stands there -> what each side must change to agree.

Sides are compared with a remembered base, never with events or clocks. The base is a pair, what was last seen here and
what was last seen there, so that every stable difference (HubSpot's rewriting, a kept blank, an undone run, a one-way
field) is remembered as settled and is not mistaken for an edit.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from mercuri.core.settings import Blanks, Direction, Policy

#: Two edits closer together than this are simultaneous: clocks of two machines are not compared more finely.
TIE = timedelta(seconds=60)

Norm = Callable[[str], str]


class Base(NamedTuple):
    """What was last seen here and there when a field was settled, and why the two may differ.

    `why` is same, filled, kept_blank, stored_differently, one_way, undone or resolved; or chosen, while a value that a
    person chose in a conflict waits to be sent.
    """

    local: str
    remote: str
    why: str = "same"


class Act(enum.Enum):
    """What one field needs."""

    NONE = "none"  # nothing changed
    SAME = "same"  # both sides agree; the base moves
    TAKE = "take"  # write HubSpot's value here
    SEND = "send"  # write our value there
    ACCEPT = "accept"  # leave both as they are and remember that; the base moves
    CONFLICT = "conflict"  # a person decides; nothing is written and the base stays


@dataclass(frozen=True, slots=True)
class Rule:
    """What a portal's settings say of one field; `norm` gives the form in which two values count as equal.

    `is_locked`: HubSpot takes no values for now. What was changed here waits, and is not settled as a one-way field is.
    """

    norm: Norm
    direction: Direction = Direction.BOTH
    policy: Policy = Policy.HUBSPOT
    blanks: Blanks = Blanks.KEEP
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one field.

    `value` is what is written by TAKE and SEND. `base` is the base once it stands: at once for SAME and ACCEPT, with
    the write here for TAKE; None for SEND, where `settle_sent` tells after HubSpot's answer. `loser` is the value that
    lost a conflict which the policy decided.
    """

    act: Act
    value: str = ""
    base: Base | None = None
    why: str = ""
    loser: str | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """Two values of one field, both changed since they last agreed."""

    local: str
    remote: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What a diff decided for one contact; every mapped field is in `decisions`.

    `bases` holds those that move without any write; `losers` the conflicts that a policy decided, by the losing value.
    """

    to_local: Mapping[str, str] = field(default_factory=dict)
    to_remote: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, Dispute] = field(default_factory=dict)
    bases: Mapping[str, Base] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)

    @property
    def losers(self) -> dict[str, str]:
        """The values that lost a conflict which a policy decided, by field."""
        return {name: d.loser for name, d in self.decisions.items() if d.loser is not None}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written, moved or asked."""
        return not (self.to_local or self.to_remote or self.conflicts or self.bases)


def merge_field(
    base: Base | None,
    local: str,
    remote: str,
    *,
    local_at: datetime | None = None,
    remote_at: datetime | None = None,
    direction: Direction,
    policy: Policy,
    blanks: Blanks,
    norm: Norm,
) -> Decision:
    """Decide one field. Total and deterministic; values are raw text, "" is empty.

    A side has changed when it differs from its own half of the base. Without a base nothing is known to have changed:
    equal values are adopted, an empty side is filled, and two different values are a conflict, whoever is newer.

    >>> rules = {"direction": Direction.BOTH, "policy": Policy.HUBSPOT, "blanks": Blanks.KEEP, "norm": str.strip}
    >>> merge_field(Base("Lyon", "Lyon"), "Lyon", "Paris", **rules).act
    <Act.TAKE: 'take'>
    """
    return _merge(Rule(norm, direction, policy, blanks), base, local, remote, local_at, remote_at)


def three_way(
    bases: Mapping[str, Base],
    local: Mapping[str, str],
    remote: Mapping[str, str],
    rules: Mapping[str, Rule],
    *,
    local_at: Mapping[str, datetime] | None = None,
    remote_at: Mapping[str, datetime] | None = None,
) -> ChangeSet:
    """Decide, field by field, what each side must change to agree; `rules` names the mapped fields.

    Contacts are held whole, so a field that is absent from `local` is empty. A field that is absent from `remote` was
    not asked for and is left alone: it must not look like one that was cleared, since sending "" clears it (HubSpot
    contacts API 2026-09, batch update).

    >>> bases, rules = {"city": Base("Lyon", "Lyon")}, {"city": Rule(str.strip)}
    >>> changes = three_way(bases, {"city": "Lyon"}, {"city": "Paris"}, rules)
    >>> changes.to_local, changes.to_remote
    ({'city': 'Paris'}, {})
    """
    decisions = {
        name: _merge(
            rule,
            bases.get(name),
            local.get(name, ""),
            remote[name],
            (local_at or {}).get(name),
            (remote_at or {}).get(name),
        )
        for name, rule in rules.items()
        if name in remote
    }
    return ChangeSet(
        to_local={name: d.value for name, d in decisions.items() if d.act is Act.TAKE},
        to_remote={name: d.value for name, d in decisions.items() if d.act is Act.SEND},
        conflicts={
            name: Dispute(local.get(name, ""), remote[name], d.why)
            for name, d in decisions.items()
            if d.act is Act.CONFLICT
        },
        bases={name: d.base for name, d in decisions.items() if d.base and d.act in (Act.SAME, Act.ACCEPT)},
        decisions=decisions,
    )


def settle_sent(payload: str, stored: str, norm: Norm) -> Base:
    """The base after a confirmed write: what was sent, and what HubSpot keeps of it.

    The first half is the payload and not what stands here now, which a person may have changed meanwhile.

    >>> settle_sent("+44 7911 123456", "07911 123456", lambda raw: raw)
    Base(local='+44 7911 123456', remote='07911 123456', why='stored_differently')
    """
    return Base(payload, stored, "same" if norm(payload) == norm(stored) else "stored_differently")


def settle_choice(local: str, remote: str, *, take_remote: bool, direction: Direction) -> Decision:
    """What a person's choice in an open conflict does: write the chosen value, even an empty one, on the other side.

    `base` is the one to store at once. For SEND it makes the next comparison find the choice as an edit of ours that
    is sent whatever `blanks` says, and as a conflict if HubSpot's value changes before. When the direction forbids the
    write, both values stay and the difference is remembered as settled.
    """
    decision = _write(Rule(norm=str.strip, direction=direction), local, remote, to_local=take_remote, why="resolved")
    return replace(decision, base=decision.base or Base(remote, remote, "chosen"))


_UNCHANGED = Decision(Act.NONE)


def _merge(
    rule: Rule, base: Base | None, local: str, remote: str, local_at: datetime | None, remote_at: datetime | None
) -> Decision:
    norm = rule.norm
    # Normal forms cost more than all else here, and what is the same to the letter needs none.
    changed_here = base is None or (local != base.local and norm(local) != norm(base.local))
    changed_there = base is None or (remote != base.remote and norm(remote) != norm(base.remote))
    if not changed_here and not changed_there:
        return _UNCHANGED
    here, there = norm(local), norm(remote)
    if here == there:
        return Decision(Act.SAME, base=Base(local, remote, "same"), why="same")
    if base is None and not (here and there):
        return _write(rule, local, remote, to_local=not here, why="filled")
    if changed_here and changed_there:
        return _conflict(rule, local, remote, local_at, remote_at)
    if base is not None and base.why == "chosen" and changed_here:
        return _write(rule, local, remote, to_local=False, why="resolved")
    return _spread(rule, local, remote, to_local=changed_there)


def _conflict(rule: Rule, local: str, remote: str, local_at: datetime | None, remote_at: datetime | None) -> Decision:
    here, there = rule.norm(local), rule.norm(remote)
    if rule.blanks is Blanks.KEEP and not (here and there):
        hubspot_wins = bool(there)
    elif rule.policy is Policy.ASK:
        return Decision(Act.CONFLICT, why="ask")
    else:
        hubspot_wins = rule.policy is Policy.HUBSPOT or (
            rule.policy is Policy.RECENT and not _is_later(local_at, remote_at)
        )
    decided = _spread(rule, local, remote, to_local=hubspot_wins)
    if decided.act not in (Act.TAKE, Act.SEND):
        return decided
    return replace(decided, loser=local if hubspot_wins else remote)


def _is_later(local_at: datetime | None, remote_at: datetime | None) -> bool:
    """Whether our edit is clearly the later one; an unknown time counts as a tie, and a tie is HubSpot's."""
    return local_at is not None and remote_at is not None and local_at - remote_at >= TIE


def _spread(rule: Rule, local: str, remote: str, *, to_local: bool) -> Decision:
    """Carry one side's value to the other, with care for an erased one."""
    if not rule.norm(remote if to_local else local):
        if rule.blanks is Blanks.KEEP:
            return Decision(Act.ACCEPT, base=Base(local, remote, "kept_blank"), why="kept_blank")
        if rule.blanks is Blanks.ASK:
            return Decision(Act.CONFLICT, why="erased")
    return _write(rule, local, remote, to_local=to_local, why="same")


def _write(rule: Rule, local: str, remote: str, *, to_local: bool, why: str) -> Decision:
    if rule.is_locked and not to_local:
        return _UNCHANGED
    forbidden = Direction.OUT if to_local else Direction.IN
    if rule.direction is forbidden:
        return Decision(Act.ACCEPT, base=Base(local, remote, "one_way"), why="one_way")
    winner = remote if to_local else local
    value = winner if rule.norm(winner) else ""
    if to_local:
        return Decision(Act.TAKE, value, Base(value, remote, why), why)
    return Decision(Act.SEND, value, why=why)
