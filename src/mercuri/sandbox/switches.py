"""What nobody knows for certain about HubSpot, each as a switch: the default is the harsher behaviour.

A client of HubSpot has to be right under every value. The first value listed is the default.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_type_hints


@dataclass(frozen=True, slots=True)
class Switches:
    """How this portal behaves where HubSpot's behaviour is unknown, or differs from account to account."""

    #: Upsert by e-mail that sends only some properties.
    upsert_partial: Literal["blank", "refuse", "ignore"] = "blank"
    #: Create without e-mail and name on the 2026-09 paths.
    phone_only: Literal["refuse", "accept"] = "refuse"
    #: `Retry-After` on 429.
    retry_after: Literal["absent", "present"] = "absent"
    #: Body of a search past 10,000.
    search_cap_body: Literal["empty", "validation"] = "empty"
    #: Does `after + limit` count against 10,000, or `after` alone?
    search_cap_counts_limit: bool = True
    #: Order of the list.
    list_order: Literal["id", "none"] = "id"
    #: `after` of a list at an id that no answer named.
    list_after: Literal["refused", "works"] = "refused"
    #: A property that was asked for and is empty.
    empty_property: Literal["random", "absent", "null"] = "random"
    #: Id of a merged record.
    merge_id: Literal["new", "primary"] = "new"
    merge_bumps: bool = False
    #: `hs_merged_object_ids` on survivors.
    merge_traces: Literal["filled", "null"] = "filled"
    #: A merged-away id in batch/read.
    read_old_id: Literal["survivor", "missing"] = "survivor"
    #: A merged-away id searched for by `hs_object_id`.
    search_old_id: Literal["missing", "survivor"] = "missing"
    #: An old or unknown id in batch/update.
    update_old_id: Literal["left_out", "not_found"] = "left_out"
    #: What else webhooks say of a merge.
    merge_events: Literal["deletion_creation", "deletion", "none"] = "deletion_creation"
    #: `objectWriteTraceId` on update and upsert.
    trace_ids: Literal["ignored", "honoured"] = "ignored"
    #: What the limit of 3,000 characters in search is on.
    search_limit_on: Literal["body", "query"] = "body"
    #: Mark of the author on writes by a static token.
    static_author: Literal["none", "app_id"] = "none"
    #: Creating an address again that was erased.
    recreate_erased: Literal["allowed", "refused"] = "allowed"
    #: A static token asking for account info.
    static_account_info: Literal["refused", "allowed"] = "refused"
    #: The refresh token after a refresh. (HubSpot: keep the latest one returned.)
    refresh_token: Literal["kept", "replaced"] = "kept"
    #: Values that are written.
    rewriting: Literal["trims", "keeps"] = "trims"
    #: Code of the error for a read-only property.
    read_only_code: Literal["unknown", "READ_ONLY_VALUE"] = "unknown"
    additional_emails: Literal["read_only", "writable"] = "read_only"
    #: Does an archived record keep its custom unique values? (It always frees its e-mail.)
    archived_holds_unique: bool = True
    #: The absorbed record's custom unique value after a merge.
    merge_unique: Literal["lost", "primary"] = "lost"
    #: Entries of a property's history that are returned.
    history_entries: Literal["few", "all"] = "few"
    #: Most records per page or batch when history is asked for.
    history_limit: Literal[50, 100] = 50
    resubscribe: Literal["refused", "works"] = "refused"
    #: `lifecyclestage` of a contact created by API without one.
    lifecycle_on_create: Literal["lead", "empty"] = "lead"
    #: Calculated phone numbers of a phone that cannot be parsed.
    calculated_phones: Literal["absent", "best_effort"] = "absent"
    #: `hs_email_optout_<id>` and `hs_legal_basis`.
    optout_properties: Literal["read_only", "writable"] = "read_only"
    #: A journal subscription without `properties`.
    journal_properties: Literal["none", "all"] = "none"
    #: Most objects in one request for snapshots.
    snapshot_cap: Literal[100, 1000] = 100
    #: Which spelling of the journal's scopes is known: the guide's, or the specification's as well.
    journal_scopes: Literal["guide", "both"] = "guide"
    #: Optional fields of an error body.
    error_fields: Literal["random", "all"] = "random"
    #: What comes back when a person refuses the install.
    refused_install: Literal["any_code", "none", "access_denied"] = "any_code"
    #: A write that changes nothing moves `lastmodifieddate`.
    idle_write_bumps: bool = False
    #: A cleared value of the primary beats a filled one of the absorbed record in a merge.
    merge_cleared_wins: bool = True
    #: How many times HubSpot itself moves `lastmodifieddate` in the 15 minutes after a create.
    bumps_after_create: int = 5
    #: Search answers with neighbours out of the order asked for.
    search_disorder: bool = True
    #: Webhooks arrive out of order, and some twice.
    webhook_disorder: bool = True

    def changed(self, **changes: Any) -> Switches:
        """A copy with some switches moved.

        Raises ValueError naming the switch and its values when there is no such switch or value.
        """
        for name, value in changes.items():
            _check(name, value)
        return replace(self, **changes)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Switches)


def choices(name: str) -> tuple[Any, ...]:
    """The values of a switch, default first; empty for a count."""
    hint = _hints()[name]
    if hint is bool:
        default = getattr(Switches(), name)
        return (default, not default)
    return get_args(hint)


def _check(name: str, value: object) -> None:
    if name not in {each.name for each in fields(Switches)}:
        raise ValueError(f"There is no switch {name!r}.")
    allowed = choices(name)
    if allowed and value not in allowed:
        raise ValueError(f"Switch {name!r} takes one of {list(allowed)}.")
    if not allowed and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"Switch {name!r} takes a count.")
