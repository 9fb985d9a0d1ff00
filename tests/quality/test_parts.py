"""Orders of several lines, refunds in parts and payments with holds, on participants of one's own: what is right is not
blamed, and what is wrong is found by the invariant that names it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import Adapter, Rejected, Request, Scenario, Transaction
from sagafuzz.adapters.zoo.lines import DECLINED, ORDER, SECOND_SHORT, TWO_LINES, EarlierLinesStay, Lines
from sagafuzz.adapters.zoo.parts import system
from sagafuzz.adapters.zoo.payments import (
    HELD,
    PAID,
    UNPACKED,
    InParts,
    Pays,
    RefundsWhatWasHeld,
    RoundsEachPart,
    VoidRefusedEndsCancelling,
)

from .judging import assert_found, assert_not_blamed


class Store:
    """Keeps a row for each line, and remembers keys, refusals and what was released."""

    short: tuple[str, ...] = ()

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen, released = f"{request.operation} {request.key}", f"inventory.release {request.key}"
        if seen not in tx.memory:
            if request.direction == "F" and (released in tx.memory or request.payload["item"] in self.short):
                raise Rejected("released" if released in tx.memory else "out of stock")
            if request.direction == "F":
                tx.state[str(request.key)] = request.payload["item"]
            else:
                tx.state.pop(str(request.key), None)
            tx.memory[seen] = True
        return {}


class ShortStore(Store):
    short = ("item of line-2",)


class Bank:
    """Authorises, captures, refunds in parts, and voids what it holds: not what was captured, or has run out."""

    lasts_s = 10.0**9

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = f"{request.operation} {request.key}"
        if seen not in tx.memory:
            getattr(self, request.operation.partition(".")[2])(request, tx)
            tx.memory[seen] = True
        return {}

    def authorise(self, request: Request, tx: Transaction) -> None:
        self.bar(request, tx, "void")
        tx.state[f"held {request.saga}"] = time.time()

    def capture(self, request: Request, tx: Transaction) -> None:
        self.bar(request, tx, "refund")
        if tx.state.pop(f"held {request.saga}", 0) + self.lasts_s < time.time():
            raise Rejected("the authorisation has run out")
        tx.memory[f"captured {request.saga}"] = True
        tx.state[f"captured {request.saga}"] = request.payload["amount"]

    def refund(self, request: Request, tx: Transaction) -> None:
        tx.memory[f"refund {request.saga}"] = True
        if f"captured {request.saga}" in tx.state:
            tx.state[f"captured {request.saga}"] -= request.payload["amount"]

    def void(self, request: Request, tx: Transaction) -> None:
        tx.memory[f"void {request.saga}"] = True
        held = tx.state.pop(f"held {request.saga}", None)
        if f"captured {request.saga}" in tx.memory or (held is not None and held + self.lasts_s < time.time()):
            raise Rejected("there is nothing to void")

    def bar(self, request: Request, tx: Transaction, undo: str) -> None:
        if f"{undo} {request.saga}" in tx.memory:
            raise Rejected("it was undone")


class LenientBank(Bank):
    """Says yes to a void of what is not held any more, and does nothing."""

    def void(self, request: Request, tx: Transaction) -> None:
        try:
            super().void(request, tx)
        except Rejected:
            return


class NoVoid(Pays):
    """Voids nothing where something was captured for certain."""

    def _undo(self, state: Any, step: Any, operation: str) -> bool:
        captured = step.name == "hold" and "capture" in state.done
        return captured or super()._undo(state, step, operation)


def of_lines(make: type = Lines, scenario: Scenario = TWO_LINES, store: type = Store) -> Adapter:
    return system(make, saga=ORDER, scenario=scenario, participants={"inventory": store})


def of_money(make: type = Pays, scenario: Scenario = UNPACKED, bank: type = Bank) -> Adapter:
    return system(make, saga=HELD, scenario=scenario, participants={"payment": bank})


RIGHT = {
    "every line is reserved": of_lines(),
    "no payment, so no line": of_lines(scenario=DECLINED),
    "a line is refused, by a participant that remembers it": of_lines(scenario=SECOND_SHORT),
    "a line is out of stock": of_lines(scenario=replace(TWO_LINES, succeeds=False), store=ShortStore),
    "a capture, and a void that is refused": of_money(),
    "a capture, and a void that does nothing": of_money(bank=LenientBank),
    "a capture, and no void": of_money(NoVoid),
    "paid": of_money(scenario=PAID),
    "refunded in three parts": of_money(InParts),
}

WRONG = {
    "the lines before one that was refused stay": (of_lines(EarlierLinesStay, SECOND_SHORT), "I5"),
    "each part is rounded": (of_money(RoundsEachPart), "I19"),
    "more is refunded than was captured": (of_money(RefundsWhatWasHeld), "I17"),
    "a refused void ends the cancelling": (of_money(VoidRefusedEndsCancelling), "I11"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_blamed_at_one_fault(name: str) -> None:
    assert_not_blamed(RIGHT[name], 1, more_than=50)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_blamed_at_two_faults(name: str) -> None:
    assert_not_blamed(RIGHT[name], 2)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_by_the_invariant_that_names_it(name: str) -> None:
    assert_found(*WRONG[name])
