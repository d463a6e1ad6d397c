"""What can go wrong, and what to do about it.

::

    AppError                remedy: RETRY, PERSON or NONE; every caller decides by this alone
      UserError             PERSON  says what happened, what was left untouched, what to do
        NotFound            PERSON  the thing asked for does not exist (or is not theirs to see)
        Clash               PERSON  it changed meanwhile; carries the present version
        Forbidden           PERSON  this role may not do it
        SafetyStop          the run would do more harm than agreed; nothing was written
      HubSpotError          carries status, correlation_id, portal
        RateLimited         RETRY   carries retry_after
        Unavailable         RETRY
        Unauthorised        PERSON  the portal must be connected again
        MissingScope        PERSON  names the scopes
        NotThere            NONE    no such record or property
        BadRequest          NONE    our mistake, or a refused value; carries HubSpot's message and details

A message is written for the person who reads it. It never holds a token or a contact's value.
"""

from __future__ import annotations

import enum


class Remedy(enum.Enum):
    """What makes the error go away: time, a person, or nothing."""

    RETRY = "retry"
    PERSON = "person"
    NONE = "none"


class AppError(Exception):
    """Whatever this program raises on purpose."""

    remedy = Remedy.NONE

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UserError(AppError):
    """A person can mend it: the message says what happened, what was left untouched, and what to do."""

    remedy = Remedy.PERSON


class NotFound(UserError):
    """The thing asked for does not exist in this workspace."""


class Clash(UserError):
    """The thing changed between the look and the act; `present` is what it is now (a core type, or None)."""

    def __init__(self, message: str, present: object = None) -> None:
        super().__init__(message)
        self.present = present


class Forbidden(UserError):
    """This role may not do it."""


class SafetyStop(UserError):
    """A run would do more harm than was agreed. Nothing was written."""


class HubSpotError(AppError):
    """HubSpot's refusal or absence; `status` is the HTTP status, or 0 when there was no answer."""

    def __init__(self, message: str, *, status: int = 0, correlation_id: str = "", portal: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.correlation_id = correlation_id
        self.portal = portal


class RateLimited(HubSpotError):
    """HubSpot's limit is used up; `retry_after` is the number of seconds to wait, and `daily` tells which limit."""

    remedy = Remedy.RETRY

    def __init__(
        self,
        message: str,
        *,
        retry_after: float,
        daily: bool = False,
        status: int = 429,
        correlation_id: str = "",
        portal: str = "",
    ) -> None:
        super().__init__(message, status=status, correlation_id=correlation_id, portal=portal)
        self.retry_after = retry_after
        self.daily = daily


class Unavailable(HubSpotError):
    """No answer, a cut one, or a 5xx. `may_have_happened` is true when a write was sent and its fate is unknown."""

    remedy = Remedy.RETRY

    def __init__(
        self,
        message: str,
        *,
        may_have_happened: bool = False,
        status: int = 0,
        correlation_id: str = "",
        portal: str = "",
    ) -> None:
        super().__init__(message, status=status, correlation_id=correlation_id, portal=portal)
        self.may_have_happened = may_have_happened


class Unauthorised(HubSpotError):
    """The portal must be connected again."""

    remedy = Remedy.PERSON


class MissingScope(HubSpotError):
    """The app was not given a scope; `scopes` names what is missing, as far as HubSpot says."""

    remedy = Remedy.PERSON

    def __init__(
        self,
        message: str,
        *,
        scopes: tuple[str, ...] = (),
        status: int = 403,
        correlation_id: str = "",
        portal: str = "",
    ) -> None:
        super().__init__(message, status=status, correlation_id=correlation_id, portal=portal)
        self.scopes = scopes


class NotThere(HubSpotError):
    """HubSpot knows no such record or property."""


class BadRequest(HubSpotError):
    """HubSpot refused the content: our mistake, or a value it does not take.

    `raw` is HubSpot's answer as text, shown on demand only; `existing_id` is set for a 409 that names the record.
    """

    def __init__(
        self,
        message: str,
        *,
        raw: str = "",
        existing_id: str | None = None,
        status: int = 400,
        correlation_id: str = "",
        portal: str = "",
    ) -> None:
        super().__init__(message, status=status, correlation_id=correlation_id, portal=portal)
        self.raw = raw
        self.existing_id = existing_id
