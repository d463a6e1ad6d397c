"""`mercuri consent`: who may be messaged, and what people said."""

from __future__ import annotations

import typer

app = typer.Typer(help="Who may be messaged, and why.", no_args_is_help=True)
