"""Secrets at rest: Fernet keys, newest first, and the file that keeps them.

The database holds a value sealed with the keys, so that a wrong key is noticed at the start and not when the first
token cannot be read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import tempfile
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mercuri.config import Settings
from mercuri.errors import UserError
from mercuri.store import schema
from mercuri.store.database import Tx

KEY_FILE = "secret.key"
_SEAL = "seal"
_SEALED = b"mercuri"
_WRONG_KEY = (
    "MERCURI_SECRET_KEY is not the key that this database was made with. Nothing was changed. "
    "Give the key back that was used before (by default it lies in the data dir, in secret.key)."
)


class Vault:
    """Encrypts with the newest key, decrypts with any."""

    def __init__(self, keys: str) -> None:
        """`keys` are Fernet keys, newest first, separated by commas. Raises UserError when one is malformed."""
        listed = [key.strip() for key in keys.split(",") if key.strip()]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in listed])
            self._hash_key = hashlib.sha256(b"keyed hash:" + base64.urlsafe_b64decode(listed[-1])).digest()
        except (ValueError, IndexError):
            raise UserError(
                "MERCURI_SECRET_KEY is not a list of Fernet keys. Nothing was changed. "
                "Take it out to have one made, or give keys of 32 bytes in URL-safe base64."
            ) from None

    def __repr__(self) -> str:
        return "Vault(...)"

    def encrypt(self, plain: bytes) -> bytes:
        """Seal with the newest key."""
        return self._fernet.encrypt(plain)

    def decrypt(self, sealed: bytes) -> bytes:
        """Open what any of the keys has sealed. Raises UserError when none has."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise UserError(_WRONG_KEY) from None

    def rotate(self, sealed: bytes) -> bytes:
        """Seal again with the newest key. Raises UserError when no key opens it."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise UserError(_WRONG_KEY) from None

    def keyed_hash(self, text: str) -> str:
        """A hash that nobody can compute without the keys: from the oldest one, so that adding keys changes none."""
        return hmac.new(self._hash_key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def load_or_make_key(settings: Settings) -> Vault:
    """The vault of the keys in the environment, else of the key file, made at the first start (0600)."""
    given = settings.secret_key.get_secret_value()
    if given:
        return Vault(given)
    file = settings.data_path / KEY_FILE
    try:
        if not file.exists():
            _write_new(file, Fernet.generate_key().decode())
        return Vault(file.read_text())
    except OSError as error:
        raise UserError(f"The key file {file} cannot be read or made: {error.strerror}.") from error


def rotated(settings: Settings) -> Vault:
    """The vault with a new key before the old ones, for `reseal`. The key file gets one; the environment must have it.

    Raises UserError when the environment has one key only.
    """
    given = settings.secret_key.get_secret_value()
    if "," in given:
        return Vault(given)
    if given:
        raise UserError(
            "MERCURI_SECRET_KEY has one key only. Nothing was changed. Put a new key before it, separated by a comma, "
            "and run this again."
        )
    load_or_make_key(settings)
    file = settings.data_path / KEY_FILE
    keys = f"{Fernet.generate_key().decode()},{file.read_text().strip()}"
    _temporary(file, keys).replace(file)
    return Vault(keys)


def _write_new(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(file, text)
    try:
        # Two processes may start at once: one of them makes the file, and both read that one.
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _temporary(file: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(dir=file.parent)  # 0600
    with os.fdopen(handle, "w") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(handle)
    return Path(name)


def check_key(tx: Tx, vault: Vault) -> None:
    """Make sure that the vault's keys are those of this database; the first vault to come is. Raises UserError."""
    table = schema.installation
    sealed = tx.execute(sa.select(table.c.value).where(table.c.name == _SEAL)).scalar()
    if sealed is None:
        tx.execute(sa.insert(table).values(name=_SEAL, value=vault.encrypt(_SEALED)))
    elif vault.decrypt(sealed) != _SEALED:
        raise UserError(_WRONG_KEY)


def reseal(tx: Tx, vault: Vault) -> int:
    """Seal every secret of all workspaces with the newest key; the answer is how many there were."""
    p, seal = schema.portal.c, schema.installation
    rows = tx.execute(sa.select(p.workspace_id, p.portal_id, p.secrets).where(p.secrets.is_not(None)).with_for_update())
    secrets = rows.all()
    for workspace, portal, sealed in secrets:
        mine = (p.workspace_id == workspace, p.portal_id == portal)
        tx.execute(sa.update(schema.portal).where(*mine).values(secrets=vault.rotate(sealed)))
    check_key(tx, vault)
    tx.execute(sa.update(seal).where(seal.c.name == _SEAL).values(value=vault.encrypt(_SEALED)))
    return len(secrets)
