"""Import a CSV file: upload it, look at what would happen, map its columns, then do it."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from contextlib import closing
from datetime import timedelta
from itertools import islice
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, UploadFile
from fastapi.responses import Response

from mercuri.core.contact import STANDARD
from mercuri.engine.csv_files import CONSENT_AT, CONSENT_TARGETS, CUSTOM_FIELD, encoding_of, read_sheet, suggest_columns
from mercuri.engine.edit import ImportReport, import_csv
from mercuri.errors import NotFound, UserError
from mercuri.web import render, words
from mercuri.web.auth import Form, Manager, actor_of, sent
from mercuri.web.pages.consent_view import CHANNEL_NAMES
from mercuri.web.services import app_of, services_of

router = APIRouter()

#: Largest file, and how long one that was never imported is kept.
LARGEST_BYTES = 100 * 1024 * 1024
KEPT = timedelta(hours=6)
_CHUNK = 1024 * 1024
_SAMPLES = 3

Token = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@router.get("/contacts/import")
def show(request: Request, manager: Manager) -> Response:
    """The form for the file."""
    return render.page(request, "import.html", section="contacts", problem="")


@router.post("/contacts/import")
def upload(request: Request, manager: Manager, file: UploadFile) -> Response:
    """Keep the file aside, under a name that nobody can guess, and show what it holds."""
    folder = _folder(request, manager)
    _sweep(folder, app_of(request).now().timestamp() - KEPT.total_seconds())
    token = secrets.token_hex(16)
    target = folder / token
    try:
        with target.open("xb") as kept:
            for chunk in iter(lambda: file.file.read(_CHUNK), b""):
                kept.write(chunk)
                if kept.tell() > LARGEST_BYTES:
                    raise UserError("The file is larger than 100 MB. Nothing was imported. Split it.")
        with closing(_lines(target)) as lines:
            read_sheet(lines)
    except UserError as error:
        target.unlink(missing_ok=True)
        return render.page(request, "import.html", status=422, section="contacts", problem=error.message)
    return render.see_other(request, f"/contacts/import/{token}")


def _folder(request: Request, manager: Manager) -> FilePath:
    folder = services_of(request).settings.data_path / "imports" / str(manager.workspace)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _sweep(folder: FilePath, before: float) -> None:
    for old in folder.iterdir():
        if old.stat().st_mtime < before:
            old.unlink(missing_ok=True)


def _lines(file: FilePath) -> Generator[str, None, None]:
    """The lines of a file in the encoding that its bytes show."""
    with file.open("rb") as opened:
        encoding = encoding_of(opened)
    with file.open(encoding=encoding, errors="replace", newline="") as opened:
        yield from opened


@router.get("/contacts/import/{token}")
def look(request: Request, manager: Manager, token: Token) -> Response:
    """What the file would do, with the columns as their names suggest."""
    return _plan(request, manager, _kept(request, manager, token), None, "")


def _kept(request: Request, manager: Manager, token: str) -> FilePath:
    file = _folder(request, manager) / token
    if not file.is_file():
        raise NotFound("This file was imported already, or was kept for too long. Upload it again.")
    return file


def _plan(
    request: Request, manager: Manager, file: FilePath, mapping: Mapping[str, str] | None, source: str
) -> Response:
    with closing(_lines(file)) as lines:
        sheet = read_sheet(lines)
        samples = list(islice(sheet.rows, _SAMPLES))
    chosen = suggest_columns(sheet.columns) if mapping is None else mapping
    report: ImportReport | None = None
    problem = ""
    try:
        with closing(_lines(file)) as lines:
            report = import_csv(
                app_of(request), manager.workspace, lines, chosen, actor_of(manager), True, consent_source=source
            )
    except UserError as error:
        problem = error.message
    columns = [
        {
            "name": name,
            "target": chosen.get(name, ""),
            "samples": [cell for row in samples if (cell := row.cells.get(name, "").strip())],
            "choices": _choices(name, chosen.get(name, "")),
        }
        for name in sheet.columns
        if name
    ]
    return render.page(
        request,
        "import_plan.html",
        status=422 if problem else 200,
        section="contacts",
        token=file.name,
        columns=columns,
        report=report,
        problem=problem,
        source=source,
        speaks=any(target in CONSENT_TARGETS for target in chosen.values()),
    )


def _choices(column: str, target: str) -> list[tuple[str, str]]:
    """What a column can become: nothing, a standard field, the contact's number, or a field of its own name."""
    own = "custom." + "_".join("".join(c if c.isalnum() and c.isascii() else " " for c in column.lower()).split())
    choices = [("", "leave it out"), *((name, words.field_name(name)) for name in STANDARD), ("id", "Contact's number")]
    choices += [(name, f"May be messaged: {CHANNEL_NAMES[channel]}") for name, channel in CONSENT_TARGETS.items()]
    choices.append((CONSENT_AT, "Date of the yes or no"))
    for name in (own, target):
        if CUSTOM_FIELD.fullmatch(name) and name not in dict(choices):
            choices.append((name, f"{words.field_name(name)} (own field)"))
    return choices


@router.post("/contacts/import/{token}")
def run(request: Request, manager: Manager, token: Token, form: Annotated[Form, Depends(sent)]) -> Response:
    """Look again with other columns, or import."""
    file = _kept(request, manager, token)
    mapping = {name.removeprefix("column."): to for name, to in form.items() if name.startswith("column.") and to}
    source = form.get("consent_source", "")
    if form.get("act") != "import":
        return _plan(request, manager, file, mapping, source)
    with closing(_lines(file)) as lines:
        report = import_csv(
            app_of(request), manager.workspace, lines, mapping, actor_of(manager), consent_source=source
        )
    file.unlink(missing_ok=True)
    return render.page(request, "import_done.html", section="contacts", report=report)
