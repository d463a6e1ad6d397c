"""The tables as they are today. `workspace_id` leads every key and index, so that isolation is structural.

Times are milliseconds since the epoch, UTC. JSON columns are text that the module of the table reads and writes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

metadata = MetaData()

#: SQLite makes a row id of INTEGER PRIMARY KEY only, PostgreSQL a sequence of BIGINT.
_ID: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")


#: Sorted by code point on both, whatever the language of the database: a language's order costs every index dearly.
_TEXT: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _workspace() -> Column[int]:
    return Column("workspace_id", BigInteger, nullable=False)


# --- people who use the program -------------------------------------------------------------------------------

workspace = Table(
    "workspace",
    metadata,
    _id(),
    Column("name", _TEXT, nullable=False),
    Column("settings", _TEXT, nullable=False, server_default="{}"),  # default_region, status_channel, stop words
    Column("created_at", BigInteger, nullable=False),
)

#: Facts about the installation: a value sealed with its keys.
installation = Table(
    "installation",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

user = Table(
    "app_user",
    metadata,
    _id(),
    Column("email", _TEXT, nullable=False, unique=True),
    Column("password_hash", _TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

membership = Table(
    "membership",
    metadata,
    _workspace(),
    Column("user_id", BigInteger, nullable=False),
    Column("role", _TEXT, nullable=False),  # owner | manager | viewer
    Column("first_view", BigInteger),  # the saved view that Contacts opens with
    PrimaryKeyConstraint("workspace_id", "user_id"),
)

#: Lists of contacts that people saved under a name; one without a user is everybody's.
saved_view = Table(
    "saved_view",
    metadata,
    _id(),
    _workspace(),
    Column("user_id", BigInteger),
    Column("name", _TEXT, nullable=False),
    Column("query", _TEXT, nullable=False),  # the list's address, what stands behind the "?"
)
Index("saved_view_of_user", saved_view.c.workspace_id, saved_view.c.user_id, saved_view.c.id)

session = Table(
    "session",
    metadata,
    Column("token_hash", _TEXT, primary_key=True),
    _workspace(),
    Column("user_id", BigInteger, nullable=False),
    Column("csrf", _TEXT, nullable=False),
    Column("data", _TEXT, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

login_attempt = Table(
    "login_attempt",
    metadata,
    Column("key", _TEXT, primary_key=True),  # a hash of the account or of the address
    Column("failures", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    _id(),
    _workspace(),
    Column("name", _TEXT, nullable=False),
    Column("token_hash", _TEXT, nullable=False, unique=True),
    Column("role", _TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    UniqueConstraint("workspace_id", "name"),
)

audit = Table(
    "audit",
    metadata,
    _id(),
    _workspace(),
    Column("actor", _TEXT, nullable=False),
    Column("action", _TEXT, nullable=False),
    Column("detail", _TEXT, nullable=False, server_default="{}"),
    Column("at", BigInteger, nullable=False),
    Index("audit_at", "workspace_id", "at"),
)

# --- portals ----------------------------------------------------------------------------------------------------

portal = Table(
    "portal",
    metadata,
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),  # HubSpot's account id
    Column("name", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),  # oauth | static
    Column("secrets", LargeBinary),  # encrypted tokens; null once disconnected
    Column("scopes", _TEXT, nullable=False, server_default="[]"),
    Column("account", _TEXT, nullable=False, server_default="{}"),  # time zone, ui domain, ...
    Column("settings", _TEXT, nullable=False, server_default="{}"),
    Column("state", _TEXT, nullable=False),  # connected | reconnect | disconnected
    Column("problem", _TEXT, nullable=False, server_default=""),
    Column("watermark", BigInteger),
    Column("reading", _TEXT, nullable=False, server_default="{}"),  # versioned state of the increment
    Column("swept_at", BigInteger),
    Column("sweep", _TEXT, nullable=False, server_default="{}"),  # what the last full sweep proved
    Column("hint_at", BigInteger),  # last webhook or journal event
    Column("journal", _TEXT, nullable=False, server_default="{}"),  # how far HubSpot's journal is read
    Column("usage", _TEXT, nullable=False, server_default="{}"),
    Column("next_at", BigInteger),  # next scheduled run
    Column("parked_until", BigInteger),
    Column("lease_owner", _TEXT),
    Column("lease_until", BigInteger),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "portal_id"),
)

property_schema = Table(
    "property_schema",
    metadata,
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("body", _TEXT, nullable=False),  # core.properties.Property as JSON
    Column("seen_at", BigInteger, nullable=False),
    Column("gone_at", BigInteger),
    PrimaryKeyConstraint("workspace_id", "portal_id", "name"),
)

# --- contacts -----------------------------------------------------------------------------------------------------

contact = Table(
    "contact",
    metadata,
    _id(),
    _workspace(),
    Column("first_name", _TEXT, nullable=False, server_default=""),
    Column("last_name", _TEXT, nullable=False, server_default=""),
    Column("phone", _TEXT, nullable=False, server_default=""),
    Column("email", _TEXT, nullable=False, server_default=""),
    Column("custom", _TEXT, nullable=False, server_default="{}"),  # {name: value}, without the "custom." prefix
    # {field: [kind, by, at, run]}; "*" stands for every other field that has a value
    Column("origins", _TEXT, nullable=False, server_default="{}"),
    Column("subscribed", Boolean, nullable=False, server_default=text("false")),
    Column("status_reason", _TEXT, nullable=False, server_default=""),
    Column("name_key", _TEXT, nullable=False, server_default=""),  # folded "last first", cut, for sorting
    Column("email_key", _TEXT, nullable=False, server_default=""),  # folded e-mail, cut, for sorting
    Column("search", _TEXT, nullable=False, server_default=""),  # written and read by store.search
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("created_run", BigInteger),
    Column("deleted_at", BigInteger),
    Column("merged_into", BigInteger),
    sqlite_autoincrement=True,
)
_ALIVE = text("deleted_at IS NULL AND merged_into IS NULL")
for _name, _columns in {
    "contact_name": ("name_key", "id"),
    "contact_updated": ("updated_at", "id"),
    "contact_created": ("created_at", "id"),
    "contact_email": ("email_key", "id"),
    "contact_status": ("subscribed", "id"),
}.items():
    Index(
        _name, contact.c.workspace_id, *(contact.c[c] for c in _columns), sqlite_where=_ALIVE, postgresql_where=_ALIVE
    )
for _name, _blank in {"contact_has_phone": "(phone = '')", "contact_has_email": "(email = '')"}.items():
    Index(
        _name,
        contact.c.workspace_id,
        text(_blank),
        contact.c.id,
        sqlite_where=_ALIVE,
        postgresql_where=_ALIVE,
    )
Index(
    "contact_run",
    contact.c.workspace_id,
    contact.c.created_run,
    sqlite_where=text("created_run IS NOT NULL"),
    postgresql_where=text("created_run IS NOT NULL"),
)

address = Table(
    "contact_address",
    metadata,
    _workspace(),
    Column("contact_id", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("kind", _TEXT, nullable=False),  # phone | email
    Column("raw", _TEXT, nullable=False),
    Column("normal", _TEXT),
    Column("label", _TEXT, nullable=False, server_default=""),
    Column("is_primary", Boolean, nullable=False),
    Column("problem", _TEXT, nullable=False, server_default=""),
    Column("extension", _TEXT, nullable=False, server_default=""),
    PrimaryKeyConstraint("workspace_id", "contact_id", "position"),
)
Index(
    "address_normal",
    address.c.workspace_id,
    address.c.kind,
    address.c.normal,
    address.c.contact_id,
    sqlite_where=text("normal IS NOT NULL"),
    postgresql_where=text("normal IS NOT NULL"),
)

#: SQLite only: contacts up to this id are in the search index; a bulk load adds its own at the end.
search_state = Table("search_state", metadata, Column("upto", BigInteger, nullable=False))

# --- two sides --------------------------------------------------------------------------------------------------

link = Table(
    "link",
    metadata,
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("record_id", _TEXT, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("state", _TEXT, nullable=False),  # core.contact.LinkState
    Column("base", _TEXT, nullable=False, server_default="{}"),  # {field: [local, remote, why]}
    Column("shadow", _TEXT, nullable=False, server_default="{}"),  # {property: value} as last observed
    Column("remote_at", BigInteger),  # HubSpot's lastmodifieddate as last observed
    Column("seen_at", BigInteger, nullable=False),
    Column("seen_run", BigInteger),
    Column("archived_at", BigInteger),
    Column("written_at", BigInteger),
    Column("excluded", _TEXT, nullable=False, server_default=""),  # why the record is kept out, in plain words
    Column("created_there", BigInteger),  # the run that created the record in HubSpot
    PrimaryKeyConstraint("workspace_id", "portal_id", "record_id"),
)
Index("link_contact", link.c.workspace_id, link.c.contact_id, link.c.portal_id)
for _name, _unwell in {"link_excluded": text("excluded <> ''"), "link_blocked": text("state = 'blocked'")}.items():
    Index(_name, link.c.workspace_id, link.c.contact_id, sqlite_where=_unwell, postgresql_where=_unwell)

record_alias = Table(
    "record_alias",
    metadata,
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("old_id", _TEXT, nullable=False),
    Column("record_id", _TEXT, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "portal_id", "old_id"),
)

intent = Table(
    "intent",
    metadata,
    _id(),
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("record_id", _TEXT),
    Column("kind", _TEXT, nullable=False),  # create | patch | archive | merge | consent
    Column("payload", _TEXT, nullable=False),  # {property: value}
    Column("observed", _TEXT, nullable=False, server_default="{}"),  # {property: value} read just before
    Column("run_id", BigInteger),
    Column("sent_at", BigInteger),
    Column("state", _TEXT, nullable=False),  # planned | sent | confirmed | dropped
    Column("created_at", BigInteger, nullable=False),
)
_OPEN = text("state IN ('planned', 'sent')")
Index("intent_open", intent.c.workspace_id, intent.c.portal_id, intent.c.id, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("intent_contact", intent.c.workspace_id, intent.c.contact_id)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),  # contact | consent | tell | look | merge
    Column("key", _TEXT, nullable=False),  # the contact or record id, the address, or (tell) the channel
    Column("payload", _TEXT, nullable=False, server_default="{}"),
    Column("not_before", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "portal_id", "kind", "key"),
)

change = Table(
    "change",
    metadata,
    _id(),
    _workspace(),
    Column("run_id", BigInteger),
    Column("contact_id", BigInteger),
    Column("portal_id", _TEXT),
    Column("record_id", _TEXT),
    Column("field", _TEXT, nullable=False),  # a field, or "*" for the contact or record as a whole
    Column("side", _TEXT, nullable=False),  # mercuri | hubspot
    Column("before", _TEXT, nullable=False),
    Column("after", _TEXT, nullable=False),
    Column("base_before", _TEXT),  # the base that the change replaced, for undo
    Column("actor", _TEXT, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("planned", Boolean, nullable=False, server_default=text("false")),  # a row of a preview: nothing was done
    Column("at", BigInteger, nullable=False),
)
Index("change_run", change.c.workspace_id, change.c.run_id, change.c.id)
Index("change_contact", change.c.workspace_id, change.c.contact_id, change.c.id)

conflict = Table(
    "conflict",
    metadata,
    _id(),
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("record_id", _TEXT, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    Column("field", _TEXT, nullable=False),
    Column("local", _TEXT, nullable=False),
    Column("local_at", BigInteger),
    Column("local_by", _TEXT, nullable=False, server_default=""),
    Column("remote", _TEXT, nullable=False),
    Column("remote_at", BigInteger),
    Column("remote_by", _TEXT, nullable=False, server_default=""),
    Column("state", _TEXT, nullable=False),  # open | resolved (by a person) | decided (by a policy)
    Column("resolution", _TEXT, nullable=False, server_default=""),  # hubspot | mercuri | other
    Column("resolved_by", _TEXT, nullable=False, server_default=""),
    Column("run_id", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
)
Index("conflict_state", conflict.c.workspace_id, conflict.c.state, conflict.c.id)
Index("conflict_contact", conflict.c.workspace_id, conflict.c.contact_id)
Index(
    "conflict_open",
    conflict.c.workspace_id,
    conflict.c.portal_id,
    conflict.c.record_id,
    conflict.c.field,
    unique=True,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)

failure = Table(
    "failure",
    metadata,
    _id(),
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("key", _TEXT, nullable=False),  # one row for each thing that fails, see failures.Failure
    Column("contact_id", BigInteger),
    Column("record_id", _TEXT),
    Column("run_id", BigInteger),
    Column("class", _TEXT, nullable=False),  # core.retry.FailureClass
    Column("message", _TEXT, nullable=False),
    Column("fix", _TEXT, nullable=False),
    Column("raw", _TEXT, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("next_at", BigInteger),  # null: waits for an edit or a person
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "portal_id", "key"),
)
Index("failure_contact", failure.c.workspace_id, failure.c.contact_id)
Index("failure_run", failure.c.workspace_id, failure.c.run_id)

run = Table(
    "run",
    metadata,
    _id(),
    _workspace(),
    Column("portal_id", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),  # full | incremental | undo
    Column("trigger", _TEXT, nullable=False),  # button | schedule | webhook | cli | api
    Column("preview", Boolean, nullable=False, server_default=text("false")),
    Column("state", _TEXT, nullable=False),  # queued | running | waiting | done | failed | cancelled | stopped
    Column("stage", _TEXT, nullable=False, server_default=""),
    Column("counts", _TEXT, nullable=False, server_default="{}"),
    Column("calls", _TEXT, nullable=False, server_default="{}"),
    Column("expected", BigInteger),  # how many records are to be read, when known: for progress
    Column("checkpoint", _TEXT, nullable=False, server_default="{}"),
    Column("plan", _TEXT, nullable=False, server_default="{}"),
    Column("options", _TEXT, nullable=False, server_default="{}"),
    Column("undo_of", BigInteger),
    Column("undone_by", BigInteger),
    Column("requested_by", _TEXT, nullable=False, server_default=""),
    Column("cancel_asked", Boolean, nullable=False, server_default=text("false")),
    Column("message", _TEXT, nullable=False, server_default=""),
    Column("resume_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
)
_LIVE_RUN = text("state IN ('queued', 'running', 'waiting')")
Index("run_live", run.c.workspace_id, run.c.portal_id, unique=True, sqlite_where=_LIVE_RUN, postgresql_where=_LIVE_RUN)
Index("run_recent", run.c.workspace_id, run.c.id)

worker = Table(
    "worker",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

# --- consent ------------------------------------------------------------------------------------------------------

consent_event = Table(
    "consent_event",
    metadata,
    _id(),
    _workspace(),
    Column("event_key", _TEXT, nullable=False),  # what makes a repeated event of an address the same
    Column("channel", _TEXT, nullable=False),
    Column("address", _TEXT, nullable=False),
    Column("register", _TEXT, nullable=False),  # person | crm | staff
    Column("state", _TEXT, nullable=False),  # in | out | pause | resume
    Column("purpose", _TEXT, nullable=False, server_default="all"),
    Column("kind", _TEXT, nullable=False),
    Column("source", _TEXT, nullable=False, server_default=""),  # crm: portal/record/property
    Column("actor", _TEXT, nullable=False, server_default=""),
    Column("proof", _TEXT, nullable=False, server_default="{}"),
    Column("occurred_at", BigInteger, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "channel", "address", "event_key"),
)

consent_state = Table(
    "consent_state",
    metadata,
    _workspace(),
    Column("channel", _TEXT, nullable=False),
    Column("address", _TEXT, nullable=False),
    Column("registers", _TEXT, nullable=False),  # core.consent.Registers as JSON
    Column("state", _TEXT, nullable=False),  # subscribed | unsubscribed | never
    Column("reason", _TEXT, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),  # a person has to decide first
    Column("told", _TEXT, nullable=False, server_default="[]"),  # what was written of it to HubSpot, by property
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "channel", "address"),
)

Index(
    "consent_paused",
    consent_state.c.workspace_id,
    consent_state.c.updated_at,
    sqlite_where=text("paused"),
    postgresql_where=text("paused"),
)

suppression = Table(
    "suppression",
    metadata,
    _workspace(),
    Column("hash", _TEXT, nullable=False),  # keyed hash of channel and address, or of kind and normal form
    Column("kind", _TEXT, nullable=False),  # closed (never message) | erased (never import)
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "hash", "kind"),
)

# --- duplicates -----------------------------------------------------------------------------------------------

match_key = Table(
    "match_key",
    metadata,
    _workspace(),
    Column("kind", SmallInteger, nullable=False),
    Column("value", _TEXT, nullable=False),
    Column("contact_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "kind", "value", "contact_id"),
    sqlite_with_rowid=False,
)
Index("match_key_contact", match_key.c.workspace_id, match_key.c.contact_id, match_key.c.kind, match_key.c.value)

shared_value = Table(
    "shared_value",
    metadata,
    _id(),
    _workspace(),
    Column("kind", SmallInteger, nullable=False),
    Column("value", _TEXT, nullable=False),
    Column("note", _TEXT, nullable=False, server_default=""),
    Column("set_by", _TEXT, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "kind", "value"),
)

not_duplicate = Table(
    "not_duplicate",
    metadata,
    _workspace(),
    Column("a", BigInteger, nullable=False),
    Column("b", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("value", _TEXT, nullable=False),
    Column("set_by", _TEXT, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "a", "b", "kind", "value"),
    CheckConstraint("a < b", name="not_duplicate_order"),
)
Index("not_duplicate_b", not_duplicate.c.workspace_id, not_duplicate.c.b, not_duplicate.c.a)

dup_member = Table(
    "dup_member",
    metadata,
    _workspace(),
    Column("contact_id", BigInteger, nullable=False),
    Column("grp", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "contact_id"),
    sqlite_with_rowid=False,
)
Index("dup_member_group", dup_member.c.workspace_id, dup_member.c.grp, dup_member.c.contact_id)

dup_group = Table(
    "dup_group",
    metadata,
    _workspace(),
    Column("grp", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("certainty", SmallInteger, nullable=False),  # 1 e-mail and phone, 2 e-mail alone, 3 phone alone
    Column("first_seen", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "grp"),
)
Index("dup_group_certain", dup_group.c.workspace_id, dup_group.c.certainty, dup_group.c.size, dup_group.c.grp)
Index("dup_group_size", dup_group.c.workspace_id, dup_group.c.size, dup_group.c.grp)
Index("dup_group_seen", dup_group.c.workspace_id, dup_group.c.first_seen, dup_group.c.grp)

dup_total = Table(
    "dup_total",
    metadata,
    Column("workspace_id", BigInteger, primary_key=True),
    Column("groups", BigInteger, nullable=False),
    Column("contacts", BigInteger, nullable=False),
)

groups_due = Table(
    "groups_due",
    metadata,
    _id(),
    _workspace(),
    Column("moved", _TEXT, nullable=False),  # [[contact, [[kind, value], ...]], ...]: the keys that each lost or gained
)

merge = Table(
    "merge",
    metadata,
    _id(),
    _workspace(),
    Column("batch_id", BigInteger),
    Column("survivor_id", BigInteger, nullable=False),
    Column("absorbed", _TEXT, nullable=False),  # [contact ids]
    Column("journal", _TEXT, nullable=False),  # before-images, choices with their rules, consent before
    Column("actor", _TEXT, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("undone_at", BigInteger),
)
Index("merge_survivor", merge.c.workspace_id, merge.c.survivor_id, merge.c.id)
Index("merge_recent", merge.c.workspace_id, merge.c.id)
Index("merge_of_batch", merge.c.workspace_id, merge.c.batch_id, merge.c.id)

merge_in_hubspot = Table(
    "merge_in_hubspot",
    metadata,
    _workspace(),
    Column("merge_id", BigInteger, nullable=False),
    Column("portal_id", _TEXT, nullable=False),
    Column("primary_id", _TEXT, nullable=False),
    Column("others", _TEXT, nullable=False),  # [record ids] that have yet to go into the primary one
    Column("state", _TEXT, nullable=False),  # none | held | merging | done | failed | cancelled
    Column("until", BigInteger),
    Column("note", _TEXT, nullable=False, server_default=""),
    PrimaryKeyConstraint("workspace_id", "merge_id", "portal_id"),
)
_AWAITED = text("state IN ('held', 'merging')")
Index(
    "merge_awaited",
    merge_in_hubspot.c.workspace_id,
    merge_in_hubspot.c.until,
    sqlite_where=_AWAITED,
    postgresql_where=_AWAITED,
)

merge_batch = Table(
    "merge_batch",
    metadata,
    _id(),
    _workspace(),
    Column("actor", _TEXT, nullable=False),
    Column("state", _TEXT, nullable=False),  # running | done | cancelled | undoing | undone
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("reached", BigInteger, nullable=False, server_default="0"),  # the last group, or merge, that was looked at
    Column("skipped", _TEXT, nullable=False, server_default="{}"),
    Column("at", BigInteger, nullable=False),
    Column("undone_by", _TEXT, nullable=False, server_default=""),
)

TABLES: tuple[Table, ...] = tuple(metadata.sorted_tables)

# --- the search index, which each dialect has its own way for (see `store.search`) -------------------------------

_SQLITE_SEARCH = (
    # detail=none keeps the index small; a hit is checked against the text itself
    "CREATE VIRTUAL TABLE contact_fts USING fts5(search, content='contact', content_rowid='id',"
    " tokenize='trigram case_sensitive 1', detail='none')",
    "INSERT INTO search_state (upto) VALUES (0)",
    "CREATE TRIGGER contact_search_changed AFTER UPDATE OF search ON contact"
    " WHEN old.search <> new.search AND old.id <= (SELECT upto FROM search_state) BEGIN"
    " INSERT INTO contact_fts (contact_fts, rowid, search) VALUES ('delete', old.id, old.search);"
    " INSERT INTO contact_fts (rowid, search) VALUES (new.id, new.search); END",
    "CREATE TRIGGER contact_search_gone AFTER DELETE ON contact"
    " WHEN old.id <= (SELECT upto FROM search_state) BEGIN"
    " INSERT INTO contact_fts (contact_fts, rowid, search) VALUES ('delete', old.id, old.search); END",
)


def _make_search(target: MetaData, connection: Connection, **options: object) -> None:
    if connection.dialect.name == "sqlite":
        for statement in _SQLITE_SEARCH:
            connection.exec_driver_sql(statement)
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DBAPIError:
        return  # no right to, or not installed: the search reads every contact then, and `mercuri db check` says so
    connection.exec_driver_sql("CREATE INDEX contact_search ON contact USING gin (search gin_trgm_ops)")


event.listen(metadata, "after_create", _make_search)
