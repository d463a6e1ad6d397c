"""The keys of an installation: made once, private, rotated without loss, and noticed when wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tests.support.people import ACME, NOON, PORTAL, a_portal

from mercuri.config import Settings
from mercuri.errors import UserError
from mercuri.store import portals, vault
from mercuri.store.database import ANY, Database
from mercuri.store.vault import Vault


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", secret_key="")


def test_a_key_is_made_once_and_is_private(settings: Settings) -> None:
    sealed = vault.load_or_make_key(settings).encrypt(b"token")

    assert vault.load_or_make_key(settings).decrypt(sealed) == b"token"
    file = settings.data_path / vault.KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.data_path.iterdir()] == [vault.KEY_FILE]


def test_processes_that_start_at_once_agree_on_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: vault.load_or_make_key(settings), range(8)))

    assert len({one.keyed_hash("x") for one in made}) == 1


def test_the_key_of_the_environment_goes_before_the_file(settings: Settings) -> None:
    vault.load_or_make_key(settings)
    given = Fernet.generate_key().decode()

    chosen = vault.load_or_make_key(settings.model_copy(update={"secret_key": _secret(given)}))

    assert chosen.keyed_hash("x") == Vault(given).keyed_hash("x")


def _secret(text: str) -> object:
    return Settings(secret_key=text).secret_key


@pytest.mark.parametrize("keys", ["", " , ", "short", "not a key,either"])
def test_a_malformed_key_is_refused_without_being_shown(keys: str) -> None:
    with pytest.raises(UserError, match="MERCURI_SECRET_KEY") as refused:
        Vault(keys)

    assert not keys.strip(" ,") or keys not in str(refused.value)


def test_a_wrong_key_is_noticed_at_the_start(database: Database) -> None:
    right, wrong = Vault(Fernet.generate_key().decode()), Vault(Fernet.generate_key().decode())
    with database.write(ANY) as tx:
        vault.check_key(tx, right)

    with database.write(ANY) as tx:
        vault.check_key(tx, right)
        with pytest.raises(UserError, match="not the key that this database was made with"):
            vault.check_key(tx, wrong)


def test_rotation_seals_every_secret_anew_and_keeps_the_hashes(database: Database, settings: Settings) -> None:
    old = vault.load_or_make_key(settings)
    with database.write(ACME) as tx:
        vault.check_key(tx, old)
        portals.add(tx, a_portal(), old.encrypt(b"token"), NOON)

    new = vault.rotated(settings)
    with database.write(ANY) as tx:
        assert vault.reseal(tx, new) == 1

    newest_alone = Vault((settings.data_path / vault.KEY_FILE).read_text().split(",")[0])
    with database.write(ACME) as tx:
        vault.check_key(tx, newest_alone)
        sealed = portals.load_tokens(tx, PORTAL)
    assert sealed is not None
    assert newest_alone.decrypt(sealed) == b"token"
    assert new.keyed_hash("+447911123456") == old.keyed_hash("+447911123456")


def test_rotation_with_a_single_key_in_the_environment_asks_for_a_new_one(settings: Settings) -> None:
    one = settings.model_copy(update={"secret_key": _secret(Fernet.generate_key().decode())})

    with pytest.raises(UserError, match="one key only"):
        vault.rotated(one)


def test_a_vault_shows_no_key() -> None:
    key = Fernet.generate_key().decode()

    assert key not in repr(Vault(key)) + str(vars(Vault(key)))
