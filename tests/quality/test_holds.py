"""Holds of participants of one's own that run out by the clock: nothing that is right is blamed when another has got
what a saga held, and what is wrong is found by the invariant that names it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import Adapter, Job, Rejected, Request, Step, Transaction
from sagafuzz.adapters.zoo.holds import (
    FIRST_DECLINED,
    ONE_SEAT,
    SEATED,
    CannotCancelWhatRanOut,
    CapturesLate,
    Gateway,
    ReleasesAnothers,
    Seats,
    SellsWhatRanOut,
)
from sagafuzz.adapters.zoo.host import MutableOrchestrator
from sagafuzz.adapters.zoo.parts import system
from sagafuzz.adapters.zoo.payments import HELD, PAID, Pays

from .judging import assert_found, assert_not_blamed

GAP: dict[str, Any] = {"gap_ms": 800, "amounts": (100, 30)}
PAYS = replace(ONE_SEAT, name="pays-late", succeeds=False, **GAP)
DECLINED = replace(FIRST_DECLINED, name="declined-late", succeeds=False, **GAP)
LATE = replace(PAID, name="captured-late", succeeds=False)


class LooksTwice(MutableOrchestrator):
    """Looks at a payment for the longer the more it is: for a second where it is 100."""

    def _request(self, state: Any, step: Step) -> Any:
        if step.name == "payment":
            self._world.sleep(state.request["amount"] / 100)
        return super()._request(state, step)


def for_half_a_second(seats: type[Seats]) -> type[Seats]:
    """The same, with holds that run out when the customer still pays, and another one comes."""
    return type(seats.__name__, (seats,), {"lasts_s": 0.5})


class ByItself(Seats):
    """Withdraws a hold when its time is over, whether or not somebody asks."""

    def hold(self, saga: str, tx: Transaction) -> str:
        refused = super().hold(saga, tx)
        if not refused:
            tx.later("run out", delay_ms=self.lasts_s * 1000 + 1)
        return refused

    def work(self, job: Job, tx: Transaction) -> None:
        self.run_out(tx)


class Lenient(Gateway):
    """Says yes to a void of what it does not hold any more, and does nothing."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        try:
            return super().handle(request, tx)
        except Rejected:
            if request.operation != "payment.void":
                raise
            return {}


class NoVoid(CapturesLate):
    """Voids nothing where the gateway has said that the authorisation has run out."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except Rejected as refusal:
            if "run out" in str(refusal):
                state.done["ran out"] = True
            raise

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        gone = operation == "payment.void" and "ran out" in state.done
        return gone or super()._undo(state, step, operation)


def seat(seats: type[Seats] = Seats, scenario: Any = DECLINED) -> Adapter:
    return system(
        LooksTwice, saga=SEATED, scenario=scenario, participants={"seats": for_half_a_second(seats)}, lease_s=2
    )


def late(make: type[Pays] = CapturesLate, gateway: type[Gateway] = Gateway) -> Adapter:
    return system(make, saga=HELD, scenario=LATE, participants={"payment": gateway})


RIGHT = {
    "another holds the seat when the first is declined": seat(),
    "another holds the seat when the first has paid": seat(scenario=PAYS),
    "a hold that is withdrawn by itself": seat(ByItself),
    "a void that is refused, since the authorisation has run out": late(),
    "a void that does nothing, since the authorisation has run out": late(gateway=Lenient),
    "no void, since the authorisation has run out": late(NoVoid),
}

WRONG = {
    "another's hold is released": (seat(ReleasesAnothers), "I18"),
    "a seat is sold that another holds": (seat(SellsWhatRanOut, PAYS), "I17"),
    "a refused void ends the cancelling": (late(CannotCancelWhatRanOut), "I11"),
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
