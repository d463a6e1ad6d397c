"""The command line for tests: in-process, on a data dir of its own, against a sandbox on a free port."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from mercuri.cli.main import app
from mercuri.sandbox import Running
from mercuri.sandbox.api import STATIC_TOKEN


@dataclass(frozen=True)
class Terminal:
    """A person at a terminal, and the HubSpot that their commands reach."""

    home: Path
    hubspot: Running
    env: dict[str, str]

    def run(self, *words: str, stdin: str = "", code: int = 0) -> Result:
        """Run a command; fails unless it ends with this exit code."""
        result = CliRunner().invoke(app, list(words), input=stdin, env=self.env, catch_exceptions=False)
        assert result.exit_code == code, f"{' '.join(words)}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    def json(self, *words: str, stdin: str = "", code: int = 0) -> Any:
        """Run a command with --json: standard output is one document, and nothing else."""
        return json.loads(self.run(*words, "--json", stdin=stdin, code=code).stdout)

    def connect(self) -> None:
        """Connect the sandbox's portal."""
        self.run("connect", "--token", STATIC_TOKEN)


def a_terminal(home: Path, hubspot: Running, **env: str) -> Terminal:
    """A terminal with an empty data dir."""
    return Terminal(
        home,
        hubspot,
        {
            "MERCURI_DATA_DIR": str(home),
            "MERCURI_DATABASE_URL": "",
            "MERCURI_SECRET_KEY": "",
            "MERCURI_HUBSPOT_API_URL": hubspot.url,
            "MERCURI_HUBSPOT_APP_URL": hubspot.url,
            "MERCURI_HUBSPOT_CLIENT_ID": "sandbox-client",
            "MERCURI_HUBSPOT_CLIENT_SECRET": "sandbox-secret",
            "MERCURI_BURST_LIMIT": "100000/1",
            "MERCURI_SEARCH_LIMIT": "100000/1",
            **env,
        },
    )
