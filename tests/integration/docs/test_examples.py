"""The examples of the docs are typed as they stand: `console` blocks, on an empty machine, against a sandbox."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cli import a_terminal
from tests.support.sandbox import running_sandbox

_DOCS = Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a page, with the lines of which its output must show something."""
    for block in _BLOCK.findall((_DOCS / page).read_text(encoding="utf-8")):
        for part in block.split("$ ")[1:]:
            command, *output = part.strip().splitlines()
            yield command, output


@pytest.mark.parametrize(
    ("page", "before"),
    [("tutorial.md", []), ("connect-hubspot.md", []), ("operations.md", ["connect"])],
)
def test_every_example_does_what_the_page_says(
    page: str, before: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running_sandbox(contacts=30) as hubspot:
        terminal = a_terminal(tmp_path / "home", hubspot)
        if before:
            terminal.connect()
        for command, output in examples(page):
            typed, _, words = command.rpartition(" | ")
            stdin = " ".join(shlex.split(typed)[1:]) + "\n" if typed else ""

            said = terminal.run(*shlex.split(words)[1:], stdin=stdin)

            for line in output:
                assert line in said.stdout + said.stderr, f"{command}: {said.stdout}{said.stderr}"


def test_every_page_leads_to_pages_that_exist() -> None:
    for page in _DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
