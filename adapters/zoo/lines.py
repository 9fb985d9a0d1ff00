"""Orders of several lines: a step that is asked for once a line, and what becomes of the lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ...ports import Rejected
from ...saga import Outcome, Saga, Step, instance, split
from ...scenario import Scenario
from .host import MutableOrchestrator
from .parts import Mutant, system

ORDER: Final = Saga(
    "order",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("reserve", "inventory.reserve", undo="inventory.release", many=True),
        Step("payment", "payment.charge", undo="payment.refund"),
    ],
)
"""All lines or none: one that is refused ends the order."""

PARTLY: Final = Saga(
    "order",
    [
        Step("payment", "payment.charge", undo="payment.refund", amount="amount"),
        Step("reserve", "inventory.reserve", undo="inventory.release", many=True, needs="any"),
        Step("ship", "shipping.send", undo="shipping.recall", many=True, needs="any", consumes="reserve"),
    ],
)
"""One line is enough: what is out of stock is given back in money, and the others are shipped."""

LINES: Final = {"lines": ["line-1", "line-2"]}
TWO_LINES: Final = Scenario(name="two-lines", data=LINES)
DECLINED: Final = Scenario(name="declined", data=LINES, rejections=((1, "payment.charge"),))
SECOND_SHORT: Final = Scenario(name="second-line-short", data=LINES, rejections=((1, "inventory.reserve[line-2]"),))
ONE_UNSHIPPED: Final = Scenario(
    name="one-short-none-shipped",
    data=LINES,
    rejections=((1, "inventory.reserve[line-2]"), (1, "shipping.send")),
)


class Lines(MutableOrchestrator):
    """Right; asks for each line of an order by itself, and takes back each line that it may have got."""

    def _request(self, state: Any, step: Step) -> Any:
        if not step.many or split(step.name)[1]:
            return super()._request(state, step)
        return {line: self._request(state, self._part(step, line)) for line in state.request["lines"]}

    def _compensate(self, state: Any) -> Outcome:
        if state.refused and self._saga.by_name[state.refused].many:
            state.refused = ""  # one line was refused, others may not have been
        return super()._compensate(state)

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        if not step.many or split(step.name)[1]:
            return super()._undo(state, step, operation)
        undone = [self._undo(state, self._part(step, line), operation) for line in reversed(state.request["lines"])]
        return all(undone)

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        name, line = split(step.name)
        key, payload = self._key(state, name, line), self._payload(state, name, line)
        part = line or None
        return self._world.call(operation, saga=state.id, key=key, part=part, epoch=state.epoch, **payload)

    def _part(self, step: Step, line: str) -> Step:
        return replace(step, name=instance(step.name, line))

    def _key(self, state: Any, name: str, line: str) -> str:
        return f"{state.id}/{name}/{line}"

    def _payload(self, state: Any, name: str, line: str) -> Mapping[str, Any]:
        if name == "payment":
            return {"amount": state.request["amount"]}
        return {"item": f"item of {line}", "quantity": 1} if line else {}


class EarlierLinesStay(Lines):
    """Takes a step of which one line was refused for a step that was refused, and leaves the lines before it."""

    def _compensate(self, state: Any) -> Outcome:
        return MutableOrchestrator._compensate(self, state)


class OneKeyForAllLines(Lines):
    """Makes the key of the order and the step: the second line is taken for the first one, asked for again."""

    def _key(self, state: Any, name: str, line: str) -> str:
        return f"{state.id}/{name}"


class RetryIsAnotherLine(Lines):
    """Numbers its requests and makes the key of the number: a retry of one line is one more line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._asked = 0

    def _key(self, state: Any, name: str, line: str) -> str:
        self._asked += bool(line)
        return f"{state.id}/{name}/{self._asked if line else ''}"


class RestocksTwice(Lines):
    """Puts each line back when it is undone, and each line again when the order is cancelled."""

    _of_order = False

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        if step.name == "order" and "reserve" in state.begun:
            self._of_order = True
            super()._undo(state, self._saga.by_name["reserve"], "inventory.release")
            self._of_order = False
        return super()._undo(state, step, operation)

    def _key(self, state: Any, name: str, line: str) -> str:
        return f"{super()._key(state, name, line)}{'/order' if self._of_order else ''}"


