"""What one would write without sagafuzz: a plain RuleBasedStateMachine of the checkout saga.

It has its own orchestrator (a log, stable keys, retries, reverse compensation, resume) and its own
participants, so nothing of the simulator is in it. It notes what happens in sagafuzz's event
vocabulary only so that both sides are judged by the very same invariants.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sagafuzz import History, check
from sagafuzz import history as h
from sagafuzz.adapters.checkout import CHECKOUT

STEPS = [step.name for step in CHECKOUT.steps]
UNDO = "C"
DO = "F"


class HandwrittenCheckout(RuleBasedStateMachine):
    """One order; each rule lets one message or one process do something, rightly or wrongly.

    ``bug`` makes it wrong: "no-key" (the participants know no keys), "in-memory" (the log does not survive a
    crash), "failed-step-omitted" (a step that did not answer is not undone).
    """

    bug: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Any] = []
        self.log: dict[str, Any] = {}  # durable
        self.applied: dict[tuple[str, str], int] = {}  # the participants' deduplicating memory
        self.refused: set[str] = set()
        self.alive = True
        self.waiting: tuple[str, str] | None = None  # the request in flight
        self.attempt = 0
        self.message = 0
        self.last: tuple[str, str] | None = None
        self.free, self.taken = 100_000, 0
        self.note(h.BOOT, "orchestrator", data=(1, "start"))

    def note(self, kind: str, process: str, step: str = "", direction: str = "", data: Any = ()) -> None:
        saga = "" if kind in (h.BOOT, h.CRASH, h.END) else "saga-1"
        key = f"saga-1/{step}" if direction else None
        message = self.message if direction else 0
        self.rows.append((len(self.rows), kind, process, saga, step, direction, self.attempt, key, message, data))

    def write(self, record: str, step: str = "") -> None:
        self.note(h.LOG, "orchestrator", step, data=(record, 1))
        self.log[f"{record} {step}".strip()] = True
        self.note(h.LOGACK, "orchestrator", step, data=(record, 1))

    # -- the orchestrator: what is to be asked next ----------------------------------------------

    def next_request(self) -> tuple[str, str] | None:
        if "compensating" in self.log:
            for step in reversed(STEPS):
                if f"intent {step}" in self.log and f"undone {step}" not in self.log and step not in self.refused:
                    return step, UNDO
            return None
        for step in STEPS:
            if f"outcome {step}" not in self.log:
                return step, DO
        return None

    def send(self) -> None:
        step, direction = self.next_request() or ("", "")
        if not step:
            self.end()
            return
        if direction == DO and f"intent {step}" not in self.log:
            self.write("intent", step)
        self.attempt += 1
        self.message += 1
        self.waiting = (step, direction)
        operation = CHECKOUT.operation(step, direction)
        self.note(h.SEND, "orchestrator", step, direction, (operation, ()))

    def end(self) -> None:
        if "terminal" not in self.log:
            self.write("terminal")
            outcome = "compensated" if "compensating" in self.log else "completed"
            self.note(h.TERMINAL, "orchestrator", data=(outcome,))
            self.note(h.CLIENT_ACK, "client", data=(outcome,))

    def answered(self, step: str, direction: str, answer: str) -> None:
        self.note(h.ACK, "orchestrator", step, direction, (answer,))
        self.waiting = None
        if answer == "rejected":
            self.refused.add(step)
            self.write("compensating")
        else:
            self.write("outcome" if direction == DO else "undone", step)

    def give_up(self) -> None:
        assert self.waiting
        step, direction = self.waiting
        self.note(h.TIMEOUT, "orchestrator", step, direction, (1000,))
        if self.bug == "failed-step-omitted" and direction == DO:
            self.refused.add(step)
            self.write("compensating")
        self.waiting = None
        self.send()

    # -- a participant -----------------------------------------------------------------------------

    def handle(self, step: str, direction: str) -> None:
        self.note(h.DELIVER, step, step, direction, (1,))
        effective = (step, direction) not in self.applied or self.bug == "no-key"
        if direction == UNDO:
            effective = effective and (step, DO) in self.applied
        if effective:
            self.applied[step, direction] = 1
            if step == "payment":
                self.free += 100 if direction == UNDO else -100
                self.taken += -100 if direction == UNDO else 100
        balance = ("money", "customer", self.free, self.taken, self.taken, 100_000) if step == "payment" else ()
        self.note(h.APPLY, step, step, direction, (effective, "saga-1", balance))

    # -- rules -------------------------------------------------------------------------------------

    @precondition(lambda self: "create" not in self.log and self.alive)
    @rule()
    def submit(self) -> None:
        self.note(h.SUBMIT, "client", data=("item-1", 1, 100))
        self.write("create")
        self.send()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def deliver(self) -> None:
        assert self.waiting
        step, direction = self.last = self.waiting
        self.handle(step, direction)
        self.answered(step, direction, "ok")
        self.send()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def duplicate(self) -> None:
        assert self.waiting
        self.handle(*self.waiting)
        self.deliver()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def lose_ack(self) -> None:
        assert self.waiting
        self.handle(*self.waiting)
        self.give_up()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def lose_request(self) -> None:
        self.give_up()

    @precondition(
        lambda self: self.waiting is not None and self.waiting[1] == DO and (self.waiting not in self.applied)
    )
    @rule()
    def reject(self) -> None:
        assert self.waiting
        step, direction = self.waiting
        self.note(h.DELIVER, step, step, direction, (1,))
        self.note(h.REJECT, step, step, direction, ("declined",))
        self.answered(step, direction, "rejected")
        self.send()

    @precondition(lambda self: self.waiting is not None)
    @rule()
    def crash_and_recover(self) -> None:
        self.note(h.CRASH, "orchestrator", data=("killed",))
        self.note(h.BOOT, "orchestrator", data=(2, "crash"))
        self.waiting = None
        if self.bug == "in-memory":
            self.alive = False
        else:
            self.send()

    @rule()
    def advance_clock(self) -> None:
        """Time passes; the plain model has no timers, but its rules must never run out."""

    # -- judgement ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        while self.waiting is not None:
            self.deliver()
        self.note(h.END, "harness", data=("quiescent",))
        verdict = check(History(saga=CHECKOUT, sagas=("saga-1",), rows=tuple(self.rows)))
        assert not verdict.violations, verdict.violations[0].sentence
