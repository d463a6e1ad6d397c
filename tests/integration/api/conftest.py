"""A world with one contact of each kind, and programs of every role that call its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.api import Api, a_caller, a_connected_world
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A workspace connected to an empty sandbox."""
    with a_connected_world(tmp_path) as made:
        yield made


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    """A program that may change contacts."""
    with a_caller(world) as made:
        yield made
