"""Payments that are authorised, captured, voided and refunded, in parts as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ...ports import CallTimeout, Rejected, Unavailable
from ...saga import Outcome, Saga, Step
from ...scenario import Scenario
from .host import MutableOrchestrator
from .parts import Mutant, system

HELD: Final = Saga(
    "order",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("hold", "payment.authorise", undo="payment.void", amount="amount"),
        Step("capture", "payment.capture", undo="payment.refund", amount="amount", consumes="hold"),
        Step("parcel", "shipping.pack", undo="shipping.unpack"),
    ],
)
"""A capture uses up what was authorised, and a void is refused after it."""

BY_DELIVERY: Final = Saga("order", [replace(step, many=step.name == "capture") for step in HELD.steps])
"""A capture for each delivery, out of one authorisation."""

PAID: Final = Scenario(name="paid", data={"captured": 50})
UNCAPTURED: Final = Scenario(name="uncaptured", data={"captured": 50}, rejections=((1, "payment.capture"),))
UNPACKED: Final = Scenario(name="unpacked", data={"captured": 50}, rejections=((1, "shipping.pack"),))


class Pays(MutableOrchestrator):
    """Right; captures a part of what it holds, refunds what it captured, and takes a void that is refused after a
    capture for one that nobody needs."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return self._ask(state, step, operation, self._key(state, step), self._amount(state, step, operation))
        except Rejected:
            if operation != "payment.void" or "capture" not in state.begun:
                raise
            return self._void_refused(state)

    def _ask(self, state: Any, step: Step, operation: str, key: str, amount: int | None) -> Any:
        part = "delivery-1" if step.many else None
        payload: Mapping[str, Any] = {} if amount is None else {"amount": amount}
        return self._world.call(operation, saga=state.id, key=key, part=part, epoch=state.epoch, **payload)

    def _key(self, state: Any, step: Step) -> str:
        return f"{state.id}/{step.name}"

    def _amount(self, state: Any, step: Step, operation: str) -> int | None:
        amounts = {"hold": state.request["amount"], "capture": state.request["captured"]}
        return amounts.get(step.name)

    def _void_refused(self, state: Any) -> Any:
        return {}


class Deliveries(Pays):
    """Right; captures each delivery out of one authorisation, and voids what is left of it after the last one."""

    def _forward(self, state: Any) -> bool:
        if not super()._forward(state):
            return False
        hold = self._saga.by_name["hold"]
        if not self._undo(state, hold, hold.undo or ""):
            self._world.dead_letter(state.id, step="hold", reason="what is left of the hold cannot be voided")
            self._world.alert(state.id, step="hold", reason="what is left of the hold cannot be voided")
        return True

    def _amount(self, state: Any, step: Step, operation: str) -> int | None:
        return None if operation == "payment.void" else super()._amount(state, step, operation)


class DoubleCapture(Deliveries):
    """Captures anew, under a new key, when it does not know what became of a capture."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._captures = 0

    def _key(self, state: Any, step: Step) -> str:
        self._captures += step.name == "capture"
        return f"{state.id}/{step.name}/{self._captures if step.name == 'capture' else ''}"


class VoidRefusedEndsCancelling(Pays):
    """Takes the refusal of a void for a failure: the order cannot be cancelled, and stays."""

    def _compensate(self, state: Any) -> Outcome:
        try:
            return super()._compensate(state)
        except _CannotCancelError:
            return Outcome.PENDING

    def _void_refused(self, state: Any) -> Any:
        raise _CannotCancelError


class _CannotCancelError(Exception):
    """What the mutant makes of a refused void."""


class RefundsWhatWasHeld(Pays):
    """Refunds what was authorised, which is more than was captured."""

    def _amount(self, state: Any, step: Step, operation: str) -> int | None:
        return state.request["amount"] if operation == "payment.refund" else super()._amount(state, step, operation)


class VoidForgotten(Pays):
    """Marks what it authorised as voided, and voids nothing: what is only held has cost nobody money."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        return operation == "payment.void" or super()._undo(state, step, operation)


class TimeoutIsNoCapture(Pays):
    """Voids the authorisation after a capture that gave no answer, and refunds nothing: it captured nothing."""

    def _compensate(self, state: Any) -> Outcome:
        if "capture" in state.begun and "capture" not in state.done:
            state.refused = "capture"
        return super()._compensate(state)


