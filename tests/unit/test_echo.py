from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mercuri.core.contact import PropertyVersion
from mercuri.core.echo import Echo, find_echo


def versions(*values: str) -> tuple[PropertyVersion, ...]:
    return tuple(PropertyVersion(value, None) for value in values)


def test_a_write_that_stands_on_what_was_read_ran_over_nothing() -> None:
    assert find_echo("new", "old", "new", versions("new", "old"), str.strip) == Echo("new")


def test_a_value_written_between_our_look_and_our_write_is_found() -> None:
    echo = find_echo("new", "old", "new", versions("new", "theirs", "old"), str.strip)

    assert echo is not None
    assert echo.trampled == PropertyVersion("theirs", None)


def test_a_later_edit_does_not_hide_our_write() -> None:
    assert find_echo("new", "old", "later", versions("later", "new", "old"), str.strip) == Echo("new")


def test_a_rewritten_value_is_known_by_hubspots_answer() -> None:
    assert find_echo("+1 415", "", "415", versions("415"), str.strip, answered="415") == Echo("415")


def test_a_write_without_answer_and_without_trace_did_not_happen() -> None:
    assert find_echo("new", "old", "old", versions("old"), str.strip) is None


def test_the_same_value_by_someone_else_is_no_loss() -> None:
    assert find_echo("new", "old", "new", versions("new", "new ", "old"), str.strip) == Echo("new")


def test_the_same_value_typed_by_a_person_is_no_trace_of_a_write_without_answer() -> None:
    typed = PropertyVersion("new", None, "CRM_UI")
    ours = PropertyVersion("new", None, "INTEGRATION")

    assert find_echo("new", "old", "new", (typed, *versions("old")), str.strip) is None
    assert find_echo("new", "old", "new", (typed, *versions("old")), str.strip, answered="new") == Echo("new")
    theirs = find_echo("new", "old", "new", (ours, *versions("theirs"), typed, *versions("old")), str.strip)
    assert theirs is not None
    assert theirs.trampled == PropertyVersion("theirs", None)


def test_what_a_merge_brought_into_the_history_before_we_looked_was_not_run_over() -> None:
    looked = datetime(2026, 3, 9, 9, 5, tzinfo=UTC)
    ours, before = (PropertyVersion(value, looked + timedelta(minutes=n)) for value, n in (("new", 1), ("other", 0)))
    history = (ours, before, *versions("old"))

    assert find_echo("new", "old", "new", history, str.strip, seen_at=looked) == Echo("new")
    later = find_echo("new", "old", "new", history, str.strip, seen_at=looked - timedelta(seconds=1))
    assert later is not None
    assert later.trampled == before
