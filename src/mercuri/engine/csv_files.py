"""CSV as people have it: spreadsheets of every locale in, files that are safe to open in a spreadsheet out."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from mercuri.core.contact import STANDARD
from mercuri.core.normalise import fold_name
from mercuri.core.settings import CHANNELS
from mercuri.errors import UserError

#: What a column may be imported as, beside `custom.<name>`: whether a channel may be used, and when that was said, too.
CONSENT_TARGETS = {f"consent.{channel}": channel for channel in CHANNELS}
CONSENT_AT = "consent_at"
TARGETS = ("id", *STANDARD, *CONSENT_TARGETS, CONSENT_AT)
#: Longest value that a cell may hold: HubSpot's limit for text properties (knowledge base, "property field types").
CELL = 65_536
#: Most rows with an error that a report lists; all are counted.
LISTED = 1_000
CUSTOM_FIELD = re.compile(r"custom\.[a-z][a-z0-9_]{0,62}")

#: Bytes read at a time.
_CHUNK = 1024 * 1024
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "contact id", "mercuri id"),
    "first_name": ("first name", "firstname", "given name", "first", "vorname", "prenom", "nombre"),
    "last_name": ("last name", "lastname", "surname", "family name", "last", "nachname", "nom", "apellido"),
    "phone": ("phone", "phone number", "mobile", "mobile phone", "cell", "telephone", "telefon", "tel", "handy"),
    "email": ("email", "e mail", "email address", "e mail address", "mail", "correo"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of data: `number` is the line of the file where it ends, as an editor counts them, from 1."""

    number: int
    cells: Mapping[str, str]
    problem: str = ""  # why the row cannot be read at all


@dataclass(frozen=True, slots=True)
class RowError:
    """What was wrong with a row: its line in the file, and why. Never holds a value of the row."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file whose header has been read; `rows` reads on as it is consumed."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


def read_sheet(lines: Iterable[str]) -> Sheet:
    """Read a header and offer the rows. Comma, semicolon and tab are told apart by the header; a BOM is dropped.

    Raises UserError when there is no header, or when two columns have one name.
    """
    source = iter(lines)
    first = next(source, "").removeprefix("\ufeff")
    reader = csv.reader(_chain(first, source), delimiter=_delimiter(first), strict=False)
    columns = tuple(cell.strip() for cell in _header(reader))
    if not any(columns):
        raise UserError("The file has no header line. Nothing was imported. Give each column a name in the first line.")
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise UserError(f"Two columns are named {twice[0]!r}. Nothing was imported. Rename one of them.")
    return Sheet(columns, _rows(reader, columns))


def suggest_columns(columns: Sequence[str]) -> dict[str, str]:
    """Which column is which field, as far as the names tell; each field is suggested once.

    >>> suggest_columns(["First Name", "E-Mail", "Shoe size", "custom.city"])
    {'First Name': 'first_name', 'E-Mail': 'email', 'custom.city': 'custom.city'}
    """
    found: dict[str, str] = {}
    for column in columns:
        target = _target_of(column)
        if target and target not in found.values():
            found[column] = target
    return found


def stated_columns(texts: Iterable[str]) -> dict[str, str] | None:
    """A mapping stated as COLUMN=FIELD, once per column; None where nothing is. Raises UserError.

    >>> stated_columns(["a=b=email"]), stated_columns([])
    ({'a=b': 'email'}, None)
    """
    mapping = {}
    for text in texts:
        column, equals, target = text.rpartition("=")
        if not equals:
            raise UserError(f"A column is mapped by COLUMN=FIELD, not by {text[:100]!r}. Nothing was imported.")
        mapping[column] = target
    return mapping or None


def checked_columns(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping, once every column exists and every target can be imported into. Raises UserError."""
    for column, target in mapping.items():
        if column not in columns:
            raise UserError(f"The file has no column {column!r}. Nothing was imported.")
        if target not in TARGETS and not CUSTOM_FIELD.fullmatch(target):
            raise UserError(
                f"{target!r} is not a field: use {', '.join(TARGETS)} or custom.<name>. Nothing was imported."
            )
    twice = [target for target in mapping.values() if list(mapping.values()).count(target) > 1]
    if twice:
        raise UserError(f"Two columns are mapped to {twice[0]}. Nothing was imported.")
    if not any(target not in ("id", CONSENT_AT) for target in mapping.values()):
        raise UserError("No column is mapped to a field. Nothing was imported. Map at least one column.")
    return dict(mapping)


def shielded(value: str) -> str:
    """A value that no spreadsheet takes for a formula; `unshielded` gives the value back (OWASP, CSV injection).

    >>> shielded("=1+1"), shielded("Ana"), unshielded(shielded("+44 7911 123456"))
    ("'=1+1", 'Ana', '+44 7911 123456')
    """
    bare = value.lstrip("'")
    return f"'{value}" if bare.startswith(_FORMULA_START) else value


def unshielded(value: str) -> str:
    """What a shielded value was before; any other value as it is."""
    bare = value.lstrip("'")
    return value[1:] if value.startswith("'") and bare.startswith(_FORMULA_START) else value


def decoded(data: bytes) -> str:
    """The text of a file in the encoding that its bytes show."""
    return data.decode(encoding_of(io.BytesIO(data)), "replace")


def encoding_of(file: BinaryIO) -> str:
    """The encoding that a file's bytes show: UTF-16 with its mark, UTF-8, else what Excel writes on Windows."""
    if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The file line by line, RFC 4180 with CRLF, every cell shielded."""
    yield _line(columns)
    for row in rows:
        yield _line(row)


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([shielded(cell) for cell in cells])
    return buffer.getvalue()


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        return next(reader, [])
    except csv.Error as error:
        raise UserError(f"The header line cannot be read: {error}. Nothing was imported.") from error


def _rows(reader: csv._reader, columns: tuple[str, ...]) -> Iterator[Row]:  # type: ignore[name-defined]  # typeshed's name
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Row(reader.line_num, {}, f"the line cannot be read: {error}")
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _row(reader.line_num, columns, cells)


def _row(number: int, columns: tuple[str, ...], cells: list[str]) -> Row:
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        return Row(number, {}, f"{len(cells)} cells, but the header names {len(columns)} columns")
    if any(len(cell) > CELL for cell in cells):
        return Row(number, {}, f"a cell is longer than {CELL:,} characters")
    return Row(number, {name: unshielded(cell) for name, cell in zip(columns, cells, strict=False)})


def _target_of(column: str) -> str | None:
    if column in TARGETS or CUSTOM_FIELD.fullmatch(column):
        return column
    plain = " ".join(re.sub(r"[_\-./]+", " ", fold_name(column)).split())
    return next((target for target, names in _NAMES.items() if plain in names), None)
