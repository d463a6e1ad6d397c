"""What a CSV file says of consent: a no always counts, a yes only with a source, and it opens nobody's no."""

from __future__ import annotations

import pytest
from tests.support.consent import PHONE, a_person, label, push, says, sendable
from tests.support.world import OWNER, World

from mercuri.core.consent import Register
from mercuri.engine import consent, edit

SOURCE = "paper forms, spring fair 2026"
OTHER = "+14155552672"


def imported(
    world: World, *lines: str, source: str = SOURCE, header: str = "phone,consent.sms", dry_run: bool = False
) -> edit.ImportReport:
    """Import lines below a header, a minute later."""
    world.clock.advance(60)
    text = [f"{line}\n" for line in (header, *lines)]
    return edit.import_csv(world.app, world.ws, text, None, OWNER, dry_run, source)


def heard(report: edit.ImportReport) -> tuple[int, int, int]:
    """Yes, no, refused."""
    return report.consent.said_in, report.consent.said_out, report.consent.refused


def test_a_yes_opens_who_was_never_asked_and_its_source_is_the_proof(both: World) -> None:
    report = imported(both, f"{PHONE},yes")

    assert heard(report) == (1, 0, 0)
    assert sendable(both)
    [event] = consent.explain(both.app, both.ws, "sms", PHONE).evidence
    assert (event.register, event.kind, event.actor) == (Register.STAFF, "import", OWNER.name)
    assert event.proof == {"line": "2", "source": SOURCE}


def test_a_no_closes_every_contact_with_the_number_and_hubspot_is_told(both: World) -> None:
    record = a_person(both)

    report = imported(both, f"{PHONE},no", source="")
    push(both)

    assert heard(report) == (0, 1, 0)
    assert label(both, record) == "not_subscribed"
    assert both.record(record)["sms_opt_in"] == "false"


def test_a_yes_without_a_source_is_refused_and_the_row_is_imported_all_the_same(world: World) -> None:
    report = imported(world, f"{PHONE},yes", source=" ")

    assert (report.created, report.failed, heard(report)) == (1, 0, (0, 0, 1))
    assert report.unheard[0].reason == "SMS was not recorded: the import states no source of its permissions"
    assert not sendable(world)


def test_a_yes_never_opens_what_the_person_closed(both: World) -> None:
    says(both, "START")
    says(both, "STOP")

    report = imported(both, f"{PHONE},yes,2026-12-31", header="phone,consent.sms,consent_at")

    assert heard(report) == (0, 0, 1)
    assert "Only the person can open it again" in report.unheard[0].reason
    assert not sendable(both)


def test_a_yes_does_not_open_what_hubspot_closed(world: World) -> None:
    a_person(world, "false")

    report = imported(world, f"{PHONE},yes,2026-12-31", header="phone,consent.sms,consent_at")

    assert heard(report) == (0, 0, 1)
    assert "HubSpot (sms_opt_in of record" in report.unheard[0].reason
    assert not sendable(world)


def test_the_file_of_yesterday_does_not_open_what_a_colleague_closed_since(world: World) -> None:
    imported(world, f"{PHONE},yes")
    world.clock.advance(60)
    consent.staff_out(world.app, world.ws, "sms", PHONE, OWNER, "phoned us")

    again = imported(world, f"{PHONE},yes")
    dated_before = imported(world, f"{PHONE},yes,2026-03-01", header="phone,consent.sms,consent_at")
    of_the_future = imported(world, f"{PHONE},yes,2062-01-01", header="phone,consent.sms,consent_at")
    assert not sendable(world)
    world.clock.advance(86_400)
    dated_after = imported(world, f"{PHONE},yes,2026-03-09T23:00:00", header="phone,consent.sms,consent_at")

    assert [heard(one) for one in (again, dated_before, of_the_future)] == [(0, 0, 1)] * 3
    assert heard(dated_after) == (1, 0, 0)
    assert sendable(world)


def test_a_person_who_was_erased_is_not_opened_by_a_file(both: World) -> None:
    someone = both.create(first_name="Ana", phone=PHONE)
    says(both, "STOP")
    edit.erase_contact(both.app, both.ws, someone, OWNER)

    dry = imported(both, f"{PHONE},yes", dry_run=True)
    real = imported(both, f"{PHONE},yes")

    assert (dry.failed, real.failed) == (1, 1)
    assert not sendable(both)


@pytest.mark.parametrize("rows", [(f"{PHONE},no", f"{PHONE},yes"), (f"{PHONE},yes", f"{PHONE},no")])
def test_of_two_rows_with_one_number_the_no_counts(world: World, rows: tuple[str, ...]) -> None:
    report = imported(world, *rows)

    assert heard(report) == (0, 1, 1)
    assert not sendable(world)


def test_a_no_speaks_of_every_number_of_the_contact_and_a_yes_of_the_number_in_its_row(world: World) -> None:
    ana = world.create(email="ana@example.org", phone=PHONE)
    imported(world, f"{PHONE},yes")

    no = imported(world, f"{ana},no", header="id,consent.sms")
    yes = imported(world, f"{ana},yes", header="id,consent.whatsapp")

    assert (heard(no), no.failed) == ((0, 1, 0), 0)
    assert not sendable(world)
    assert heard(yes) == (0, 0, 1)
    assert "no valid phone number" in yes.unheard[0].reason


def test_the_no_of_a_row_that_is_left_out_is_heard(world: World) -> None:
    imported(world, f"{PHONE},yes", f"{OTHER},yes")

    report = imported(
        world,
        f"12345,{PHONE},no",
        f"12345,{OTHER},yes",
        header="id,phone,consent.sms",
    )

    assert (report.failed, heard(report)) == (2, (0, 1, 0))
    assert (sendable(world), sendable(world, OTHER)) == (False, True)


def test_what_cannot_be_read_says_nothing_and_is_listed(world: World) -> None:
    report = imported(
        world,
        f"{PHONE},maybe,",
        f"{OTHER},yes,03/01/2026",
        "+14155552673,,",
        "12,yes,",
        "+14155552674,no,soon",
        header="phone,consent.sms,consent_at",
    )

    assert (report.created, report.failed) == (5, 0)
    assert heard(report) == (0, 1, 3)
    assert [(error.line, error.reason.split(": ")[1]) for error in report.unheard] == [
        (2, "it is neither yes nor no"),
        (3, "its date is not written as 2026-03-31"),
        (5, "the row has no valid phone number"),
    ]


def test_a_dry_run_says_the_same_and_writes_nothing(both: World) -> None:
    says(both, "STOP", OTHER)
    rows = (f"{PHONE},yes", f"{OTHER},yes", "+14155552673,no", "+14155552674,perhaps")

    dry = imported(both, *rows, dry_run=True)
    assert not consent.explain(both.app, both.ws, "sms", PHONE).evidence
    real = imported(both, *rows)

    assert heard(dry) == heard(real) == (1, 1, 2)
    assert dry.unheard == real.unheard


def test_a_status_column_of_an_export_says_nothing_unless_someone_maps_it(world: World) -> None:
    report = imported(world, f"{PHONE},subscribed", header="phone,subscription_status")

    assert (report.columns, heard(report)) == ({"phone": "phone"}, (0, 0, 0))
