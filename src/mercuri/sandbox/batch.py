"""The batch endpoints: at most 100 inputs, all or nothing without trace ids, answers in no order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mercuri.sandbox.answers import Answer, Refusal, invalid, json_answer
from mercuri.sandbox.contacts import MOST_PER_PAGE, STRICT, Contacts
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Record
from mercuri.sandbox.request import Request, inputs_of, refuse_duplicates, sent_properties, text_of, texts_of, whole
from mercuri.sandbox.times import iso

Item = dict[str, Any]


class Batches:
    """`contacts/batch/{read,create,update,upsert,archive}`."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts
        self._portal: Portal = contacts.portal

    def route(self, request: Request, operation: str) -> Answer | None:
        """Answer one batch; None when there is no such operation."""
        operations = {
            "read": self._read,
            "create": self._create,
            "update": self._update,
            "upsert": self._upsert,
            "archive": self._archive,
        }
        chosen = operations.get(operation)
        return chosen(request) if chosen is not None else None

    def _read(self, request: Request) -> Answer:
        body = request.json()
        contacts = self._contacts
        shape = contacts.shape(texts_of(body, "properties"), texts_of(body, "propertiesWithHistory"))
        keys = [text_of(each, "id") for each in inputs_of(body, contacts.most(shape))]
        refuse_duplicates(keys)
        found: dict[int, Record] = {}
        missing = []
        for key in keys:
            record = self._known(request, body.get("idProperty"), key)
            if record is None:
                missing.append(key)
            else:
                found[record.id] = record
        errors = [_not_there(missing)] if missing else []
        return self._answer(contacts.read(list(found.values()), shape), errors)

    def _known(self, request: Request, id_property: object, key: str) -> Record | None:
        if isinstance(id_property, str) and id_property not in ("", "hs_object_id"):
            return self._portal.find_by(id_property, key)
        if request.flag("archived"):
            return self._portal.find_archived(whole(key) or 0)
        record = self._portal.find(whole(key) or 0)
        if record is not None and record.text_id != key and self._portal.switches.read_old_id == "missing":
            return None
        return record

    def _create(self, request: Request) -> Answer:
        inputs = inputs_of(request.json(), MOST_PER_PAGE)
        refuse_duplicates([email for each in inputs if (email := _email_of(each))])
        strict = request.version in STRICT
        partial = _has_trace_ids(inputs)
        checked, errors = self._check(
            inputs, lambda item: self._portal.check_new(sent_properties(item), strict=strict), partial
        )
        refuse_equal_unique(self._portal, checked)
        author, now = self._contacts.author_of(request), self._portal.now_ms()
        results = [
            _traced(self._contacts.written(self._portal.create(values, author, now), values, new=True), item)
            for item, values in checked
        ]
        return self._answer(results, errors, 201)

    def _update(self, request: Request) -> Answer:
        inputs = inputs_of(request.json(), MOST_PER_PAGE)
        refuse_duplicates([text_of(each, "id") for each in inputs])
        partial = self._portal.switches.trace_ids == "honoured" and _has_trace_ids(inputs)
        found = [(item, record) for item in inputs if (record := self._to_update(item)) is not None]
        records = {id(item): record for item, record in found}
        known = [item for item, _ in found]
        checked, errors = self._check(
            known, lambda item: self._portal.check_change(records[id(item)], sent_properties(item)), partial
        )
        refuse_equal_unique(self._portal, checked)
        missing = [item["id"] for item in inputs if id(item) not in records]
        if missing and self._portal.switches.update_old_id == "not_found":
            errors.append(_not_there(missing))
        return self._answer(
            [self._change(request, records[id(item)], values, item) for item, values in checked], errors
        )

    def _to_update(self, item: Item) -> Record | None:
        key, name = str(item["id"]), item.get("idProperty")
        if name:
            return self._portal.find_by(str(name), key)
        record = self._portal.records.get(whole(key) or 0)
        return record if record is not None and record.archived_ms is None else None

    def _change(self, request: Request, record: Record, values: dict[str, str], item: Item) -> Item:
        changed = self._portal.update(record, values, self._contacts.author_of(request), self._portal.now_ms())
        return _traced(self._contacts.written(record, {**values, **changed}), item)

    def _upsert(self, request: Request) -> Answer:
        inputs = inputs_of(request.json(), MOST_PER_PAGE)
        names = {text_of(each, "idProperty") for each in inputs}
        refuse_duplicates([text_of(each, "id").lower() for each in inputs])
        for name in names:
            self._portal.find_by(name, "")
        partial = self._portal.switches.trace_ids == "honoured" and _has_trace_ids(inputs)
        strict = request.version in STRICT
        checked, errors = self._check(inputs, lambda item: self._check_upsert(item, strict), partial)
        refuse_equal_unique(self._portal, checked)
        return self._answer([self._put(request, item, values) for item, values in checked], errors)

    def _check_upsert(self, item: Item, strict: bool) -> dict[str, str]:
        name, key, sent = item["idProperty"], str(item["id"]), sent_properties(item)
        record = self._portal.find_by(name, key)
        if record is None:
            return self._portal.check_new({name: key, **sent}, strict=strict)
        if name == "email":
            sent = self._whole(record, sent)
        return self._portal.check_change(record, sent)

    def _whole(self, record: Record, sent: dict[str, str]) -> dict[str, str]:
        """An upsert by e-mail replaces the record: what was not sent is blanked, refused or kept, by the switch."""
        mode = self._portal.switches.upsert_partial
        named = {"email", "lifecyclestage", *sent}
        left_out = [name for name in record.values if name not in named and self._is_writable(name)]
        if mode == "refuse" and left_out:
            raise invalid("Partial upserts are not supported when using email as the idProperty")
        return {**sent, **dict.fromkeys(left_out, "")} if mode == "blank" else sent

    def _is_writable(self, name: str) -> bool:
        found = self._portal.properties.get(name)
        return found is not None and found.archived_ms is None and not found.read_only

    def _put(self, request: Request, item: Item, values: dict[str, str]) -> Item:
        record = self._portal.find_by(item["idProperty"], str(item["id"]))
        if record is None:
            record = self._portal.create(values, self._contacts.author_of(request), self._portal.now_ms())
            return {**_traced(self._contacts.written(record, values, new=True), item), "new": True}
        return {**self._change(request, record, values, item), "new": False}

    def _archive(self, request: Request) -> Answer:
        keys = [text_of(each, "id") for each in inputs_of(request.json(), MOST_PER_PAGE)]
        refuse_duplicates(keys)
        for key in keys:
            self._contacts.archive(request, key)
        return Answer(204)

    def _check(
        self, inputs: list[Item], check: Callable[[Item], dict[str, str]], partial: bool
    ) -> tuple[list[tuple[Item, dict[str, str]]], list[Item]]:
        """Check all before anything is written: the first refusal refuses the batch, unless it may be partial."""
        checked: list[tuple[Item, dict[str, str]]] = []
        errors: list[Item] = []
        for item in inputs:
            try:
                checked.append((item, check(item)))
            except Refusal as refusal:
                if not partial:
                    raise self._of_batch(refusal) from None
                errors.append(_error_of(refusal, item))
        return checked, errors

    def _of_batch(self, refusal: Refusal) -> Refusal:
        if refusal.status == 409 and self._portal.switches.error_fields == "random" and self._portal.rng.random() < 0.5:
            return Refusal(409, {**refusal.body, "message": "Contact already exists"})
        return refusal

    def _answer(self, results: list[Item], errors: list[Item], status: int = 200) -> Answer:
        self._portal.rng.shuffle(results)
        moment = iso(self._portal.now_ms())
        body: Item = {"status": "COMPLETE", "results": results, "startedAt": moment, "completedAt": moment}
        if not errors:
            return json_answer(body, status)
        return json_answer({**body, "numErrors": len(errors), "errors": errors}, 207)


