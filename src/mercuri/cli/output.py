"""What a command answers: a table for people, or one JSON document on standard output and nothing else there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

LARGEST_ID = 2**63 - 1  # that a database holds
Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def emit(document: object) -> None:
    """Write one JSON document to standard output. Pydantic models are written as the API writes them."""
    json.dump(plain(document), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def plain(value: object) -> Any:
    """A value as plain JSON data."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under headings, or the sentence `empty` when there are none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = [[_cell(cell) for cell in row] for row in rows]
    if not shown:
        typer.echo(empty)
        return
    # Piped output is for programs like grep: one line per row, however long.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in shown:
        made.add_row(*(Text(cell) for cell in row))
    console.print(made)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return "" if value is None else " ".join(str(value).split())
