"""What the program says of itself in a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mercuri import __version__
from mercuri.cli.main import app

PROGRAM: Any = get_command(app)
GROUPS = [[], *([name] for name, command in PROGRAM.commands.items() if hasattr(command, "commands"))]


def said(*words: str) -> str:
    return CliRunner().invoke(app, list(words), terminal_width=80).output


@pytest.mark.parametrize("group", GROUPS, ids="-".join)
def test_no_command_is_introduced_by_half_a_sentence(group: list[str]) -> None:
    commands = said(*group, "--help").partition("Commands:")[2].splitlines()

    assert len(commands) > 1
    assert [line for line in commands if line.endswith("...") or len(line) > 80] == []


def test_the_version_is_told() -> None:
    assert said("--version") == f"mercuri {__version__}\n"
