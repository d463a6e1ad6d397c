"""Passwords and tokens as they may be stored: never themselves."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()


def hashed(password: str) -> str:
    """An argon2id hash; takes some 50 ms, so never inside a transaction that writes."""
    return _hasher.hash(password)


def fits(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one of the hash; with None it takes as long and is false. Not inside a write."""
    try:
        return _hasher.verify(password_hash or _nobody(), password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return hashed(secrets.token_urlsafe())


def new_token(prefix: str = "") -> str:
    """256 bits of chance, as text that fits into a header or a cookie."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """The form in which a token is stored; a token is long and random, so a plain hash will do."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
