"""Keep a sandbox in a file between two processes: contacts with their history, properties and grants."""

from __future__ import annotations

import os
import pickle
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from mercuri.sandbox.api import Sandbox
from mercuri.sandbox.oauth import Code, Token
from mercuri.sandbox.properties import Property
from mercuri.sandbox.records import Author
from mercuri.sandbox.switches import Switches

#: A file of another version is not read. The number moves with every change of what a file holds; the fields move by
#: themselves, since these values are written by the place of each: one more would put all that follow in wrong places.
VERSION = (1, *(field.name for kind in (Switches, Property, Author, Code, Token) for field in fields(kind)))
_PORTAL_LEFT_OUT = frozenset({"now_ms", "listeners"})
_GRANTS = ("_codes", "_refresh", "_access")


def save(sandbox: Sandbox, file: Path) -> None:
    """Write the sandbox to a file that only its owner may read, whole or not at all.

    Raises OSError.
    """
    with sandbox._lock:
        portal = {name: value for name, value in vars(sandbox.portal).items() if name not in _PORTAL_LEFT_OUT}
        grants = {name: getattr(sandbox.oauth, name) for name in _GRANTS}
        data = pickle.dumps({"version": VERSION, "portal": portal, "grants": grants}, pickle.HIGHEST_PROTOCOL)
    handle, name = tempfile.mkstemp(dir=file.parent)  # 0600
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
    Path(name).replace(file)


def restore(sandbox: Sandbox, file: Path) -> bool:
    """Make the sandbox what the file holds; False when there is no such file, or it is not one of this version.

    The file is code as much as data (pickle): read none that somebody else wrote.
    """
    try:
        state: Any = pickle.loads(file.read_bytes())
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError):
        return False
    if not isinstance(state, dict) or state.get("version") != VERSION:
        return False
    with sandbox._lock:
        vars(sandbox.portal).update(state["portal"])
        for name in _GRANTS:
            setattr(sandbox.oauth, name, state["grants"][name])
    return True
