from __future__ import annotations

import re
from pathlib import Path

import mercuri
from mercuri.web.pages.people import ACTIONS

#: A call, and the action that it names: all of it, or what comes before what is put in.
_CALL = re.compile(r"note_audit\(\s*tx,")
_ACTION = re.compile(r'note_audit\(\s*tx,[^,]*,\s*f?"([a-z_. ]+)([{"])')


def test_everything_that_is_noted_in_the_audit_log_is_said_in_words() -> None:
    source = "\n".join(file.read_text() for file in Path(mercuri.__file__).parent.rglob("*.py"))
    noted = _ACTION.findall(source)

    silent = [
        name
        for name, end in noted
        if not any(said == name if end == '"' else said.startswith(name) for said in ACTIONS)
    ]
    assert len(noted) == len(_CALL.findall(source))
    assert silent == []
