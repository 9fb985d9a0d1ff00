"""Holds of participants of one's own, which run out: what was held is gone, and somebody else may have it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

from ...participant import Request, Transaction
from ...ports import Rejected
from ...saga import Saga, Step
from ...scenario import Scenario
from .host import MutableOrchestrator
from .parts import Mutant, system, told
from .payments import HELD, PAID, Pays, VoidRefusedEndsCancelling

SEATED: Final = Saga(
    "booking",
    [
        Step("seat", "seats.hold", undo="seats.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("ticket", "seats.issue", undo="seats.cancel", consumes="seat"),
    ],
)
"""A seat is held while the customer pays; the ticket uses the hold up."""

ONE_SEAT: Final = Scenario(name="one-seat", sagas=2, gap_ms=3)
FIRST_DECLINED: Final = replace(ONE_SEAT, name="first-declined", rejections=((1, "payment.charge"),))

WEEK_S: Final = 7 * 86_400


class Seats:
    """Right: one seat, held for ten minutes for one who pays; the ticket is for who holds it still."""

    lasts_s = 600.0

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = f"{request.operation} {request.key}"
        if seen not in tx.memory:
            self.run_out(tx)
            tx.memory[seen] = getattr(self, request.operation.partition(".")[2])(request.saga, tx)
        if tx.memory[seen]:
            raise Rejected(tx.memory[seen])
        return {}

    def run_out(self, tx: Transaction) -> None:
        """Withdraw a hold whose time is over."""
        held = tx.state.get("held")
        if held and held["until"] < time.time():
            del tx.state["held"]
            tx.expire(held["saga"], "seat")

    def expire(self, request: Request, tx: Transaction) -> None:
        if self.is_held(request.saga, tx):
            del tx.state["held"]

    def is_held(self, saga: str, tx: Transaction) -> bool:
        return bool(tx.state.get("held", {}).get("saga") == saga)

    # Each answers why it refuses, or "".

    def hold(self, saga: str, tx: Transaction) -> str:
        if f"released {saga}" in tx.memory:
            return "released already"
        if tx.state:
            return "taken"
        tx.state["held"] = {"saga": saga, "until": time.time() + self.lasts_s}
        return ""

    def release(self, saga: str, tx: Transaction) -> str:
        tx.memory[f"released {saga}"] = True
        if self.is_to_release(saga, tx):
            tx.owner(tx.state.pop("held")["saga"])
        return ""

    def is_to_release(self, saga: str, tx: Transaction) -> bool:
        return self.is_held(saga, tx)

    def issue(self, saga: str, tx: Transaction) -> str:
        if f"cancelled {saga}" in tx.memory:
            return "cancelled already"
        if not self.is_to_sell(saga, tx):
            return "the hold has run out"
        if self.is_held(saga, tx):
            del tx.state["held"]
        tx.state[f"sold {saga}"] = True
        return ""

    def is_to_sell(self, saga: str, tx: Transaction) -> bool:
        return self.is_held(saga, tx)

    def cancel(self, saga: str, tx: Transaction) -> str:
        tx.owner(saga)
        tx.memory[f"cancelled {saga}"] = True
        tx.state.pop(f"sold {saga}", None)
        return ""


class SellsWhatRanOut(Seats):
    """Gives the ticket to who has paid, without a look at whether the hold is still his: it ran out, and another has
    the seat."""

    def is_to_sell(self, saga: str, tx: Transaction) -> bool:
        return True


class ReleasesAnothers(Seats):
    """Takes the hold away without a look at whose it is: a saga that holds nothing, or no longer, takes another's."""

    def is_to_release(self, saga: str, tx: Transaction) -> bool:
        return "held" in tx.state


class Gateway:
    """Right: an authorisation runs out after a week; what has run out, or was captured, is not there to be voided."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = f"{request.operation} {request.key}"
        if seen not in tx.memory:
            self.run_out(request.saga, tx)
            tx.memory[seen] = getattr(self, request.operation.partition(".")[2])(request, tx)
        if tx.memory[seen]:
            raise Rejected(tx.memory[seen])
        return {}

    def run_out(self, saga: str, tx: Transaction) -> None:
        """Withdraw an authorisation whose time is over."""
        if tx.state.get(saga, {}).get("until", time.time()) < time.time():
            del tx.state[saga]
            tx.expire(saga, "hold")

    # Each answers why it refuses, or "".

    def authorise(self, request: Request, tx: Transaction) -> str:
        if f"void {request.saga}" in tx.memory:
            return "voided already"
        tx.memory[f"authorised {request.saga}"] = True
        tx.state[request.saga] = {"until": time.time() + WEEK_S}
        return ""

    def void(self, request: Request, tx: Transaction) -> str:
        tx.owner(request.saga)
        tx.memory[f"void {request.saga}"] = True
        if "until" in tx.state.get(request.saga, {}):
            del tx.state[request.saga]
            return ""
        return "captured, or run out" if f"authorised {request.saga}" in tx.memory else ""

    def capture(self, request: Request, tx: Transaction) -> str:
        if f"refund {request.saga}" in tx.memory:
            return "refunded already"
        if "until" not in tx.state.get(request.saga, {}):
            return "the authorisation has run out"
        tx.state[request.saga] = {"captured": request.payload["amount"]}
        return ""

    def refund(self, request: Request, tx: Transaction) -> str:
        tx.owner(request.saga)
        tx.memory[f"refund {request.saga}"] = True
        if "captured" in tx.state.get(request.saga, {}):
            del tx.state[request.saga]
        return ""


class CapturesLate(Pays):
    """Right: captures when the goods leave, ten days later; a void of what has run out is done."""

    def _request(self, state: Any, step: Step) -> Any:
        if step.name == "capture":
            self._world.sleep(10 * 86_400)
        return super()._request(state, step)


class CannotCancelWhatRanOut(CapturesLate, VoidRefusedEndsCancelling):
    """Cannot cancel an order whose authorisation has run out: the gateway refuses the void, and the order stays."""


def booking(seats: type[Seats], scenario: Scenario = ONE_SEAT) -> Any:
    """One seat, and several who want it."""
    about = told(seats) if seats is not Seats else ""
    return system(
        MutableOrchestrator,
        about=about,
        saga=SEATED,
        scenario=scenario,
        participants={"seats": seats},
        expiring=["seats"],
    )


def _late(make: type[Pays]) -> Any:
    scenario = replace(PAID, name="captured-late", succeeds=False)
    return system(make, saga=HELD, scenario=scenario, participants={"payment": Gateway})


MUTANTS: Final = (
    Mutant(
        name="expired-hold-sold-twice",
        adapter=booking(SellsWhatRanOut),
        twin=booking(Seats),
        invariants=("I17",),
        faults=1,
        schedule="expiry at saga-1: seat forward, effect",
        source="hoangdaochuz/booking#31, calcom/cal.diy#11278",
        concurrency=True,
        timing=True,
    ),
    Mutant(
        name="void-of-expired-ends-cancelling",
        adapter=_late(CannotCancelWhatRanOut),
        twin=_late(CapturesLate),
        invariants=("I11",),
        faults=0,
        schedule="no fault",
        source="magento/magento2#13433",
        timing=True,
    ),
    Mutant(
        name="releases-anothers-lock",
        adapter=booking(ReleasesAnothers, FIRST_DECLINED),
        twin=booking(Seats, FIRST_DECLINED),
        invariants=("I18",),
        faults=1,
        schedule="participant-restart at saga-1: seat forward, effect",
        source="twentyhq/twenty#25661, redis/redis-py#415",
        concurrency=True,
    ),
)