def refuse_equal_unique(portal: Portal, checked: list[tuple[Item, dict[str, str]]]) -> None:
    """Two inputs of one batch must not take the same e-mail or unique value."""
    names = [name for name, prop in portal.properties.items() if prop.unique or name == "email"]
    for name in names:
        values = [value for _, each in checked if (value := each.get(name))]
        refuse_duplicates(values)


def _has_trace_ids(inputs: list[Item]) -> bool:
    ids = [each.get("objectWriteTraceId") for each in inputs]
    return all(ids) and len(set(map(str, ids))) == len(ids)


def _traced(result: Item, item: Item) -> Item:
    trace = item.get("objectWriteTraceId")
    return {**result, "objectWriteTraceId": str(trace)} if trace else result


def _error_of(refusal: Refusal, item: Item) -> Item:
    context: Item = {"objectWriteTraceId": [str(item.get("objectWriteTraceId"))]}
    if refusal.existing_id is not None:
        context["existingId"] = [str(refusal.existing_id)]
    body = refusal.body
    return {
        "status": "error",
        "category": body.get("category"),
        "message": body.get("message"),
        "context": context,
        **_inner(body),
    }


def _inner(body: Item) -> Item:
    return {"errors": body["errors"]} if "errors" in body else {}


def _email_of(item: Item) -> str:
    properties = item.get("properties")
    email = properties.get("email") if isinstance(properties, dict) else None
    return email.strip().lower() if isinstance(email, str) else ""


def _not_there(ids: list[str]) -> Item:
    message = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": ids}}
