"""`mercuri user` and `mercuri token`: who may log in, and which programs may call."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from mercuri.cli.edge import say
from mercuri.cli.output import Json, emit, table
from mercuri.cli.session import session
from mercuri.errors import NotFound, UserError

users = typer.Typer(help="Who may log in.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens for programs that call the API.", no_args_is_help=True)

Role = Annotated[Literal["owner", "manager", "viewer"], typer.Option(help="manager: all but users, tokens.")]
#: Shortest password (NIST SP 800-63B-4 asks for 8 with a second factor; longer is safer without).
SHORTEST = 8


@users.command("add")
def add_user(
    email: str,
    role: Role = "owner",
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
    as_json: Json = False,
) -> None:
    """Add a person who may log in."""
    from mercuri.store import passwords
    from mercuri.store import users as stored

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _asked()
    if len(password) < SHORTEST:
        raise UserError(f"A password has at least {SHORTEST} characters. Nobody was added.")
    with session() as s, s.app.db.write(s.ws) as tx:
        user = stored.add_user(tx, email, passwords.hashed(password), role, s.app.now())
        stored.note_audit(tx, s.actor.name, "user.added", {"user_id": user.id, "role": role}, s.app.now())
    if as_json:
        emit({"id": user.id, "email": user.email, "role": user.role})
    else:
        say(f"{user.email} may log in as {user.role}.")


def _asked() -> str:
    if not sys.stdin.isatty():
        raise UserError("Nobody is there to type a password. Nobody was added. Use --password-stdin.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


@users.command("list")
def list_users(as_json: Json = False) -> None:
    """Who may log in."""
    from mercuri.store import users as stored

    with session() as s, s.app.db.read(s.ws) as tx:
        found = stored.users(tx)
    if as_json:
        emit([{"id": u.id, "email": u.email, "role": u.role, "created_at": u.created_at} for u in found])
    else:
        table(
            ["id", "email", "role", "since"],
            [(u.id, u.email, u.role, u.created_at) for u in found],
            empty="Nobody yet.",
        )


@users.command("remove")
def remove_user(email: str) -> None:
    """Take a person out, and end their sessions."""
    from mercuri.store import users as stored

    with session() as s, s.app.db.write(s.ws) as tx:
        user = next((u for u in stored.users(tx) if u.email == email.strip().lower()), None)
        if user is None:
            raise NotFound(f"There is no user {email}. Nothing was changed.")
        stored.remove_user(tx, user.id)
        stored.note_audit(tx, s.actor.name, "user.removed", {"user_id": user.id}, s.app.now())
    say(f"{user.email} may no longer log in.")


@tokens.command("create")
def create_token(name: str, role: Role = "manager", as_json: Json = False) -> None:
    """Make a token; it is shown this once."""
    from mercuri.store import users as stored

    with session() as s, s.app.db.write(s.ws) as tx:
        token = stored.create_token(tx, name, role, s.app.now())
        stored.note_audit(tx, s.actor.name, "token.created", {"name": name, "role": role}, s.app.now())
    if as_json:
        emit({"name": name, "role": role, "token": token})
    else:
        typer.echo(token)
        say("Keep it now: it cannot be shown again.")


@tokens.command("list")
def list_tokens(as_json: Json = False) -> None:
    """Every token, without the token itself."""
    from mercuri.store import users as stored

    with session() as s, s.app.db.read(s.ws) as tx:
        found = stored.tokens(tx)
    if as_json:
        emit([{"name": t.name, "role": t.role, "created_at": t.created_at, "used_at": t.used_at} for t in found])
    else:
        rows = [(t.name, t.role, t.created_at, t.used_at) for t in found]
        table(["name", "role", "made", "last used"], rows, empty="No tokens yet.")


@tokens.command("revoke")
def revoke_token(name: str) -> None:
    """End a token at once."""
    from mercuri.store import users as stored

    with session() as s, s.app.db.write(s.ws) as tx:
        stored.revoke_token(tx, name)
        stored.note_audit(tx, s.actor.name, "token.revoked", {"name": name}, s.app.now())
    say(f"The token {name} no longer works.")
