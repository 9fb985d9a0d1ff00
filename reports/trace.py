"""A schedule for Perfetto and chrome://tracing, in the Trace Event Format, and for OpenTelemetry, as OTLP/JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from .. import __version__
from ..history import History
from .clean import clean
from .spans import Span, spans

_CLIENT, _SERVER, _INTERNAL = 3, 2, 1
_KINDS: Final = {"saga": _INTERNAL, "request": _CLIENT, "delivery": _SERVER}
_ERROR: Final = 2


def render_chrome(history: History) -> str:
    """The JSON object form: a thread for each process, an arrow from each request to its deliveries."""
    found, instants = spans(history)
    threads: dict[str, int] = {}
    for process in (*(span.process for span in found), *(instant.process for instant in instants)):
        threads.setdefault(process, len(threads) + 1)
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": {"name": process}}
        for process, tid in threads.items()
    ]
    for span in found:
        at = {"pid": 1, "tid": threads[span.process], "cat": span.role}
        if span.role == "saga":  # sagas overlap on one thread, which complete events may not
            events.append({"ph": "b", "name": span.name, "id": span.number, "ts": span.start_us, **at})
            events.append({"ph": "e", "name": span.name, "id": span.number, "ts": span.end_us, **at})
            continue
        args = {"result": span.result, "saga": span.saga, "attempt": span.attempt, "key": span.key}
        length = max(span.end_us - span.start_us, 1)
        events.append({"ph": "X", "name": span.name, "ts": span.start_us, "dur": length, "args": args, **at})
        if span.role == "delivery" and span.parent >= 0:
            cause = found[span.parent]
            arrow = {"name": "message", "cat": "message", "id": span.number, "pid": 1}
            events.append({"ph": "s", "ts": cause.start_us, "tid": threads[cause.process], **arrow})
            events.append({"ph": "f", "bp": "e", "ts": span.start_us, "tid": threads[span.process], **arrow})
    events.extend(
        {"ph": "i", "s": "t", "name": instant.name, "ts": instant.t_us, "pid": 1, "tid": threads[instant.process]}
        for instant in instants
    )
    about = {"adapter": clean(history.adapter, 80), "scenario": clean(history.scenario, 80), "sagafuzz": __version__}
    return _json({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about})


def render_otlp(history: History) -> str:
    """An ExportTraceServiceRequest: a trace for each saga, a span for each request and for each delivery.

    Ids are digests of the history, so the same history gives the same bytes."""
    found, instants = spans(history)
    told = {span.number: _otlp(history, span) for span in found}
    first = {span.saga: span.number for span in reversed(found) if span.role == "saga"}
    for instant in instants:
        of = told.get(first.get(instant.saga, 0))
        if of is not None:
            name = f"{instant.process}: {instant.name}"
            of["events"].append({"timeUnixNano": str(instant.t_us * 1_000), "name": name})
    by_process: dict[str, list[dict[str, Any]]] = {}
    for span in found:
        by_process.setdefault(span.process, []).append(told[span.number])
    scope = {"name": "sagafuzz", "version": __version__}
    resources = [
        {
            "resource": {"attributes": _attributes({"service.name": process})},
            "scopeSpans": [{"scope": scope, "spans": its}],
        }
        for process, its in by_process.items()
    ]
    return _json({"resourceSpans": resources})


def _otlp(history: History, span: Span) -> dict[str, Any]:
    parent = {"parentSpanId": _id(history, "span", span.parent, 8)} if span.parent >= 0 else {}
    return {
        "traceId": _id(history, "trace", span.saga, 16),
        "spanId": _id(history, "span", span.number, 8),
        **parent,
        "name": span.name,
        "kind": _KINDS[span.role],
        "startTimeUnixNano": str(span.start_us * 1_000),
        "endTimeUnixNano": str(span.end_us * 1_000),
        "attributes": _attributes(_said(span)),
        "events": [],
        "status": {"code": _ERROR, "message": span.result} if span.bad else {},
    }


_RESULTS: Final = {"rejected": "refused", "failed": "error", "timeout, outcome unknown": "timeout"}
_ANSWERS: Final = frozenset({"ok", "refused", "error", "timeout"})


def _said(span: Span) -> dict[str, str | int | float | None]:
    """What the span tells of the saga, by the names that `sagafuzz check` reads."""
    about: dict[str, Any] = {"saga.id": span.saga, "saga.attempt": span.attempt or None, "saga.key": span.key}
    if span.role == "saga":
        return {**about, "saga.outcome": span.result if span.result != "open" else ""}
    result = _RESULTS.get(span.result, span.result)
    known: dict[str, str | int | float | None] = {
        "saga.result": result if result in _ANSWERS else "",
        "saga.effect": span.effect,
        "saga.amount": span.amount,
        "saga.actor": span.actor,
    }
    return {**about, "saga.step": span.step, "saga.direction": span.direction, **known}


def _attributes(values: Mapping[str, str | int | float | None]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value not in ("", None)]


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _id(history: History, what: str, of: object, size: int) -> str:
    return hashlib.blake2b(f"{history.digest} {what} {of}".encode(), digest_size=size).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
