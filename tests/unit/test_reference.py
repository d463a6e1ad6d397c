"""The reference page misses nothing that people can type, set or call."""

from __future__ import annotations

import pytest
from scripts import reference

from mercuri.core.settings import PORTAL_KEYS, WORKSPACE_KEYS

AGAIN = "write it again: PYTHONPATH=src .venv/bin/python scripts/reference.py"


@pytest.fixture(scope="module")
def page() -> str:
    """The page as it is published."""
    return reference.FILE.read_text(encoding="utf-8")


def test_every_command_and_option_is_in_the_reference(page: str) -> None:
    for name, command in reference.commands():
        if name != "mercuri":
            assert f"### `{name}`" in page, AGAIN
        if not getattr(command, "commands", None):
            for word, _ in reference.options(command):
                assert f"| `{word}` |" in page, f"{name} {word}: {AGAIN}"


def test_every_route_is_in_the_reference(page: str) -> None:
    for method, path, _ in reference.routes():
        assert f"| `{method} {path}` |" in page, AGAIN


def test_every_setting_and_variable_is_in_the_reference(page: str) -> None:
    for name in (*PORTAL_KEYS, *WORKSPACE_KEYS, *(name for name, _ in reference.variables())):
        assert f"| `{name}` |" in page, AGAIN


def test_every_route_and_command_explains_itself() -> None:
    assert [path for _, path, text in reference.routes() if not text] == []
    assert [name for name, command in reference.commands() if not command.help] == []
