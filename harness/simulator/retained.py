"""What a participant keeps, as bytes: two that keep the same do the same from then on."""

from __future__ import annotations

import marshal
from typing import Any

from .around import Around
from .own import UserParticipant
from .participants import Ledger


class Opaque(Exception):
    """Something whose state cannot be told: then no two states are called equal."""


def tellable(service: Any) -> bool:
    """True if a copy of a participant keeps all that it keeps."""
    if isinstance(service, Ledger):
        return True
    try:
        told(service)
    except (Opaque, ValueError):
        return False
    return True


def told(service: Any) -> bytes:
    """What a participant keeps. Raises Opaque or, where something is no plain data, ValueError."""
    if isinstance(service, Ledger):
        if service.since:
            raise Opaque  # keys that age: then the time of each matters
    elif _keeps_something(service.volatile):
        raise Opaque
    if service.told is None:
        service.told = marshal.dumps(_kept(service), 2)
    found: bytes = service.told
    return found


def _keeps_something(thing: object) -> bool:
    """True if an object of the user's has anything of its own, beside what its class has."""
    slots = any(cls.__dict__.get("__slots__") for cls in type(thing).__mro__)
    return slots or bool(getattr(thing, "__dict__", None))


def _kept(service: Any) -> tuple[Any, ...]:
    if isinstance(service, Ledger):
        return _ledger(service)
    if isinstance(service, Around):
        answered = sorted(service.answered, key=repr)  # a key may be None
        return service.memory, _ledger(service.service), tuple(answered)
    if isinstance(service, UserParticipant):
        durable = service.durable
        kept = (durable.state, durable.memory, durable.versions, durable.locks, durable.accounts)
        return kept, tuple(sorted(service.refused)), tuple(sorted(service.applied))
    raise Opaque


def _ledger(ledger: Ledger) -> tuple[Any, ...]:
    rows = tuple(map(tuple, ledger.rows))
    counters = (
        tuple(sorted(getattr(ledger, "free", {}).items())),
        tuple(sorted(getattr(ledger, "taken", {}).items())),
    )
    memory = sorted([(key, answer[0], repr(answer[1])) for key, answer in ledger.memory.items()])
    return rows, counters, tuple(memory), tuple(sorted(ledger.closed)), tuple(sorted(ledger.given_back.items()))
