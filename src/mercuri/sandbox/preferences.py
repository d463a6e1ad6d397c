"""Communication preferences: e-mail subscriptions, keyed by address, whether or not a contact has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mercuri.sandbox.answers import Answer, Refusal, invalid, json_answer, missing_scopes
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Author
from mercuri.sandbox.request import Request, text_of, whole
from mercuri.sandbox.standard import SUBSCRIPTION_TYPES
from mercuri.sandbox.times import iso

LEGAL_BASES = (
    "LEGITIMATE_INTEREST_PQL", "LEGITIMATE_INTEREST_CLIENT", "LEGITIMATE_INTEREST_OTHER", "PERFORMANCE_OF_CONTRACT",
    "CONSENT_WITH_NOTICE", "NON_GDPR", "PROCESS_AND_STORE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """What an address said about one subscription type."""

    state: str
    at_ms: int
    legal_basis: str | None = None


class Preferences:
    """`communication-preferences/{version}`. `privacy` (data-privacy setting) makes legal fields required."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.privacy = False
        self._statuses: dict[tuple[str, int], Status] = {}
        self._opted_out: dict[str, int] = {}

    def route(self, request: Request, author: Author) -> Answer | None:
        """Answer a call below the preferences path; None when the path means nothing."""
        match request.method, request.rest:
            case "GET", ("definitions",):
                return json_answer(
                    {"status": "COMPLETE", "results": [_definition(each) for each in SUBSCRIPTION_TYPES]}
                )
            case "POST", ("statuses", "batch", *_):
                # Needs Marketing Hub Enterprise, which this portal has not.
                raise missing_scopes(("communication_preferences.statuses.batch.read",), static=True)
            case "GET", ("statuses", address):
                _email_channel(request.params.get("channel"))
                return json_answer({"status": "COMPLETE", "results": self._results(address.lower())})
            case "POST", ("statuses", address):
                return self._set(request, address.lower(), author)
            case "GET", ("statuses", address, "unsubscribe-all"):
                _email_channel(request.params.get("channel"))
                return json_answer({"status": "COMPLETE", "results": self._opt_outs(address.lower())})
            case "POST", ("statuses", address, "unsubscribe-all"):
                _email_channel(request.params.get("channel"))
                self.unsubscribe_all(address.lower(), author)
                return json_answer({"status": "COMPLETE", "results": self._opt_outs(address.lower())})
            case "POST", ("statuses", address, "resubscribe"):
                return self._resubscribe(address.lower(), author)
        return None

    def unsubscribe_all(self, address: str, author: Author) -> None:
        """Nobody may write to this address any more; by API there is no way back."""
        self._opted_out.setdefault(address, self._portal.now_ms())
        self._mirror(address, author)

    def _set(self, request: Request, address: str, author: Author) -> Answer:
        body = request.json()
        subscription, state = text_of(body, "subscriptionId"), text_of(body, "statusState")
        _email_channel(text_of(body, "channel"))
        number = whole(subscription)
        if number not in SUBSCRIPTION_TYPES:
            raise invalid(f"Subscription {subscription} does not exist")
        if state not in ("SUBSCRIBED", "UNSUBSCRIBED", "NOT_SPECIFIED"):
            raise invalid(f"Invalid statusState: {state}")
        basis = self._basis(body)
        if state == "SUBSCRIBED" and address in self._opted_out:
            raise invalid("This address has unsubscribed from all email and cannot be resubscribed through the API")
        self._statuses[address, number] = Status(state, self._portal.now_ms(), basis)
        self._mirror(address, author)
        return json_answer(self._result(address, number))

    def _basis(self, body: dict[str, Any]) -> str | None:
        basis = body.get("legalBasis")
        if basis is not None and basis not in LEGAL_BASES:
            raise invalid(f"Invalid legalBasis: {basis}")
        if self.privacy and not (basis and body.get("legalBasisExplanation")):
            raise invalid("legalBasis and legalBasisExplanation are required")
        return basis

    def _resubscribe(self, address: str, author: Author) -> Answer:
        if self._portal.switches.resubscribe == "refused":
            raise Refusal(403, {"status": "error", "message": "Resubscribing is not allowed"})
        self._opted_out.pop(address, None)
        self._mirror(address, author)
        return json_answer({"status": "COMPLETE", "results": self._results(address)})

    def _mirror(self, address: str, author: Author) -> None:
        """The contact's read-only properties follow."""
        record = self._portal.find_by("email", address)
        if record is None:
            return
        values = {
            "hs_email_optout": "true"
            if address in self._opted_out
            else (record.values.get("hs_email_optout") and "false") or ""
        }
        for each in SUBSCRIPTION_TYPES:
            status = self._statuses.get((address, each))
            if status is not None:
                values[f"hs_email_optout_{each}"] = "true" if status.state == "UNSUBSCRIBED" else "false"
        self._portal.update(record, values, author, self._portal.now_ms())

    def _results(self, address: str) -> list[dict[str, Any]]:
        return [self._result(address, each) for each in SUBSCRIPTION_TYPES]

    def _result(self, address: str, subscription: int) -> dict[str, Any]:
        status = self._statuses.get((address, subscription))
        out_at = self._opted_out.get(address)
        if out_at is not None:
            status = Status("UNSUBSCRIBED", out_at, status.legal_basis if status else None)
        told: dict[str, Any] = {
            "subscriberIdString": address,
            "subscriptionId": subscription,
            "subscriptionName": SUBSCRIPTION_TYPES[subscription],
            "channel": "EMAIL",
            "status": status.state if status else "NOT_SPECIFIED",
            "source": "API" if status else None,
            "timestamp": iso(status.at_ms if status else 0),
        }
        return {**told, "legalBasis": status.legal_basis} if status and status.legal_basis else told

    def _opt_outs(self, address: str) -> list[dict[str, Any]]:
        at_ms = self._opted_out.get(address)
        if at_ms is None:
            return []
        return [
            {
                "subscriberIdString": address,
                "channel": "EMAIL",
                "wideStatusType": "PORTAL_WIDE",
                "status": "UNSUBSCRIBED",
                "timestamp": iso(at_ms),
            }
        ]


def _definition(subscription: int) -> dict[str, Any]:
    name = SUBSCRIPTION_TYPES[subscription]
    return {
        "id": str(subscription),
        "name": name,
        "description": name,
        "isActive": True,
        "isDefault": False,
        "isInternal": False,
    }


def _email_channel(channel: str | None) -> None:
    if channel != "EMAIL":
        raise invalid(f"Invalid channel: {channel}")
