"""Import contacts from CSV: each row updates the contact that it names, or the one with its e-mail, or makes one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.core.normalise import blank, clean_text
from mercuri.engine.app import Actor, App, require
from mercuri.engine.csv_files import (
    CONSENT_AT,
    CONSENT_TARGETS,
    LISTED,
    Row,
    RowError,
    checked_columns,
    read_sheet,
    suggest_columns,
)
from mercuri.engine.import_consent import FileConsent, HeardInFile
from mercuri.engine.writes import By, Rules, change, insert, new_contact, rules_of
from mercuri.errors import UserError
from mercuri.store import contacts, statistics, suppression
from mercuri.store.contact_rows import Held, NewContact
from mercuri.store.database import Tx

#: Rows of one transaction.
BATCH = 500
#: Longest source of permissions, which is kept with every yes.
SOURCE = 1_000
_NO_FIELDS = frozenset({"id", CONSENT_AT, *CONSENT_TARGETS})


@dataclass(slots=True)
class ImportReport:
    """What an import did, or would do; `rows` = created + updated + unchanged + failed.

    `duplicates` counts the new contacts that share a phone number with someone: they are created and flagged.
    `columns` is the mapping that was used. `consent` counts what the consent columns said; `unheard` lists the lines
    whose word was not recorded, whatever became of the rest of the row.
    """

    dry_run: bool
    columns: dict[str, str]
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    duplicates: int = 0
    errors: list[RowError] = field(default_factory=list)
    consent: HeardInFile = field(default_factory=HeardInFile)
    unheard: list[RowError] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        """Count a row that is left out."""
        self.failed += 1
        if len(self.errors) < LISTED:
            self.errors.append(RowError(line, reason))


@dataclass(slots=True)
class _Seen:
    """Lines that named a contact or an e-mail already: a file that says two things of one person is refused."""

    ids: dict[int, int] = field(default_factory=dict)
    emails: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Step:
    """A row as read: which contact it names, the values, and the contact that it would make."""

    line: int
    id: ContactId | None
    values: Mapping[str, str]
    new: NewContact

    @property
    def emails(self) -> list[str]:
        return [a.normal for a in self.new.addresses if a.kind == "email" and a.normal]

    @property
    def phones(self) -> list[str]:
        return [a.normal for a in self.new.addresses if a.kind == "phone" and a.normal]


def import_csv(
    app: App,
    ws: WorkspaceId,
    lines: Iterable[str],
    mapping: Mapping[str, str] | None,
    actor: Actor,
    dry_run: bool = False,
    consent_source: str = "",
) -> ImportReport:
    """Import the rows of a file; `mapping` is column -> field (or `id`), None for what the header suggests.

    An empty cell says nothing: it clears no value. A row with an error is left out and listed; the others go on.
    People who were erased are not imported. With `dry_run` nothing is written and the answer is the same.
    `consent_source` says where the permissions in the consent columns come from; without it no yes is recorded.
    Raises UserError when it is longer than `SOURCE`, or when the file or the mapping cannot be used.
    """
    require(actor, "manager")
    if len(consent_source) > SOURCE:
        raise UserError(
            f"The source of the permissions is longer than {SOURCE:,} characters. Nothing was imported. Shorten it."
        )
    sheet = read_sheet(lines)
    report = ImportReport(dry_run, checked_columns(sheet.columns, mapping or suggest_columns(sheet.columns)))
    by = By(actor.name, "import", app.now(), "imported")
    said = FileConsent(actor.name, clean_text(consent_source.strip()), by.at, report.consent)
    seen = _Seen()
    for batch in _batches(sheet.rows):
        with app.db.read(ws) if dry_run else app.db.write(ws) as tx:
            _import_batch(app, tx, batch, report, by, seen, said)
    report.errors.sort(key=lambda error: error.line)
    report.unheard = sorted(said.refusals, key=lambda error: error.line)
    if not dry_run:
        app.wake()
    return report


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _import_batch(
    app: App, tx: Tx, rows: list[Row], report: ImportReport, by: By, seen: _Seen, said: FileConsent
) -> None:
    rules = rules_of(tx)
    report.rows += len(rows)
    steps = [step for row in rows if (step := _read(row, report, by, rules, seen, said)) is not None]
    steps = _without_erased(app, tx, steps, report, said)
    holders = contacts.holders(tx, "email", [email for step in steps for email in step.emails])
    wanted = {id_ for step in steps for id_ in ([step.id] if step.id else _found(step, holders))}
    held = contacts.held(tx, wanted) if report.dry_run else contacts.lock(tx, wanted)
    new: list[_Step] = []
    for step in steps:
        try:
            target = _target(step, holders, held)
        except UserError as error:
            report.refuse(step.line, error.message)
            said.leave_out(step.line)
            continue
        if target is None:
            new.append(step)
        else:
            said.settle(step.line, target.id)
            _update(tx, step, target, report, by, rules)
    _create(tx, new, report, by)
    said.hear(tx, dry_run=report.dry_run)


def _read(row: Row, report: ImportReport, by: By, rules: Rules, seen: _Seen, said: FileConsent) -> _Step | None:
    try:
        if row.problem:
            raise UserError(row.problem)
        cells = {target: row.cells.get(column, "") for column, target in report.columns.items()}
        values = {n: clean_text(value) for n, value in cells.items() if n not in _NO_FIELDS and not blank(value)}
        new = new_contact(values, by, rules)
        speaks = said.read(row.number, cells, new.addresses)
        id_ = _id_of(cells.get("id", ""))
        if not values and not (speaks and id_):
            raise UserError("no value in it")
        step = _Step(row.number, id_, values, new)
        _once(step, seen)
    except UserError as error:
        report.refuse(row.number, error.message)
        said.leave_out(row.number)
        return None
    return step


def _id_of(text: str) -> ContactId | None:
    if blank(text):
        return None
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit() and len(plain) < 19):
        raise UserError("the id is not a contact's id")
    return ContactId(int(plain))


def _once(step: _Step, seen: _Seen) -> None:
    before = seen.ids.get(step.id or 0) or next((seen.emails[e] for e in step.emails if e in seen.emails), None)
    if before is not None:
        raise UserError(f"line {before} names the same person")
    if step.id is not None:
        seen.ids[step.id] = step.line
    seen.emails.update(dict.fromkeys(step.emails, step.line))


def _without_erased(app: App, tx: Tx, steps: list[_Step], report: ImportReport, said: FileConsent) -> list[_Step]:
    hashes = {
        step.line: [
            app.vault.keyed_hash(suppression.erased_text(a.kind, a.normal)) for a in step.new.addresses if a.normal
        ]
        for step in steps
    }
    erased = suppression.known(tx, [item for items in hashes.values() for item in items], suppression.ERASED)
    kept = []
    for step in steps:
        if erased.intersection(hashes[step.line]):
            report.refuse(step.line, "this person asked to be erased")
            said.leave_out(step.line, whole_row=True)
        else:
            kept.append(step)
    return kept


def _found(step: _Step, holders: Mapping[str, list[ContactId]]) -> list[ContactId]:
    return list(dict.fromkeys(id_ for email in step.emails for id_ in holders.get(email, ())))


def _target(step: _Step, holders: Mapping[str, list[ContactId]], held: Mapping[ContactId, Held]) -> Held | None:
    if step.id is not None:
        named = held.get(step.id)
        if named is None or named.deleted_at is not None or named.merged_into is not None:
            raise UserError("there is no contact with this id")
        return named
    found = _found(step, holders)
    if len(found) > 1:
        raise UserError(f"{len(found)} contacts have this e-mail; name one with an id column")
    return held[found[0]] if found else None


def _update(tx: Tx, step: _Step, now: Held, report: ImportReport, by: By, rules: Rules) -> None:
    if all(now.fields.get(name, "") == value for name, value in step.values.items()):
        report.unchanged += 1
        return
    report.updated += 1
    if not report.dry_run:
        change(tx, now, step.values, by, rules)


def _create(tx: Tx, steps: list[_Step], report: ImportReport, by: By) -> None:
    report.created += len(steps)
    shared = contacts.holders(tx, "phone", [phone for step in steps for phone in step.phones])
    report.duplicates += sum(any(phone in shared for phone in step.phones) for step in steps)
    if steps and not report.dry_run:
        insert(tx, [step.new for step in steps], by)
        statistics.note_growth(tx, report.created - len(steps), report.created)
