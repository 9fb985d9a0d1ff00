"""Who reacts to what: the whole of a choreography as a table.

No process knows this table as a whole. Each service acts on the rows of its own; it stands in one place
here so that it can be read, and checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from ...errors import UsageError, nearest
from ...saga import FORWARD, Outcome, Saga
from ..cached import compute_all
from ..services import CHECKOUT


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a saga. A saga has each type once, so that the id is the same whenever the
    event is published again."""

    type: str
    saga: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.saga}/{self.type}"


@dataclass(frozen=True)
class Reaction:
    """On an event a service carries out an operation, and tells of it: ``then``, or ``refused`` where the business
    says no."""

    on: str
    operation: str
    then: str
    refused: str = ""

    @property
    def service(self) -> str:
        return self.operation.partition(".")[0]

    def told(self, cause: Event, *, refused: bool) -> Event:
        """The event that follows from having reacted to ``cause``."""
        return Event(type=self.refused if refused else self.then, saga=cause.saga, data=cause.data)


@dataclass(frozen=True)
class Flow:
    """The reactions of all services, the event that a saga begins with, and those that it can end with.

    Raises UsageError where an event leads nowhere, an operation is none of the saga's, a step that can be refused
    has no event for it, or a service would react twice to one event.
    """

    saga: Saga
    begin: str
    reactions: tuple[Reaction, ...]
    ends: Mapping[str, Outcome]

    def __post_init__(self) -> None:
        where, known = f"Flow of {self.saga.name!r}", self.saga.by_operation
        heard, taken = {reaction.on for reaction in self.reactions} | set(self.ends), set[tuple[str, str]]()
        for reaction in self.reactions:
            if reaction.operation not in known:
                raise UsageError(f"{where}: {reaction.operation!r} is of no step{nearest(reaction.operation, known)}")
            step, direction = known[reaction.operation]
            if direction == FORWARD and not step.retriable and not reaction.refused:
                raise UsageError(f"{where}: {reaction.operation!r} can be refused; write which event tells of it")
            if (reaction.on, reaction.service) in taken:
                raise UsageError(f"{where}: {reaction.service!r} reacts twice to {reaction.on!r}; keep one reaction")
            taken.add((reaction.on, reaction.service))
        told = (event for reaction in self.reactions for event in (reaction.then, reaction.refused) if event)
        for event in (self.begin, *told):
            if event not in heard:
                raise UsageError(f"{where}: nobody reacts to {event!r}; give it a Reaction, or list it in ends")
        compute_all(self)

    @cached_property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(reaction.service for reaction in self.reactions))

    @cached_property
    def _by_event(self) -> Mapping[str, tuple[Reaction, ...]]:
        table: dict[str, tuple[Reaction, ...]] = {}
        for reaction in self.reactions:
            table[reaction.on] = (*table.get(reaction.on, ()), reaction)
        return table

    def on(self, event: str) -> tuple[Reaction, ...]:
        """Who reacts to an event."""
        return self._by_event.get(event, ())

    def reaction(self, event: str, service: str) -> Reaction | None:
        """What a service does on an event, if anything."""
        return next((reaction for reaction in self.on(event) if reaction.service == service), None)


CHECKOUT_FLOW: Final = Flow(
    CHECKOUT,
    "checkout.requested",
    (
        Reaction("checkout.requested", "order.create", "order.created", refused="order.refused"),
        Reaction("order.created", "inventory.reserve", "stock.reserved", refused="stock.refused"),
        Reaction("stock.reserved", "payment.charge", "payment.charged", refused="payment.declined"),
        Reaction("payment.charged", "shipping.send", "parcel.sent", refused="parcel.refused"),
        Reaction("parcel.sent", "order.confirm", "order.confirmed"),
        Reaction("parcel.refused", "payment.refund", "payment.refunded"),
        Reaction("payment.refunded", "inventory.release", "stock.released"),
        Reaction("payment.declined", "inventory.release", "stock.released"),
        Reaction("stock.released", "order.cancel", "order.cancelled"),
        Reaction("stock.refused", "order.cancel", "order.cancelled"),
    ),
    {
        "order.confirmed": Outcome.COMPLETED,
        "order.cancelled": Outcome.COMPENSATED,
        "order.refused": Outcome.COMPENSATED,
    },
)
"""The checkout of `sagafuzz.reference_saga.services`. Events carry ``item``, ``quantity``, ``account``, ``amount``."""
