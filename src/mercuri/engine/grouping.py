"""Groups of duplicates as people judge them: members, reasons, what was said before; and what people decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations

from mercuri.core.contact import Contact, ContactId, WorkspaceId
from mercuri.core.match import LARGE_SIZE, KeyKind, MatchKey, Pair
from mercuri.core.normalise import Refused, normalise_email, normalise_phone, phone_key
from mercuri.core.survivor import Member
from mercuri.engine.app import Actor, App, require
from mercuri.errors import NotFound, UserError
from mercuri.store import duplicates, groups, match_keys, shown, users, workspaces
from mercuri.store.database import Tx
from mercuri.store.duplicates import GroupQuery, GroupRow, PossiblePair, Totals
from mercuri.store.match_keys import Apart, Shared

#: The words for kinds of keys, as the API spells them.
KIND_WORDS = {
    KeyKind.EMAIL: "email",
    KeyKind.PHONE: "phone",
    KeyKind.PHONE_VARIANT: "phone_variant",
    KeyKind.EMAIL_CANONICAL: "email_canonical",
    KeyKind.NAME_COMPANY: "name_company",
    KeyKind.HUBSPOT_PAIR: "hubspot_pair",
}
#: Stands for a pair that a person told apart though it shares nothing itself: others join the two.
MARK = MatchKey(KeyKind.HUBSPOT_PAIR, "")
#: How many holders of a shared value are shown.
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """A value that several members of a group hold."""

    kind: str  # email | phone
    value: str
    members: tuple[ContactId, ...]


@dataclass(frozen=True, slots=True)
class Different:
    """Two members that a person told apart; `shares` are values that came up since, and raise the pair again."""

    a: ContactId
    b: ContactId
    by: str
    at: datetime
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with its members, at most the first fifty of them."""

    id: ContactId
    size: int
    certainty: int
    first_seen: datetime
    reasons: tuple[Reason, ...]
    members: tuple[Contact, ...]
    different: tuple[Different, ...]

    @property
    def too_large(self) -> bool:
        """Whether it is too large to be merged at once."""
        return self.size > LARGE_SIZE

    @property
    def linked(self) -> int:
        """How many members have a record in HubSpot."""
        return sum(bool(contact.hubspot) for contact in self.members)

    @property
    def consent_conflict(self) -> bool:
        """Whether one member's address is closed and another member's open."""
        return {True, False} <= {consent_closed(contact) for contact in self.members}


@dataclass(frozen=True, slots=True)
class PossibleView:
    """Two contacts that may be one person, and what suggests it."""

    kind: str
    value: str
    members: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class SharedView:
    """A value that joins nobody: declared shared by a person (`by`), or held by too many contacts."""

    kind: str
    value: str
    holders: int
    examples: tuple[Contact, ...]
    id: int | None = None
    note: str = ""
    by: str = ""
    at: datetime | None = None


def totals(app: App, ws: WorkspaceId) -> Totals:
    """How many groups there are, and how many contacts are in them."""
    with app.db.read(ws) as tx:
        return duplicates.totals(tx)


def list_groups(app: App, ws: WorkspaceId, query: GroupQuery) -> tuple[list[GroupView], str | None]:
    """A page of groups, and the cursor of the next one."""
    with app.db.read(ws) as tx:
        return groups_page(tx, query)


def groups_page(tx: Tx, query: GroupQuery) -> tuple[list[GroupView], str | None]:
    """`list_groups`, inside a transaction."""
    found, cursor = duplicates.page(tx, query)
    return views(tx, found), cursor


def group(app: App, ws: WorkspaceId, id_: int) -> GroupView:
    """One group. Raises NotFound when it does not stand (any more)."""
    with app.db.read(ws) as tx:
        return view(tx, id_)


def view(tx: Tx, id_: int) -> GroupView:
    """One group. Raises NotFound."""
    row = duplicates.row(tx, id_)
    if row is None:
        raise NotFound("There is no such group of duplicates; it was settled, or its values changed.")
    return views(tx, [row])[0]


