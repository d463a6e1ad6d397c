"""Properties that HubSpot works out from others."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import phonenumbers

from mercuri.sandbox.switches import Switches

#: Where the portal is at home: a number without a country code is read as one from there.
_HOME = "US"


def values(present: Mapping[str, str], changed: Collection[str], switches: Switches) -> dict[str, str]:
    """The calculated companions of the properties in `changed`; "" clears one."""
    companions: dict[str, str] = {}
    if "phone" in changed:
        companions |= _numbers("phone", present.get("phone", ""), switches)
    if "mobilephone" in changed:
        companions |= _numbers("mobile", present.get("mobilephone", ""), switches)
    if "email" in changed:
        companions["hs_email_domain"] = present.get("email", "").rpartition("@")[2]
    return {name: value for name, value in companions.items() if value or name in present}


def _numbers(kind: str, typed: str, switches: Switches) -> dict[str, str]:
    number = _parse(typed)
    if number is not None:
        national = phonenumbers.national_significant_number(number)
        international = f"{number.country_code}{national}"
        e164 = f"+{international}"
    else:
        national = re.sub(r"\D", "", typed) if switches.calculated_phones == "best_effort" else ""
        e164 = international = national
    return {
        f"hs_calculated_{kind}_number": e164,
        f"hs_searchable_calculated_{kind}_number": national,
        f"hs_searchable_calculated_international_{kind}_number": international,
    }


def _parse(typed: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(typed, _HOME)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None
