"""`mercuri duplicates` and `mercuri merges`: contacts that share a phone number or an e-mail."""

from __future__ import annotations

import typer

app = typer.Typer(help="Contacts that share a phone number or e-mail.", no_args_is_help=True)
merges = typer.Typer(help="Merges that were made.", no_args_is_help=True)
