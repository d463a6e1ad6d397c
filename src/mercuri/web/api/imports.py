"""Import contacts from CSV over the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from mercuri.engine import edit
from mercuri.engine.csv_files import decoded, stated_columns
from mercuri.errors import UserError
from mercuri.web.api.access import Manager
from mercuri.web.api.models import Out
from mercuri.web.api.problems import ProblemRoute

router = APIRouter(tags=["contacts"], route_class=ProblemRoute)


class LineOut(Out):
    """A line of the file, as an editor counts them, and what was wrong with it."""

    line: int
    reason: str


class HeardOut(Out):
    """How often the consent columns said yes and no of an address, and how often a word was not recorded."""

    said_in: int
    said_out: int
    refused: int


class ImportOut(Out):
    """What an import did, or would do; rows = created + updated + unchanged + failed.

    `errors` are the rows left out; `unheard` the lines whose word about consent was not recorded.
    """

    dry_run: bool
    columns: dict[str, str]
    rows: int
    created: int
    updated: int
    unchanged: int
    failed: int
    duplicates: int
    errors: list[LineOut]
    consent: HeardOut
    unheard: list[LineOut]


async def _file(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").strip().lower()
    if kind.startswith(("application/json", "multipart/")):
        raise UserError("Nothing was imported. Send the file itself as the body, with Content-Type: text/csv.")
    return await request.body()


@router.post(
    "/contacts/import",
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def import_contacts(
    who: Manager,
    file: Annotated[bytes, Depends(_file)],
    column: Annotated[
        list[str] | None, Query(alias="map", description="COLUMN=FIELD, once per column; by default the header decides")
    ] = None,
    dry_run: Annotated[bool, Query(description="Say what would happen, and write nothing")] = False,
    consent_source: Annotated[
        str, Query(description="Where the permissions of the file come from; kept as their proof")
    ] = "",
) -> ImportOut:
    """Import a CSV file with a header line. Rows with an error are left out and listed; the others go on."""
    lines = decoded(file).splitlines(keepends=True)
    report = edit.import_csv(who.app, who.ws, lines, stated_columns(column or ()), who.actor, dry_run, consent_source)
    return ImportOut.model_validate(report)
