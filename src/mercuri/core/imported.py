"""What the consent columns of an imported file say, and whether a yes of theirs may be recorded.

An import is an act of staff who do not look at each person. So its no always counts, and its yes counts only with a
stated source, and opens nobody's address that someone closed: not what others closed, and what staff closed only when
the file dates the yes later.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mercuri.core.consent import EARLIEST, LATEST, STALE, Register, Registers, State, closed_by, shown
from mercuri.core.keywords import fold
from mercuri.core.normalise import Refused

_YES = frozenset({"yes", "y", "true", "1", "in", "opt in", "optin", "opted in", "subscribed"})
_NO = frozenset({"no", "n", "false", "0", "out", "opt out", "optout", "opted out", "unsubscribed", "stop"})


def read_cell(cell: str) -> State | Refused | None:
    """What a cell says: in, out, or nothing when it is blank.

    `not subscribed` is refused: it is what is shown of people who were never asked, too.

    >>> [read_cell(cell) for cell in ("Yes", "opted-out", " ", "maybe")]
    [<State.IN: 'in'>, <State.OUT: 'out'>, None, Refused(reason='it is neither yes nor no')]
    """
    said = fold(cell)
    if said in _YES or said in _NO:
        return State.IN if said in _YES else State.OUT
    return Refused("it is neither yes nor no") if cell.strip() else None


def read_date(cell: str, state: State) -> datetime | Refused | None:
    """When it was said: an ISO date, or date and time (UTC where it names no zone); None when the cell is blank.

    A date alone is the beginning of its day for a yes, and the end of it for a no: on one day the no is the later word.
    """
    text = cell.strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return Refused("its date is not written as 2026-03-31")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= moment < LATEST:
        return Refused(f"its date is not between the years {EARLIEST.year} and {LATEST.year}")
    is_day = len(text) <= len("2026-03-31")
    return moment + timedelta(days=1, milliseconds=-1) if is_day and state is State.OUT else moment


def refusal(registers: Registers, said_at: datetime | None, source: str, now: datetime) -> str | None:
    """Why a yes of a file is not recorded, or None when it is. `said_at` None means that the file does not date it."""
    if not source:
        return "the import states no source of its permissions"
    if said_at is not None and now - said_at > STALE:
        return "it is more than two years old; ask the person again"
    closing = closed_by(registers)
    if any(register is not Register.STAFF for register, _, _ in closing):
        return _reason(registers)
    if said_at is not None and said_at > now:
        # Counted as of now, as elsewhere, it would be later than whatever staff said before.
        return "its date lies in the future"
    if any(said_at is None or said_at <= entry.at for _, _, entry in closing):
        return f"{_reason(registers)}, and the file does not date the yes later"
    return None


def _reason(registers: Registers) -> str:
    return shown(registers).reason.rstrip(".")
