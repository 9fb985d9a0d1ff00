"""Entries of OpenTelemetry spans, as OTLP writes them in JSON: an ExportTraceServiceRequest a line, or one in all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..errors import UsageError
from ..history import ACK, APPLY, CLIENT_ACK, DELIVER, ERROR, REJECT, SEND, SUBMIT, TIMEOUT
from ..saga import Outcome
from .entries import CLIENT, FAILED, FAULT, OK, ORCHESTRATOR, REFUSED, RESULTS, TIMED_OUT, Entry
from .facets import ANSWERS, ENDS, KEYS, REQUESTS
from .reading import Definitions, Seen, Troubles, Unreadable, direction_of, json_line, numbered

ATTRIBUTES: Final[Mapping[str, str]] = {
    "saga.id": "which saga it is of; a span without it is left out",
    "saga.name": "of which definition, where there are several",
    "saga.step": "which step the request is for; with its part, as reserve[line-2], where it has parts",
    "saga.direction": "forward, or compensation for an undo; forward where it is left out",
    "saga.operation": "participant.verb, in the place of saga.step and saga.direction",
    "saga.key": "the idempotency key of the request",
    "saga.attempt": "which attempt it is, from 1",
    "saga.amount": "how much it is about, a number",
    "saga.actor": "who asks, where it is somebody beside the orchestrator: a clerk, an operator",
    "saga.result": "how it ended: ok, refused, error or timeout; ok where it is left out and the status is no error",
    "saga.effect": "true where it changed the participant's state, false where it did not (a repeat that was known)",
    "saga.outcome": "on the span of the saga as a whole: completed, compensated, pending or stuck",
}
"""The attributes that sagafuzz reads in spans."""

_INSIDE: Final = (0, 1)  # unspecified, internal
_CLIENT_SIDE: Final = (0, 1, 3, 4)  # unspecified, internal, client, producer
_OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
_ERROR_STATUS: Final = 2
WHOLE_BYTES: Final = 64_000_000
"""A document that is not one request a line is read at once, up to this size."""


def read(lines: Iterable[str], file: str, definitions: Definitions, seen: Seen, troubles: Troubles) -> Iterator[Entry]:
    """The entries of a file of spans; what cannot be read is told to ``troubles``."""
    for number, request in _requests(lines, file, troubles):
        for process, span in _spans(request):
            try:
                yield from _entries(span, process, definitions, seen)
            except Unreadable as error:
                troubles.add(file, number, f"span {str(span.get('name'))!r}: {error}")


def _requests(lines: Iterable[str], file: str, troubles: Troubles) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each request with the number of its line. A document that is spread over lines is one."""
    spread: list[str] = []
    size = 0
    for number, line in numbered(lines):
        if not spread:
            try:
                yield number, json_line(line)
                continue
            except Unreadable as error:
                if number > 1 or not line.lstrip().startswith("{"):
                    troubles.add(file, number, str(error))
                    continue
        spread.append(line)
        size += len(line)
        if size > WHOLE_BYTES:
            raise UsageError(
                f"check: {file!r} is one document of more than {WHOLE_BYTES // 1_000_000} MB; write a request a line, "
                f"as the file exporter of the OpenTelemetry Collector does"
            )
    if spread:
        try:
            found = json.loads("".join(spread))
        except json.JSONDecodeError as error:
            troubles.add(file, error.lineno, f"it is not JSON ({error.msg})")
            return
        yield 1, found


