"""Who may log in and what they may do: users, memberships, sessions, API tokens, the brake on guessing, the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mercuri.core.contact import WorkspaceId
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import schema, views
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps, loads
from mercuri.store.passwords import new_token, token_hash
from mercuri.store.times import from_ms, maybe_moment, to_ms

#: What a member may be, from all rights to reading only.
ROLES = ("owner", "manager", "viewer")
#: Failed logins before waiting, and the longest wait.
FREE_TRIES = 5
LONGEST_WAIT = timedelta(minutes=15)
_u, _m, _s, _t = schema.user.c, schema.membership.c, schema.session.c, schema.api_token.c


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a person with a session, or an API token (then `user_id` is None and there is no csrf)."""

    workspace: WorkspaceId
    name: str  # the e-mail, or the token's name
    role: str
    user_id: int | None = None
    csrf: str = field(default="", repr=False)
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A member of the workspace."""

    id: int
    email: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """What is needed to check a password. `workspace` and `role` are those of the first membership."""

    user_id: int
    email: str
    password_hash: str = field(repr=False)
    workspace: WorkspaceId
    role: str


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without the token itself, which nobody can read again."""

    id: int
    name: str
    role: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that a person did to settings, users, portals or consent."""

    id: int
    actor: str
    action: str
    detail: Mapping[str, Any]
    at: datetime


# --- users ----------------------------------------------------------------------------------------------------


def add_user(tx: Tx, email: str, password_hash: str, role: str, at: datetime) -> User:
    """Make a user and a member of the workspace. Raises Clash when the e-mail is taken."""
    _check_role(role)
    email = _plain_email(email)
    if find_login(tx, email) is not None:
        raise Clash(f"{email} is a user already. Nothing was changed.")
    row = {"email": email, "password_hash": password_hash, "created_at": to_ms(at)}
    user_id = tx.execute(sa.insert(schema.user).values(row).returning(_u.id)).scalar_one()
    tx.execute(sa.insert(schema.membership).values(workspace_id=tx.workspace, user_id=user_id, role=role))
    return User(user_id, email, role, at)


def _plain_email(email: str) -> str:
    plain = email.strip().lower()
    if "@" not in plain or len(plain) > 320:
        raise UserError("A user is named by an e-mail address. Nothing was changed.")
    return plain


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UserError(f"A role is one of {', '.join(ROLES)}. Nothing was changed.")


def users(tx: Tx) -> list[User]:
    """The workspace's members, by e-mail."""
    query = sa.select(_u.id, _u.email, _m.role, _u.created_at).join(schema.membership, _m.user_id == _u.id)
    rows = tx.execute(query.where(_m.workspace_id == tx.workspace).order_by(_u.email))
    return [User(id_, email, role, from_ms(at)) for id_, email, role, at in rows]


def any_user(tx: Tx) -> bool:
    """Whether anybody can log in at all; if not, whoever has the set-up code makes the owner."""
    return tx.execute(sa.select(_u.id).limit(1)).scalar() is not None


def find_login(tx: Tx, email: str) -> Login | None:
    """What a login by this e-mail is checked against; looks in all workspaces."""
    query = (
        sa.select(_u.id, _u.email, _u.password_hash, _m.workspace_id, _m.role)
        .join(schema.membership, _m.user_id == _u.id)
        .where(_u.email == email.strip().lower())
        .order_by(_m.workspace_id)
    )
    row = tx.execute(query).first()
    return None if row is None else Login(*row)


def set_password(tx: Tx, user_id: int, password_hash: str) -> None:
    """Change a member's password and end their sessions."""
    _member(tx, user_id)
    tx.execute(sa.update(schema.user).where(_u.id == user_id).values(password_hash=password_hash))
    end_sessions(tx, user_id)


def set_role(tx: Tx, user_id: int, role: str) -> None:
    """Change what a member may do. The last owner stays one: raises UserError."""
    _check_role(role)
    if _member(tx, user_id).role == "owner" and role != "owner":
        _keep_an_owner(tx, user_id)
    mine = (_m.workspace_id == tx.workspace, _m.user_id == user_id)
    tx.execute(sa.update(schema.membership).where(*mine).values(role=role))


