"""Live through a history: connect, do its steps, and come to rest."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from tests.property.machine import hints, limits, merges, people, portals, running, schema, speaking, undoing, words
from tests.property.machine.abreast import in_any_order
from tests.property.machine.histories import CROWD, MAPPED, History
from tests.property.machine.laws import demand, norm, stored
from tests.property.machine.life import Act, Life
from tests.property.machine.surroundings import Ticking, in_one_thread
from tests.support.database import fresh_url
from tests.support.world import a_world

from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.sandbox.oauth import KNOWN_SCOPES
from mercuri.sandbox.records import Event
from mercuri.store.database import ANY, Database
from mercuri.store.schema import TABLES, search_state

#: What themes do before anything else.
_BEGIN: Mapping[str, Callable[[Life], None]] = {
    "hints": hints.begin,
    "schema": schema.begin,
    "consent": words.begin,
    "limits": limits.begin,
    "portals": portals.begin,
    "consent in portals": speaking.begin,
}

#: The kinds of steps.
ACTS: Mapping[str, Act] = {
    "new_here": people.new_here,
    "new_there": people.new_there,
    "edit_here": people.edit_here,
    "edit_there": people.edit_there,
    "delete_here": people.delete_here,
    "restore_here": people.restore_here,
    "archive_there": people.archive_there,
    "restore_there": people.restore_there,
    "merge_there": people.merge_there,
    "reformat": people.reformat,
    "delete_crowd": people.delete_crowd,
    "settle": people.settle,
    "wait": people.wait,
    "hint": hints.hint,
    "merge_here": merges.merge_here,
    "unmerge_here": merges.unmerge_here,
    "carry_merges": merges.carry_merges,
    "change_schema": schema.change_schema,
    "say": words.say,
    "tick": words.tick,
    "import_file": words.import_file,
    "erase_here": words.erase_here,
    "stop_one_way": speaking.stop_one_way,
    "tick_far": speaking.tick_far,
    "edit_far": portals.edit_far,
    "new_far": portals.new_far,
    "sync_far": portals.sync_far,
    "sync": running.sync,
    "rest": lambda life, _: running.rest(life),
    "preview": undoing.preview,
    "undo": undoing.undo,
}


#: The properties of the portal: few, since reading the schema would be a fifth of a history's time.
_KNOWN = {
    *MAPPED.values(),
    "mobilephone",
    "createdate",
    "lastmodifieddate",
    "hs_object_id",
    "hs_object_source",
    "hs_merged_object_ids",
    "hs_additional_emails",
}


def play(history: History, happened: Counter[str] | None = None) -> None:
    """Live through a history to its rest, counting what happens. Raises Violation where a law is broken."""
    with a_world(_database(), Ticking(), lag_ms=history.setup.lag_s * 1000) as world:
        life = Life(world, history.setup, ACTS, Counter() if happened is None else happened)
        with in_one_thread(partial(people.before_taking, life)), in_any_order(history.setup):
            _begin(life)
            for step in history.steps:
                life.do(step)
            running.rest(life)


@cache
def _of_this_process() -> Database:
    directory = Path(tempfile.mkdtemp(prefix="mercuri-machine-", dir=_memory()))
    Finalize(None, shutil.rmtree, [directory], {"ignore_errors": True}, exitpriority=0)
    with fresh_url("sqlite", directory) as url:
        return Database.open(url)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _database() -> Database:
    """The database of this process, emptied: so its connection keeps its prepared statements."""
    database = _of_this_process()
    with database.write(ANY) as tx:
        for table in ("sqlite_sequence", *(table.name for table in TABLES if table is not search_state)):
            tx.raw().execute(f'DELETE FROM "{table}"')
        tx.raw().execute("UPDATE search_state SET upto = 0")
        tx.raw().execute("INSERT INTO contact_fts (contact_fts) VALUES ('delete-all')")
    return database


def _begin(life: Life) -> None:
    """Connect, with the settings and switches of the history."""
    world, setup, sandbox = life.world, life.setup, life.world.sandbox
    if not setup.own_id:
        sandbox.grant(STATIC_TOKEN, KNOWN_SCOPES - {"crm.schemas.contacts.write"})
    sandbox.switch(**dict(setup.switches))
    for name in sandbox.portal.properties.keys() - _KNOWN:
        del sandbox.portal.properties[name]
    directions = dict(setup.directions)
    mapping = [
        {"property": there, "field": here, "direction": directions.get(here, "both")} for here, there in MAPPED.items()
    ]
    world.connect(
        two_way=True,
        mapping=mapping,
        conflict_policy=setup.policy,
        blanks=setup.blanks,
        deletions=setup.deletions,
        match_by=setup.match_by,
    )
    if setup.lossy:
        _rewrite_lossily(life)
    if setup.theme in _BEGIN:
        _BEGIN[setup.theme](life)
    sandbox.portal.listeners.append(partial(_hear, life))
    for number in range(CROWD if setup.crowd else 0):
        sandbox.create({"firstname": f"C{number}", "email": f"crowd{number}@example.com"})


def _rewrite_lossily(life: Life) -> None:
    portal: Any = life.world.sandbox.portal
    check: Callable[..., dict[str, str]] = portal.check_values

    def lossily(*values: Any) -> dict[str, str]:
        checked = check(*values)
        return {n: stored("last_name", text, True) if n == "lastname" else text for n, text in checked.items()}

    portal.check_values = lossily


def _hear(life: Life, event: Event) -> None:
    """HubSpot did something; what we made it do must be allowed."""
    if event.author.source != "INTEGRATION":
        return
    record = str(event.record_id)
    if event.kind == "creation" and not life.is_merging:
        life.made_by_us.add(record)
    if event.kind == "deletion" and not life.undone and not life.is_merging:
        life.archived_by_us.append(record)
        _check_archive(life, record)


def _check_archive(life: Life, record: str) -> None:
    link = life.world.link(record)
    owner = link.contact_id if link else None
    demand(life.setup.deletions == "archive", "I14 records are archived only where that was chosen", record)
    # Nobody can call back the archiving of a contact that is restored at this very moment.
    was_gone = owner in life.gone_here or (owner is not None and life.restored.get(owner) == life.world.clock.now())
    demand(was_gone, "I14 a record is archived only when its contact was deleted", record, link)
    there = life.world.sandbox.portal.records[int(record)]
    for (other, name), before in life.fresh_there.items():
        edited = other == record and norm(name, there.values.get(MAPPED[name], "")) != norm(name, before)
        # An edit that a write of ours ran over, under way as the contact was deleted, lost a conflict: see I7.
        # And nothing can be known of one that was made after the archiving had been asked for.
        ours = other == record and there.entries(MAPPED[name])[0].author.source == "INTEGRATION"
        demand(
            ours or life.wire.is_late or not edited, "I15 an edit there survives a deletion here", record, name, before
        )
