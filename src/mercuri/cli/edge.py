"""Errors -> exit codes and plain sentences. The one table of this edge."""

from __future__ import annotations

import sys
from typing import Any

import structlog
import typer
from typer import TyperException
from typer.core import TyperGroup

from mercuri.cli import logs
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
        except (typer.Exit, typer.Abort, TyperException):
            raise
        except Exception as error:
            say(unforeseen(error).message)
            raise typer.Exit(FAILED) from error


def unforeseen(error: Exception) -> AppError:
    """A bug, as a sentence that holds no value of anybody's; where it happened goes to the log."""
    if not structlog.is_configured():  # it failed before it read its settings
        logs.configure("INFO")
    structlog.get_logger().error("command.failed", exc_info=error)
    return AppError(f"Something went wrong that nobody foresaw ({type(error).__name__}). The log above says where.")


def say(sentence: str) -> None:
    """A sentence for the person at the terminal; standard output is for results alone."""
    typer.echo(sentence, err=True)
