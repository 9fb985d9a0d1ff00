"""What is asked of the saga: how many orders, of what, and which the business refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from .errors import UsageError
from .plain import NEWER
from .saga import Saga

LOST_CONTROL: Final = "EOF"
"""No signal, but that the channel is lost by which a worker is given commands."""

SIGNALS: Final = ("", "TERM", "INT", LOST_CONTROL)
"""What a crash may send to a real process; "" stands for SIGKILL."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One request of a client, handed to the adapter's ``run``.

    ``id`` names the saga in every event. ``amount`` is in whole money units,
    ``quantity`` in pieces. ``data`` is the scenario's own. ``saga`` is the name of the definition that it is of.
    ``children`` are, by the step, the orders of the sagas that are steps of this one; each knows its ``parent``.
    """

    id: str
    item: str
    quantity: int
    amount: int
    account: str
    data: Mapping[str, object] = field(default_factory=dict, hash=False)
    saga: str = field(default="", metadata=NEWER)
    parent: str = field(default="", metadata=NEWER)
    children: Mapping[str, Order] = field(default_factory=dict, hash=False, metadata=NEWER)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How many sagas run, and in which world.

    ``amounts``, ``items`` and ``accounts`` are taken in turn, one a saga. ``stock`` is what
    each item has at the start, ``funds`` what each account has. A charge above ``limit`` is
    declined. ``rejections`` lists further business refusals as (saga number from 1, operation).
    ``gap_ms`` is the time between two submissions. ``submitted`` are the numbers of the sagas in the order in which
    they are submitted, where that is not their own. No fault strikes at the requests and writes of the first
    ``undisturbed`` sagas: what is tried is what the later ones make of what those left.
    ``actors`` are those, by name, who act beside the orchestrators: scripts that the adapter declares.
    ``of`` names, in turn, the definitions that the orders are of, where the adapter has several.
    ``strikes`` names the components of a live system that a crash kills, in the place of the process that acts,
    ``signal`` is what it sends in the place of SIGKILL: "TERM", "INT" or "EOF".
    ``succeeds`` says whether the orders are meant to go through, None where that
    follows from the rest (see `meant_to_succeed`).
    """

    name: str = "succeeds"
    about: str = ""
    sagas: int = 1
    amounts: tuple[int, ...] = (100,)
    quantity: int = 1
    items: tuple[str, ...] = ("item-1",)
    accounts: tuple[str, ...] = ("customer",)
    stock: int = 10
    funds: int = 100_000
    limit: int | None = None
    rejections: tuple[tuple[int, str], ...] = ()
    gap_ms: int = 0
    submitted: tuple[int, ...] = ()
    undisturbed: int = 0
    data: Mapping[str, object] = field(default_factory=dict, hash=False)
    succeeds: bool | None = None
    actors: tuple[str, ...] = ()
    of: tuple[str, ...] = field(default=(), metadata=NEWER)
    strikes: tuple[str, ...] = field(default=(), metadata=NEWER)
    signal: str = field(default="", metadata=NEWER)

    def __post_init__(self) -> None:
        where = f"scenario {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise UsageError(f"{where}: its name is not a non-empty string")
        if not _is_count(self.sagas) or self.sagas < 1:
            raise UsageError(f"{where}: sagas={self.sagas!r}; write a whole number, 1 or more")
        for label in ("amounts", "items", "accounts"):
            value = getattr(self, label)
            if isinstance(value, str) or not isinstance(value, (tuple, list)) or not value:
                raise UsageError(f"{where}: {label}={value!r}; write a tuple with at least one entry")
            object.__setattr__(self, label, tuple(value))
        for label in ("quantity", "stock", "funds", "gap_ms", "undisturbed"):
            if not _is_count(getattr(self, label)):
                raise UsageError(f"{where}: {label}={getattr(self, label)!r}; write a whole number, 0 or more")
        if self.undisturbed >= self.sagas:
            raise UsageError(
                f"{where}: undisturbed={self.undisturbed} of {self.sagas} sagas; leave at least one to be struck"
            )
        if self.limit is not None and not _is_count(self.limit):
            raise UsageError(f"{where}: limit={self.limit!r}; write a whole number, 0 or more, or leave it out")
        if not all(map(_is_count, self.amounts)):
            raise UsageError(f"{where}: amounts={self.amounts}; write a whole number, 0 or more, each")
        for label in ("items", "accounts"):
            if not all(isinstance(entry, str) for entry in getattr(self, label)):
                raise UsageError(f"{where}: {label}={getattr(self, label)!r}; write a string each")
        if self.submitted and sorted(self.submitted) != list(range(1, self.sagas + 1)):
            raise UsageError(
                f"{where}: submitted={self.submitted!r}; write each number from 1 to {self.sagas} once, or leave it out"
            )
        object.__setattr__(self, "submitted", tuple(self.submitted))
        self._check_rejections()
        self._check_actors()
        self._check_definitions()
        self._check_choices()

    def _check_choices(self) -> None:
        where = f"scenario {self.name!r}"
        if self.succeeds not in (None, True, False):
            raise UsageError(f"{where}: succeeds={self.succeeds!r}; write True or False, or leave it out")
        if self.signal not in SIGNALS:
            raise UsageError(
                f"{where}: signal={self.signal!r}; write 'TERM', 'INT' or 'EOF', or leave it out for SIGKILL"
            )

    def _check_definitions(self) -> None:
        names: Any = self.of
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise UsageError(
                f"scenario {self.name!r}: of={self.of!r}; write a tuple of the names of sagas, ('order',) for example"
            )
        object.__setattr__(self, "of", tuple(self.of))

    def _check_actors(self) -> None:
        names: Any = self.actors
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise UsageError(
                f"scenario {self.name!r}: actors={self.actors!r}; write a tuple of their names, ('clerk',) for example"
            )
        object.__setattr__(self, "actors", tuple(dict.fromkeys(self.actors)))

    def _check_rejections(self) -> None:
        for entry in self.rejections:
            pair: tuple[Any, ...] = tuple(entry) if isinstance(entry, (tuple, list)) else ()
            if len(pair) != 2 or not _is_count(pair[0]) or pair[0] < 1 or not isinstance(pair[1], str):
                raise UsageError(
                    f"scenario {self.name!r}: rejections has {entry!r}; write (saga number from 1, operation), "
                    f"for example (1, 'payment.charge')"
                )
        object.__setattr__(self, "rejections", tuple((n, operation) for n, operation in self.rejections))

    @cached_property
    def orders(self) -> tuple[Order, ...]:
        """The requests in the order of their submission, called ``saga-1``, ``saga-2``, …"""
        return tuple(
            Order(
                id=f"saga-{number}",
                item=self.items[(number - 1) % len(self.items)],
                quantity=self.quantity,
                amount=self.amounts[(number - 1) % len(self.amounts)],
                account=self.accounts[(number - 1) % len(self.accounts)],
                data=self.data,
                saga=self.of[(number - 1) % len(self.of)] if self.of else "",
            )
            for number in self.submitted or range(1, self.sagas + 1)
        )

    @cached_property
    def spared(self) -> frozenset[str]:
        """The ids of the undisturbed sagas."""
        return frozenset(order.id for order in self.orders[: self.undisturbed])

    @cached_property
    def refused(self) -> frozenset[tuple[str, str]]:
        """The business refusals as (saga id, operation)."""
        return frozenset((f"saga-{n}", operation) for n, operation in self.rejections)

    @property
    def meant_to_succeed(self) -> bool:
        """True if its orders are to go through: as it declares, else where nothing refuses them, all taken together:
        no rejection, no amount above the limit, enough in stock of each item and on each account."""
        if self.succeeds is not None:
            return self.succeeds
        pieces, money = Counter[str](), Counter[str]()
        for order in self.orders:
            pieces[order.item] += order.quantity
            money[order.account] += order.amount
        within = self.limit is None or all(order.amount <= self.limit for order in self.orders)
        enough = max(pieces.values()) <= self.stock and max(money.values()) <= self.funds
        return within and enough and not self.rejections

    def with_sagas(self, count: int) -> Scenario:
        """The scenario with its first ``count`` sagas, or with more of them."""
        left = tuple(number for number in self.submitted if number <= count)
        undisturbed = min(self.undisturbed, count - 1)
        return replace(self, sagas=count, submitted=left if len(left) == count else (), undisturbed=undisturbed)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


SUCCEEDS = Scenario(name="succeeds", about="one order that goes through")
CONTENDED = Scenario(name="two-on-one-item", about="two orders at once for the last piece", sagas=2, stock=1)
IN_TURN = Scenario(
    name="one-after-the-other",
    about="two orders of one customer, the second when the first is through",
    sagas=2,
    gap_ms=5000,
    undisturbed=1,
)
"""Two that both succeed. Orders that interleave are CONTENDED's, and faults at the first one those of SUCCEEDS: so it
costs as much as that one, and not twice as much."""


def default_scenarios(saga: Saga) -> tuple[Scenario, ...]:
    """What an adapter that brings no scenarios of its own is asked: succeed, be declined, contend, succeed twice."""
    refusable = [step for step in saga.steps if not step.retriable and step.child is None]
    payments = [step for step in refusable if step.participant == "payment"]
    if not refusable:
        return (SUCCEEDS, CONTENDED, IN_TURN)
    refused = (payments or refusable)[-1].operation
    declined = Scenario(
        name="declined",
        about="one order whose card is declined" if payments else f"one order whose {refused} is refused",
        rejections=((1, refused),),
    )
    return (SUCCEEDS, declined, CONTENDED, IN_TURN)
