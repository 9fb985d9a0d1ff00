"""Orders of which the shipment is a saga of its own: it has its own record and its own end, and is undone with the
order."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from ...definitions import child_id
from ...ports import World
from ...saga import Outcome, Saga, Step
from ...scenario import Scenario
from .host import COMPENSATING, MutableOrchestrator, State, Superseded
from .parts import Mutant, system

SHIPMENT: Final = Saga(
    "shipment",
    [
        Step("parcel", "warehouse.pack", undo="warehouse.unpack"),
        Step("carrier", "carrier.book", undo="carrier.cancel"),
    ],
)
ORDER: Final = Saga(
    "order",
    [
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("ship", child=SHIPMENT),
        Step("invoice", "billing.issue", undo="billing.withdraw"),
    ],
)

GOES: Final = Scenario(name="goes")
NO_INVOICE: Final = Scenario(name="no-invoice", rejections=((1, "billing.issue"),))
NO_CARRIER: Final = Scenario(name="no-carrier", rejections=((1, "carrier.book"),))

_ENDS: Final = frozenset({Outcome.COMPLETED.value, Outcome.COMPENSATED.value, Outcome.STUCK.value})


class Shipments(MutableOrchestrator):
    """Right; runs the children of orders, and undoes them, under the epoch of the order's owner: one that was
    superseded takes no shipment over. All raise Superseded."""

    def carry_on(self, id: str, order: State) -> Outcome:
        """Take a child to its end: begin it, or go on with it."""
        state = self._taken(id, order, over=_ENDS)
        return Outcome(state.outcome) if state.outcome else self._resume(state)

    def undo(self, id: str, order: State) -> bool:
        """Undo a child, wherever it stands; False where a person has to. One that seems not to have begun is barred: it
        may only not be seen yet."""
        state = self._taken(id, order, over=_ENDS - {Outcome.COMPLETED.value})
        if state.outcome in (Outcome.COMPENSATED.value, Outcome.STUCK.value):
            return state.outcome == Outcome.COMPENSATED.value
        state.outcome = ""
        return self._compensate(state) is Outcome.COMPENSATED

    def _taken(self, id: str, order: State, over: frozenset[str]) -> State:
        """The child's record, taken over for the order unless it is ``over``; made where there is none. It is read
        again where somebody wrote in between: the owner before, who does so no more when this has come through."""
        for wait in self._policy.backoffs():
            record = self._store.get(f"saga/{id}")
            state = State(**record) if record is not None else State(id=id, request=dict(order.request))
            if state.outcome in over:
                return state
            if state.epoch > order.epoch:
                break
            state.epoch = order.epoch
            with suppress(Superseded):
                self._save(state, "create" if record is None else "adopt")
                return state
            self._world.sleep(wait)
        raise Superseded(order.id)

    def _resume(self, state: State) -> Outcome:
        return self._drive(state)


class Orders(MutableOrchestrator):
    """Right; asks for the shipment as for any step, and takes a shipment up only with its order."""

    shipments: type[Shipments] = Shipments

    def __init__(self, *, saga: Saga, world: World, **options: Any) -> None:
        super().__init__(saga=saga, world=world, **options)
        self._child = self.shipments(saga=saga.children["ship"], world=world, **options)

    def _sweep(self) -> None:
        for key, listed in self._store.items("saga/"):
            if not listed["outcome"] and "." not in key:
                self._take_over(key)

    def _do(self, state: State, name: str) -> bool:
        if self._saga.by_name[name].child is None:
            return super()._do(state, name)
        if name not in state.begun:
            state.begun.append(name)
            self._save(state, "intent", name)
        outcome = self._ship(state, child_id(state.id, name))
        if outcome is not Outcome.COMPLETED:
            state.refused = name if outcome is Outcome.COMPENSATED else ""
            return False
        state.done[name] = True
        self._save(state, "outcome", name)
        return True

    def _ship(self, state: State, id: str) -> Outcome:
        return self._child.carry_on(id, state)

    def _undo(self, state: State, step: Step, operation: str) -> bool:
        if step.child is None:
            return super()._undo(state, step, operation)
        return self._unship(state, child_id(state.id, step.name))

    def _unship(self, state: State, id: str) -> bool:
        return self._child.undo(id, state)


class KeepsWhatIsShipped(Orders):
    """Undoes the steps that ask participants, and leaves a shipment that was completed: a child is no entry of the
    list of what is to be undone."""

    def _unship(self, state: State, id: str) -> bool:
        record = self._store.get(f"saga/{id}")
        return bool(record and record["outcome"]) or super()._unship(state, id)


class TimedShipments(Shipments):
    """Compensates a shipment that took too long, when it is through already."""

    def carry_on(self, id: str, order: State) -> Outcome:
        since = self._world.now()
        outcome = super().carry_on(id, order)
        if outcome is Outcome.COMPLETED and self._world.now() - since > 1:
            self.undo(id, order)
        return outcome


class TimesOutAlone(Orders):
    """Gives shipments a time limit, whose watch undoes them alone: the order goes on, and is told to be completed."""

    shipments = TimedShipments


class Anew(Shipments):
    """Begins a shipment again after a restart, under new keys."""

    def _call(self, state: State, step: Step, operation: str) -> Any:
        payload, key = self._arguments(step, state.request), f"{state.id}/{state.epoch}/{step.name}"
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, **payload)

    def _resume(self, state: State) -> Outcome:
        if state.phase != COMPENSATING:
            state.begun, state.done = [], {}
        return super()._resume(state)


class ShipsAnew(Orders):
    """Starts the shipment of an order that it takes up as a new one, and forgets the one that was under way."""

    shipments = Anew


class CancelsAlone(Orders):
    """Ends an order that is cancelled without its shipment, which goes on by itself."""

    def _ship(self, state: State, id: str) -> Outcome:
        self._world.spawn(self._beside, id, state)
        while not self._cancelled(state):
            record = self._store.get(f"saga/{id}")
            if record is not None and record["outcome"]:
                return Outcome(record["outcome"])
            self._world.sleep(0.05)
        return Outcome.COMPENSATED

    def _beside(self, id: str, order: State) -> None:
        with suppress(Superseded):
            self._child.carry_on(id, order)


_GOES: Final = system(Orders, saga=ORDER, scenario=GOES)
_NO_INVOICE: Final = system(Orders, saga=ORDER, scenario=NO_INVOICE)

MUTANTS: Final = (
    Mutant(
        name="child-left-standing",
        adapter=system(KeepsWhatIsShipped, saga=ORDER, scenario=NO_INVOICE),
        twin=_NO_INVOICE,
        invariants=("I5",),
        faults=0,
        schedule="no fault",
        source="saga-lara-flow#22",
    ),
    Mutant(
        name="child-undone-alone",
        adapter=system(TimesOutAlone, saga=ORDER, scenario=GOES),
        twin=_GOES,
        invariants=("I2",),
        faults=1,
        schedule="lost-request at saga-1.ship: parcel forward, send",
        source="txle#20",
    ),
    Mutant(
        name="child-started-anew",
        adapter=system(ShipsAnew, saga=ORDER, scenario=GOES),
        twin=_GOES,
        invariants=("I1",),
        faults=1,
        schedule="second-orchestrator at saga-1.ship: write 'create'",
        source="conductor#973",
    ),
    Mutant(
        name="cancelled-without-child",
        adapter=system(CancelsAlone, saga=ORDER, scenario=GOES),
        twin=_GOES,
        invariants=("I5",),
        faults=1,
        schedule="cancel at saga-1.ship: parcel forward, send",
        source="kogito-runtimes#4252",
    ),
)
