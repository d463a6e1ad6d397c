"""`mercuri contacts`: list, show, export, import, edit and erase."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mercuri.cli.edge import WITH_FAILURES, say
from mercuri.cli.output import Id, Json, emit, table
from mercuri.cli.session import Session, confirmed, session
from mercuri.errors import UserError

if TYPE_CHECKING:
    from mercuri.engine.csv_import import ImportReport
    from mercuri.store.pages import Query

app = typer.Typer(help="Contacts.", no_args_is_help=True)

Search = Annotated[str, typer.Option("--q", "--search", help="Part of a name, e-mail or phone number.")]
Status = Annotated[Literal["subscribed", "not_subscribed"] | None, typer.Option(help="Only those who are.")]
Duplicate = Annotated[bool | None, typer.Option(help="Only those who share a phone number or e-mail, or who do not.")]


@app.command("list")
def list_contacts(
    q: Search = "",
    status: Status = None,
    duplicate: Duplicate = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """One page of contacts."""
    from mercuri.store import pages
    from mercuri.web.api.models import Contact, ContactPage

    with session() as s, s.app.db.read(s.ws) as tx:
        page = pages.page(tx, pages.Query(q=q, status=status, duplicate=duplicate, cursor=cursor, limit=limit))
    shown = [Contact.of(item) for item in page.items]
    if as_json:
        emit(
            ContactPage(items=shown, next_cursor=page.next_cursor, total=page.total, total_is_exact=page.total_is_exact)
        )
        return
    rows = [(c.id, f"{c.first_name} {c.last_name}", c.phone, c.email, c.subscription_status) for c in shown]
    table(["id", "name", "phone", "e-mail", "subscription"], rows, empty="No contact fits.")
    if page.next_cursor:
        say(f"{page.total:,}{'' if page.total_is_exact else '+'} in all; the next page: --cursor {page.next_cursor}")


@app.command("show")
def show(contact_id: Id, as_json: Json = False) -> None:
    """One contact: values and sources, addresses, consent, records."""
    from mercuri.core.contact import ContactId
    from mercuri.store import shown
    from mercuri.web.api.models import Contact

    with session() as s, s.app.db.read(s.ws) as tx:
        contact = shown.get(tx, ContactId(contact_id))
    if as_json:
        emit({**Contact.of(contact).model_dump(mode="json"), "merged_into": contact.merged_into})
        return
    rows = [(n, v, f"{o.kind} {o.by}" if (o := contact.origins.get(n)) else "") for n, v in contact.fields.items() if v]
    table(["field", "value", "from"], rows, empty="No values.")
    typer.echo(f"subscription: {contact.subscription_status}")
    if contact.duplicate_group is not None:
        typer.echo(f"possible duplicate: group {contact.duplicate_group}")
    for address in contact.addresses:
        typer.echo(
            f"{address.kind} {address.normal or address.raw}{' (' + address.problem + ')' if address.problem else ''}"
        )
    for line in contact.consent:
        typer.echo(f"{line.channel} {line.address}: {line.state}, {line.reason}")
    for link in contact.hubspot:
        typer.echo(f"HubSpot {link.portal_id} record {link.record_id}: {link.state}")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="FILE.csv or FILE.jsonl; `-` is standard output.", allow_dash=True)],
    q: Search = "",
    status: Status = None,
    duplicate: Duplicate = None,
) -> None:
    """Write contacts to a file, CSV or JSON lines by its name."""
    from mercuri.store.pages import Query

    with session() as s:
        lines = _exported(s, file, Query(q=q, status=status, duplicate=duplicate))
        if str(file) == "-":
            sys.stdout.writelines(lines)
            return
        try:
            with file.open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(lines)
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}.") from error
    say(f"Written to {file}.")


def _exported(s: Session, file: Path, query: Query) -> Iterable[str]:
    from mercuri.engine.csv_export import every, export_csv
    from mercuri.web.api.models import Contact

    if file.suffix == ".jsonl":
        return (Contact.of(contact).model_dump_json() + "\n" for contact in every(s.app, s.ws, query))
    return export_csv(s.app, s.ws, query)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="FILE.csv; `-` is standard input.", allow_dash=True)],
    column: Annotated[
        list[str] | None,
        typer.Option("--map", help="COLUMN=FIELD, once per column; by default the header decides."),
    ] = None,
    consent_source: Annotated[
        str, typer.Option(help="Where the permissions in consent.<channel> columns come from; kept as their proof.")
    ] = "",
    dry_run: Annotated[bool, typer.Option(help="Say what would happen, and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import contacts from CSV. Rows with an error are left out and listed; then the exit code is 3."""
    from mercuri.engine import edit
    from mercuri.engine.csv_files import stated_columns
    from mercuri.web.api.imports import ImportOut

    mapping = stated_columns(column or ())
    with session() as s:
        report = edit.import_csv(s.app, s.ws, _lines(file), mapping, s.actor, dry_run, consent_source)
    if as_json:
        emit(ImportOut.model_validate(report))
    else:
        _tell(report)
        if report.consent.refused and not consent_source.strip():
            say("No yes is recorded without its source. State it with --consent-source.")
    raise typer.Exit(WITH_FAILURES if report.failed or report.consent.refused else 0)


