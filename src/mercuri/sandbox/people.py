"""Invented people with the mess of a real list: formats, shared phones, missing e-mails, people twice.

Everything follows from the seed. Addresses are below `example.com`, `.org` and `.net`, which nobody owns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class _Place:
    country: str
    dial: str
    firsts: tuple[str, ...]
    lasts: tuple[str, ...]
    cities: tuple[str, ...]
    #: Leading digits of a mobile number (without the trunk 0) and how many digits follow them.
    prefixes: tuple[str, ...]
    rest: int
    #: How people there type it: N the national number, T the trunk prefix.
    formats: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PLACES = (
    _Place(
        "United States",
        "1",
        _words(
            "James Mary Robert Patricia Jennifer Michael Linda David Elizabeth William Barbara "
            "Aisha DeShawn Mei Luis Carmen Tyler Brooke"
        ),
        _words(
            "Smith Johnson Williams Brown Garcia Miller Davis Rodriguez Martinez O'Brien Nguyen "
            "Lee Walker Hall Young King Wright Torres"
        ),
        ("New York", "Chicago", "Austin", "San Francisco", "Portland", "Denver"),
        ("212", "312", "415", "503", "512", "617", "646", "702", "718", "808", "917", "971"),
        7,
        (
            "(AAA) BBB-CCCC",
            "AAA-BBB-CCCC",
            "AAA.BBB.CCCC",
            "AAABBBCCCC",
            "+1 AAA BBB CCCC",
            "+1AAABBBCCCC",
            "1-AAA-BBB-CCCC",
            "(AAA)BBB-CCCC x204",
        ),
    ),
    _Place(
        "United Kingdom",
        "44",
        _words("Oliver Amelia George Isla Harry Ava Jack Emily Charlie Sophia Siân Niamh Callum Imogen Priya Hamza"),
        _words(
            "Taylor Evans Thomas Roberts Hughes Wood Clarke Patel Green Edwards Campbell MacDonald Okafor Ahmed Walsh"
        ),
        ("London", "Leeds", "Bristol", "Glasgow", "Cardiff"),
        ("7400", "7500", "7700", "7800", "7911"),
        6,
        ("0N", "+44N", "+44 N", "0044 N", "+44 (0)N"),
    ),
    _Place(
        "France",
        "33",
        _words("Ana Élodie François Chloé Jérôme Zoé Benoît Amélie Hugo Léa Noémie Théo Mathilde Loïc Anaïs Rémi"),
        _words(
            "Martin Bernard Dubois Lefèvre Moreau Laurent Garnier Faure Lambert Fontaine Besson "
            "Chevalier Roux Blanchard Guérin"
        ),
        ("Lyon", "Paris", "Nantes", "Lille", "Marseille"),
        ("61", "62", "63", "64", "66", "67", "78"),
        7,
        ("0N", "+33N", "+33 N", "0033N", "+33 (0)N"),
    ),
    _Place(
        "Germany",
        "49",
        _words(
            "Jürgen Anna Lukas Sören Käthe Björn Leonie Maximilian Greta Jörg Mia Felix Annika Matthias Hannah Emre"
        ),
        _words(
            "Müller Schmidt Schneider Weiß Köhler Krüger Vogel Schäfer Groß Böhm Yilmaz Hoffmann Lehmann Brandt Jäger"
        ),
        ("Berlin", "Hamburg", "München", "Köln", "Leipzig"),
        ("151", "160", "170", "171", "175", "176"),
        7,
        ("0N", "+49 N", "+49N", "0049 N", "+49 (0) N"),
    ),
    _Place(
        "Spain",
        "34",
        _words("José Lucía Álvaro Begoña Íñigo Marta Iván Ángela Raúl Inés Joaquín Nuria Óscar Pilar"),
        _words("García Fernández Núñez Ibáñez Muñoz Gómez Jiménez Peña Ortega Domínguez Serrano Vázquez"),
        ("Madrid", "Valencia", "Sevilla", "Bilbao"),
        ("60", "61", "62", "65", "69"),
        7,
        ("N", "+34 N", "+34N", "0034N"),
    ),
    _Place(
        "Poland",
        "48",
        _words("Łukasz Małgorzata Paweł Agnieszka Wojciech Świętosława Michał Zofia Kacper Żaneta"),
        _words("Kowalski Wiśniewska Wójcik Kamińska Zieliński Dąbrowska Szymański Woźniak Kozłowski Jabłońska"),
        ("Warszawa", "Kraków", "Wrocław", "Łódź"),
        ("50", "51", "60", "66", "69", "72"),
        7,
        ("N", "+48 N", "+48N", "0048 N"),
    ),
    _Place(
        "Brazil",
        "55",
        _words("João Gabriela Antônio Beatriz Caio Letícia Thiago Conceição Vinícius Luísa"),
        _words("Silva Souza Araújo Gonçalves Assunção Ribeiro Magalhães Cardoso Moura Falcão"),
        ("São Paulo", "Rio de Janeiro", "Recife", "Curitiba"),
        ("11 9", "21 9", "41 9", "81 9"),
        8,
        ("0N", "+55 N", "+55N"),
    ),
    _Place(
        "Japan",
        "81",
        ("陽菜", "大輔", "さくら", "健太", "Yuki", "Haruto", "美咲", "Naoko", "拓也", "Emi"),
        ("佐藤", "鈴木", "高橋", "田中", "Watanabe", "Itō", "山本", "Nakamura", "小林", "Katō"),
        ("東京", "Osaka", "札幌", "Fukuoka"),
        ("70", "80", "90"),
        8,
        ("0N", "+81 N", "+81N"),
    ),
    _Place(
        "India",
        "91",
        _words("Aarav Diya Vivaan Ananya Arjun Ishita Rohan Kavya Siddharth Meera"),
        _words("Sharma Verma Iyer Nair Reddy Chatterjee Singh Kaur Gupta Desai"),
        ("Mumbai", "Bengaluru", "Delhi", "Chennai"),
        ("98", "97", "90", "88", "70"),
        8,
        ("0N", "N", "+91 N", "+91N", "+91-N"),
    ),
    _Place(
        "United Arab Emirates",
        "971",
        ("محمد", "Fatima", "Omar", "نورة", "Layla", "Khalid", "Yusuf", "Mariam"),
        ("Al Maktoum", "Haddad", "الهاشمي", "Nasser", "Al-Farsi", "Khoury", "Rahman", "Saleh"),
        ("Dubai", "Abu Dhabi", "Sharjah"),
        ("50", "52", "55", "56"),
        7,
        ("0N", "+971 N", "+971N", "00971N"),
    ),
)
_WEIGHTED = _PLACES[:1] * 5 + _PLACES[1:2] * 3 + _PLACES[2:4] * 2 + _PLACES[4:]
_COMPANIES = _words(
    "Northwind Acme Globex Initech Umbrella Hooli Contoso Fabrikam Vandelay Soylent "
    "Tyrell Wonka Stark Wayne Gekko Oscorp"
)
_SUFFIXES = ("Ltd", "GmbH", "Inc", "SARL", "Group", "& Sons", "Labs", "Studio", "Coffee", "Cycling")
_JOBS = (
    "Owner",
    "Buyer",
    "Marketing Manager",
    "Engineer",
    "CEO",
    "Office Manager",
    "Accountant",
    "Nurse",
    "Teacher",
    "Head of Sales",
)
_DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.net", "work.example.org")
_STAGES = ("lead", "lead", "lead", "subscriber", "opportunity", "customer", "customer")
_CONSENT = ("Yes", "No", "not_asked")


def people(rng: Random, count: int, start: int) -> Iterator[dict[str, str]]:
    """Property values of `count` people; `start` keeps the e-mails apart from those of earlier calls."""
    before: dict[str, str] = {}
    for number in range(start, start + count):
        chance = rng.random()
        if before and chance < 0.03:
            person = _again(rng, before, number)
        else:
            person = _person(rng, number)
            if before.get("phone") and chance < 0.06:
                _share_phone(person, before)
        before = person
        yield person


def _person(rng: Random, number: int) -> dict[str, str]:
    draw = rng.random
    place = _WEIGHTED[int(draw() * len(_WEIGHTED))]
    first = place.firsts[int(draw() * len(place.firsts))]
    last = place.lasts[int(draw() * len(place.lasts))]
    person = {
        "firstname": first,
        "lastname": last,
        "city": place.cities[int(draw() * len(place.cities))],
        "country": place.country,
        "lifecyclestage": _STAGES[int(draw() * 7)],
    }
    if draw() < 0.92:
        _give_email(rng, person, f"{_latin(first, 'contact')}.{_latin(last, 'name')}{number}")
    if draw() < 0.88:
        _give_phone(rng, person, place, "phone", "phone")
    if draw() < 0.15:
        _give_phone(rng, person, place, "mobilephone", "mobile")
    _give_work(draw(), person, number)
    _give_consent(draw(), draw(), person)
    if draw() < 0.04:
        _spoil(person, int(draw() * 4))
    return person


def _again(rng: Random, other: dict[str, str], number: int) -> dict[str, str]:
    """The same person once more, entered by someone else: another e-mail or none, the phone typed differently."""
    person = {
        name: value
        for name, value in other.items()
        if name not in ("email", "hs_additional_emails", "customer_number", "hs_email_domain")
    }
    if rng.random() < 0.6:
        _give_email(
            rng,
            person,
            f"{_latin(person.get('firstname', ''), 'contact')[:1]}{_latin(person.get('lastname', ''), 'name')}{number}",
        )
    international = person.get("hs_calculated_phone_number")
    if international:
        person["phone"] = international
    return person


def _share_phone(person: dict[str, str], other: dict[str, str]) -> None:
    for name in ("phone", *_calculated_names("phone")):
        person.pop(name, None)
        if name in other:
            person[name] = other[name]


def _calculated_names(kind: str) -> tuple[str, str, str]:
    return (
        f"hs_calculated_{kind}_number",
        f"hs_searchable_calculated_{kind}_number",
        f"hs_searchable_calculated_international_{kind}_number",
    )


def _give_email(rng: Random, person: dict[str, str], local: str) -> None:
    domain = _DOMAINS[int(rng.random() * 6)]
    person["email"] = f"{local}@{domain}"
    person["hs_email_domain"] = domain
    if rng.random() < 0.03:
        person["hs_additional_emails"] = f"{local}@old.{domain}"


def _give_phone(rng: Random, person: dict[str, str], place: _Place, name: str, kind: str) -> None:
    draw = rng.random
    prefix = place.prefixes[int(draw() * len(place.prefixes))]
    digits = f"{prefix}{2 + int(draw() * 8)}{int(draw() * 10 ** (place.rest - 1)):0{place.rest - 1}d}"
    national = digits.replace(" ", "")
    pattern = place.formats[int(draw() * len(place.formats))]
    person[name] = _typed(pattern, digits if draw() < 0.5 else _grouped(national))
    # A number typed the local way is only understood where the portal is at home.
    if place.dial == "1" or pattern[0] == "+":
        calculated, searchable, international = _calculated_names(kind)
        person[calculated] = f"+{place.dial}{national}"
        person[searchable] = national
        person[international] = f"{place.dial}{national}"


def _typed(pattern: str, digits: str) -> str:
    if "A" not in pattern:
        return pattern.replace("N", digits)
    plain = digits.replace(" ", "")
    return pattern.replace("AAA", plain[:3]).replace("BBB", plain[3:6]).replace("CCCC", plain[6:])


def _grouped(national: str) -> str:
    return f"{national[:3]} {national[3:6]} {national[6:]}".rstrip()


def _give_work(chance: float, person: dict[str, str], number: int) -> None:
    if chance < 0.6:
        person["company"] = f"{_COMPANIES[number % 16]} {_SUFFIXES[number // 16 % 10]}"
    if chance < 0.4:
        person["jobtitle"] = _JOBS[number % 10]
    if chance < 0.2:
        person["customer_number"] = f"C-{number:06d}"
    if 0.3 < chance < 0.5:
        person["points"] = str(number % 900)


def _give_consent(bool_chance: float, enum_chance: float, person: dict[str, str]) -> None:
    if bool_chance < 0.55:
        person["sms_opt_in"] = "true" if bool_chance < 0.4 else "false"
    if enum_chance < 0.6:
        person["sms_consent"] = _CONSENT[0 if enum_chance < 0.35 else 1 if enum_chance < 0.5 else 2]


def _spoil(person: dict[str, str], how: int) -> None:
    """What people and imports do to a list."""
    if how == 0:
        person["firstname"] = person["firstname"].upper()
        person["lastname"] = person["lastname"].upper()
    elif how == 1:
        person["lastname"] = f" {person['lastname']} "
    elif how == 2:
        for name in ("phone", *_calculated_names("phone")):
            person.pop(name, None)
        person["phone"] = "n/a"
    else:
        person.pop("lastname")


_SPECIAL = str.maketrans({"ł": "l", "Ł": "l", "ß": "ss", "ø": "o", "'": "", " ": ""})


def _latin(name: str, fallback: str) -> str:
    """The name as people put it into an address; `fallback` where nothing of it is in Latin letters."""
    if name.isascii() and name.isalpha():
        return name.lower()
    plain = unicodedata.normalize("NFKD", name.translate(_SPECIAL)).encode("ascii", "ignore").decode()
    return "".join(each for each in plain if each.isalnum()).lower() or fallback
