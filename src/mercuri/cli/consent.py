"""`mercuri consent`: who may be messaged, and what people said."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from mercuri.cli.edge import say
from mercuri.cli.output import Json, emit, table
from mercuri.cli.session import session

app = typer.Typer(help="Who may be messaged, and why.", no_args_is_help=True)

Channel = Annotated[str, typer.Option(help="sms, whatsapp or email.")]
Addresses = Annotated[list[str], typer.Option("--address", help="A phone number or e-mail; may be repeated.")]
Address = Annotated[str, typer.Option("--address", help="A phone number or e-mail.")]


@app.command("check")
def check(address: Addresses, channel: Channel = "sms", as_json: Json = False) -> None:
    """Whether addresses may be sent to now, and why, or why not."""
    from mercuri.engine import consent

    with session() as s:
        found = consent.check(s.app, s.ws, channel, address)
    if as_json:
        emit({"items": [{"address": i.address, "sendable": i.sendable, "reason": i.reason} for i in found]})
        return
    rows = [(item.address, "yes" if item.sendable else "no", item.reason) for item in found]
    table(["address", "send", "reason"], rows, empty="No address was given.")


@app.command("show")
def show(address: Address, channel: Channel = "sms", as_json: Json = False) -> None:
    """The state of one address with all of its evidence."""
    from mercuri.engine import consent

    with session() as s:
        found = consent.explain(s.app, s.ws, channel, address)
        rows = list(consent.proof(s.app, s.ws, s.actor, channel=channel, address=address))
    if as_json:
        verdict = found.verdict
        emit(
            {
                "channel": found.channel,
                "address": found.address,
                "state": verdict.state,
                "sendable": verdict.sendable,
                "reason": verdict.reason,
                "evidence": rows,
            }
        )
        return
    typer.echo(f"{found.address} on {channel}: {found.verdict.reason}")
    columns = ("occurred_at", "register", "state", "kind", "actor", "source")
    table(columns, [[row[name] for name in columns] for row in rows], empty="There is no evidence.")


@app.command("record")
def record(
    address: Address,
    channel: Channel = "sms",
    kind: Annotated[str, typer.Option(help="message, preference, complaint, carrier, form or staff.")] = "staff",
    text: Annotated[str | None, typer.Option(help="The message that came in.")] = None,
    state: Annotated[str | None, typer.Option(help="in or out; for staff also resume.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept as proof. Needed to opt someone in as staff.")] = "",
    awaits_yes: Annotated[
        bool, typer.Option("--awaits-yes", help="The address was asked to confirm: a message of YES opts in.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Record what a person or staff said. An opt-out holds at once; HubSpot is told with it."""
    from mercuri.engine import consent
    from mercuri.store import portals

    proof = {"reason": reason} if reason else {}
    with session() as s:
        found = consent.record(
            s.app, s.ws, channel, address, kind, s.actor, text=text, state=state, proof=proof, awaits_yes=awaits_yes
        )
        with s.app.db.read(s.ws) as tx:
            connected = [portal.id for portal in portals.all(tx) if portal.state == "connected"]
        for portal in connected:
            consent.push_outs(s.app, s.ws, portal)
    if as_json:
        verdict = found.verdict
        emit(
            {
                "channel": found.channel,
                "address": found.address,
                "heard": found.heard,
                "duplicate": found.was_known,
                "state": verdict.state,
                "sendable": verdict.sendable,
                "reason": verdict.reason,
                "note": found.note,
            }
        )
    else:
        say(f"{found.note} {found.verdict.reason}")


@app.command("proof")
def proof(
    channel: Annotated[str | None, typer.Option(help="With --address: only this channel.")] = None,
    address: Annotated[str | None, typer.Option(help="Only this address.")] = None,
    form: Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json.")] = "csv",
) -> None:
    """Write all evidence, or that of one address. It is the proof for an auditor, on standard output."""
    from mercuri.engine import consent, gate

    with session() as s:
        rows = consent.proof(s.app, s.ws, s.actor, channel=channel, address=address)
        sys.stdout.writelines(gate.as_csv(rows) if form == "csv" else gate.as_json(rows))
