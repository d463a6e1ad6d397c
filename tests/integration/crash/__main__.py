"""The long form of the crash test, on both databases.

python -m tests.integration.crash --kills 30 [--seed 1]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.support.cli import a_terminal
from tests.support.crash import survive
from tests.support.database import BACKENDS, fresh_url, remove_all
from tests.support.sandbox import running_sandbox


def main() -> None:
    """Kill, restart and check; a failed check ends it with the seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.crash")
    parser.add_argument("--kills", type=int, default=30, help="on each database")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    try:
        for backend in BACKENDS:
            with tempfile.TemporaryDirectory() as directory, fresh_url(backend, Path(directory)) as url:
                with running_sandbox(contacts=300) as hubspot:
                    terminal = a_terminal(Path(directory, "home"), hubspot, MERCURI_DATABASE_URL=url)
                    story = survive(terminal, hubspot, asked.kills, asked.seed)
                told = f"{story.killed} kills, {story.struck} of them in a run; {story.runs} runs; seed {asked.seed}"
                print(f"{backend}: {told}: all well")
    finally:
        remove_all()


if __name__ == "__main__":
    main()
