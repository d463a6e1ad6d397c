"""What may happen, as plain data: a portal's settings and a list of steps, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any

#: Our fields and HubSpot's properties.
MAPPED = {"first_name": "firstname", "last_name": "lastname", "email": "email", "phone": "phone"}
#: People in a history. They are slots: a step about someone who does not exist does nothing.
PEOPLE = 4
#: The numbers of which consent is said, in histories that are about it.
NUMBERS = ("+14155552671", "+14155552672", "+14155552999")
#: People of a crowd, who are there to be deleted all at once: more than the brake always allows.
CROWD = 12


@dataclass(frozen=True)
class Step:
    """Somebody acts, or a run is made. `at` are things that happen during the run."""

    kind: str
    who: int = 0
    other: int = 0
    field: str = ""
    value: str = ""
    values: tuple[tuple[str, str], ...] = ()
    full: bool = False
    at: tuple[Moment, ...] = ()

    def __repr__(self) -> str:
        shown = [f"{f.name}={v!r}" for f in fields(self)[1:] if (v := getattr(self, f.name)) != f.default]
        return f"Step({', '.join([repr(self.kind), *shown])})"


@dataclass(frozen=True)
class Moment:
    """At the `number`-th `point` of a run (request, write, commit, take) `what` happens: cut, lost_before, ... or act.

    `times` requests in a row meet a fault. One that is `late` loses its answer, and takes effect `later` (s).
    """

    point: str
    number: int
    what: str
    times: int = 1
    later: int = 0
    act: Step | None = None


@dataclass(frozen=True)
class Setup:
    """How the portal is set and how HubSpot behaves. `theme`: what the history is about."""

    theme: str = ""
    policy: str = "hubspot"
    blanks: str = "keep"
    deletions: str = "keep"
    match_by: str = "email"
    directions: tuple[tuple[str, str], ...] = ()
    switches: tuple[tuple[str, Any], ...] = ()
    lag_s: int = 0
    own_id: bool = True
    crowd: bool = False
    #: HubSpot rewrites beyond recognition. Then no answer is lost: nobody could tell such an echo from an edit.
    lossy: bool = False
    #: How many contacts are pushed together, and what decides which of the batches under way is served first.
    batch: int = 100
    order: int = 0


@dataclass(frozen=True)
class History:
    """A life of both sides. `steps` end in rest, whether they say so or not."""

    setup: Setup
    steps: tuple[Step, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join([str(self.setup), *(f"  {number:2} {step}" for number, step in enumerate(self.steps))])


Story = Callable[["Drawing"], list[Step]]


class Drawing:
    """Draws one history; `story` draws some steps of its theme."""

    def __init__(self, rng: Random, theme: str = "", story: Story | None = None) -> None:
        self.rng, self.theme, self._of_theme = rng, theme, story
        self.number = 0
        self.lossy = theme != "late" and rng.random() < 0.25
        #: Most edits meet on one value: only edits that meet can go wrong.
        self.people = rng.choice([1, 2, 3, PEOPLE])
        self.focus = rng.randrange(self.people), rng.choice(["first_name", "last_name"])

    def history(self) -> History:
        setup = self._setup()
        length = self.people + self.rng.randint(3, 10)
        steps = [self.new(who) for who in range(self.people)]
        steps += [self.sync(calm=True)] if self.rng.random() < 0.8 else []
        while len(steps) < length:
            if self._of_theme is not None and self.rng.random() < 0.4:
                steps += self._of_theme(self)
            else:
                steps += self.story() if self.rng.random() < 0.25 else [self.step()]
        if setup.crowd:
            place = self.rng.randint(1, len(steps))
            steps[place:place] = [Step("sync"), Step("delete_crowd", value=self.rng.choice(["here", "there"]))]
        return History(setup, tuple(steps))

    def _setup(self) -> Setup:
        pick, chance = self.rng.choice, self.rng.random
        fields = [name for name in MAPPED if chance() < 0.08]
        switches: dict[str, Any] = {"bumps_after_create": pick([0, 0, 2]), "merge_id": pick(["new", "primary"])}
        for name, other in (
            ("phone_only", "accept"), ("rewriting", "keeps"), ("merge_traces", "null"), ("read_old_id", "missing"),
            ("update_old_id", "not_found"), ("archived_holds_unique", False), ("merge_unique", "primary"),
            ("idle_write_bumps", True), ("merge_bumps", True), ("merge_cleared_wins", False),
        ):  # fmt: skip
            if chance() < 0.25:
                switches[name] = other
        return Setup(
            theme=self.theme,
            policy=pick(["hubspot", "mercuri", "recent", "ask"]),
            blanks=pick(["keep", "keep", "erase", "ask"]),
            deletions=pick(["keep", "keep", "archive", "ask"]),
            match_by=pick(["email", "email", "email_phone", "none"]),
            directions=tuple((name, pick(["in", "out"])) for name in fields if "portals" not in self.theme),
            switches=tuple(switches.items()),
            lag_s=pick([0, 0, 10, 60]),
            own_id=chance() < 0.85,
            crowd=chance() < 0.04,
            lossy=self.lossy,
            batch=pick([1, 1, 2, 100]),
            order=self.rng.randrange(1000),
        )

    # Values

    def value(self, name: str) -> str:
        self.number += 1
        if self.rng.random() < 0.12:
            return ""
        if name == "email":
            return self.rng.choice(
                [f"p{self.number}@example.com", "Shared@Example.com", f"P{self.number}@example.com ", "p@nowhere"]
            )
        if name == "phone":
            some = ["+14155552671", "(415) 555-2671", "+1 415 555 2672", "call me"]
            return self.rng.choice([*some, f"+1415555{3000 + self.number}"])
        few = {"first_name": ["Ann", "Bob", "Bob "], "last_name": ["Lee", "Lee!", "Kim"]}[name]
        own = f"{name[0].upper()}{self.number}"
        return self.rng.choice([own, f"{own}!", *few])

    def person(self, who: int) -> tuple[tuple[str, str], ...]:
        kind = self.rng.choice(["whole", "whole", "whole", "name", "phone", "shared_phone", "shared_email"])
        values = {"first_name": f"P{who}", "last_name": self.value("last_name"), "email": f"who{who}@example.com"}
        if kind == "name":
            del values["email"]
        elif kind == "phone":
            values = {"phone": f"+1415555{2670 + who}"}
        elif kind == "shared_phone":
            values["phone"] = "+14155552999"
        elif kind == "shared_email":
            values["email"] = "shared@example.com"
        if "consent" in self.theme and "phone" not in values:
            values["phone"] = self.rng.choice(NUMBERS)
        return tuple(values.items())

    # Steps

    def new(self, who: int) -> Step:
        return Step(self.rng.choice(["new_here", "new_there"]), who, values=self.person(who))

    def step(self) -> Step:
        kinds = {"sync": 30, "act": 45, "rare": 12, "rest": 4, "preview": 4, "undo": 3, "wait": 6, "reformat": 2}
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "act":
            return self.edit()
        if kind == "rare":
            return self.rare()
        if kind == "sync":
            return self.sync()
        if kind == "reformat":
            name = self.rng.choice(["first_name", "phone", "email"])
            return Step(kind, self.who(), field=name, value=self.rng.choice(["here", "there"]))
        if kind == "wait":
            return Step("wait", value=str(self.rng.choice([30, 120, 900, 4000, 90_000])))
        return Step(kind)

    def story(self) -> list[Step]:
        """An edit here whose way to HubSpot is troubled: answer lost, edited there meanwhile, edited here again."""
        pick = self.rng.choice
        acts = [Moment("write", 0, "act", act=self.edit(side)) for side in ("edit_there", "edit_here")]
        lost = [] if self.lossy else [Moment("write", 0, "cut"), Moment("write", 0, "lost_after")]
        trouble = pick([*acts, *lost])
        after = [self.edit("edit_here")] if self.rng.random() < 0.6 else []
        return [self.edit("edit_here"), Step("sync", at=(trouble,)), *after, self.sync()]

    def edit(self, side: str = "") -> Step:
        who, name = self.focus
        if self.rng.random() < 0.35:
            who, name = self.who(), self.rng.choice(["first_name", "last_name", "phone", "email"])
        return Step(side or self.rng.choice(["edit_here", "edit_there"]), who, field=name, value=self.value(name))

    def rare(self) -> Step:
        pick = self.rng.choice
        kinds = ["delete_here", "archive_there", "merge_there", "restore_here", "restore_there", "settle", "new"]
        kind = pick(kinds)
        if kind == "new":
            return self.new(self.who())
        return Step(kind, self.who(), other=self.who(), value=pick(["hubspot", "mercuri"]))

    def sync(self, *, calm: bool = False) -> Step:
        count = 0 if calm else self.rng.choice([0, 1, 1, 2])
        full = self.rng.random() < 0.15
        return Step("sync", full=full, at=tuple(self.moment() for _ in range(count)))

    def moment(self) -> Moment:
        pick, rng = self.rng.choice, self.rng
        what = pick(["act", "act", "take"] if self.lossy else ["cut", "cut", "lost", "act", "act", "take"])
        if what == "cut":
            point = pick(["commit", "commit", "write", "request"])
            return Moment(point, rng.randint(0, {"commit": 24, "write": 2, "request": 12}[point]), "cut")
        if what == "take":
            name = pick(["first_name", "last_name"])
            act = Step("edit_here", field=name, value=self.value(name))
            return Moment("take", rng.randint(0, 1), "act", act=act)
        point = pick(["write", "write", "request"])
        number = rng.randint(0, 1 if point == "write" else 10)
        if what == "act":
            act = self.edit() if rng.random() < 0.8 else self.rare()
            return Moment(point, number, "act", act=act)
        faults = ["lost_before", "lost_after", "lost_after", "500", *([] if self.theme == "limits" else ["429"])]
        return Moment(point, number, pick(faults), times=pick([1, 6]))

    def who(self) -> int:
        return self.rng.randrange(self.people)
