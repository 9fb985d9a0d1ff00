"""Accounts of participants of one's own: what they hold is never less than nothing."""

from __future__ import annotations

from typing import Any, Final

from ...participant import Request, Transaction
from ...ports import Rejected
from .host import MutableOrchestrator
from .parts import DECLINED, Mutant, system, told


class Reserves:
    """Right: what is held for a saga is given back once, and only what is held."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        closed, done = f"closed {request.saga}", f"done {request.operation} {request.key}"
        if done in tx.memory:
            return None
        if request.direction == "F":
            if closed in tx.memory:
                raise Rejected("already given back")
            tx.balance("reserved", request.saga, 1)
        else:
            tx.balance("reserved", request.saga, -self.back(tx.balance("reserved", request.saga)))
            tx.memory[closed] = True
        self.note(request, tx, done)
        return None

    def back(self, held: int) -> int:
        """How much an undo gives back of what is held."""
        return held

    def note(self, request: Request, tx: Transaction, done: str) -> None:
        """Remember that a request was handled."""
        tx.memory[done] = True


class CancelsTwice(Reserves):
    """Adds what was reserved to the stock at each cancellation, however often it is told."""

    def back(self, held: int) -> int:
        return 1

    def note(self, request: Request, tx: Transaction, done: str) -> None:
        if request.direction == "F":
            super().note(request, tx, done)


class PhantomRefund(Reserves):
    """Gives back what was asked for, without a look at whether it was ever taken."""

    def back(self, held: int) -> int:
        return 1


def _stock(make: type[Reserves]) -> Any:
    about = "" if make is Reserves else told(make)
    return system(MutableOrchestrator, about=about, scenario=DECLINED, participants={"inventory": make})


RESERVES: Final = _stock(Reserves)

MUTANTS: Final = (
    Mutant(
        name="cancels-reservation-twice",
        adapter=_stock(CancelsTwice),
        twin=RESERVES,
        invariants=("I17", "I9"),
        faults=1,
        schedule="partition-answers at saga-1: inventory forward, send",
        source="mollie/magento2#500",
    ),
    Mutant(
        name="phantom-refund",
        adapter=_stock(PhantomRefund),
        twin=RESERVES,
        invariants=("I17", "I7"),
        faults=1,
        schedule="partition at saga-1: inventory forward, send",
        source="Scottcjn/Rustchain#7951",
    ),
)
