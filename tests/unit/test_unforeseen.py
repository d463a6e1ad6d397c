"""An error that nobody foresaw, before the program has read its settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from mercuri.cli import edge


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_an_unforeseen_error_leaves_standard_output_alone_and_shows_no_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sentence = edge.unforeseen(ValueError("ana@example.com")).message
    out, err = capsys.readouterr()

    assert out == ""
    assert "command.failed" in err
    assert "ana@example.com" not in err + sentence
