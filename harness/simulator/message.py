"""One request in the network."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..http_routes import Asked
from ..ports import PortError
from .incarnation import Incarnation

BROKEN_OFF_US: Final = 900_000_000
"""After a quarter of an hour the connection of a caller that never hangs up is broken off."""


RESET: Final = "reset"
CLOSED: Final = "closed"
HALVED: Final = "halved"
STALLED: Final = "stalled"
GATEWAY: Final = "gateway"
"""What can befall a connection in the place of an answer."""


class Broken(NamedTuple):
    """``how`` a connection breaks (see above), and the ``answer`` and ``value`` of the reply that would have come."""

    how: str
    answer: str = ""
    value: Any = None


class Message:
    """One request in the network; its deliveries and its answer. ``done`` once the caller went on. ``http`` is the HTTP
    request that it came as, if it did: its caller keeps the time itself, so that ``timeout_us`` is a guess;
    ``beyond_us`` is how long after it has hung up the request is delivered, where that is put off until then.
    ``broken`` says what befalls its connection, if anything does."""

    __slots__ = (
        "asked",
        "attempt",
        "beyond_us",
        "broken",
        "deaf",
        "deliveries",
        "direction",
        "done",
        "due_us",
        "http",
        "id",
        "key",
        "on_done",
        "operation",
        "payload",
        "process",
        "saga",
        "service",
        "step",
        "timeout_us",
    )

    def __init__(
        self,
        id: int,
        process: Incarnation,
        service: str,
        operation: str,
        saga: str,
        step: str,
        direction: str,
        attempt: int,
        key: str | None,
        payload: dict[str, Any],
        asked: tuple[Any, ...],
        now_us: int,
        timeout_us: int,
        on_done: Callable[[Any, PortError | None], object],
        http: Asked | None = None,
    ) -> None:
        self.id = id
        self.process = process
        self.service = service
        self.operation = operation
        self.saga = saga
        self.step = step
        self.direction = direction
        self.attempt = attempt
        self.key = key
        self.payload = payload
        self.asked = asked  # as its SEND tells
        self.timeout_us = timeout_us
        self.on_done = on_done
        self.due_us = now_us + timeout_us
        self.http = http
        self.beyond_us = 0
        self.broken: Broken | None = None
        self.deliveries = 0
        self.done = False
        self.deaf = False

    @property
    def words(self) -> tuple[Any, ...]:
        """What it asks for, and under which key: two requests in the same words are one that is made again."""
        if self.step.endswith("]"):
            return self.saga, self.key, *self.asked, self.step
        return self.saga, self.key, *self.asked

    @property
    def hangs_up(self) -> bool:
        """True if its caller keeps the time itself."""
        return self.http is not None

    @property
    def over_us(self) -> int:
        """When nobody waits for its answer any more, who hangs up included."""
        return self.due_us - self.timeout_us + BROKEN_OFF_US if self.hangs_up else self.due_us

    def crosses(self, other: Message) -> bool:
        """True if what answers the other request may be left on the connection on which this one waits."""
        return other.id != self.id and other.service == self.service

    def copy(self) -> Message:
        """The same request in a copy of the world. Its caller has gone on, or is dead."""
        twin = Message.__new__(Message)
        for name in Message.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin


class Carried(NamedTuple):
    """What a network holds and remembers: the fields of `network.Network` of the same names."""

    held: list[Message]
    late: list[Message]
    waiting: list[list[Any]]
    stuck: set[tuple[str, str]]
    cut: dict[str, int]
    mute: dict[str, int]
    down: dict[str, int]
    attempts: dict[tuple[str, str, str], int]
    sent: int


def frozen_payload(payload: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The payload as sorted (name, value) pairs that can be hashed and written, and as it travels: what
    the sender changes afterwards stays with the sender."""
    plain = True
    for value in payload.values():
        if type(value) not in _SCALARS:
            plain = False
    if plain:
        return tuple(sorted(payload.items())) if len(payload) > 1 else tuple(payload.items()), payload
    shown = ((name, value if type(value) in _SCALARS else _as_json(value)) for name, value in sorted(payload.items()))
    return tuple(shown), {name: copied(value) for name, value in payload.items()}


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def _as_json(value: Any) -> str:
    """Compact JSON; what JSON has no form for is named by its type, never by its address."""
    try:
        return json.dumps(value, sort_keys=True, default=lambda thing: f"<{type(thing).__name__}>")
    except (TypeError, ValueError, RecursionError):  # keys that are no names, a value inside itself
        return f"<{type(value).__name__}>"


def copied(value: Any) -> Any:
    """What arrives at the other side of the network: nothing that this side changes afterwards shows there."""
    if type(value) is dict:
        for name, each in value.items():
            if type(name) is not str or type(each) not in _SCALARS:
                break
        else:  # nearly always, and a hundred times as quick
            return value.copy()
    try:
        return copy.deepcopy(value)
    except Exception:  # a lock, a socket: nothing that could be sent, and not ours to judge
        return value