def remove_user(tx: Tx, user_id: int) -> None:
    """Take a member out, with their sessions. The last owner stays: raises UserError."""
    if _member(tx, user_id).role == "owner":
        _keep_an_owner(tx, user_id)
    end_sessions(tx, user_id)
    views.remove_all_of(tx, user_id)
    tx.execute(sa.delete(schema.membership).where(_m.workspace_id == tx.workspace, _m.user_id == user_id))
    elsewhere = sa.exists().where(_m.user_id == user_id)
    tx.execute(sa.delete(schema.user).where(_u.id == user_id, ~elsewhere))


def _member(tx: Tx, user_id: int) -> User:
    for user in users(tx):
        if user.id == user_id:
            return user
    raise NotFound("There is no such user.")


def _keep_an_owner(tx: Tx, user_id: int) -> None:
    if all(user.role != "owner" or user.id == user_id for user in users(tx)):
        raise UserError("This is the last owner. Nothing was changed. Make someone else an owner first.")


# --- sessions -------------------------------------------------------------------------------------------------


def start_session(tx: Tx, user_id: int, now: datetime, lifetime: timedelta) -> str:
    """Start a member's session and answer its token, for the cookie; sessions that have run out are swept away."""
    token = new_token()
    row = {
        "token_hash": token_hash(token),
        "workspace_id": tx.workspace,
        "user_id": user_id,
        "csrf": new_token(),
        "created_at": to_ms(now),
        "expires_at": to_ms(now + lifetime),
    }
    tx.execute(sa.delete(schema.session).where(_s.expires_at <= to_ms(now)))
    tx.execute(sa.insert(schema.session).values(row))
    return token