class InParts(Pays):
    """Right; gives what was captured back in three parts that add up to it, each under a key of its own."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        if step.name != "capture":
            return super()._undo(state, step, operation)
        parts = self._parts(state.request["captured"])
        return all([self._refund(state, step, number, amount) for number, amount in enumerate(parts)])  # noqa: C419

    def _parts(self, captured: int) -> tuple[int, ...]:
        third = captured // 3
        return third, third, captured - 2 * third

    def _refund(self, state: Any, step: Step, number: int, amount: int) -> bool:
        for attempt, wait in enumerate(self._policy.backoffs(), 1):
            try:
                self._ask(state, step, "payment.refund", self._part_key(state, number), amount)
                return True
            except (CallTimeout, Unavailable, Rejected):
                if attempt >= self._policy.undo_attempts:
                    return False
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")

    def _part_key(self, state: Any, number: int) -> str:
        return f"{state.id}/refund-{number}"


class RoundsEachPart(InParts):
    """Rounds each part of a refund by itself: they do not add up to what was captured."""

    def _parts(self, captured: int) -> tuple[int, ...]:
        return (captured // 3,) * 3


class RefundsAgainAfterRestart(InParts):
    """Numbers the parts of a refund anew after a restart: those that were given back are given back again."""

    def _part_key(self, state: Any, number: int) -> str:
        return f"{state.id}/refund-{number}/{self._world.process}"


class OneKeyForAllParts(InParts):
    """Refunds in parts under the key of the refund: the gateway takes the second part for the first one again."""

    def _part_key(self, state: Any, number: int) -> str:
        return f"{state.id}/refund"


class StopsAfterFirstPart(InParts):
    """Notes that the refund is done with its first part: who takes the saga up after a crash goes on behind it."""

    def _refund(self, state: Any, step: Step, number: int, amount: int) -> bool:
        done = super()._refund(state, step, number, amount)
        if done and not number:
            state.undone.append(step.name)
            self._save(state, "undone", step.name)
            state.undone.remove(step.name)
        return done


_PAID: Final = system(Pays, saga=HELD, scenario=PAID)
_UNPACKED: Final = system(Pays, saga=HELD, scenario=UNPACKED)
_IN_PARTS: Final = system(InParts, saga=HELD, scenario=UNPACKED)

MUTANTS: Final = (
    Mutant(
        name="double-capture",
        adapter=system(DoubleCapture, saga=BY_DELIVERY, scenario=PAID),
        twin=system(Deliveries, saga=BY_DELIVERY, scenario=PAID),
        invariants=("I1",),
        faults=1,
        schedule="timeout at saga-1: capture[delivery-1] forward, send",
        source="medusajs/medusa#16293",
    ),
    Mutant(
        name="void-refused-ends-cancelling",
        adapter=system(VoidRefusedEndsCancelling, saga=HELD, scenario=UNPACKED),
        twin=_UNPACKED,
        invariants=("I11",),
        faults=0,
        schedule="no fault",
        source="PayPal-PHP-SDK#1130, magento/inventory#2290",
    ),
    Mutant(
        name="refunds-what-was-held",
        adapter=system(RefundsWhatWasHeld, saga=HELD, scenario=UNPACKED),
        twin=_UNPACKED,
        invariants=("I17",),
        faults=0,
        schedule="no fault",
        source="juspay/hyperswitch#3120, killbill#334",
    ),
    Mutant(
        name="void-forgotten",
        adapter=system(VoidForgotten, saga=HELD, scenario=UNCAPTURED),
        twin=system(Pays, saga=HELD, scenario=UNCAPTURED),
        invariants=("I5",),
        faults=0,
        schedule="no fault",
        source="solidusio/solidus#69",
    ),
    Mutant(
        name="timeout-is-no-capture",
        adapter=system(TimeoutIsNoCapture, saga=HELD, scenario=PAID),
        twin=_PAID,
        invariants=("I5", "I11"),
        faults=1,
        schedule="partition at saga-1: capture forward, send",
        source="alphagov/pay-connector#443",
    ),
    Mutant(
        name="rounds-each-part",
        adapter=system(RoundsEachPart, saga=HELD, scenario=UNPACKED),
        twin=_IN_PARTS,
        invariants=("I19",),
        faults=0,
        schedule="no fault",
        source="akira-io/laravel-sisp#282",
    ),
    Mutant(
        name="refunds-again-after-restart",
        adapter=system(RefundsAgainAfterRestart, saga=HELD, scenario=UNPACKED),
        twin=_IN_PARTS,
        invariants=("I1",),
        faults=1,
        schedule="crash-after-send at saga-1: capture compensation, send",
        source="openlinker#3289",
    ),
    Mutant(
        name="one-key-for-all-parts",
        adapter=system(OneKeyForAllParts, saga=HELD, scenario=UNPACKED),
        twin=_IN_PARTS,
        invariants=("I1",),
        faults=0,
        schedule="no fault",
        source="mollie/magento2#626, mollie-api-node#256",
    ),
    Mutant(
        name="stops-after-first-part",
        adapter=system(StopsAfterFirstPart, saga=HELD, scenario=UNPACKED),
        twin=_IN_PARTS,
        invariants=("I19",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'undone capture'",
        source="medusajs/medusa#12192",
    ),
)
