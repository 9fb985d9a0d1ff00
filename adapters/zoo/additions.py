"""Ten more from public trackers, added when the invariants stood: what the harness had not been made for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from ...participant import Request, Transaction
from ...ports import CallTimeout, PortError, Rejected, Unavailable
from ...saga import Outcome, Saga, Step
from ..checkout import CHECKOUT
from .host import COMPENSATING, MutableOrchestrator
from .parts import CORRECT, CORRECT_DECLINED, DECLINED, Keyed, KeyedParticipant, Mutant, system

CAPTURED: Final = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("hold", "payment.hold", undo="payment.free"),
        Step("capture", "payment.capture", undo="payment.refund"),
    ],
)
"""Two steps at one participant."""

INVENTORY_FIRST: Final = Saga("checkout", [CHECKOUT.steps[1], CHECKOUT.steps[0], CHECKOUT.steps[2]])
"""The next version of the checkout."""


class KeyFromToken(Keyed):
    """Mixes a payment token into its idempotency key; a token is good for one attempt, and so is the key."""

    token = 1

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except (CallTimeout, Unavailable):
            self.token += operation == "payment.charge"
            raise

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        token = f"/token-{self.token}" if operation == "payment.charge" else ""
        return f"{state.id}/{step.name}{token}"


class KeyPersists(Keyed):
    """Keeps the key of the first request of a kind for those that follow: two operations share one."""

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{step.participant}"


class ByKeyAlone(KeyedParticipant):
    """Right: it knows a request by its key, whatever the operation; who uses a key twice has asked for that."""

    def do(self, request: Request, tx: Transaction) -> Any:
        if f"C {request.key}" in tx.memory:
            raise Rejected("it was undone already")
        tx.state[str(request.key)] = request.operation
        return {}

    def undo(self, request: Request, tx: Transaction) -> Any:
        tx.state.pop(str(request.key), None)
        return {}


class RetryClearsEffects(MutableOrchestrator):
    """Before it asks for a step again, it sets what it knows of the saga back to that step alone."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return self._call(state, step, step.operation)
        except (CallTimeout, Unavailable):
            state.begun = [step.name]
            return super()._request(state, step)


class Strict(KeyedParticipant):
    """Right: it answers a repetition of what it has done with an error that says so."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "F" and f"F {request.key}" in tx.memory:
            return {"duplicate": True}
        return super().handle(request, tx)


class DuplicateEndsBatch(MutableOrchestrator):
    """Sends all commands again after a failure; the first answer that says "duplicate" ends the batch."""

    def _forward(self, state: Any) -> bool:
        for name in self._saga.sequence:
            if state.epoch == 1 and name not in state.begun:
                state.begun.append(name)
                self._save(state, "intent", name)
            try:
                answer = self._request(state, self._saga.by_name[name])
            except Rejected:
                state.refused = name
                return False
            except (CallTimeout, Unavailable):
                return False
            if answer.get("duplicate") and state.epoch > 1:
                return True
            if state.epoch == 1:
                state.done[name] = answer
                self._save(state, "outcome", name)
        return True


class GoesOnAfterRollback(MutableOrchestrator):
    """Rolls back the block that failed, and goes on with the step behind it."""

    def _end(self, state: Any, outcome: Outcome) -> Outcome:
        if outcome is Outcome.COMPENSATED:
            for name in self._saga.sequence:
                if name not in state.begun:
                    state.begun.append(name)
                    self._save(state, "intent", name)
                    with suppress(PortError):
                        state.done[name] = self._request(state, self._saga.by_name[name])
                        self._save(state, "outcome", name)
            outcome = Outcome.COMPLETED
        return super()._end(state, outcome)


class ResumeSkipsRest(MutableOrchestrator):
    """A saga that is resumed goes to its end: the steps that it had not come to are passed over."""

    def _forward(self, state: Any) -> bool:
        return state.epoch > 1 or super()._forward(state)


class TwoCompletions(Keyed):
    """The client's confirmation and the webhook of the payment both complete the order, each in its own name."""

    path = "client"

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if operation == "payment.charge":
            self._world.spawn(self.webhook, state, step)
        return super()._call(state, step, operation)

    def webhook(self, state: Any, step: Step) -> None:
        with suppress(PortError):
            payload = self._arguments(step, state.request)
            self._world.call(
                step.operation, saga=state.id, key=self.in_name_of("webhook", state), epoch=state.epoch, **payload
            )

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return self.in_name_of("client", state) if step.name == "payment" else super().key(state, step, operation)

    def in_name_of(self, path: str, state: Any) -> str:
        return f"{state.id}/payment/{path}"


class OneCompletion(TwoCompletions):
    """Right: whoever completes the order does it in the order's name."""

    def in_name_of(self, path: str, state: Any) -> str:
        return f"{state.id}/payment"


class ResumesByPosition(MutableOrchestrator):
    """Keeps how many steps are done; after an upgrade it goes on with the next one of the new definition."""

    def _drive(self, state: Any) -> Outcome:
        state.begun = list(self._saga.sequence[: len(state.begun)])
        state.done = {name: {} for name in self._saga.sequence[: len(state.done)]}
        return super()._drive(state)


