"""Write docs/reference.md from the code: every command, setting, environment variable and API route.

PYTHONPATH=src .venv/bin/python scripts/reference.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from fastapi import FastAPI

from mercuri.cli.main import app
from mercuri.config import Settings
from mercuri.core import settings as core_settings
from mercuri.web import api

FILE = Path(__file__).parent.parent / "docs" / "reference.md"
_HEAD = """# Reference

Made from the code by `scripts/reference.py`; do not edit it by hand.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, groups before their members."""
    yield from _below("mercuri", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, child in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {word}", child)


def options(command: Any) -> Iterator[tuple[str, str]]:
    """How each option and argument of a command is written, and what it means."""
    for param in command.params:
        names = [*param.opts, *param.secondary_opts]
        if "--help" not in names:
            word = ", ".join(names) if names[0].startswith("-") else (param.metavar or names[0].upper())
            yield word, " ".join((getattr(param, "help", "") or "").split())


def variables() -> Iterator[tuple[str, str]]:
    """Every environment variable with its default."""
    for name, field in Settings.model_fields.items():
        default = field.default
        secret = hasattr(default, "get_secret_value")
        yield f"MERCURI_{name.upper()}", "" if secret or default is None else str(default)


def routes() -> Iterator[tuple[str, str, str]]:
    """Every API route: method, path, and the first paragraph of what it says of itself."""
    web = FastAPI()
    web.include_router(api.router)
    for path, item in web.openapi()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation.get("description", "").split("\n\n")[0]


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_commands(), *_settings(), *_variables(), *_routes()])


def _commands() -> Iterator[str]:
    yield "## Commands\n\nExit codes: 0 done, 1 failed with a sentence, 2 wrong usage, 3 done with failing records,"
    yield "4 stopped by a safety brake. `--json` writes one document to standard output;"
    yield "progress and messages go to standard error.\n"
    for name, command in list(commands())[1:]:
        yield f"### `{name}`\n\n{_plain(command.help)}\n"
        rows = list(options(command))
        if rows and not getattr(command, "commands", None):
            yield "| option | meaning |\n| --- | --- |"
            yield from (f"| `{word}` | {_cell(meaning)} |" for word, meaning in rows)
            yield ""


def _settings() -> Iterator[str]:
    yield "## Settings\n\n`mercuri settings set KEY VALUE`, `PUT /api/v1/portals/{id}/settings`, or the page.\n"
    yield "| key | of | default |\n| --- | --- | --- |"
    for where, defaults in (("portal", core_settings.DEFAULTS), ("workspace", core_settings.WorkspaceSettings())):
        for key in core_settings.to_document(defaults):
            yield f"| `{key}` | {where} | `{_cell(core_settings.to_json(defaults, key))}` |"
    yield ""


def _variables() -> Iterator[str]:
    yield "## Environment\n\n| variable | default |\n| --- | --- |"
    yield from (f"| `{name}` | {f'`{default}`' if default else ''} |" for name, default in variables())
    yield ""


def _routes() -> Iterator[str]:
    yield "## API\n\nBearer token (`mercuri token create NAME`); errors are problem documents (RFC 9457);"
    yield "the whole description is at `/api/openapi.json`.\n\n| route | what it does |\n| --- | --- |"
    yield from (f"| `{method} {path}` | {_cell(text)} |" for method, path, text in routes())
    yield ""


def _plain(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip()


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(page().rstrip() + "\n", encoding="utf-8")
