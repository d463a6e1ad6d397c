"""Which process this is, named so that a later one on the same host can tell whether it is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def own_name() -> str:
    """The name under which this process executes runs."""
    pid = os.getpid()
    return f"cli:{socket.gethostname()}:{pid}:{_started(pid)}:{_realm()}"


def is_dead(name: str) -> bool:
    """Whether the process of a name of `own_name` is certainly gone. What cannot be known is not certain.

    Numbers of processes are used again, and mean nothing on another host, in another container or after a restart: so
    the name holds when the process started, and in which run of the system and among which processes it had its number.
    """
    parts = name.split(":")
    if len(parts) != 5 or not _realm() or (parts[0], parts[1], parts[4]) != ("cli", socket.gethostname(), _realm()):
        return False
    return _started(int(parts[2])) != parts[3]


def _realm() -> str:
    """This run of the system and this namespace of process numbers; empty where Linux does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in ticks since the system did; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The program's name, in brackets, may hold anything; the state comes next.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
