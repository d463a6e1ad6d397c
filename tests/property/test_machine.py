"""Histories of the simulation machine end in rest; and the machine notices when a rule of the sync is taken away."""

from __future__ import annotations

import pytest
from tests.property.machine import History, Setup, Step, Violation, draw, play, shorten
from tests.property.machine.histories import NUMBERS, Moment
from tests.property.machine.removed import RULES, without

#: Histories of this suite; `python -m tests.property.machine` plays as many as one likes.
HISTORIES, TOGETHER = 200, 10

_ANN = (("first_name", "Ann"), ("last_name", "Lee"), ("email", "ann@example.com"))
_EDIT = Step("edit_here", field="first_name", value="Bea")


def _during_the_write(what: str, act: Step | None = None) -> Step:
    return Step("sync", at=(Moment("write", 0, what, act=act),))


#: By rule: a history that needs it. It is clean with the rule, and breaks a law without.
NEEDED = {
    # The answer is lost, and the person edits again: the stale echo must not pass for an edit made in HubSpot.
    "intent journal": History(
        Setup(),
        (
            Step("new_here", values=_ANN),
            Step("sync"),
            _EDIT,
            _during_the_write("cut"),
            Step("edit_here", field="first_name", value="Cleo"),
        ),
    ),
    # HubSpot stores something else than what was sent.
    "base per side": History(Setup(lossy=True), (Step("new_here", values=(*_ANN[:1], ("last_name", "Lee!"))),)),
    # The answer to a create is lost, and the person has no address to be found by.
    "unique property": History(Setup(), (Step("new_here", values=_ANN[:2]), _during_the_write("lost_after"))),
    # Someone edits in HubSpot between our reading and our writing.
    "history check": History(
        Setup(),
        (
            Step("new_here", values=_ANN),
            Step("sync"),
            _EDIT,
            _during_the_write("act", Step("edit_there", field="first_name", value="Dana")),
        ),
    ),
    # The write takes effect after the next look, and the person edits again.
    "patience": History(
        Setup(),
        (
            Step("new_here", values=_ANN),
            Step("sync"),
            _EDIT,
            Step("sync", at=(Moment("write", 0, "late", later=130),)),
            Step("edit_here", field="first_name", value="Cleo"),
            Step("sync"),
        ),
    ),
    # HubSpot's box is ticked after a person said stop.
    "word of the person": History(
        Setup(theme="consent"),
        (
            Step("new_there", values=(*_ANN, ("phone", NUMBERS[0]))),
            Step("sync"),
            Step("say", value="STOP"),
            Step("sync"),
            Step("tick", value="true"),
            Step("sync"),
        ),
    ),
    # Somebody says stop while two-way is off.
    "stop past the two-way switch": History(
        Setup(theme="consent"),
        (
            Step("new_there", values=(*_ANN, ("phone", NUMBERS[0]))),
            Step("sync"),
            Step("stop_one_way"),
        ),
    ),
    # A preview is the first to see that the box was cleared.
    "word met by a preview": History(
        Setup(theme="consent"),
        (
            Step("new_there", values=(*_ANN, ("phone", NUMBERS[0]))),
            Step("sync"),
            Step("tick", value="true"),
            Step("sync"),
            Step("tick", value="false"),
            Step("preview"),
        ),
    ),
    # The box is cleared in one of two portals.
    "no of another portal": History(
        Setup(theme="consent in portals"),
        (
            Step("new_there", values=(*_ANN, ("phone", NUMBERS[0]))),
            Step("sync"),
            Step("sync_far"),
            Step("tick", value="false"),
            Step("sync"),
        ),
    ),
    # A mapped property vanishes, where erased values are erased on the other side too.
    "pause of a field": History(
        Setup(theme="schema", blanks="erase"),
        (
            Step("new_there", values=_ANN),
            Step("sync"),
            Step("change_schema", field="first_name", value="gone"),
            Step("edit_there", field="last_name", value="Kim"),
            Step("sync"),
        ),
    ),
    # A contact is imported while a property is of another type, which is put right later.
    "taking up of a field": History(
        Setup(theme="schema"),
        (
            Step("new_there", values=_ANN),
            Step("change_schema", field="first_name", value="number"),
            Step("wait", value="4000"),
            Step("sync"),
        ),
    ),
    # A dozen people are deleted at once.
    "brake": History(
        Setup(deletions="archive", crowd=True), (Step("sync"), Step("delete_crowd", value="here"), Step("sync"))
    ),
    # Someone edits here between our reading and our writing.
    "per-field compare-and-set": History(
        Setup(),
        (
            Step("new_there", values=_ANN),
            Step("sync"),
            Step("edit_there", field="first_name", value="Dana"),
            Step(
                "sync",
                at=(Moment("take", 0, "act", act=Step("edit_here", field="first_name", value="Eve")),),
            ),
        ),
    ),
}


@pytest.mark.parametrize("first", range(0, HISTORIES, TOGETHER))
def test_every_history_ends_in_rest_without_a_law_broken(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        try:
            play(draw(seed))
        except Violation as violation:
            violation.add_note(f"python -m tests.property.machine --only {seed}")
            raise


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_history_that_needs_a_rule_fails_without_it(rule: str) -> None:
    play(NEEDED[rule])

    with without(rule), pytest.raises(Violation):
        play(NEEDED[rule])


def test_a_value_that_someone_set_in_the_same_moment_is_not_logged_as_the_runs() -> None:
    meanwhile = Moment("take", 0, "act", act=Step("edit_here", field="first_name", value="Dana"))
    there = Step("edit_there", field="first_name", value="Dana")

    play(History(Setup(), (Step("new_there", values=_ANN), Step("sync"), there, Step("sync", at=(meanwhile,)))))


def test_a_seed_always_draws_the_same_history() -> None:
    assert str(draw(7)) == str(draw(7)) != str(draw(8))


def test_a_history_is_shortened_to_the_steps_that_matter() -> None:
    history = draw(3)
    wanted = history.steps[-1].kind

    shortest = shorten(history, lambda one: any(step.kind == wanted for step in one.steps))

    assert [step.kind for step in shortest.steps] == [wanted]
