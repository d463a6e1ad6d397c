"""When a run must stop before it does harm, and what counts as proof that a record is gone."""

from __future__ import annotations

#: A run may always archive this many contacts; the brake is about lists, not about a handful.
ALWAYS_ALLOWED = 10


def deletions_brake(to_archive: int, linked: int, percent: float) -> bool:
    """Whether the brake trips: more than `percent` of the linked contacts and more than ten would be archived.

    >>> deletions_brake(12, 500, 2), deletions_brake(10, 20, 2), deletions_brake(10, 500, 2)
    (True, False, False)
    """
    return to_archive > ALWAYS_ALLOWED and to_archive * 100 > linked * percent


def deletions_sentence(to_archive: int, linked: int, percent: float) -> str:
    """What a stopped run says: what it would have done, that nothing was changed, and how to go on."""
    return (
        f"This run would archive {to_archive:,} of {linked:,} linked contacts (limit {percent:g}%). "
        "Nothing was changed. Check the portal; if this is what you want, raise delete_brake and run again."
    )


def may_conclude_absence(*, completed: bool, fetched: int, met_errors: bool) -> bool:
    """Whether a sweep proves that what it did not show is gone.

    It must have reached the end of the list without a 5xx, a 401 or a cut page, and must have shown something: an empty
    answer is far more often a fault than an empty portal.
    """
    return completed and fetched > 0 and not met_errors