def views(tx: Tx, found: Sequence[GroupRow]) -> list[GroupView]:
    """Groups with everything that a person needs to judge them."""
    members = duplicates.members(tx, [row.id for row in found], most=LARGE_SIZE)
    everybody = [id_ for ids in members.values() for id_ in ids]
    people = {contact.id: contact for contact in shown.many(tx, match_keys.contact_ids(everybody))}
    joining: dict[int, dict[MatchKey, list[ContactId]]] = {}
    group_of = {id_: group for group, ids in members.items() for id_ in ids}
    for key, ids in joining_keys(tx, match_keys.of(tx, everybody)).items():
        for id_ in ids:
            joining.setdefault(group_of[id_], {}).setdefault(key, []).append(id_)
    apart = _apart_among(tx, everybody)
    return [
        _view(row, [people[ContactId(i)] for i in members[row.id]], joining.get(row.id, {}), apart) for row in found
    ]


def _view(
    row: GroupRow,
    people: Sequence[Contact],
    joining: Mapping[MatchKey, Sequence[ContactId]],
    apart: Mapping[Pair, Sequence[Apart]],
) -> GroupView:
    reasons = [Reason(KIND_WORDS[key.kind], key.value, tuple(ids)) for key, ids in sorted(joining.items())]
    different = (
        [
            _different(items, joining)
            for pair in combinations(sorted(c.id for c in people), 2)
            if (items := apart.get(pair))
        ]
        if apart
        else []
    )
    return GroupView(
        ContactId(row.id), row.size, row.certainty, row.first_seen, tuple(reasons), tuple(people), tuple(different)
    )


def _different(items: Sequence[Apart], joining: Mapping[MatchKey, Sequence[ContactId]]) -> Different:
    newest = max(items, key=lambda item: item.at)
    told = {item.key for item in items}
    pair = {newest.a, newest.b}
    news = tuple(key.value for key, ids in sorted(joining.items()) if pair <= set(ids) and key not in told)
    return Different(ContactId(newest.a), ContactId(newest.b), newest.by, newest.at, news)


def joining_keys(tx: Tx, keys: Mapping[int, Collection[MatchKey]]) -> dict[MatchKey, list[ContactId]]:
    """The exact keys that two or more of these contacts hold and that join them, with who of them holds them."""
    caps = groups.caps(tx)
    held: dict[MatchKey, list[ContactId]] = {}
    for id_, own in sorted(keys.items()):
        for key in own:
            if key.kind in caps:
                held.setdefault(key, []).append(ContactId(id_))
    joining = match_keys.joining(tx, {key: caps[key.kind] for key, ids in held.items() if len(ids) > 1})
    return {key: held[key] for key in joining}


def _apart_among(tx: Tx, contacts: Collection[int]) -> dict[Pair, list[Apart]]:
    found: dict[Pair, list[Apart]] = {}
    for item in match_keys.apart_among(tx, contacts):
        found.setdefault((item.a, item.b), []).append(item)
    return found


def different_pairs(tx: Tx, members: Collection[int]) -> set[Pair]:
    """The pairs among these contacts that a person told apart."""
    own = set(members)
    return {pair for pair in _apart_among(tx, members) if own.issuperset(pair)}


def consent_closed(contact: Contact) -> bool | None:
    """Whether one of a contact's addresses is closed; None when nobody ever said anything."""
    states = {line.state for line in contact.consent}
    return True if "unsubscribed" in states else False if "subscribed" in states else None


def as_member(contact: Contact) -> Member:
    """A contact as far as a merge must know it."""
    return Member(
        id=contact.id,
        fields=contact.fields,
        field_times={name: origin.at for name, origin in contact.origins.items()},
        linked=bool(contact.hubspot),
        last_activity=contact.updated_at,
        created_at=contact.created_at,
        consent_closed=consent_closed(contact),
    )


# --- what people decide -------------------------------------------------------------------------------------------


