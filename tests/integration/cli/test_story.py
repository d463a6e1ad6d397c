"""What a person does at the terminal, from an empty data dir on."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import pytest
from tests.support.cli import Terminal, a_terminal

from mercuri.cli.session import session
from mercuri.config import Settings
from mercuri.core.contact import PortalId
from mercuri.engine import run as engine_run
from mercuri.sandbox import Running
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.store import portals, workers


def test_connect_sync_and_sync_again(terminal: Terminal) -> None:
    connected = terminal.json("connect", "--token", STATIC_TOKEN)
    first = terminal.json("sync")
    second = terminal.json("sync")

    assert connected["portal_id"] == "4242"
    assert (first["state"], first["kind"], first["counts"]["created"]) == ("done", "full", 30)
    assert second["state"] == "done"
    assert (second["counts"]["created"], second["counts"]["updated"]) == (0, 0)
    assert second["api_calls"]["write"] == 0


def test_progress_is_no_part_of_standard_output(terminal: Terminal) -> None:
    terminal.connect()

    result = terminal.run("sync")

    assert result.stdout == ""
    assert "30 created" in result.stderr


def test_the_token_may_come_from_standard_input(terminal: Terminal) -> None:
    assert terminal.json("connect", "--token", "-", stdin=f"{STATIC_TOKEN}\n")["state"] == "connected"


def test_a_wrong_token_is_a_sentence_and_exit_code_1(terminal: Terminal) -> None:
    result = terminal.run("connect", "--token", "pat-wrong", code=1)

    assert result.stdout == ""
    assert result.stderr.strip()
    assert "pat-wrong" not in result.stderr


def test_a_sync_without_a_portal_says_how_to_connect(terminal: Terminal) -> None:
    assert "mercuri connect" in terminal.run("sync", code=1).stderr


def test_wrong_usage_is_exit_code_2(terminal: Terminal) -> None:
    terminal.run("sync", "--colour", code=2)
    terminal.run("nonsense", code=2)
    terminal.run("conflicts", "resolve", "1", "--take", "both", code=2)
    terminal.run("contacts", "show", "zero", code=2)


def test_a_token_can_be_made_before_any_user_exists(terminal: Terminal) -> None:
    made = terminal.json("token", "create", "script", "--role", "viewer")

    assert made["token"]
    listed = terminal.json("token", "list")
    assert [(item["name"], item["role"]) for item in listed] == [("script", "viewer")]
    assert made["token"] not in json.dumps(listed)
    terminal.run("token", "create", "script", code=1)
    terminal.run("token", "revoke", "script")
    assert terminal.json("token", "list") == []


def test_users_are_added_listed_and_removed(terminal: Terminal) -> None:
    terminal.run("user", "add", "ana@example.org", "--password-stdin", stdin="short\n", code=1)
    terminal.run("user", "add", "Ana@example.org", "--password-stdin", stdin="a long enough sentence\n")
    terminal.run("user", "add", "bo@example.org", "--role", "viewer", "--password-stdin", stdin="another long one\n")

    assert [(u["email"], u["role"]) for u in terminal.json("user", "list")] == [
        ("ana@example.org", "owner"),
        ("bo@example.org", "viewer"),
    ]
    terminal.run("user", "remove", "ana@example.org", code=1)
    terminal.run("user", "remove", "bo@example.org")
    assert len(terminal.json("user", "list")) == 1


def test_settings_are_read_and_set_by_key(terminal: Terminal) -> None:
    terminal.connect()

    terminal.run("settings", "set", "two_way", "true")
    terminal.run("settings", "set", "conflict_policy", "ask")
    terminal.run("settings", "set", "default_region", "fr")

    assert terminal.json("settings", "get", "two_way") is True
    assert terminal.run("settings", "get", "conflict_policy").stdout == "ask\n"
    everything = terminal.json("settings", "get")
    assert (everything["two_way"], everything["default_region"], everything["schedule"]) == (True, "FR", "off")


@pytest.mark.parametrize(
    ("key", "value"),
    [("blanks", "maybe"), ("two_way", "perhaps"), ("colour", "red"), ("mapping", "firstname"), ("delete_brake", "101")],
)
def test_a_setting_that_cannot_be_meant_is_refused(terminal: Terminal, key: str, value: str) -> None:
    terminal.connect()
    before = terminal.json("settings", "get")

    assert key in terminal.run("settings", "set", key, value, code=1).stderr

    assert terminal.json("settings", "get") == before


def test_contacts_are_listed_shown_changed_deleted_and_restored(terminal: Terminal) -> None:
    terminal.connect()
    terminal.run("sync")
    page = terminal.json("contacts", "list", "--limit", "10")
    contact = page["items"][0]["id"]

    assert (len(page["items"]), page["total"]) == (10, 30)
    assert terminal.json("contacts", "set", str(contact), "first_name=Ana", "custom.city=Lyon")["version"] == 2
    shown = terminal.json("contacts", "show", str(contact))
    assert (shown["first_name"], shown["custom"]) == ("Ana", {"city": "Lyon"})
    assert "Ana" in terminal.run("contacts", "show", str(contact)).stdout
    terminal.run("contacts", "delete", str(contact))
    assert terminal.json("contacts", "list")["total"] == 29
    terminal.run("contacts", "restore", str(contact))
    assert terminal.json("contacts", "list")["total"] == 30
    terminal.run("contacts", "show", "99999", code=1)


def test_erasing_asks_first(terminal: Terminal) -> None:
    terminal.connect()
    terminal.run("sync")
    contact = str(terminal.json("contacts", "list", "--limit", "1")["items"][0]["id"])

    assert "--yes" in terminal.run("contacts", "delete", contact, "--erase", code=1).stderr
    assert terminal.json("contacts", "list")["total"] == 30

    terminal.run("contacts", "delete", contact, "--erase", "--yes")
    assert terminal.json("contacts", "list")["total"] == 29


def test_an_export_can_be_imported_again_without_a_change(terminal: Terminal, tmp_path: Path) -> None:
    terminal.connect()
    terminal.run("sync")
    file = tmp_path / "all.csv"

    terminal.run("contacts", "export", str(file))
    report = terminal.json("contacts", "import", str(file))

    with file.open(newline="", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 30
    assert (report["rows"], report["unchanged"], report["failed"]) == (30, 30, 0)


def test_jsonl_holds_one_contact_a_line(terminal: Terminal, tmp_path: Path) -> None:
    terminal.connect()
    terminal.run("sync")

    terminal.run("contacts", "export", str(tmp_path / "all.jsonl"))

    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == set(range(1, 31))


def test_an_import_lists_the_rows_it_left_out(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("First name;Mobile\nAna;+44 7911 123456\n;\nBo;07911 654321;too;many\n")

    dry = terminal.json("contacts", "import", str(file), "--dry-run", code=3)
    real = terminal.json("contacts", "import", str(file), code=3)

    assert {**dry, "dry_run": False} == real
    assert (real["rows"], real["created"], real["failed"]) == (2, 1, 1)
    assert real["errors"][0]["line"] == 4
    assert terminal.json("contacts", "list")["total"] == 1


def test_an_import_says_who_may_be_messaged_and_where_that_comes_from(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Mobile,consent.sms\n+44 7911 123456,yes\n+44 7911 123457,no\n")

    without = terminal.json("contacts", "import", str(file), "--dry-run", code=3)
    told = terminal.run("contacts", "import", str(file), "--dry-run", code=3).stderr
    refused = terminal.run("contacts", "import", str(file), "--consent-source", "x" * 1001, code=1).stderr
    report = terminal.json("contacts", "import", str(file), "--consent-source", "paper forms")
    said = terminal.json("consent", "check", "--address", "+447911123456", "--address", "+447911123457")

    assert without["consent"] == {"said_in": 0, "said_out": 1, "refused": 1}
    assert "State it with --consent-source." in told
    assert "1,000 characters" in refused
    assert report["consent"] == {"said_in": 1, "said_out": 1, "refused": 0}
    assert [item["sendable"] for item in said["items"]] == [True, False]


def test_a_check_of_a_channel_that_is_none_tells_of_no_record(terminal: Terminal) -> None:
    refused = terminal.run("consent", "check", "--address", "+447911123456", "--channel", "fax", code=1).stderr

    assert "use sms, " in refused
    assert "recorded" not in refused


def test_columns_are_mapped_by_hand(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("Wie heißt er,Wo\nJosé,Köln\n".encode("cp1252"))

    terminal.run("contacts", "import", str(file), "--map", "Wie heißt er=first_name", "--map", "Wo=custom.city")

    contact = terminal.json("contacts", "list")["items"][0]
    assert (contact["first_name"], contact["custom"]) == ("José", {"city": "Köln"})
    terminal.run("contacts", "import", str(file), "--map", "Nope=email", code=1)
    assert "COLUMN=FIELD" in terminal.run("contacts", "import", str(file), "--map", "email", code=1).stderr
    terminal.run("contacts", "import", str(tmp_path / "none.csv"), code=1)


def test_runs_are_listed_and_shown(terminal: Terminal) -> None:
    terminal.connect()
    terminal.run("sync")

    (run,) = terminal.json("runs", "list")

    assert terminal.json("runs", "show", str(run["id"]))["failures"] == []
    assert "30 created" in terminal.run("runs", "list").stdout
    terminal.run("runs", "show", "99", code=1)
    assert terminal.json("runs", "cancel", str(run["id"]))["state"] == "done"


def test_a_run_that_is_not_waited_for_is_finished_by_the_next_sync(terminal: Terminal) -> None:
    terminal.connect()
    queued = terminal.json("sync", "--no-wait")

    done = terminal.json("sync")

    assert (queued["state"], done["state"], done["id"]) == ("queued", "done", queued["id"])


def test_disconnecting_keeps_the_contacts(terminal: Terminal) -> None:
    terminal.connect()
    terminal.run("sync")

    terminal.run("portals", "disconnect", "4242")

    assert terminal.json("portals", "list")[0]["state"] == "disconnected"
    assert json.loads(terminal.run("portals", "--json", "list").stdout) == terminal.json("portals", "list")
    assert "4242" in terminal.run("portals").stdout
    assert terminal.json("portals")[0]["portal_id"] == "4242"
    assert terminal.json("contacts", "list")["total"] == 30
    terminal.run("sync", code=1)


def test_the_data_dir_keeps_its_secrets(terminal: Terminal) -> None:
    terminal.connect()

    for file in terminal.home.iterdir():
        assert STATIC_TOKEN.encode() not in file.read_bytes(), file
    keys = [file for file in terminal.home.iterdir() if "key" in file.name]
    assert [stat.S_IMODE(file.stat().st_mode) for file in keys] == [0o600]


def test_keys_are_rotated_and_the_portal_still_works(terminal: Terminal) -> None:
    terminal.connect()

    terminal.run("keys", "rotate")

    assert terminal.json("sync")["state"] == "done"


def test_a_backup_is_a_whole_database(terminal: Terminal, tmp_path: Path) -> None:
    terminal.connect()
    terminal.run("sync")

    terminal.run("db", "backup", str(tmp_path / "copy.db"))
    terminal.run("db", "backup", str(tmp_path / "copy.db"), code=1)
    nowhere = terminal.run("db", "backup", str(tmp_path / "copy.db" / "x.db"), code=1).stderr
    assert nowhere.endswith("x.db: Not a directory. The database is untouched.\n")

    copy = a_terminal(terminal.home, terminal.hubspot, MERCURI_DATABASE_URL=f"sqlite:///{tmp_path / 'copy.db'}")
    assert copy.json("contacts", "list")["total"] == 30
    assert copy.json("db", "check") == {"problems": []}


def test_the_doctor_finds_what_is_wrong(terminal: Terminal, hubspot: Running) -> None:
    assert terminal.json("doctor", code=1)["ok"] is False
    terminal.connect()
    assert terminal.json("doctor")["ok"] is True

    hubspot.sandbox.oauth.revoke_static()

    checks = terminal.json("doctor", code=1)["checks"]
    assert [item["check"] for item in checks if item["problem"]] == ["portal 4242"]


def test_the_doctor_looks_after_the_journal_while_it_is_on(terminal: Terminal) -> None:
    def problems(*words: str, code: int = 1) -> dict[str, str]:
        checks = terminal.json("doctor", *words, code=code)["checks"]
        return {item["check"]: item["problem"] for item in checks if item["problem"]}

    terminal.connect()
    terminal.run("settings", "set", "journal", "true")
    assert list(problems()) == ["worker"]
    assert "journal" in problems()["worker"]

    with session(Settings(data_dir=terminal.home)) as s, s.app.db.write(s.ws) as tx:
        portals.save(tx, PortalId("4242"), journal={"problem": "HubSpot refuses it."})
        workers.beat(tx, "elsewhere", s.app.now())
    for words in ((), ("--offline",)):
        assert problems(*words) == {"portal 4242": "HubSpot refuses it."}

    terminal.run("settings", "set", "journal", "false")
    assert problems(code=0) == problems("--offline", code=0) == {}


def test_a_lost_key_is_a_sentence(terminal: Terminal) -> None:
    terminal.connect()
    other = a_terminal(
        terminal.home, terminal.hubspot, MERCURI_SECRET_KEY="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    )

    assert other.run("sync", code=1).stderr.strip()


def test_every_command_explains_itself(terminal: Terminal) -> None:
    groups = ("portals", "runs", "contacts", "conflicts", "settings", "user", "token", "db", "keys")
    for words in ((), *((group,) for group in groups), ("sync",), ("serve",), ("worker",), ("demo",), ("sandbox",)):
        assert "Usage" in terminal.run(*words, "--help").stdout


def test_only_the_export_offers_json_lines(terminal: Terminal) -> None:
    assert ".jsonl" in terminal.run("contacts", "export", "--help").stdout
    assert ".jsonl" not in terminal.run("contacts", "import", "--help").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("contacts", "show", "ID"),
        ("runs", "show", "ID"),
        ("conflicts", "resolve", "ID", "--take", "hubspot"),
        ("duplicates", "merge", "ID"),
        ("duplicates", "merge", "1", "--survivor", "ID"),
        ("merges", "undo", "ID"),
        ("merges", "cancel-batch", "ID"),
    ],
    ids=" ".join,
)
def test_an_id_that_no_database_can_hold_is_wrong_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.run(*(str(2**63) if word == "ID" else word for word in words), code=2).stderr
    assert terminal.run(*(str(2**63 - 1) if word == "ID" else word for word in words), code=1).stderr


def test_a_record_that_fails_is_exit_code_3_and_a_deletion_brake_4(terminal: Terminal) -> None:
    terminal.connect()
    terminal.run("settings", "set", "two_way", "true")
    terminal.run("sync")
    ids = [str(item["id"]) for item in terminal.json("contacts", "list")["items"]]
    terminal.run("contacts", "set", ids[0], "email=no e-mail at all")

    failed = terminal.json("sync", code=3)

    assert failed["state"] == "done"
    (failure,) = terminal.json("runs", "show", str(failed["id"]))["failures"]
    assert (failure["contact_id"], bool(failure["class"]), bool(failure["fix"])) == (int(ids[0]), True, True)

    terminal.run("settings", "set", "deletions", "archive")
    for contact in ids[1:15]:
        terminal.run("contacts", "delete", contact)

    stopped = terminal.json("sync", code=4)

    assert stopped["state"] == "stopped"
    assert "14 of" in stopped["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MERCURI_BURST_LIMIT", "fast"),
        ("MERCURI_SEARCH_LIMIT", "0/1"),
        ("MERCURI_METRICS_PUBLIC", "perhaps"),
        ("MERCURI_DATABASE_URL", "nonsense"),
    ],
)
def test_an_environment_that_cannot_be_meant_is_a_sentence_with_the_name(
    terminal: Terminal, name: str, value: str
) -> None:
    other = a_terminal(terminal.home, terminal.hubspot, **{name: value})

    assert name in other.run("runs", "list", code=1).stderr


def test_an_error_that_nobody_foresaw_is_a_sentence_without_values(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("inside: ana@secret.example")

    terminal.connect()
    monkeypatch.setattr(engine_run, "execute", broken)

    result = terminal.run("sync", code=1)

    assert "RuntimeError" in result.stderr
    assert "secret" not in result.stderr + result.stdout
    assert [run["state"] for run in terminal.json("runs", "list")] == ["failed"]