class ByItsOwnPlan(MutableOrchestrator):
    """Right: it drives each saga by the definition that it was started with."""

    version = 1

    def execute(self, saga_id: str, request: Any) -> Outcome:
        return super().execute(saga_id, {**request, "version": self.version})

    def _drive(self, state: Any) -> Outcome:
        self._saga = CHECKOUT if state.request["version"] == 1 else INVENTORY_FIRST
        return super()._drive(state)


class ByItsOwnPlan2(ByItsOwnPlan):
    """The next version, whose new sagas reserve first."""

    version = 2


class CancelledOrderKeepsStock(MutableOrchestrator):
    """Cancels an order whose payment failed, and leaves what was reserved for it reserved."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        return operation == "inventory.release" or super()._undo(state, step, operation)


class EventAfterCommit(MutableOrchestrator):
    """Commits a step, and then appends the event that makes the next one happen; recovery sends what was appended."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        super()._save(state, record, step)
        if record in ("create", "outcome"):
            event = {"after": step, "revision": state.revision}
            self._durably(lambda: self._store.put(f"outbox/{state.id}", event, record="event", saga=state.id))

    def _take_over(self, key: str) -> None:
        record = self._store.get(key)
        event = self._store.get(key.replace("saga/", "outbox/"), {"revision": 0})
        if record["phase"] == COMPENSATING or event["revision"] == record["revision"]:
            super()._take_over(key)


class EventWithCommit(EventAfterCommit):
    """Right: the event is part of the commit, and whatever is open is taken up."""

    def _take_over(self, key: str) -> None:
        MutableOrchestrator._take_over(self, key)


def upgraded(make: type[MutableOrchestrator], then: type[MutableOrchestrator]) -> Any:
    """The system with ``make``, whose next version has ``then`` and reserves first."""
    return system(make, upgrade=system(then, saga=INVENTORY_FIRST).factory)


MUTANTS = (
    Mutant(
        name="key-from-token",
        adapter=system(KeyFromToken),
        twin=CORRECT,
        invariants=("I1",),
        faults=1,
        schedule="timeout at saga-1: payment forward, send",
        source="tempoxyz/pympp#155",
        late=True,
    ),
    Mutant(
        name="key-persists",
        adapter=system(KeyPersists, saga=CAPTURED, participants={"payment": ByKeyAlone}),
        twin=system(saga=CAPTURED, participants={"payment": ByKeyAlone}),
        invariants=("I23",),
        faults=0,
        schedule="no fault",
        source="stripe/stripe-ruby#598",
        late=True,
    ),
    Mutant(
        name="retry-clears-effects",
        adapter=system(RetryClearsEffects, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I5",),
        faults=1,
        schedule="lost-request at saga-1: inventory forward, send",
        source="Nebo15/sage#53",
        late=True,
    ),
    Mutant(
        name="duplicate-ends-batch",
        adapter=system(DuplicateEndsBatch, participants={"order": Strict}),
        twin=system(participants={"order": Strict}),
        invariants=("I23",),
        faults=1,
        schedule="second-orchestrator at saga-1: write 'intent order'",
        source="Ahoo-Wang/Wow#3204",
        late=True,
    ),
    Mutant(
        name="goes-on-after-rollback",
        adapter=system(GoesOnAfterRollback),
        twin=CORRECT,
        invariants=("I15", "I2", "I23"),
        faults=1,
        schedule="partition at saga-1: order forward, send",
        source="danielgerlag/workflow-core#288",
        late=True,
    ),
    Mutant(
        name="resume-skips-rest",
        adapter=system(ResumeSkipsRest),
        twin=CORRECT,
        invariants=("I23",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="danielgerlag/workflow-core#871",
        late=True,
    ),
    Mutant(
        name="two-completions",
        adapter=system(TwoCompletions),
        twin=system(OneCompletion),
        invariants=("I1",),
        faults=0,
        schedule="no fault",
        source="medusajs/medusa#13301",
        concurrency=True,
        late=True,
    ),
    Mutant(
        name="resumes-by-position",
        adapter=upgraded(ResumesByPosition, ResumesByPosition),
        twin=upgraded(ByItsOwnPlan, ByItsOwnPlan2),
        invariants=("I23", "I24"),
        faults=2,
        schedule="crash-after-log at saga-1: write 'outcome order' + upgrade at start 2 of the orchestrator",
        source="danielgerlag/workflow-core#107",
        late=True,
    ),
    Mutant(
        name="cancelled-order-keeps-stock",
        adapter=system(CancelledOrderKeepsStock, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I5",),
        faults=0,
        schedule="no fault",
        source="razorpay/razorpay-magento#42",
        late=True,
    ),
    Mutant(
        name="event-after-commit",
        adapter=system(EventAfterCommit),
        twin=system(EventWithCommit),
        invariants=("I13",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="opendefender/OpenRisk#344",
        late=True,
    ),
)
