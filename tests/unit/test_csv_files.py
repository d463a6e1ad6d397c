"""CSV in and out, without a database."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.engine.csv_files import (
    checked_columns,
    csv_lines,
    decoded,
    read_sheet,
    shielded,
    suggest_columns,
    unshielded,
)
from mercuri.errors import UserError


@pytest.mark.parametrize("value", ["=cmd()", "+1", "-2", "@x", "\tx", "\rx"])
def test_a_value_that_a_spreadsheet_would_run_is_shielded(value: str) -> None:
    assert shielded(value) == "'" + value


@pytest.mark.parametrize(
    "data",
    ["Zoë".encode(), "\ufeffZoë".encode(), "Zoë".encode("utf-16"), "Zoë".encode("cp1252")],
    ids=["utf-8", "marked utf-8", "utf-16", "windows"],
)
def test_the_bytes_of_a_file_show_its_encoding(data: bytes) -> None:
    assert decoded(data) == "Zoë"


@given(st.text(max_size=20))
@settings(max_examples=200)
def test_shielding_can_always_be_undone(value: str) -> None:
    assert unshielded(shielded(value)) == value


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=8), min_size=2, max_size=2))
@settings(max_examples=100)
def test_what_is_exported_is_read_back_the_same(cells: list[str]) -> None:
    lines = list(csv_lines(["first_name", "last_name"], [cells]))

    rows = list(read_sheet(lines).rows)

    if any(cell.strip() for cell in cells):
        assert [list(row.cells.values()) for row in rows] == [cells]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_tells_the_delimiter(delimiter: str) -> None:
    sheet = read_sheet([f"First name{delimiter}Phone\n", f"Ana{delimiter}+44 7911 123456\n"])

    assert [dict(row.cells) for row in sheet.rows] == [{"First name": "Ana", "Phone": "+44 7911 123456"}]


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert read_sheet(["\ufeffid,email\n"]).columns == ("id", "email")


def test_a_value_may_span_lines_and_the_row_is_named_by_its_last_line() -> None:
    sheet = read_sheet(["first_name,last_name\n", '"Ana\n', 'Maria",Duarte\n', "Bo,Lind\n"])

    assert [(row.number, row.cells["first_name"]) for row in sheet.rows] == [(3, "Ana\nMaria"), (4, "Bo")]


def test_a_row_with_too_many_cells_is_a_problem_of_that_row_only() -> None:
    sheet = read_sheet(["email\n", "a@example.org,b\n", "c@example.org\n", "\n"])

    bad, good = list(sheet.rows)

    assert bad.problem == "2 cells, but the header names 1 columns"
    assert not good.problem


def test_a_short_row_says_nothing_of_the_columns_that_it_lacks() -> None:
    (row,) = read_sheet(["first_name,last_name\n", "Ana\n"]).rows

    assert dict(row.cells) == {"first_name": "Ana"}


def test_a_file_without_header_is_refused() -> None:
    with pytest.raises(UserError, match="no header"):
        read_sheet([])


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="Two columns are named 'email'"):
        read_sheet(["email,email\n"])


def test_columns_are_recognised_by_usual_names() -> None:
    columns = ["Vorname", "Last Name", "E-mail address", "Mobile phone", "Phone", "custom.city", "Shoe size"]

    assert suggest_columns(columns) == {
        "Vorname": "first_name",
        "Last Name": "last_name",
        "E-mail address": "email",
        "Mobile phone": "phone",
        "custom.city": "custom.city",
    }


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"Nope": "email"}, "no column 'Nope'"),
        ({"A": "shoe_size"}, "'shoe_size' is not a field"),
        ({"A": "email", "B": "email"}, "mapped to email"),
        ({"A": "id"}, "No column is mapped to a field"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(mapping: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        checked_columns(["A", "B"], mapping)


def test_every_exported_line_is_one_csv_record() -> None:
    (header, line) = csv_lines(["name"], [['a "quoted", value']])

    assert next(csv.reader([line])) == ['a "quoted", value']
    assert header == "name\r\n"
