"""Duplicates in a store that is filled directly: a rebuild, edits, crowds and chains, the banner, imports, Manage."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

import phonenumbers
from phonenumbers import PhoneNumberFormat
from tests.support.clock import Clock
from tests.support.web import Browser, Site

from bench.harness import BACKENDS, OWNER, Cpu, Figure, cpu, ms, share, timed
from bench.store import Filled, an_empty_store
from mercuri.core import normalise
from mercuri.core.contact import Address, ContactId
from mercuri.core.match import KeyKind, MatchKey
from mercuri.engine import dedupe, edit
from mercuri.store import contacts, groups, match_keys, schema, search
from mercuri.store.contacts import NewContact
from mercuri.web.app import create_app

_PAGE = 5_000
_EDITS, _PAGES = 1_000, 300
_HUB, _CHAIN = 50_000, 10_000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = ("workspace_id", "kind", "value", "contact_id")


def measure(count: int) -> Iterator[Figure]:
    """Each on both databases."""
    yield _phones(count)
    for backend in BACKENDS:
        with an_empty_store(backend) as here:
            _fill(here, count)
            for what, measured, reach in _of(here):
                yield Figure(f"{what}, {count:,} contacts, {backend}", measured, reach)


def _of(here: Filled) -> Iterator[tuple[str, str, str]]:
    with here.app.db.read(here.ws) as tx:
        keys = tx.raw().execute("SELECT count(*) FROM match_key").fetchone()[0]
    rebuilds = [_timed_write(here, lambda tx: dedupe.rebuild(tx, _NOW)) for _ in range(3)]
    totals = dedupe.totals(here.app, here.ws)
    found = f"{keys:,} keys, {totals.groups:,} groups of {totals.contacts:,}"
    yield f"duplicates from scratch ({found})", f"{min(rebuilds):.2f} s", "< 5 s"
    banner = [timed(lambda: dedupe.totals(here.app, here.ws)) for _ in range(_PAGES)]
    yield "banner count", f"p95 {ms(share(banner, 0.95))}", "< 5 ms"
    began = cpu(here.app.db)
    manage = list(_manage(here))
    busy = (cpu(here.app.db) - began).each(_PAGES)
    yield "Manage, the page as a browser gets it", f"p95 {ms(share(manage, 0.95))}; {busy}", "p95 < 50 ms"
    yield "duplicates' part of an edit, commit included", _spread(_key_edits(here)), "p50 < 1 ms, p99 < 5 ms (SQLite)"
    yield "an edit of an e-mail, all of it", _spread(_edits(here)), ""
    yield "merge of a group, all of it", _spread(_merges(here)), ""
    yield "keys and groups of an import, each contact", _import(here), "< 60 µs"
    added, removed = _hub(here)
    yield f"one more and one less of {_HUB:,} holders", f"{ms(added)}, {ms(removed)}", "costs nothing"
    yield f"a chain of {_CHAIN:,} cut in the middle", ms(_chain(here)), "works"


def _spread(times: Iterable[float]) -> str:
    found = list(times)
    return f"p50 {share(found, 0.5) * 1000:.2f} ms, p99 {share(found, 0.99) * 1000:.2f} ms"


# --- a store full of people --------------------------------------------------------------------------------------


def _fill(here: Filled, count: int) -> None:
    """All have a phone, seven of ten an e-mail; one in fifty shares a phone, one in fourteen an e-mail."""
    for start in range(0, count, _PAGE):
        new = [_person(number) for number in range(start, min(count, start + _PAGE))]
        with here.app.db.write(here.ws) as tx:
            made = contacts.insert_many(tx, new, bulk=True)
            dedupe.contacts_loaded(tx, dict(zip(made, new, strict=True)))
        here.ids.extend(made)
    with here.app.db.write(here.ws) as tx:
        search.index_missing(tx)


def _person(number: int, offset: int = 0) -> NewContact:
    chance = random.Random(number)
    phone = number if chance.random() > 0.02 else chance.randrange(number + 1)
    email = number if chance.random() > 0.07 else chance.randrange(number + 1)
    fields = {"first_name": "Ana", "last_name": f"Souza {number}", "phone": f"+1415{offset + phone:07d}", "email": ""}
    addresses = [Address("phone", fields["phone"], fields["phone"], "phone", True)]
    if chance.random() < 0.72:
        fields["email"] = f"person{offset + email}@example.com"
        addresses.append(Address("email", fields["email"], fields["email"], "email", True))
    return NewContact(fields, None, addresses, _NOW)


# --- what is measured --------------------------------------------------------------------------------------------


def _timed_write(here: Filled, work: Callable[..., object]) -> float:
    """Seconds of one transaction, its commit and what follows the commit included."""
    began = time.perf_counter()
    with here.app.db.write(here.ws) as tx:
        work(tx)
    return time.perf_counter() - began


def _manage(here: Filled) -> Iterator[float]:
    site = Site(create_app(here.services), here.services, Clock())
    with site.browser("manager") as browser:
        for number in range(_PAGES):
            order = f"sort={('certain', 'size', 'newest')[number % 3]}"
            reason = ("", "&reason=email", "&reason=phone")[number // 3 % 3]
            yield timed(partial(_got, browser, f"/duplicates?{order}{reason}"))


def _got(browser: Browser, address: str) -> None:
    assert browser.get(address).status_code == 200


def _key_edits(here: Filled) -> Iterator[float]:
    """Half of them give a contact a key of another one, half take one away or give a new one."""
    chance = random.Random(1)
    for number in range(_EDITS):
        id_, other = chance.choice(here.ids), chance.randrange(len(here.ids))
        value = f"person{other}@example.com" if number % 2 else f"new{number}@example.com"
        yield _timed_write(here, partial(_give, here, {id_: {MatchKey(KeyKind.EMAIL, value)}}))


def _give(here: Filled, keys: dict[ContactId, set[MatchKey]], tx: contacts.Tx) -> None:
    groups.keys_changed(tx, match_keys.replace(tx, {id_: frozenset(own) for id_, own in keys.items()}), _NOW)


def _edits(here: Filled) -> Iterator[float]:
    chance = random.Random(2)
    for number in range(_EDITS):
        id_, other = chance.choice(here.ids), chance.randrange(len(here.ids))
        email = f"person{other}@example.com" if number % 2 else f"edited{number}@example.com"
        yield timed(partial(edit.update_contact, here.app, here.ws, id_, {"email": email}, OWNER))


def _merges(here: Filled) -> Iterator[float]:
    found, _ = dedupe.list_groups(here.app, here.ws, dedupe.GroupQuery(sort="newest", limit=200))
    for group in found:
        if not group.too_large:
            yield timed(partial(dedupe.merge, here.app, here.ws, group.id, OWNER))


def _import(here: Filled) -> str:
    """What duplicates add to each contact, made in transactions of 500: every other one does without them."""
    batches, size = 40, 500
    spent = {True: Cpu(), False: Cpu()}
    for batch in range(batches):
        new = [_person(number, 5_000_000) for number in range(batch * size, (batch + 1) * size)]
        began = cpu(here.app.db)
        with here.app.db.write(here.ws) as tx:
            made = dict(zip(contacts.insert_many(tx, new), new, strict=True))
            if batch % 2:
                dedupe.contacts_made(tx, made, _NOW)
        spent[bool(batch % 2)] += cpu(here.app.db) - began
    return (spent[True] - spent[False]).each(batches * size // 2)


def _hub(here: Filled) -> tuple[float, float]:
    hub = MatchKey(KeyKind.PHONE, "+18005550100")
    crowd = itertools.islice(itertools.cycle(here.ids), _HUB)
    _give_rows(here, {(hub, contact) for contact in crowd})
    newcomer = ContactId(max(here.ids) + 1_000_000)
    added = _timed_write(here, partial(_give, here, {newcomer: {hub}}))
    return added, _timed_write(here, partial(_give, here, {newcomer: set()}))


def _chain(here: Filled) -> float:
    first = max(here.ids) + 2_000_000
    links = [MatchKey(KeyKind.EMAIL, f"link{number}@example.com") for number in range(_CHAIN + 1)]
    _give_rows(here, {(key, first + n) for n in range(_CHAIN) for key in links[n : n + 2]})
    _timed_write(here, lambda tx: dedupe.rebuild(tx, _NOW))
    return _timed_write(here, partial(_give, here, {ContactId(first + _CHAIN // 2): set()}))


def _give_rows(here: Filled, held: Collection[tuple[MatchKey, int]]) -> None:
    with here.app.db.write(here.ws) as tx:
        rows = sorted((here.ws, key.kind.value, key.value, contact) for key, contact in held)
        tx.insert_many(schema.match_key, _COLUMNS, rows)


# --- phones ------------------------------------------------------------------------------------------------------


def _phones(count: int) -> Figure:
    """Numbers of all countries as people type them: four of ten E.164, three spaced, three national."""
    typed = list(_typed(count))
    normalise.normalise_phones(typed[:1000])
    took = timed(lambda: normalise.normalise_phones(typed))
    return Figure(f"phones of {len(_PLACES)} countries, {count:,}", f"{took / count * 1e6:.1f} µs each", "≤ 25 µs")


_PLACES = sorted(phonenumbers.SUPPORTED_REGIONS)
#: Where most numbers come from; each of these counts as much as fifty of the others.
_LARGE = ("AR", "AU", "BR", "CA", "DE", "ES", "FR", "GB", "IN", "IT", "MX", "US")


def _typed(count: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(3)
    shapes = (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
    examples = {
        place: phonenumbers.example_number_for_type(place, phonenumbers.PhoneNumberType.MOBILE)
        or phonenumbers.example_number(place)
        for place in _PLACES
    }
    weights = [50 if place in _LARGE else 1 for place in _PLACES]
    for place in chance.choices(_PLACES, weights, k=count):
        example = examples[place]
        assert example is not None
        example.national_number = example.national_number // 100_000 * 100_000 + chance.randrange(100_000)
        yield phonenumbers.format_number(example, chance.choices(shapes, (4, 3, 3))[0]), place
