"""What a message is to the code that receives it, and how its topic is delivered.

Delivery is at least once: a message is acknowledged by returning from ``receive``, and comes again, with backoff, where
that raised or its process died meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Message:
    """What an adapter's ``receive`` is handed: something that happened to ``saga``.

    ``id`` is the same at each delivery of the message, ``delivery`` counts them from 1. ``key`` is what the order of
    messages is kept by, where their topic keeps one.
    """

    topic: str
    saga: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    id: str
    delivery: int = 1


@dataclass(frozen=True, kw_only=True)
class Topic:
    """How the messages of a topic are delivered.

    ``ordered``: those with one key come one after the other, each when the one before it is done with; topics that are
    ordered share their keys. ``shared``: the processes that live take turns (competing consumers), otherwise the
    newest has all. After ``max_deliveries`` failed ones (None: no bound) a message goes to the dead-letter queue;
    ``replayed`` says that an operator delivers that again when all else is at rest. ``may_lose``: whoever sends gives
    no guarantee, as a webhook that is sent once.
    """

    ordered: bool = False
    shared: bool = False
    max_deliveries: int | None = None
    replayed: bool = False
    may_lose: bool = False

    def __post_init__(self) -> None:
        most = self.max_deliveries
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            raise UsageError(f"topic: max_deliveries={most!r}; write a whole number, 1 or more, or leave it out")
        if self.replayed and most is None:
            raise UsageError("topic: replayed=True without max_deliveries=; say after how many a message is put aside")


USUAL: Final = Topic()
"""How a topic is delivered of which nothing is declared."""
