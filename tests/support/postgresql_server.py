"""A PostgreSQL server for one test session.

`python postgresql_server.py PARENT BIN DIRECTORY NOTE` runs it until process PARENT ends, then removes DIRECTORY, and
NOTE, which names it. Nothing else stops it, so that a killed test run leaves no server behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

#: Nothing here has to survive a power cut.
_OPTIONS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=64MB",
    "log_min_messages=fatal",
)


def main(parent: int, binaries: Path, directory: Path, note: Path) -> None:
    """Make a cluster, serve it on a socket in `directory`, and take everything away at the end."""
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if owner:
        shutil.chown(directory, "postgres", "postgres")
    data = directory / "data"
    # A language's order, not that of code points: what depends on the order must say so itself.
    locale = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": directory, **owner}
    if subprocess.run([*initdb, *locale], check=False, **quiet).returncode:
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, **quiet)
    settings = [part for option in _OPTIONS for part in ("-c", option)]
    server = subprocess.Popen([binaries / "postgres", "-D", data, "-k", directory, *settings], **quiet)
    try:
        while server.poll() is None and _alive(parent):
            time.sleep(0.3)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(directory, ignore_errors=True)
        note.unlink(missing_ok=True)
        Path(f"{note}.lock").unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]), *(Path(argument) for argument in sys.argv[2:5]))