class Partly(Lines):
    """Right; goes on with the lines that there are, and gives back the money of the others. It gives money back line by
    line, under the line's key, also when the order is cancelled: so no line is given back twice, whoever is at it."""

    def _request(self, state: Any, step: Step) -> Any:
        if not step.many or split(step.name)[1]:
            return super()._request(state, step)
        return self._ship(state, step) if step.name == "ship" else self._reserve(state, step)

    def _reserve(self, state: Any, step: Step) -> list[str]:
        """The lines that there are."""
        found = []
        for line in state.request["lines"]:
            try:
                self._request(state, self._part(step, line))
                found.append(line)
            except Rejected:
                self._give_back(state, line)
        if not found:
            raise Rejected("there is nothing of it")
        return found

    def _give_back(self, state: Any, line: str) -> None:
        payment = self._saga.by_name["payment"]
        assert payment.undo is not None
        self._save(state, "short", line)  # who was superseded gives nothing back
        if not self._undo(state, self._part(payment, line), payment.undo):
            self._world.dead_letter(state.id, step="payment", reason="a refund keeps failing")
            self._world.alert(state.id, step="payment", reason=f"give the money of {line} back by hand")
            state.stuck.append("payment")

    def _end(self, state: Any, outcome: Outcome) -> Outcome:
        return super()._end(state, Outcome.STUCK if state.stuck else outcome)

    def _ship(self, state: Any, step: Step) -> list[str]:
        for line in state.done["reserve"]:
            self._request(state, self._part(step, line))
        return list(state.done["reserve"])

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        return self._refund(state, step) if step.name == "payment" else super()._undo(state, step, operation)

    def _refund(self, state: Any, step: Step) -> bool:
        """Give back the money of all lines."""
        undone = [
            super(Partly, self)._undo(state, self._part(step, line), "payment.refund")
            for line in state.request["lines"]
        ]
        return all(undone)

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        name, line = split(step.name)
        key, payload = self._key(state, name, line), self._payload(state, name, line)
        part = line if name != "payment" else ""
        return self._world.call(operation, saga=state.id, key=key, part=part or None, epoch=state.epoch, **payload)

    def _payload(self, state: Any, name: str, line: str) -> Mapping[str, Any]:
        if name == "payment" and line:
            return {"amount": state.request["amount"] // len(state.request["lines"])}
        return super()._payload(state, name, line)


class CancelledLineShipped(Partly):
    """Ships the lines of the order as they were placed: the ones that were taken out of it as well."""

    def _ship(self, state: Any, step: Step) -> list[str]:
        for line in state.request["lines"]:
            self._request(state, self._part(step, line))
        return list(state.request["lines"])


class RefundsLineTwice(Partly):
    """Gives back the whole amount when the order is cancelled, whatever was given back for a line before."""

    def _refund(self, state: Any, step: Step) -> bool:
        return Lines._undo(self, state, step, "payment.refund")


_LINES: Final = {scenario.name: system(Lines, saga=ORDER, scenario=scenario) for scenario in (TWO_LINES, DECLINED)}
_PARTLY: Final = {
    scenario.name: system(Partly, saga=PARTLY, scenario=scenario) for scenario in (SECOND_SHORT, ONE_UNSHIPPED)
}

MUTANTS: Final = (
    Mutant(
        name="earlier-lines-stay",
        adapter=system(EarlierLinesStay, saga=ORDER, scenario=SECOND_SHORT),
        twin=system(Lines, saga=ORDER, scenario=SECOND_SHORT),
        invariants=("I5",),
        faults=0,
        schedule="no fault",
        source="eventuate-tram-sagas#79, medusajs/medusa#13625",
    ),
    Mutant(
        name="one-key-for-all-lines",
        adapter=system(OneKeyForAllLines, saga=ORDER, scenario=TWO_LINES),
        twin=_LINES["two-lines"],
        invariants=("I1",),
        faults=0,
        schedule="no fault",
        source="aa-stripe#68",
    ),
    Mutant(
        name="retry-is-another-line",
        adapter=system(RetryIsAnotherLine, saga=ORDER, scenario=TWO_LINES),
        twin=_LINES["two-lines"],
        invariants=("I1",),
        faults=1,
        schedule="timeout at saga-1: reserve[line-1] forward, send",
        source="useautumn/autumn#3491, storj#6501",
    ),
    Mutant(
        name="restocks-line-twice",
        adapter=system(RestocksTwice, saga=ORDER, scenario=DECLINED),
        twin=_LINES["declined"],
        invariants=("I1",),
        faults=0,
        schedule="no fault",
        source="woocommerce#27504",
    ),
    Mutant(
        name="cancelled-line-shipped",
        adapter=system(CancelledLineShipped, saga=PARTLY, scenario=SECOND_SHORT),
        twin=_PARTLY["second-line-short"],
        invariants=("I17",),
        faults=0,
        schedule="no fault",
        source="shipstation_integration#74",
    ),
    Mutant(
        name="refunds-line-twice",
        adapter=system(RefundsLineTwice, saga=PARTLY, scenario=ONE_UNSHIPPED),
        twin=_PARTLY["one-short-none-shipped"],
        invariants=("I17",),
        faults=0,
        schedule="no fault",
        source="PrestaShop#42612",
    ),
)
