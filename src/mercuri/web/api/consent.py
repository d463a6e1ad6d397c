"""Consent: who may be messaged and why, what people said, the check before every send, the proof."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field

from mercuri.core.consent import ConsentEvent
from mercuri.engine import consent, gate
from mercuri.web.api.access import Manager, Reader
from mercuri.web.api.models import In, Out, Text
from mercuri.web.api.problems import ProblemRoute

router = APIRouter(tags=["consent"], route_class=ProblemRoute)

Channel = Annotated[str, Field(max_length=40, description="sms, whatsapp or email")]
Address = Annotated[str, Field(min_length=1, max_length=500)]


class EvidenceOut(Out):
    """One event: who said what, how, when it happened, when it was seen, and the proof."""

    by: Annotated[str, Field(serialization_alias="register")]  # pydantic has a `register` of its own
    state: str
    kind: str
    actor: str
    source: str
    occurred_at: datetime
    observed_at: datetime
    proof: dict[str, str]

    @classmethod
    def of(cls, event: ConsentEvent) -> EvidenceOut:
        """The event as the API shows it."""
        return cls(
            by=event.register.value,
            state=event.state.value,
            kind=event.kind,
            actor=event.actor,
            source="/".join(event.source_key) if event.source_key else event.source,
            occurred_at=event.occurred_at,
            observed_at=event.observed_at,
            proof=dict(event.proof),
        )


class ConsentOut(Out):
    """The state of an address on a channel; `state` is subscribed, unsubscribed or never."""

    channel: str
    address: str
    state: str
    sendable: bool
    paused: bool
    reason: str
    closed_by: list[str]
    contacts: list[int]
    evidence: list[EvidenceOut]


class ConsentEventIn(In):
    """What somebody said. A message carries its `text`; every other kind says `state` in or out.

    `staff` may also say resume: a message that looked like a stop is none. `awaits_yes` says that the address was asked
    to confirm (double opt-in): only then does a message of "yes" opt in.
    """

    channel: Channel
    address: Address
    kind: Annotated[str, Field(max_length=40, description="message, preference, complaint, carrier, form or staff")]
    text: Annotated[str, Field(max_length=4_000)] | None = None
    state: Annotated[str, Field(max_length=40)] | None = None
    occurred_at: AwareDatetime | None = None
    proof: str | dict[str, object] | None = None
    awaits_yes: bool = False


class RecordedOut(Out):
    """What was understood, and the state after it. `heard` is in, out, pause, resume, neutral or none."""

    channel: str
    address: str
    heard: str
    duplicate: bool
    state: str
    sendable: bool
    paused: bool
    reason: str
    note: str


class CheckIn(In):
    """Addresses that are about to be sent to."""

    channel: Channel
    addresses: Annotated[list[Text], Field(max_length=gate.MOST)]


class CheckItem(Out):
    """Whether an address may be sent to now, and why, or why not."""

    address: str
    sendable: bool
    reason: str


class CheckOut(Out):
    """The answers in the order asked."""

    items: list[CheckItem]


@router.get("/consent")
def read_consent(
    who: Reader, channel: Annotated[str, Query(max_length=40)], address: Annotated[str, Query(max_length=500)]
) -> ConsentOut:
    """The state of an address with all of its evidence, oldest first."""
    found = consent.explain(who.app, who.ws, channel, address)
    return ConsentOut(
        channel=found.channel,
        address=found.address,
        state=found.verdict.state,
        sendable=found.verdict.sendable,
        paused=found.verdict.paused,
        reason=found.verdict.reason,
        closed_by=list(found.closers),
        contacts=list(found.contacts),
        evidence=[EvidenceOut.of(event) for event in found.evidence],
    )


@router.post("/consent-events")
def record_event(who: Manager, body: ConsentEventIn) -> RecordedOut:
    """Record what was said. An out holds at once, on every contact with the address, and HubSpot is told."""
    found = consent.record(
        who.app,
        who.ws,
        body.channel,
        body.address,
        body.kind,
        who.actor,
        text=body.text,
        state=body.state,
        occurred_at=body.occurred_at,
        proof=_proof(body.proof),
        awaits_yes=body.awaits_yes,
    )
    return RecordedOut(
        channel=found.channel,
        address=found.address,
        heard=found.heard,
        duplicate=found.was_known,
        state=found.verdict.state,
        sendable=found.verdict.sendable,
        paused=found.verdict.paused,
        reason=found.verdict.reason,
        note=found.note,
    )


@router.post("/messages/check")
def check_messages(who: Reader, body: CheckIn) -> CheckOut:
    """Ask before sending: the state of each address as it is now. Ask again for every send."""
    found = consent.check(who.app, who.ws, body.channel, body.addresses)
    return CheckOut(
        items=[CheckItem.model_construct(address=i.address, sendable=i.sendable, reason=i.reason) for i in found]
    )


@router.get("/consent/proof")
def export_proof(
    who: Manager,
    channel: Annotated[str | None, Query(max_length=40)] = None,
    address: Annotated[str | None, Query(max_length=500)] = None,
    format: Literal["json", "csv"] = "json",  # the name that callers know
) -> StreamingResponse:
    """All evidence, or that of one address, for an auditor."""
    rows = consent.proof(who.app, who.ws, who.actor, channel=channel, address=address)
    lines, kind = (gate.as_csv(rows), "text/csv") if format == "csv" else (gate.as_json(rows), "application/json")
    headers = {"Content-Disposition": f'attachment; filename="consent-proof.{format}"'}
    return StreamingResponse(lines, media_type=f"{kind}; charset=utf-8", headers=headers)


def _proof(given: str | dict[str, object] | None) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, str):
        return {"proof": given}
    return {str(name): value if isinstance(value, str) else str(value) for name, value in given.items()}