def dismiss(
    app: App, ws: WorkspaceId, group_id: int, actor: Actor, pairs: Collection[tuple[int, int]] | None = None
) -> int:
    """Remember that members of a group are different people: these pairs, or all. Returns how many pairs.

    The memory is for the values that a pair shares now: a new one raises the pair again. Raises NotFound, and
    UserError for a pair that is not of the group.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        row = duplicates.row(tx, group_id)
        if row is None:
            raise NotFound("There is no such group of duplicates; it was settled, or its values changed.")
        members = duplicates.members(tx, [group_id])[group_id]
        if pairs is None and row.size > LARGE_SIZE:
            raise UserError("This group is too large to dismiss at once. Nothing was changed; name the pairs.")
        wanted = _checked(pairs, members) if pairs is not None else list(combinations(members, 2))
        _tell_apart(tx, wanted, actor, app.now())
        users.note_audit(tx, actor.name, "duplicates.dismissed", {"group": group_id, "pairs": len(wanted)}, app.now())
    return len(wanted)


def dismiss_pair(app: App, ws: WorkspaceId, a: int, b: int, actor: Actor) -> None:
    """Remember that two contacts that may be one person are two."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        if len(shown.many(tx, match_keys.contact_ids([a, b]))) != 2 or a == b:
            raise NotFound("There is no such pair of contacts.")
        _tell_apart(tx, [(a, b)], actor, app.now())


def reconsider(app: App, ws: WorkspaceId, a: int, b: int, actor: Actor) -> None:
    """Forget that two contacts were told apart."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        mine = [item for item in match_keys.apart_among(tx, [a]) if {item.a, item.b} == {a, b}]
        if not mine:
            raise NotFound("These two contacts were not told apart.")
        match_keys.forget_apart(tx, mine)
        groups.keys_changed(tx, {}, app.now(), also=[a, b])


def _checked(pairs: Collection[tuple[int, int]], members: Collection[int]) -> list[Pair]:
    own = set(members)
    if not pairs or any(a == b or not own.issuperset((a, b)) for a, b in pairs):
        raise UserError("A pair must be two different members of the group. Nothing was changed.")
    return list(pairs)


def _tell_apart(tx: Tx, pairs: Collection[Pair], actor: Actor, at: datetime) -> None:
    keys = match_keys.of(tx, {id_ for pair in pairs for id_ in pair})
    told: list[tuple[Pair, MatchKey]] = []
    for a, b in pairs:
        common = keys.get(a, frozenset()) & keys.get(b, frozenset())
        weak = {p.key for p in duplicates.possible_of(tx, a) if {p.a, p.b} == {a, b}} if len(pairs) == 1 else set()
        told += [((a, b), key) for key in sorted({*common, *weak} or {MARK})]
    match_keys.tell_apart(tx, told, actor.name, at)
    groups.keys_changed(tx, {}, at, also={id_ for pair in pairs for id_ in pair})


def share(app: App, ws: WorkspaceId, kind: str, value: str, actor: Actor, note: str = "") -> SharedView:
    """Declare a phone number or an e-mail shared: it joins nobody from now on. Raises UserError for no such value."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        key = _key(kind, value, workspaces.settings(tx).default_region)
        match_keys.share(tx, key, note[:500], actor.name, app.now())
        _flipped(tx, key, app.now())
        users.note_audit(tx, actor.name, "duplicates.shared_value", {"kind": kind}, app.now())
        mine = next(item for item in match_keys.shared(tx) if item.key == key)
        return _shared_view(tx, mine)


