"""Batch writes: split, sent, bisected when a whole batch is refused, and reconciled input by input.

HubSpot may answer a batch in another order, leave inputs out, refuse all for the sake of one, or report some as
failed (207): the caller gets exactly one outcome for each write all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mercuri.core.contact import Record
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited, Unauthorised, Unavailable
from mercuri.hubspot.errors import GONE, from_fault, refusals
from mercuri.hubspot.messages import BatchAnswer, Fault, Write, Written

#: Most inputs of one batch (contacts guide).
BATCH = 100
#: Refusals of a property that hold for every record alike.
WHATEVER_THE_VALUE = frozenset({GONE, "READ_ONLY_VALUE"})

#: Some writes, each with its place in the caller's order.
Part = list[tuple[int, Write]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one write: exactly one of `record` and `error`. `created` is known for upserts."""

    key: str
    record: Record | None
    error: HubSpotError | None
    created: bool | None = None


def write_all(writes: Sequence[Write], send: Callable[[Sequence[Write]], list[Outcome]]) -> list[Outcome]:
    """Send writes in batches; outcomes in the order of the writes."""
    outcomes: dict[int, Outcome] = {}
    stopped: HubSpotError | None = None
    queue = deque(_parts(list(enumerate(writes))))
    while queue:
        part = queue.popleft()
        if stopped is not None:
            outcomes |= _failed(part, stopped)
            continue
        try:
            answers = send([write for _, write in part])
            outcomes |= {place: answer for (place, _), answer in zip(part, answers, strict=True)}
        except (RateLimited, Unauthorised, MissingScope) as error:
            if not outcomes:
                raise
            stopped = error
            outcomes |= _failed(part, error)
        except (BadRequest, NotThere) as error:
            guilty, rest = _suspects(part, error)
            outcomes |= _failed(guilty, error)
            queue.extendleft(reversed(rest))
        except Unavailable as error:
            outcomes |= _failed(part, error)
    return [outcomes[place] for place in range(len(writes))]


def updated(writes: Sequence[Write], answer: BatchAnswer, portal: str) -> list[Outcome]:
    """The outcomes of a batch update; an input without an answer is NotThere."""
    done: dict[str, Written] = {written.record.id: written for written in answer.written}
    absent = NotThere("HubSpot has no such record any more, or has merged it away.", status=404, portal=portal)
    return _outcomes(writes, answer, lambda write: done.get(write.key), absent, portal)


def upserted(writes: Sequence[Write], answer: BatchAnswer, id_property: str, portal: str) -> list[Outcome]:
    """The outcomes of a batch upsert; an input without an answer may have been written."""
    done = {written.record.properties.get(id_property, "").casefold(): written for written in answer.written}
    absent = Unavailable(
        "HubSpot did not say what became of this record.", may_have_happened=True, status=200, portal=portal
    )
    return _outcomes(writes, answer, lambda write: done.get(write.key.casefold()), absent, portal)


def _outcomes(
    writes: Sequence[Write],
    answer: BatchAnswer,
    by_key: Callable[[Write], Written | None],
    absent: HubSpotError,
    portal: str,
) -> list[Outcome]:
    by_trace = {written.trace: written for written in answer.written if written.trace is not None}
    faults = _faults_by_input(answer.faults)
    outcomes = []
    for place, write in enumerate(writes):
        written = by_trace.get(str(place)) or by_key(write)
        fault = faults.get(("trace", str(place))) or faults.get(("id", write.key))
        if fault is not None:
            error = from_fault(fault.category, fault.message, fault.raw, fault.existing_id, portal)
            outcomes.append(Outcome(write.key, None, error))
        elif written is not None:
            outcomes.append(Outcome(write.key, written.record, None, written.created))
        else:
            outcomes.append(Outcome(write.key, None, absent))
    return outcomes


def _faults_by_input(faults: Sequence[Fault]) -> Mapping[tuple[str, str], Fault]:
    named = {("trace", trace): fault for fault in faults for trace in fault.traces}
    return named | {("id", key): fault for fault in faults for key in fault.ids}


def _parts(writes: Part) -> Iterator[Part]:
    """Consecutive batches without equal keys: HubSpot refuses a batch that names one record twice."""
    part: Part = []
    keys: set[str] = set()
    for place, write in writes:
        key = write.key.casefold()
        if len(part) == BATCH or key in keys:
            yield part
            part, keys = [], set()
        part.append((place, write))
        keys.add(key)
    if part:
        yield part


def _suspects(part: Part, error: HubSpotError) -> tuple[Part, list[Part]]:
    """Who is surely to blame for the refusal of a whole batch, and the smaller batches to try instead."""
    if len(part) == 1:
        return part, []
    hopeless = {refusal.property for refusal in refusals(error) if refusal.code in WHATEVER_THE_VALUE}
    guilty = [(place, write) for place, write in part if hopeless & write.properties.keys()]
    if guilty:
        rest = [(place, write) for place, write in part if not hopeless & write.properties.keys()]
        return guilty, [rest] if rest else []
    middle = len(part) // 2
    return [], [part[:middle], part[middle:]]


def _failed(part: Part, error: HubSpotError) -> dict[int, Outcome]:
    return {place: Outcome(write.key, None, error) for place, write in part}
