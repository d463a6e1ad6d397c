"""When to try again, by class of error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mercuri.core.retry import WAITS_FOR, FailureClass, class_of, next_try
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited, Unauthorised, Unavailable

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_ladder_climbs_and_then_tries_nightly() -> None:
    waits = []
    for attempts in range(1, 11):
        at = next_try(FailureClass.SERVER, attempts, NOON)
        assert at is not None
        waits.append(int((at - NOON).total_seconds() / 60))

    assert waits[:3] == [1, 5, 20]
    assert waits == sorted(waits)
    assert next_try(FailureClass.SERVER, 11, NOON) == datetime(2026, 3, 3, 2, tzinfo=UTC)
    assert next_try(FailureClass.SERVER, 500, datetime(2026, 3, 2, 1, tzinfo=UTC)) == datetime(
        2026, 3, 2, 2, tzinfo=UTC
    )
    assert next_try(FailureClass.SERVER, 500, datetime(2026, 3, 2, 2, tzinfo=UTC)) == datetime(
        2026, 3, 3, 2, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "kind",
    [FailureClass.VALIDATION, FailureClass.DUPLICATE_KEY, FailureClass.AUTH, FailureClass.SCOPE, FailureClass.GONE],
)
def test_what_time_does_not_mend_waits_and_says_for_what(kind: FailureClass) -> None:
    assert next_try(kind, 1, NOON) is None
    assert WAITS_FOR[kind].endswith(".")


def test_a_limit_is_waited_for_as_long_as_it_says() -> None:
    assert next_try(FailureClass.RATE, 3, NOON, retry_after=timedelta(seconds=7)) == NOON + timedelta(seconds=7)
    assert next_try(FailureClass.RATE, 3, NOON, retry_after=timedelta(0)) == NOON
    assert next_try(FailureClass.RATE, 3, NOON) == NOON + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unauthorised("x"), FailureClass.AUTH),
        (MissingScope("x"), FailureClass.SCOPE),
        (RateLimited("x", retry_after=1), FailureClass.RATE),
        (Unavailable("x", status=503), FailureClass.SERVER),
        (NotThere("x", status=404), FailureClass.GONE),
        (BadRequest("x", status=409), FailureClass.DUPLICATE_KEY),
        (BadRequest("x", status=400), FailureClass.VALIDATION),
    ],
)
def test_every_error_of_hubspot_has_a_class(error: HubSpotError, kind: FailureClass) -> None:
    assert class_of(error) is kind