def unshare(app: App, ws: WorkspaceId, id_: int, actor: Actor) -> None:
    """Take a value off the list of shared ones: its pairs come back. Raises NotFound."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        found = next((item for item in match_keys.shared(tx) if item.id == id_), None)
        if found is None:
            raise NotFound("There is no such shared value.")
        match_keys.unshare(tx, found.key)
        _flipped(tx, found.key, app.now())
        users.note_audit(tx, actor.name, "duplicates.unshared_value", {"kind": KIND_WORDS[found.key.kind]}, app.now())


def shared_values(app: App, ws: WorkspaceId, *, limit: int = 100) -> list[SharedView]:
    """Values that join nobody: those declared shared, newest first, then the crowded ones."""
    with app.db.read(ws) as tx:
        declared = match_keys.shared(tx)
        own = {item.key for item in declared}
        crowded = [
            MatchKey(kind, value)
            for kind, cap in groups.caps(tx).items()
            for value, _ in match_keys.crowds(tx, kind, cap, limit=limit)
        ]
        rest = [_crowd_view(tx, key) for key in crowded if key not in own]
        return [*(_shared_view(tx, item) for item in declared[:limit]), *rest][: 2 * limit]


def _flipped(tx: Tx, key: MatchKey, at: datetime) -> None:
    cap = groups.caps(tx)[key.kind]
    found = match_keys.holders(tx, key, cap + 1)
    if len(found) <= cap:
        groups.keys_changed(tx, {}, at, also=found)


def _key(kind: str, value: str, region: str) -> MatchKey:
    if kind == "email":
        email = normalise_email(value)
        if isinstance(email, Refused):
            raise UserError(f"This is not an e-mail: {email.reason}. Nothing was changed.")
        return MatchKey(KeyKind.EMAIL, email)
    if kind != "phone":
        raise UserError("Only a phone number or an e-mail can be shared. Nothing was changed.")
    number, _, extension = value.partition(";ext=")
    phone = normalise_phone(number, region)
    if isinstance(phone, Refused):
        raise UserError(f"This is not a phone number: {phone.reason}. Nothing was changed.")
    return MatchKey(KeyKind.PHONE, phone_key(phone.e164, extension or phone.extension))


def _shared_view(tx: Tx, item: Shared) -> SharedView:
    return replace(_crowd_view(tx, item.key), id=item.id, note=item.note, by=item.by, at=item.at)


def _crowd_view(tx: Tx, key: MatchKey) -> SharedView:
    examples = shown.many(tx, match_keys.contact_ids(match_keys.holders(tx, key, _EXAMPLES)))
    return SharedView(KIND_WORDS[key.kind], key.value, match_keys.count(tx, key), tuple(examples))


# --- possible pairs ---------------------------------------------------------------------------------------------

_POSSIBLE = (KeyKind.PHONE_VARIANT, KeyKind.EMAIL_CANONICAL, KeyKind.NAME_COMPANY)


def possible_pairs(
    app: App, ws: WorkspaceId, *, cursor: str | None = None, limit: int = 50
) -> tuple[list[PossibleView], str | None]:
    """A page of pairs that may be one person, by kind of evidence, and the cursor of the next page."""
    kind, _, after = (cursor or f"{_POSSIBLE[0].value}:").partition(":")
    if kind not in {str(one.value) for one in _POSSIBLE}:
        raise UserError("This cursor is not one that a page gave. Start without a cursor.")
    found: list[PossiblePair] = []
    with app.db.read(ws) as tx:
        for one in _POSSIBLE:
            if one.value >= int(kind) and len(found) < limit:
                start = after if one.value == int(kind) else ""
                found += duplicates.possible(tx, one, after=start, limit=limit - len(found))
        people = _people(tx, found)
    views_ = [PossibleView(KIND_WORDS[p.key.kind], p.key.value, (people[p.a], people[p.b])) for p in found]
    last = found[-1].key if len(found) >= limit else None
    return views_, f"{last.kind.value}:{last.value}" if last else None


def possible_of(app: App, ws: WorkspaceId, contact: int) -> list[PossibleView]:
    """The contacts that may be the same person as this one, with the reason."""
    with app.db.read(ws) as tx:
        found = duplicates.possible_of(tx, contact)
        people = _people(tx, found)
    return [PossibleView(KIND_WORDS[p.key.kind], p.key.value, (people[p.a], people[p.b])) for p in found]


def _people(tx: Tx, found: Sequence[PossiblePair]) -> dict[int, Contact]:
    ids = {id_ for pair in found for id_ in (pair.a, pair.b)}
    return {contact.id: contact for contact in shown.many(tx, match_keys.contact_ids(sorted(ids)))}
