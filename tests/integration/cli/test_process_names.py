"""Whether the process that a lease names is certainly dead: a mistake would let two execute one run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mercuri.cli.process import is_dead, own_name

_NAME_AND_WAIT = "from mercuri.cli.process import own_name; print(own_name(), flush=True); input()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """Another process, which tells its name and waits."""
    command = [sys.executable, "-c", _NAME_AND_WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        yield other
        other.kill()


def test_a_process_that_runs_is_not_dead_and_one_that_was_killed_is(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    name = child.stdout.readline().strip()

    alive = is_dead(name)
    child.kill()
    child.wait()

    assert (alive, is_dead(name)) == (False, True)
    assert not is_dead(own_name())


def test_a_number_that_another_process_has_by_now_is_no_sign_of_life() -> None:
    kind, host, pid, started, realm = own_name().split(":")

    assert is_dead(":".join((kind, host, pid, str(int(started) - 1), realm)))


@pytest.mark.parametrize("place", [0, 1, 4])
def test_nothing_is_known_of_another_host_another_container_or_a_worker(place: int) -> None:
    parts = own_name().split(":")
    parts[2], parts[place] = "999999999", "elsewhere"

    assert not is_dead(":".join(parts))
    assert not is_dead("serve:elsewhere")
