"""Users, sessions, tokens, the brake on guessing and the audit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.people import ACME, NOON, OTHER

from mercuri.core.settings import WorkspaceSettings
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import passwords, schema, users, workspaces
from mercuri.store.database import ANY, Database, Tx

DAY = timedelta(days=1)


def _bo(tx: Tx, role: str = "owner") -> users.User:
    return users.add_user(tx, " Bo@Example.org ", "a hash", role, NOON)


def test_a_user_is_found_by_e_mail_however_it_is_written(database: Database) -> None:
    with database.write(ACME) as tx:
        assert not users.any_user(tx)
        bo = _bo(tx)

        login = users.find_login(tx, "BO@example.org ")

        assert users.any_user(tx)
    assert login == users.Login(bo.id, "bo@example.org", "a hash", ACME, "owner")


def test_an_e_mail_is_one_user_only(database: Database) -> None:
    with database.write(ACME) as tx:
        _bo(tx)

        with pytest.raises(Clash):
            _bo(tx)


@pytest.mark.parametrize(("email", "role"), [("no address", "owner"), ("x@example.org", "king")])
def test_a_user_that_makes_no_sense_is_refused(database: Database, email: str, role: str) -> None:
    with database.write(ACME) as tx, pytest.raises(UserError):
        users.add_user(tx, email, "hash", role, NOON)


def test_the_last_owner_stays_an_owner(database: Database) -> None:
    with database.write(ACME) as tx:
        bo = _bo(tx)
        with pytest.raises(UserError, match="last owner"):
            users.set_role(tx, bo.id, "viewer")
        with pytest.raises(UserError, match="last owner"):
            users.remove_user(tx, bo.id)

        ana = users.add_user(tx, "ana@example.org", "hash", "owner", NOON)
        users.remove_user(tx, bo.id)

        assert users.users(tx) == [ana]
        assert users.find_login(tx, "bo@example.org") is None


def test_a_session_lasts_until_its_end_and_is_never_stored_itself(database: Database) -> None:
    with database.write(ACME) as tx:
        bo = _bo(tx)
        token = users.start_session(tx, bo.id, NOON, DAY)
        users.save_session_data(tx, token, {"banner": "dismissed"})
    with database.read(ANY) as tx:
        found = users.find_session(tx, token, NOON)
        late = users.find_session(tx, token, NOON + DAY)
        wrong = users.find_session(tx, token + "x", NOON)
        stored = tx.execute(schema.session.select()).all()

    assert found is not None
    assert (found.workspace, found.name, found.role, found.user_id) == (ACME, "bo@example.org", "owner", bo.id)
    assert (dict(found.data), len(found.csrf) > 40) == ({"banner": "dismissed"}, True)
    assert (late, wrong) == (None, None)
    assert token not in str(stored)
    assert found.csrf not in repr(found)


def test_logging_out_ends_one_session_or_all(database: Database) -> None:
    with database.write(ACME) as tx:
        bo = _bo(tx)
        one, two, three = (users.start_session(tx, bo.id, NOON, DAY) for _ in range(3))

        users.end_session(tx, one)
        after_one = [users.find_session(tx, token, NOON) is not None for token in (one, two, three)]
        users.end_sessions(tx, bo.id)

        assert after_one == [False, True, True]
        assert users.find_session(tx, two, NOON) is None


def test_a_new_password_and_a_removal_end_the_sessions(database: Database) -> None:
    with database.write(ACME) as tx:
        _bo(tx)
        ana = users.add_user(tx, "ana@example.org", "hash", "viewer", NOON)
        first = users.start_session(tx, ana.id, NOON, DAY)
        users.set_password(tx, ana.id, "new hash")
        second = users.start_session(tx, ana.id, NOON, DAY)
        users.remove_user(tx, ana.id)

        assert users.find_session(tx, first, NOON) is None
        assert users.find_session(tx, second, NOON) is None


def test_a_workspace_cannot_touch_another_ones_users_or_tokens(database: Database) -> None:
    with database.write(ACME) as tx:
        bo = _bo(tx)
        session = users.start_session(tx, bo.id, NOON, DAY)
        token = users.create_token(tx, "script", "manager", NOON)
        users.note_audit(tx, "bo@example.org", "token.create", {"name": "script"}, NOON)

    with database.write(OTHER) as tx:
        assert (users.users(tx), users.tokens(tx), users.audit(tx)) == ([], [], [])
        for change in (users.remove_user, lambda tx, id_: users.set_role(tx, id_, "viewer")):
            with pytest.raises(NotFound):
                change(tx, bo.id)
        with pytest.raises(NotFound):
            users.revoke_token(tx, "script")
        users.end_sessions(tx, bo.id)

    with database.read(ANY) as tx:
        assert users.find_session(tx, session, NOON) is not None
        assert users.find_token(tx, token) is not None


def test_an_api_token_works_until_it_is_revoked_and_is_never_stored_itself(database: Database) -> None:
    with database.write(ACME) as tx:
        token = users.create_token(tx, "script", "viewer", NOON)
        found = users.find_token(tx, token)
        assert found is not None
        assert found.token_id is not None
        users.note_token_use(tx, found.token_id, NOON + DAY)

        listed = users.tokens(tx)
        stored = tx.execute(schema.api_token.select()).all()
        users.revoke_token(tx, "script")

        assert (found.workspace, found.name, found.role, found.user_id) == (ACME, "script", "viewer", None)
        assert [(t.name, t.created_at, t.used_at) for t in listed] == [("script", NOON, NOON + DAY)]
        assert token not in str(stored)
        assert users.find_token(tx, token) is None


def test_a_token_name_is_used_once(database: Database) -> None:
    with database.write(ACME) as tx:
        users.create_token(tx, "script", "viewer", NOON)

        with pytest.raises(Clash):
            users.create_token(tx, "script", "owner", NOON)


def test_guessing_is_slowed_down_by_account_and_by_address(database: Database) -> None:
    keys = ["account:bo@example.org", "address:192.0.2.1"]
    with database.write(ANY) as tx:
        for _ in range(users.FREE_TRIES - 1):
            users.note_failure(tx, keys, NOON)
        still_free = users.may_try(tx, keys, NOON)
        users.note_failure(tx, keys, NOON)

        assert still_free
        assert not users.may_try(tx, keys[:1], NOON)
        assert not users.may_try(tx, keys[1:], NOON)
        assert users.may_try(tx, ["account:ana@example.org"], NOON)
        for _ in range(30):
            users.note_failure(tx, keys, NOON)
        assert not users.may_try(tx, keys, NOON + users.LONGEST_WAIT - timedelta(seconds=1))
        assert users.may_try(tx, keys, NOON + users.LONGEST_WAIT)
        users.forget_failures(tx, keys[0])
        assert users.may_try(tx, keys[:1], NOON)


def test_the_audit_is_read_newest_first(database: Database) -> None:
    with database.write(ACME) as tx:
        for number in range(3):
            users.note_audit(tx, "bo@example.org", "settings.change", {"number": number}, NOON)

        first = users.audit(tx, limit=2)
        rest = users.audit(tx, before=first[-1].id)

    assert [entry.detail["number"] for entry in first + rest] == [2, 1, 0]


def test_a_workspace_keeps_its_own_settings(database: Database) -> None:
    with database.write(ANY) as tx:
        first = workspaces.create(tx, "Acme", WorkspaceSettings(), NOON)
        second = workspaces.create(tx, "Other", WorkspaceSettings("FR"), NOON)
    with database.write(first) as tx:
        workspaces.save_settings(tx, WorkspaceSettings("GB", "whatsapp"))

        found = {w.name: w.settings for w in workspaces.all(tx)}

        assert workspaces.settings(tx) == WorkspaceSettings("GB", "whatsapp")
    assert found == {"Acme": WorkspaceSettings("GB", "whatsapp"), "Other": WorkspaceSettings("FR")}
    assert first != second


def test_a_password_fits_its_own_hash_only() -> None:
    stored = passwords.hashed("correct horse")

    assert passwords.fits(stored, "correct horse")
    assert not passwords.fits(stored, "correct  horse")
    assert not passwords.fits(None, "correct horse")
    assert not passwords.fits("no hash at all", "correct horse")
    assert "correct horse" not in stored
