"""Typed text -> the normal form of a phone number, an e-mail or a name; or `Refused`, with a reason.

Normal forms serve equality, matching and addressing. They are never written over what a person typed.
Every function here is total: no text, however strange, makes one raise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import email_validator
import phonenumbers

from mercuri.core import numbering
from mercuri.core.contact import Address
from mercuri.core.numbering import Number

#: Longest text read as phone numbers; a longer one is prose. libphonenumber itself gives up at 250.
PHONE_TEXT = 250
#: Longest text read as an e-mail: 254 is the limit of RFC 5321, the rest leaves room for what NFC composes.
EMAIL_TEXT = 1000

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: What copying from web pages and spreadsheets leaves around a value: zero-width and direction marks.
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_WITHOUT_INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))
_SPLIT_PHONES = re.compile(r"[,;/|\n]|\bor\b", re.IGNORECASE)
_SPLIT_EMAILS = re.compile(r"[,;\s]+")
_TWO_DIGITS = re.compile(r"[\s(]*\d\d")
_BRAZIL_OLD_MOBILE = re.compile(r"(\d\d)([6-9]\d{7})")
_MEXICO_OLD_MOBILE = re.compile(r"1(\d{10})")
_REPEATED = "a placeholder: one digit repeated"
#: Plain addresses that need no library: a subset of what it accepts, in the form that it returns. Hyphens stand
#: alone and inside labels, so that no label can look like Punycode; the last label is letters.
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+-]{1,30}(?:\.[a-z0-9_+-]{1,30})?@"
    r"(?:[a-z0-9]{1,20}(?:-[a-z0-9]{1,20}){0,2}\.){1,3}(?!(?:arpa|invalid|local|localhost|onion|test)$)[a-z]{2,20}"
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a text has no normal form, in plain words that never repeat the text."""

    reason: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A valid number."""

    e164: str
    extension: str = ""

    @property
    def key(self) -> str:
        """The number for matching: two extensions of one switchboard are two different keys."""
        return phone_key(self.e164, self.extension)


def phone_key(e164: str, extension: str) -> str:
    """E.164, and the extension where there is one, in the form of RFC 3966.

    >>> phone_key("+14155552671", "5")
    '+14155552671;ext=5'
    """
    return f"{e164};ext={extension}" if extension else e164


def clean_text(raw: str) -> str:
    """The text as it may be stored: without NUL, which PostgreSQL refuses, and without lone surrogates."""
    return _UNSTORABLE.sub("", raw)


def blank(raw: str | None) -> bool:
    """Whether a value is empty: null, no text, or nothing but spaces."""
    return raw is None or not clean_text(raw).strip()


def normalise_name(raw: str) -> str:
    """NFC, with spaces collapsed and case kept.

    >>> normalise_name("  Ana   de  Souza ")
    'Ana de Souza'
    """
    return " ".join(unicodedata.normalize("NFC", clean_text(raw)).split())


def fold_name(raw: str) -> str:
    """A name for search and comparison: without accents, case or spare spaces.

    >>> fold_name("  JOSÉ  Strauß")
    'jose strauss'
    """
    if raw.isascii():
        return " ".join(raw.replace("\0", "").lower().split())
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", clean_text(raw)).casefold())
    text = "".join(char for char in text if not unicodedata.combining(char))
    return " ".join(text.casefold().split())


def normalise_email(raw: str) -> str | Refused:
    """Trim, NFC, case folded throughout, domain in IDNA (ASCII). Dots and +tags stay: they may be two people.

    The syntax is that of `email_validator`, without DNS; `.test` domains are accepted.

    >>> normalise_email(" Ana@Bücher.example ")
    'ana@xn--bcher-kva.example'
    """
    plain = raw.strip().lower()
    if _PLAIN_EMAIL.fullmatch(plain):
        return plain
    text = clean_text(raw).translate(_WITHOUT_INVISIBLE).strip()
    if not text:
        return Refused("empty")
    if len(text) > EMAIL_TEXT:
        return Refused("too long to be an e-mail")
    return _checked_email(_caseless(text))


def _checked_email(text: str) -> str | Refused:
    try:
        checked = email_validator.validate_email(text, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError:
        return Refused("not a valid e-mail")
    return f"{_caseless(checked.local_part)}@{checked.ascii_domain.lower()}"


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def normalise_phone(raw: str, region: str) -> Phone | Refused:
    """Read one number; one without a country code belongs to `region`, an ISO country or "" for none.

    A number must be valid, not merely possible: `0000000000` is possible. Old mobiles of Mexico and Brazil are
    brought to today's form; Brazilian landlines stay, since rewriting them would merge strangers.

    >>> normalise_phone("0044 7911 123456", "US").e164
    '+447911123456'
    """
    return _parse_one(_phone_text(raw), _known_region(region))


def phones_in(raw: str, region: str) -> tuple[Phone | Refused, ...]:
    """Every number of a text that may hold several: the whole first, split only when the whole is not valid.

    `0171/123 4567` is one German number; `4155552671 / 4155552672` is two. A text that holds no number at all
    gives one `Refused`, an empty one gives nothing.
    """
    text = _phone_text(raw)
    return _parse_all(text, _known_region(region)) if text else ()


def normalise_phones(items: Sequence[tuple[str, str]]) -> list[tuple[Phone | Refused, ...]]:
    """`phones_in` for many pairs of text and region, in the order given, at about 10 µs for each new pair."""
    return [phones_in(*item) for item in items]


def _phone_text(raw: str) -> str:
    if raw.isascii() and "\x00" not in raw:
        return raw.strip()
    return clean_text(raw).translate(_WITHOUT_INVISIBLE).strip()


def _known_region(region: str) -> str | None:
    return upper if (upper := region.strip().upper()) in phonenumbers.SUPPORTED_REGIONS else None


@lru_cache(maxsize=16_384)
def _parse_all(text: str, region: str | None) -> tuple[Phone | Refused, ...]:
    whole = _parse_one(text, region)
    if len(text) > PHONE_TEXT or (isinstance(whole, Phone) and not whole.extension):
        return (whole,)
    pieces = [piece.strip() for piece in _SPLIT_PHONES.split(text)]
    if pieces == [text]:
        return (whole,)
    parts = [_parse_one(piece, region) for piece in pieces if piece]
    found = tuple(dict.fromkeys(part for part in parts if isinstance(part, Phone)))
    # libphonenumber reads the second of two short numbers, "612345678, 612345679", as an extension of the first.
    if isinstance(whole, Phone):
        return found if len(found) == len(parts) > 1 else (whole,)
    return found or (whole,)


def _parse_one(text: str, region: str | None) -> Phone | Refused:
    if not text:
        return Refused("empty")
    if len(text) > PHONE_TEXT:
        return Refused("too long to be a phone number")
    phone = _valid(text, region)
    if phone is None and (prefix := _TWO_DIGITS.match(text)) and _own_digits(prefix[0]) == "00":
        phone = _valid("+" + text[prefix.end() :], region)
    return phone or Refused(_why_not(text, region))


def _valid(text: str, region: str | None) -> Phone | Refused | None:
    number = numbering.parse(text, region)
    for candidate in (number, number and _todays_form(number)):
        if candidate and numbering.is_valid(candidate):
            digits = candidate.national.lstrip("0")
            return Refused(_REPEATED) if len(set(digits)) <= 1 else Phone(candidate.e164, candidate.extension)
    return None


def _todays_form(number: Number) -> Number | None:
    """Old mobiles: +52 1 and ten digits lose the 1; +55, area and 8 digits from 6 to 9 gain a 9."""
    if number.code == 52 and (match := _MEXICO_OLD_MOBILE.fullmatch(number.national)):
        return Number(52, match[1], number.extension)
    if number.code == 55 and (match := _BRAZIL_OLD_MOBILE.fullmatch(number.national)):
        return Number(55, f"{match[1]}9{match[2]}", number.extension)
    return None


def _own_digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())


def _why_not(text: str, region: str | None) -> str:
    digits = _own_digits(text)
    if not digits:
        return "no digits in it"
    if len(set(digits)) == 1:
        return "a placeholder: one digit repeated"
    if region is None and not text.startswith(("+", "＋", "00")):
        return "no country code, and no country to assume"
    return "not a valid phone number"


def addresses_of(
    fields: Mapping[str, str],
    region: str,
    more_emails: Sequence[str] = (),
    more_phones: Sequence[tuple[str, str]] = (),
) -> tuple[Address, ...]:
    """Every phone number and e-mail of a contact, the unusable ones too, each with the reason.

    Read are the fields `phone` and `email`, then `more_phones` (name of the field, text) and `more_emails`. A text
    may hold several. The first usable one of each kind is primary; a repeated one appears once.
    """
    phones = [("phone", fields.get("phone", "")), *more_phones]
    emails = [("email", fields.get("email", "")), *(("more_emails", text) for text in more_emails)]
    found = [address for label, raw in phones for address in _phone_addresses(label, raw, region)]
    found += [address for label, raw in emails for address in _email_addresses(label, raw)]
    return tuple(_with_primaries(found))


def _phone_addresses(label: str, raw: str, region: str) -> Iterable[Address]:
    for phone in phones_in(raw, region):
        if isinstance(phone, Refused):
            yield Address("phone", raw, None, label, problem=phone.reason)
        else:
            yield Address("phone", raw, phone.e164, label, extension=phone.extension)


def _email_addresses(label: str, raw: str) -> Iterable[Address]:
    if not raw:
        return
    whole = normalise_email(raw)
    if isinstance(whole, str):
        yield Address("email", raw.strip(), whole, label)
        return
    if blank(raw):
        return
    parts = [(part, normalise_email(part)) for part in _SPLIT_EMAILS.split(raw) if part]
    usable = [Address("email", part, normal, label) for part, normal in parts if isinstance(normal, str)]
    yield from usable or [Address("email", raw, None, label, problem=whole.reason)]


def _with_primaries(found: Iterable[Address]) -> Iterable[Address]:
    seen: set[tuple[str, str, str]] = set()
    has_primary: set[str] = set()
    for address in found:
        form = (address.kind, address.normal or address.raw, address.extension)
        if form in seen:
            continue
        seen.add(form)
        is_primary = address.normal is not None and address.kind not in has_primary
        if is_primary:
            has_primary.add(address.kind)
        if not is_primary:
            yield address
            continue
        # Built anew, since dataclasses.replace costs four times as much, and a first load does this for every address.
        yield Address(
            address.kind, address.raw, address.normal, address.label, True, address.problem, address.extension
        )


def equal_form(kind: str, raw: str, region: str) -> str:
    """The form in which two values of a field are equal when they say the same; for comparison only, never written.

    `kind` is phone, email, name, text, number, bool, enumeration, date or datetime; any other counts as text. A value
    that is not of its kind is compared as text. Only a blank value has the form "".

    >>> equal_form("number", "5000.00", "") == equal_form("number", "5000", "")
    True
    """
    text = unicodedata.normalize("NFC", clean_text(raw).replace("\r\n", "\n").replace("\r", "\n")).strip()
    if kind == "phone":
        return _equal_phone(text, region)
    return _EQUAL_FORMS[kind](text) or text if kind in _EQUAL_FORMS else text


def readable_form(kind: str, raw: str) -> str:
    """A value as people read it: days and moments in one way, however they are kept. Others are as they are.

    >>> readable_form("date", "1709251200000"), readable_form("datetime", "2024-03-01T10:30:00+01:00")
    ('2024-03-01', '2024-03-01 09:30 UTC')
    """
    moment = _moment(raw.strip()) if kind in ("date", "datetime") else None
    if moment is None:
        return raw
    return f"{moment:%Y-%m-%d}" if kind == "date" else f"{moment:%Y-%m-%d %H:%M} UTC"


def _equal_phone(text: str, region: str) -> str:
    usable = [phone.key for phone in phones_in(text, region) if isinstance(phone, Phone)]
    return ",".join(sorted(usable)) or _own_digits(text) or text


def _equal_email(text: str) -> str:
    email = normalise_email(text)
    return email if isinstance(email, str) else _caseless(text)


def _equal_number(text: str) -> str:
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        return text
    if not isinstance(exponent, int):  # NaN and the infinities
        return text
    significant = "".join(map(str, digits)).lstrip("0")
    shortest = significant.rstrip("0")
    if not shortest:
        return "0"
    return f"{'-' if sign else ''}{shortest}e{exponent + len(significant) - len(shortest)}"


def _equal_bool(text: str) -> str:
    folded = text.casefold()
    return {"yes": "true", "1": "true", "no": "false", "0": "false"}.get(folded, folded)


def _equal_choices(text: str) -> str:
    """HubSpot keeps several choices as `a;b`, in no order to rely on, and at times with a leading `;`."""
    return ";".join(sorted({choice for part in text.split(";") if (choice := part.strip())}))


def _equal_date(text: str) -> str:
    moment = _moment(text)
    return moment.date().isoformat() if moment else text


def _equal_datetime(text: str) -> str:
    moment = _moment(text)
    return moment.isoformat(timespec="milliseconds") if moment else text


def _moment(text: str) -> datetime | None:
    """Milliseconds since the epoch, or ISO 8601; without a zone it is UTC."""
    try:
        if text.lstrip("-").isdecimal() and len(text) <= 15:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


_EQUAL_FORMS: Mapping[str, Callable[[str], str]] = {
    "email": _equal_email,
    "name": normalise_name,
    "number": _equal_number,
    "bool": _equal_bool,
    "enumeration": _equal_choices,
    "date": _equal_date,
    "datetime": _equal_datetime,
}
