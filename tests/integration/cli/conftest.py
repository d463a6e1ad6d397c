"""A terminal, and a sandbox with a few contacts for its commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cli import Terminal, a_terminal
from tests.support.sandbox import running_sandbox

from mercuri.sandbox import Running


@pytest.fixture
def hubspot() -> Iterator[Running]:
    """A sandbox with 30 contacts on a free port."""
    with running_sandbox(contacts=30) as running:
        yield running


@pytest.fixture
def terminal(tmp_path: Path, hubspot: Running) -> Terminal:
    """A terminal with an empty data dir."""
    return a_terminal(tmp_path / "home", hubspot)
