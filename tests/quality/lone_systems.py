"""Saga systems of a few lines, each of which breaks one invariant, and as few others as can be.

The table is at the end: for each invariant a system, the faults under which it shows, and whether it is found by
that invariant alone or only named first by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from sagafuzz import (
    Adapter,
    CallTimeout,
    Fault,
    Order,
    Outcome,
    Plan,
    Rejected,
    Request,
    Saga,
    Scenario,
    Site,
    Step,
    Transaction,
    Unavailable,
    World,
    adapter,
)
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.faults import AT_BOOT, FAULT_KINDS
from sagafuzz.simulator import Register

from .broken_messages import BROKEN as MESSAGES

SHIPPED = Saga(
    "shipped",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund", pivot=True),
        Step("shipping", "shipping.send", retriable=True),
    ],
)
RECALLABLE = Saga(
    "recallable",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("shipping", "shipping.send", undo="shipping.recall"),
    ],
)
BRANCHES = Saga(
    "branches",
    [
        Step("payment", "payment.charge", pivot=True, after=()),
        Step("inventory", "inventory.reserve", undo="inventory.release", after=()),
    ],
)
COUNTER = Saga(
    "counter",
    [Step("look", "account.look"), Step("count", "account.count", undo="account.discount")],
)


LOCKED = Saga(
    "locked",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("finish", "order.finish", retriable=True),
    ],
)


class Plain:
    """Right as long as it lives: one key a step, unknown outcomes are asked again, undos in reverse."""

    saga: ClassVar[Saga] = CHECKOUT

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> Any:
        begun: list[Step] = []
        for step in self.saga.steps:
            try:
                self.ask(order.id, step.operation, step.name)
            except Rejected:
                return self.undo(order.id, begun)
            begun.append(step)
        return True

    def undo(self, saga: str, steps: list[Step]) -> Any:
        for step in reversed(steps):
            if step.undo is not None:
                self.ask(saga, step.undo, step.name)
        return False

    def ask(self, saga: str, operation: str, step: str, **payload: Any) -> Any:
        while True:
            try:
                return self.once(saga, operation, step, **payload)
            except (CallTimeout, Unavailable):
                self.world.sleep(1)

    def once(self, saga: str, operation: str, step: str, **payload: Any) -> Any:
        return self.world.call(operation, saga=saga, key=f"{saga}/{step}", **payload)


class Participant:
    """Right: it remembers keys, and a tombstone for each undo."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        key = f"{request.operation} {request.key}"
        if key not in tx.memory:
            tx.memory[key] = self.act(request, tx)
        return tx.memory[key]

    def act(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "C":
            tx.state.pop(request.saga, None)
            tx.memory[f"undone {request.saga}"] = True
        elif f"undone {request.saga}" in tx.memory:
            raise Rejected("undone")
        else:
            tx.state[request.saga] = "taken"
        return {}


# -- one class for each invariant --------------------------------------------------------------


class NoKey(Plain):
    def once(self, saga: str, operation: str, step: str, **payload: Any) -> Any:
        return self.world.call(operation, saga=saga, **payload)


class LeavesThePivot(Plain):
    saga = BRANCHES

    def undo(self, saga: str, steps: list[Step]) -> Any:
        return Outcome.STUCK


class ForEverPending(Plain):
    def run(self, order: Order) -> Any:
        return Outcome.PENDING


class ForwardOrder(Plain):
    def undo(self, saga: str, steps: list[Step]) -> Any:
        return super().undo(saga, steps[::-1])


class TakesSilenceForNo(Plain):
    """Undoes what was answered, and not the step that was not."""

    def run(self, order: Order) -> Any:
        try:
            self.once(order.id, "order.create", "order")
        except CallTimeout:
            return False
        return super().run(order)


class AsksLater(Plain):
    def run(self, order: Order) -> Any:
        unknown = []
        for step in self.saga.steps:
            try:
                self.once(order.id, step.operation, step.name)
            except CallTimeout:
                unknown.append(step)
        for step in unknown:
            self.ask(order.id, step.operation, step.name)
        return True


class UndoesTheUnknown(Plain):
    """Undoes an unknown step at once, and calls a person where that fails."""

    def run(self, order: Order) -> Any:
        try:
            self.once(order.id, "order.create", "order")
        except CallTimeout:
            try:
                self.once(order.id, "order.cancel", "order")
            except Unavailable:
                self.world.dead_letter(order.id, step="order")
                self.world.alert(order.id, step="order")
                return Outcome.STUCK
            return False
        return self.undo(order.id, [self.saga.steps[0]])


class FailsAtNothing(Participant):
    def act(self, request: Request, tx: Transaction) -> Any:
        return {"was": tx.state.pop(request.saga)} if request.direction == "C" else super().act(request, tx)


class LosesPatience(Plain):
    """Beside each first step a watchman, who takes the step back when it is slow."""

    def run(self, order: Order) -> Any:
        self.over = self.withdrawn = False
        self.world.spawn(self.watch, order)
        try:
            self.once(order.id, "order.create", "order")
        except Rejected:
            self.withdrawn = True
        self.over = True
        return False if self.withdrawn else self.undo(order.id, [self.saga.steps[0]])

    def watch(self, order: Order) -> None:
        self.world.sleep(0.05)
        if not self.over:
            self.withdrawn = True
            self.ask(order.id, "order.cancel", "order")


class SaysYesToTheBarred(Participant):
    def act(self, request: Request, tx: Transaction) -> Any:
        try:
            return super().act(request, tx)
        except Rejected:
            return {}


class CountsUndos(Participant):
    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "C":
            tx.state["undone"] = tx.state.get("undone", 0) + 1
            return {}
        return super().handle(request, tx)


class NoWayForward(Plain):
    saga = SHIPPED

    def run(self, order: Order) -> Any:
        for step in self.saga.steps[:2]:
            self.ask(order.id, step.operation, step.name)
        try:
            self.once(order.id, "shipping.send", "shipping")
        except CallTimeout:
            return self.undo(order.id, list(self.saga.steps))
        return True


class GivesUp(Plain):
    def undo(self, saga: str, steps: list[Step]) -> Any:
        try:
            self.once(saga, "order.cancel", "order")
        except Unavailable:
            return Outcome.STUCK
        return False


class WritesBehind(Plain):
    def ask(self, saga: str, operation: str, step: str, **payload: Any) -> Any:
        answer = super().ask(saga, operation, step, **payload)
        self.world.store.put(f"{saga}/{step}", True, record="intent", saga=saga, step=step)
        return answer


class Forgets(Plain):
    def run(self, order: Order) -> Any:
        self.world.store.put(order.id, {}, record="create", saga=order.id)
        return super().run(order)


class NoFence(Plain):
    """Shows an epoch with each write, and the store does not look at it."""

    epoch = 1

    def run(self, order: Order) -> Any:
        self.note(order.id)
        for step in self.saga.steps:
            self.ask(order.id, step.operation, step.name)
            self.note(order.id)
        return True

    def recover(self) -> None:
        for saga, record in self.world.store.items():
            self.epoch = record["epoch"] + 1
            self.note(saga)
            for step in self.saga.steps:
                self.ask(saga, step.operation, step.name)

    def note(self, saga: str) -> None:
        self.world.store.put(saga, {"epoch": self.epoch}, record="progress", saga=saga, epoch=self.epoch)


class SaysTwo(Plain):
    def undo(self, saga: str, steps: list[Step]) -> Any:
        self.world.reply(saga, Outcome.COMPENSATED)
        return Outcome.STUCK


class CallsAndDenies(Plain):
    def undo(self, saga: str, steps: list[Step]) -> Any:
        self.world.dead_letter(saga)
        self.world.alert(saga)
        return False


class ReleasesBlindly(NoKey):
    def undo(self, saga: str, steps: list[Step]) -> Any:
        return super().undo(saga, [*steps, self.saga.by_name["inventory"]])


class RefundsLess(Plain):
    saga = RECALLABLE

    def once(self, saga: str, operation: str, step: str, **payload: Any) -> Any:
        amount = {"payment.charge": {"amount": 100}, "payment.refund": {"amount": 90}}.get(operation, {})
        return super().once(saga, operation, step, **amount)


class StopsAtTheFirst(Plain):
    def run(self, order: Order) -> Any:
        self.world.store.put(order.id, {}, record="create", saga=order.id)
        return super().run(order)

    def recover(self) -> None:
        for saga in [key for key, _ in self.world.store.items()]:
            try:
                self.once(saga, "order.cancel", "order")
            except Unavailable:
                self.world.dead_letter(saga)
                self.world.alert(saga)
                break


class CannotUndoTheFirst(Participant):
    def act(self, request: Request, tx: Transaction) -> Any:
        if (request.saga, request.direction) == ("saga-1", "C"):
            raise ValueError("corrupt")
        return super().act(request, tx)


class CallsItDone(Plain):
    def undo(self, saga: str, steps: list[Step]) -> Any:
        self.world.store.put(saga, {"outcome": "completed"}, record="terminal", saga=saga)
        return Outcome.PENDING


class Newest(Plain):
    """Runs every saga by its own version, whatever that of the saga was."""

    version: ClassVar[str] = "v1"

    def run(self, order: Order) -> Any:
        self.world.store.put(order.id, {}, record="create", saga=order.id)
        return self.drive(order.id)

    def recover(self) -> None:
        for saga in [key for key, _ in self.world.store.items()]:
            self.drive(saga)

    def drive(self, saga: str) -> bool:
        self.world.adopt(saga, definition=self.version)
        for step in self.saga.steps:
            self.ask(saga, step.operation, step.name)
        return True


class Newer(Newest):
    version = "v2"


class CountsByHand(Plain):
    """Reads a number in one step, and writes it with its own digit behind in another."""

    saga = COUNTER

    def run(self, order: Order) -> Any:
        seen = self.ask(order.id, "account.look", "look", entity="x")["value"]
        self.ask(order.id, "account.count", "count", entity="x", set=10 * seen + int(order.id[-1]))
        return True


class Trips(Plain):
    def run(self, order: Order) -> Any:
        return {}["order"]


class SaysNothing(Plain):
    def run(self, order: Order) -> Any:
        return None


class Waits(Plain):
    def run(self, order: Order) -> Any:
        while True:
            self.world.sleep(1)


class Locks(Participant):
    """Holds a lock from the first step to the last, as two-phase commit does."""

    def act(self, request: Request, tx: Transaction) -> Any:
        if request.step == "finish" or request.direction == "C":
            tx.unlock("row")
        else:
            tx.lock("row")
        tx.state[request.step] = request.saga
        return {}


class TakesItUpAgain(Plain):
    """Keeps a lock while it asks others; a new incarnation goes on where the last one died."""

    saga = LOCKED

    def run(self, order: Order) -> Any:
        self.world.store.put(order.id, {}, record="create", saga=order.id)
        return super().run(order)

    def recover(self) -> None:
        for saga in dict(self.world.store.items()):
            for step in self.saga.steps:
                self.ask(saga, step.operation, step.name)
            self.world.reply(saga, Outcome.COMPLETED)


class DoesNothing(Plain):
    def run(self, order: Order) -> Any:
        return False


# -- the table -----------------------------------------------------------------------------------

REFUSED = {
    operation: Scenario(name=f"{operation} refused", rejections=((1, operation),))
    for operation in ("order.create", "inventory.reserve", "payment.charge", "shipping.send")
}


ONE = Scenario()


@dataclass(frozen=True, kw_only=True)
class Lone:
    """A system and the plan under which it breaks one invariant: ``alone``, or as the cause of others."""

    adapter: Adapter
    plan: Plan
    alone: bool = True


def lone(
    make: type[Plain],
    *faults: str,
    scenario: Scenario = ONE,
    order: Callable[[], Participant] | None = None,
    alone: bool = True,
    **options: Any,
) -> Lone:
    """``order`` stands in for the participant of that name."""
    if order is not None:
        options["participants"] = {"order": order}
    declared: Any = adapter(saga=make.saga, scenarios=[scenario], **options)(type(make.__name__, (make,), {}))
    return Lone(adapter=declared.__sagafuzz_adapter__, plan=Plan(faults=tuple(map(fault, faults))), alone=alone)


def fault(words: str) -> Fault:
    """``lost-ack payment F``, ``crash-after-log 'create'``, ``upgrade`` (of the second start); of saga-1."""
    kind, _, where = words.partition(" ")
    phase = FAULT_KINDS[kind].phase
    if phase == AT_BOOT:
        return Fault(kind=kind, site=Site("", "orchestrator", "", AT_BOOT, 2))
    subject, _, direction = where.strip("'").partition(" ")
    return Fault(kind=kind, site=Site("saga-1", subject, direction, phase, 1))


TWO = Scenario(name="two", sagas=2)
WAITS_FOR_THE_RECORD, TOO_EARLY = (
    MESSAGES["message-early"].adapter,
    Plan(faults=(fault("message-early payment.charged M"),)),
)
NEVER_ASKS, LOST = MESSAGES["message-lost"].adapter, Plan(faults=(fault("message-lost payment.charged M"),))
LONE = {
    "I1": lone(NoKey, "duplicate order F"),
    "I2": lone(LeavesThePivot, scenario=REFUSED["inventory.reserve"]),
    "I3": lone(ForEverPending),
    "I4": lone(ForwardOrder, scenario=REFUSED["payment.charge"]),
    "I5": lone(TakesSilenceForNo, "lost-request order F"),
    "I6": lone(AsksLater, "lost-request order F"),
    "I7": lone(UndoesTheUnknown, "lost-request order F", order=FailsAtNothing),
    "I8": lone(LosesPatience, "reordered order F", order=SaysYesToTheBarred),
    "I9": lone(Plain, "duplicate order C", scenario=REFUSED["inventory.reserve"], order=CountsUndos, alone=False),
    "I10": lone(NoWayForward, "lost-request shipping F"),
    "I11": lone(GivesUp, "error-before-effect order C", scenario=REFUSED["inventory.reserve"], alone=False),
    "I12": lone(WritesBehind),
    "I13": lone(Forgets, "crash-after-log 'create'"),
    "I14": lone(NoFence, "pause inventory F"),
    "I15": lone(SaysTwo, scenario=REFUSED["order.create"]),
    "I16": lone(CallsAndDenies, scenario=REFUSED["inventory.reserve"]),
    "I18": lone(ReleasesBlindly, scenario=REFUSED["inventory.reserve"], alone=False),
    "I19": lone(RefundsLess, scenario=REFUSED["shipping.send"]),
    "I20": lone(Plain, "partition order F", max_attempts=2),
    "I21": lone(Plain, "partition order F", deadline_ms=3000),
    "I22": lone(StopsAtTheFirst, "crash-after-effect inventory F", scenario=TWO, order=CannotUndoTheFirst, alone=False),
    "I23": lone(CallsItDone, scenario=REFUSED["order.create"]),
    "I24": lone(Newest, "crash-after-effect order F", "upgrade", upgrade=Newer),
    "I25": lone(CountsByHand, scenario=TWO, isolation=["lost-update"], participants={"account": Register}),
    "I40": Lone(adapter=WAITS_FOR_THE_RECORD, plan=TOO_EARLY, alone=False),
    "I41": Lone(adapter=NEVER_ASKS, plan=LOST, alone=False),
    "C1": lone(Trips),
    "C2": lone(SaysNothing),
    "C3": lone(Waits),
}
"""By the id of the invariant. I17 is missing: see its docstring."""

FIGURES = {
    "I26": lone(TakesItUpAgain, "crash-after-effect payment F", order=Locks),
    "I27": lone(DoesNothing, "lost-ack payment F"),
}
"""Where no history is judged: systems that are right by every invariant, and plans whose figures tell."""