def _spans(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each span of a request, with the name of the service that recorded it."""
    for resource in request.get("resourceSpans", ()):
        service = str(_attributes(resource.get("resource", {})).get("service.name", ""))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield service, span


def _attributes(of: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in of.get("attributes", ()):
        for kind, value in entry.get("value", {}).items():
            found[entry["key"]] = int(value) if kind == "intValue" else value
    return found


def _entries(span: Mapping[str, Any], service: str, definitions: Definitions, seen: Seen) -> Iterator[Entry]:
    """The entries of one span; none where it is of no saga."""
    said = _attributes(span)
    saga = str(said.get("saga.id", ""))
    if not saga:
        return
    name = str(said.get("saga.name", ""))
    definitions.of(name)
    start, end = _time(span, "startTimeUnixNano"), _time(span, "endTimeUnixNano")
    if "saga.step" not in said and "saga.operation" not in said:
        if "saga.outcome" in said or span.get("kind", 0) in _INSIDE:
            yield from _of_the_saga(saga, name, said, start, end, seen)
        return  # else it is a query, of no step
    if "saga.operation" in said:
        step, direction = definitions.call(str(said["saga.operation"]))
    else:
        step = definitions.step(str(said["saga.step"]))
        direction = direction_of(str(said.get("saga.direction", "")))
    result = said.get("saga.result")
    if result is not None and result not in RESULTS:
        raise Unreadable(f"saga.result is {result!r}; write {', '.join(RESULTS)}")
    effect = said.get("saga.effect")
    if effect is not None and not isinstance(effect, bool):
        raise Unreadable(f"saga.effect is {effect!r}; write a boolean")
    asked = span.get("kind", 0) in _CLIENT_SIDE
    key = said.get("saga.key")
    operation = definitions.known.operation(step, direction)
    about = Entry(
        saga=saga,
        t_us=start,
        kind=SEND,
        process=str(said.get("saga.actor", ORCHESTRATOR)),
        step=step,
        direction=direction,
        attempt=int(said.get("saga.attempt", 1)),
        key=None if key is None else str(key),
        ref=str(span.get("spanId", "")) if asked else str(span.get("parentSpanId") or span.get("spanId", "")),
        name=name,
    )
    seen.facets[KEYS] += key is not None
    participant = operation.partition(".")[0]
    failed = span.get("status", {}).get("code", 0) in (_ERROR_STATUS, "STATUS_CODE_ERROR")
    if asked:
        payload = definitions.payload(step, said.get("saga.amount"), seen)
        yield from _request(about, operation, payload, end, result, failed, seen)
    if not asked or effect is not None:
        yield from _handled(about._replace(process=participant), (start, end), result, effect, failed, seen)


def _request(
    about: Entry, operation: str, payload: tuple[Any, ...], end: int, result: str | None, failed: bool, seen: Seen
) -> Iterator[Entry]:
    """A request as its sender saw it."""
    seen.facets[REQUESTS] += 1
    yield about._replace(data=(operation, payload, 0))
    answer = result or ("" if failed else OK)  # an error may be a refusal, a failure, or a time-out
    seen.facets[ANSWERS] += bool(answer)
    if answer == TIMED_OUT:
        yield about._replace(t_us=end, kind=TIMEOUT, data=((end - about.t_us) / 1000,))
    elif answer:
        yield about._replace(t_us=end, kind=ACK, data=("rejected" if answer == REFUSED else answer,))


def _handled(
    about: Entry, times: tuple[int, int], result: str | None, effect: bool | None, failed: bool, seen: Seen
) -> Iterator[Entry]:
    """A request as its participant saw it, or as its sender was told."""
    start, end = times
    yield about._replace(t_us=start, kind=DELIVER, data=(1,))
    if result == REFUSED:
        yield about._replace(t_us=end, kind=REJECT, data=("refused",))
        seen.effect(about.step, told=True)
    elif effect is None and (failed or result in (FAILED, TIMED_OUT)):
        yield about._replace(t_us=end, kind=ERROR, data=(FAULT,))
        seen.effect(about.step, told=False)
    elif effect is None:
        seen.effect(about.step, told=False)
    else:
        seen.effect(about.step, told=True)
        yield about._replace(t_us=end, kind=APPLY, data=(effect, None, (), ()))


def _of_the_saga(saga: str, name: str, said: Mapping[str, Any], start: int, end: int, seen: Seen) -> Iterator[Entry]:
    """The span of a saga as a whole: its client asked for it, and was told its end."""
    yield Entry(saga, start, SUBMIT, CLIENT, data=("", 0, 0), name=name)
    outcome = said.get("saga.outcome")
    if outcome is None:
        return
    if outcome not in _OUTCOMES:
        raise Unreadable(f"saga.outcome is {outcome!r}; write {', '.join(_OUTCOMES)}")
    seen.facets[ENDS] += 1
    yield Entry(saga, end, CLIENT_ACK, CLIENT, data=(outcome,), name=name)


def _time(span: Mapping[str, Any], field: str) -> int:
    """Microseconds since the epoch."""
    try:
        return int(span[field]) // 1000
    except (KeyError, TypeError, ValueError):
        raise Unreadable(f"{field} is {span.get(field)!r}; write nanoseconds since 1970") from None
