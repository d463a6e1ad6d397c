"""Errors -> exit codes and plain sentences. The one table of this edge."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from mercuri.errors import AppError, SafetyStop

DONE, FAILED, USAGE, WITH_FAILURES, STOPPED = range(5)

#: The first line that fits decides.
TABLE: tuple[tuple[type[BaseException], int], ...] = ((SafetyStop, STOPPED), (AppError, FAILED))


class Edge(TyperGroup):
    """The root of all commands: whatever one raises becomes a sentence on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AppError as error:
            say(error.message)
            raise typer.Exit(next(code for kind, code in TABLE if isinstance(error, kind))) from error
        except KeyboardInterrupt as error:
            say("Stopped.")
            raise typer.Exit(FAILED) from error
        except BrokenPipeError as error:
            # Whoever read our output, `head` perhaps, has enough. Python must not try to flush the rest at its end.
            sys.stdout = None
            raise typer.Exit(DONE) from error


def say(sentence: str) -> None:
    """A sentence for the person at the terminal; standard output is for results alone."""
    typer.echo(sentence, err=True)