def find_session(tx: Tx, token: str, now: datetime) -> Identity | None:
    """Who a session's token stands for; None once it ended. Looks in all workspaces."""
    query = (
        sa.select(_s.workspace_id, _u.email, _m.role, _u.id, _s.csrf, _s.data)
        .join(schema.user, _u.id == _s.user_id)
        .join(schema.membership, sa.and_(_m.user_id == _s.user_id, _m.workspace_id == _s.workspace_id))
        .where(_s.token_hash == token_hash(token), _s.expires_at > to_ms(now))
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    workspace, email, role, user_id, csrf, data = row
    return Identity(workspace, email, role, user_id, csrf, loads(data))


def save_session_data(tx: Tx, token: str, data: Mapping[str, Any]) -> None:
    """Keep plain JSON data with a session: a dismissed banner, the state of an OAuth round."""
    change = sa.update(schema.session).where(_s.token_hash == token_hash(token))
    tx.execute(change.values(data=dumps(dict(data))))


def end_session(tx: Tx, token: str) -> None:
    """Log out."""
    tx.execute(sa.delete(schema.session).where(_s.token_hash == token_hash(token)))


def end_sessions(tx: Tx, user_id: int) -> None:
    """Log out everywhere."""
    tx.execute(sa.delete(schema.session).where(_s.workspace_id == tx.workspace, _s.user_id == user_id))


# --- the brake on guessing --------------------------------------------------------------------------------------


def may_try(tx: Tx, keys: Sequence[str], now: datetime) -> bool:
    """Whether a login may be tried now; the keys are the account and the network address, as text."""
    t = schema.login_attempt.c
    waiting = sa.select(t.key).where(t.key.in_([token_hash(key) for key in keys]), t.until > to_ms(now))
    return tx.execute(waiting).first() is None


def note_failure(tx: Tx, keys: Sequence[str], now: datetime) -> None:
    """Count a failed login: after five, each makes the next wait twice as long, up to 15 minutes."""
    t = schema.login_attempt.c
    day_ago = to_ms(now - timedelta(days=1))
    tx.execute(sa.delete(schema.login_attempt).where(t.until < day_ago))
    for key in (token_hash(key) for key in keys):
        failures = (tx.execute(sa.select(t.failures).where(t.key == key).with_for_update()).scalar() or 0) + 1
        wait = timedelta(seconds=2 ** min(failures - FREE_TRIES, 20)) if failures >= FREE_TRIES else timedelta()
        tx.execute(sa.delete(schema.login_attempt).where(t.key == key))
        until = to_ms(now + min(wait, LONGEST_WAIT))
        tx.execute(sa.insert(schema.login_attempt).values(key=key, failures=failures, until=until))


def forget_failures(tx: Tx, key: str) -> None:
    """A login that went well ends the count of its account."""
    tx.execute(sa.delete(schema.login_attempt).where(schema.login_attempt.c.key == token_hash(key)))


# --- API tokens -------------------------------------------------------------------------------------------------


def create_token(tx: Tx, name: str, role: str, at: datetime) -> str:
    """Make an API token and answer it, for this once. Raises Clash when the name is taken."""
    _check_role(role)
    if not name.strip() or len(name) > 200:
        raise UserError("A token needs a name of up to 200 characters. Nothing was made.")
    if tx.execute(sa.select(_t.id).where(_t.workspace_id == tx.workspace, _t.name == name)).first():
        raise Clash(f"There is a token named {name} already. Nothing was made; revoke it first or take another name.")
    token = new_token("mercuri_")
    row = {"workspace_id": tx.workspace, "name": name, "token_hash": token_hash(token), "role": role}
    tx.execute(sa.insert(schema.api_token).values(**row, created_at=to_ms(at)))
    return token


def find_token(tx: Tx, token: str) -> Identity | None:
    """Who an API token stands for; None when it is revoked or none of ours. Looks in all workspaces."""
    query = sa.select(_t.workspace_id, _t.name, _t.role, _t.id).where(_t.token_hash == token_hash(token))
    row = tx.execute(query).first()
    return None if row is None else Identity(row[0], row[1], row[2], token_id=row[3])


def note_token_use(tx: Tx, token_id: int, at: datetime) -> None:
    """Remember when a token was last used; callers do it at most once a minute."""
    tx.execute(sa.update(schema.api_token).where(_t.id == token_id).values(used_at=to_ms(at)))


def tokens(tx: Tx) -> list[ApiToken]:
    """The workspace's API tokens, by name."""
    query = sa.select(_t.id, _t.name, _t.role, _t.created_at, _t.used_at).where(_t.workspace_id == tx.workspace)
    rows = tx.execute(query.order_by(_t.name))
    return [ApiToken(id_, name, role, from_ms(made), maybe_moment(used)) for id_, name, role, made, used in rows]


def revoke_token(tx: Tx, name: str) -> None:
    """End an API token. Raises NotFound."""
    gone = tx.execute(sa.delete(schema.api_token).where(_t.workspace_id == tx.workspace, _t.name == name))
    if not gone.rowcount:
        raise NotFound(f"There is no token named {name}.")


# --- audit ------------------------------------------------------------------------------------------------------


def note_audit(tx: Tx, actor: str, action: str, detail: Mapping[str, Any], at: datetime) -> None:
    """Write down who did what; `detail` is plain JSON data without secrets or contacts' values."""
    row = (tx.workspace, actor, action, dumps(dict(detail)), to_ms(at))
    tx.insert_many(schema.audit, ("workspace_id", "actor", "action", "detail", "at"), [row])


def audit(tx: Tx, before: int | None = None, limit: int = 50) -> list[AuditEntry]:
    """What was done, newest first; `before` goes on after that entry."""
    a = schema.audit.c
    query = sa.select(a.id, a.actor, a.action, a.detail, a.at).where(a.workspace_id == tx.workspace)
    if before is not None:
        query = query.where(a.id < before)
    rows = tx.execute(query.order_by(a.id.desc()).limit(limit))
    return [AuditEntry(id_, actor, action, loads(detail), from_ms(at)) for id_, actor, action, detail, at in rows]
