"""Laws of the merge of one field, on short histories of edits, syncs and HubSpot's own rewriting."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core.diff import Act, Base, Decision, Rule, merge_field, settle_sent, three_way
from mercuri.core.settings import Blanks, Direction, Policy

#: Few values, so that histories collide: with case and spaces that do not count, and a pair that HubSpot makes one.
VALUES = st.sampled_from(["", " ", "a", "A", "b", "c  c", "c c", "+1 5", "+15", "0"])
MOMENTS = st.none() | st.integers(0, 200).map(lambda s: datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=s))
BASES = st.none() | st.builds(Base, VALUES, VALUES)
RULES = st.fixed_dictionaries(
    {"direction": st.sampled_from(Direction), "policy": st.sampled_from(Policy), "blanks": st.sampled_from(Blanks)}
)
BOTH_WAYS = st.builds(
    Rule, st.just(lambda raw: norm(raw)), st.just(Direction.BOTH), st.sampled_from(Policy), st.just(Blanks.ERASE)
)


def norm(raw: str) -> str:
    return " ".join(raw.split()).casefold()


def rewritten(sent: str) -> str:
    """What HubSpot keeps of a value: trimmed, lower-cased, and with a space lost for good."""
    return sent.strip().casefold().replace("+1 ", "+1")


@dataclass
class Pair:
    """One field of one link, and what a sync does to it."""

    rule: Rule
    local: str = ""
    remote: str = ""
    base: Base | None = None
    writes: int = 0
    acts: list[Act] = field(default_factory=list)

    def sync(self, local_at: datetime | None = None, remote_at: datetime | None = None) -> Decision:
        rule = self.rule
        decision = merge_field(
            self.base,
            self.local,
            self.remote,
            local_at=local_at,
            remote_at=remote_at,
            direction=rule.direction,
            policy=rule.policy,
            blanks=rule.blanks,
            norm=norm,
        )
        self.acts.append(decision.act)
        self.writes += decision.act in (Act.TAKE, Act.SEND)
        if decision.act is Act.TAKE:
            self.local = decision.value
        if decision.act is Act.SEND:
            self.remote = rewritten(decision.value)
            self.base = settle_sent(decision.value, self.remote, norm)
        if decision.base is not None:
            self.base = decision.base
        return decision


EDITS = st.lists(st.tuples(st.sampled_from(["here", "there", "sync"]), VALUES), max_size=8)


def lived(rule: Rule, edits: list[tuple[str, str]]) -> Pair:
    pair = Pair(rule)
    for where, value in edits:
        if where == "here":
            pair.local = value
        elif where == "there":
            pair.remote = rewritten(value)
        else:
            pair.sync()
    return pair


ANY_RULE = st.builds(Rule, st.just(norm), st.sampled_from(Direction), st.sampled_from(Policy), st.sampled_from(Blanks))


@settings(max_examples=400, deadline=None)
@given(BASES, VALUES, VALUES, MOMENTS, MOMENTS, RULES)
def test_every_input_has_one_answer_that_fits_its_act(
    base: Base | None,
    local: str,
    remote: str,
    local_at: datetime | None,
    remote_at: datetime | None,
    rules: dict[str, object],
) -> None:
    def decide() -> Decision:
        return merge_field(base, local, remote, local_at=local_at, remote_at=remote_at, norm=norm, **rules)  # type: ignore[arg-type]  # built by name

    decision = decide()

    assert decision == decide()
    assert (decision.base is not None) == (decision.act in (Act.SAME, Act.ACCEPT, Act.TAKE))
    if decision.act is Act.TAKE:
        assert norm(decision.value) == norm(remote) != norm(local)
        assert rules["direction"] is not Direction.OUT
    if decision.act is Act.SEND:
        assert norm(decision.value) == norm(local) != norm(remote)
        assert rules["direction"] is not Direction.IN
    if rules["blanks"] is Blanks.KEEP and decision.act in (Act.TAKE, Act.SEND):
        assert norm(decision.value), "a filled value would become blank"
    if decision.loser is not None:
        assert {norm(decision.loser), norm(decision.value)} == {norm(local), norm(remote)}


@settings(max_examples=300, deadline=None)
@given(ANY_RULE, EDITS)
def test_a_second_sync_without_edits_writes_nothing(rule: Rule, edits: list[tuple[str, str]]) -> None:
    pair = lived(rule, edits)
    pair.sync()
    before = pair.local, pair.remote, pair.base

    again = pair.sync()

    assert again.act in (Act.NONE, Act.CONFLICT)
    assert (pair.local, pair.remote, pair.base) == before


@settings(max_examples=300, deadline=None)
@given(ANY_RULE, EDITS)
def test_a_difference_at_rest_has_a_base_that_explains_it_or_an_open_conflict(
    rule: Rule, edits: list[tuple[str, str]]
) -> None:
    pair = lived(rule, edits)

    last = pair.sync()

    if norm(pair.local) != norm(pair.remote) and last.act is not Act.CONFLICT:
        assert pair.base is not None
        assert (norm(pair.base.local), norm(pair.base.remote)) == (norm(pair.local), norm(pair.remote))
        assert pair.base.why in ("kept_blank", "one_way", "stored_differently")


@settings(max_examples=300, deadline=None)
@given(BOTH_WAYS, EDITS, st.sampled_from(["here", "there"]), st.lists(VALUES, min_size=1, max_size=3))
def test_when_only_one_side_is_edited_since_rest_its_last_value_wins_under_every_policy(
    rule: Rule, edits: list[tuple[str, str]], side: str, typed: list[str]
) -> None:
    pair = lived(rule, edits)
    if pair.sync().act is Act.CONFLICT:
        return
    settled = pair.base

    for value in typed:
        pair = lived_on(pair, side, value)
    changed = settled is None or norm(pair.local) != norm(settled.local) or norm(pair.remote) != norm(settled.remote)
    value = pair.local if side == "here" else pair.remote
    pair.sync()

    if changed:
        assert norm(pair.remote) in (norm(value), norm(rewritten(value)))
        assert norm(pair.local) == norm(value)


def lived_on(pair: Pair, side: str, value: str) -> Pair:
    if side == "here":
        pair.local = value
    else:
        pair.remote = rewritten(value)
    return pair


@settings(max_examples=200, deadline=None)
@given(ANY_RULE, EDITS, st.booleans())
def test_a_cosmetic_edit_writes_nothing_and_both_originals_stay(
    rule: Rule, edits: list[tuple[str, str]], here: bool
) -> None:
    pair = lived(rule, edits)
    if pair.sync().act is Act.CONFLICT:
        return
    if here:
        pair.local = f" {pair.local.upper()} "
    else:
        pair.remote = f" {pair.remote.upper()} "
    before = pair.local, pair.remote

    assert pair.sync().act is Act.NONE
    assert (pair.local, pair.remote) == before


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([Direction.IN, Direction.OUT]),
    st.sampled_from(Policy),
    st.sampled_from(Blanks),
    st.lists(EDITS, max_size=3),
)
def test_a_direction_that_is_off_sees_no_write_ever(
    direction: Direction, policy: Policy, blanks: Blanks, histories: list[list[tuple[str, str]]]
) -> None:
    for edits in histories:
        pair = lived(Rule(norm, direction, policy, blanks), edits)
        pair.sync()

        assert (Act.SEND if direction is Direction.IN else Act.TAKE) not in pair.acts


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), st.tuples(BASES, VALUES, VALUES, ANY_RULE)), st.randoms())
def test_the_order_of_fields_does_not_matter(
    fields: dict[str, tuple[Base | None, str, str, Rule]], chance: object
) -> None:
    names = list(fields)
    chance.shuffle(names)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    bases = {name: base for name, (base, _, _, _) in fields.items() if base is not None}
    local = {name: value for name, (_, value, _, _) in fields.items()}
    remote = {name: value for name, (_, _, value, _) in fields.items()}

    one = three_way(bases, local, remote, {name: fields[name][3] for name in fields})
    other = three_way(bases, local, remote, {name: fields[name][3] for name in names})

    assert one == other