def _tell(report: ImportReport) -> None:
    for error in (*report.errors, *report.unheard):
        say(f"Line {error.line}: {error.reason}.")
    done = "would be" if report.dry_run else "were"
    say(
        f"{report.rows:,} rows: {report.created:,} {done} created ({report.duplicates:,} share a phone number with "
        f"someone), {report.updated:,} updated, {report.unchanged:,} unchanged, {report.failed:,} left out."
    )
    said = report.consent
    if said.total:
        say(f"Consent: {said.said_in:,} yes and {said.said_out:,} no {done} recorded, {said.refused:,} refused.")


def _lines(file: Path) -> Iterable[str]:
    if str(file) == "-":
        return sys.stdin
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}. Nothing was imported.") from error
    from mercuri.engine.csv_files import decoded

    return decoded(data).splitlines(keepends=True)


@app.command("set")
def change(
    contact_id: Id,
    values: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE…", help="An empty value clears the field.")],
    as_json: Json = False,
) -> None:
    """Change values of a contact."""
    from mercuri.core.contact import ContactId
    from mercuri.engine import edit
    from mercuri.web.api.models import Contact

    changes = dict(_value(text) for text in values)
    with session() as s:
        contact = edit.update_contact(s.app, s.ws, ContactId(contact_id), changes, s.actor)
    if as_json:
        emit(Contact.of(contact))
    else:
        say(f"Contact {contact_id} is now at version {contact.version}.")


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"a value is FIELD=VALUE, not {text!r}")
    return name, value


@app.command("delete")
def delete(
    contact_id: Id,
    erase: Annotated[bool, typer.Option(help="Remove the person for good, here and in HubSpot.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a contact; it can be restored unless it is erased."""
    from mercuri.core.contact import ContactId
    from mercuri.engine import edit

    with session() as s:
        if erase:
            confirmed(f"Erase contact {contact_id} here and in HubSpot? This cannot be undone.", yes)
            edit.erase_contact(s.app, s.ws, ContactId(contact_id), s.actor)
        else:
            edit.delete_contact(s.app, s.ws, ContactId(contact_id), s.actor)
    say(f"Contact {contact_id} is {'erased' if erase else 'deleted'}.")


@app.command("restore")
def restore(contact_id: Id) -> None:
    """Bring a deleted contact back."""
    from mercuri.core.contact import ContactId
    from mercuri.engine import edit

    with session() as s:
        edit.restore_contact(s.app, s.ws, ContactId(contact_id), s.actor)
    say(f"Contact {contact_id} is back.")
