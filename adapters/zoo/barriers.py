"""Participants: what they remember of the requests that they have seen, and when."""

from __future__ import annotations

import time
from typing import Any

from ...participant import Request, Transaction
from ...ports import CallTimeout, Rejected
from ...saga import Step
from ...scenario import Scenario
from .host import MutableOrchestrator, RetryPolicy
from .parts import DECLINED, LEASE_S, SUCCEEDS, KeyedParticipant, Mutant, system, told, with_service

WORK_S = 0.002
"""How long a service works on a request."""

OVER = Scenario(name="over-the-limit", amounts=(1500,))
LIMIT = 1000


class Claiming(KeyedParticipant):
    """Right: it claims a key as the first thing it does, and who comes while it works has to come again."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} {request.key}"
        claimed = tx.memory.get(f"claim of {mark}")
        if claimed is not None and time.monotonic() - claimed < WORK_S:
            raise RuntimeError("in progress")
        if claimed is None:
            tx.memory[f"claim of {mark}"] = time.monotonic()
        return super().handle(request, tx)


class CheckThenAct(KeyedParticipant):
    """Looks a key up, works for two milliseconds, and then notes it: nothing stands between two that look at once."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} {request.key}"
        noted = tx.memory.setdefault(f"noting {mark}", time.monotonic() + WORK_S)
        if time.monotonic() < noted:
            tx.memory.pop(mark, None)  # what is not noted yet, nobody finds
        return super().handle(request, tx)


class EffectOutsideClaim(Claiming):
    """Has its effect first, and claims the key in a transaction of its own."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "F" and f"C {request.key}" not in tx.memory:
            claimed = tx.memory.get(f"claim of F {request.key}")
            if claimed is not None and time.monotonic() - claimed < WORK_S:
                self.do(request, tx)
                return {}
        return super().handle(request, tx)


class RefundReruns(KeyedParticipant):
    """Remembers what it has done, and not what it has undone: a second refund pays back once more."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "C" and f"F {request.key}" in tx.memory:
            tx.memory[f"C {request.key}"] = {}
            tx.state["paid back"] = tx.state.get("paid back", 0) + 1
            return {}
        return super().handle(request, tx)


class RefundsOnce(RefundReruns):
    """Right: it pays back once a key."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "C" and f"C {request.key}" in tx.memory:
            return {}
        return super().handle(request, tx)


class AsksOnce(MutableOrchestrator):
    """Right: asks for each step once; what did not answer is undone a second later."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return self._call(state, step, step.operation)
        except CallTimeout:
            self._world.sleep(1)
            raise


class TombstoneUncommitted(KeyedParticipant):
    """Answers an undo of what it has not done, and leaves no mark of it: the request that comes late is done."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "C" and f"F {request.key}" not in tx.memory:
            return {}
        return super().handle(request, tx)


class NullRollbackDeadlock(KeyedParticipant):
    """An undo of what it has not done locks the row and waits for the request, which waits for the lock."""

    def __init__(self) -> None:
        self.locked: set[str] = set()

    def handle(self, request: Request, tx: Transaction) -> Any:
        key = str(request.key)
        if f"F {key}" not in tx.memory:
            if request.direction == "F" and key in self.locked:
                raise RuntimeError("waits for the lock of the rollback")
            if request.direction == "C":
                self.locked.add(key)
                raise RuntimeError("waits for the request")
        return super().handle(request, tx)


class Limited(KeyedParticipant):
    """Right: it refuses what is above its limit."""

    def do(self, request: Request, tx: Transaction) -> Any:
        if request.payload["amount"] > LIMIT:
            raise Rejected("over the limit")
        return super().do(request, tx)


class BarrierEatsRefusal(Limited):
    """The barrier around the business code catches its refusal, and answers that all went well."""

    def do(self, request: Request, tx: Transaction) -> Any:
        try:
            return super().do(request, tx)
        except Rejected:
            return {}


class InFlightRedelivery(KeyedParticipant):
    """A consumer notes what it has handled when it is done; the broker hands the message out again before that."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} {request.key}"
        done_at = tx.memory.get(f"done {mark}")
        if done_at is None or time.monotonic() < done_at:
            tx.memory.pop(mark, None)
            tx.memory[f"done {mark}"] = time.monotonic() + 2.0
        return super().handle(request, tx)


PATIENT = RetryPolicy(forward_attempts=5, undo_attempts=1_000)

MUTANTS = (
    Mutant(
        name="check-then-act",
        adapter=with_service(CheckThenAct, lease_s=LEASE_S),
        twin=with_service(Claiming, lease_s=LEASE_S),
        invariants=("I1",),
        faults=1,
        schedule="duplicate at saga-1: payment forward, send",
        source="pay-connector#4460",
        concurrency=True,
    ),
    Mutant(
        name="effect-outside-claim",
        adapter=with_service(EffectOutsideClaim),
        twin=with_service(Claiming),
        invariants=("I1",),
        faults=1,
        schedule="second-orchestrator at saga-1: write 'intent payment'",
        source="open-mercato#4035",
        concurrency=True,
    ),
    Mutant(
        name="refund-reruns",
        adapter=with_service(RefundReruns, "inventory", scenario=DECLINED),
        twin=with_service(RefundsOnce, "inventory", scenario=DECLINED),
        invariants=("I9", "I1"),
        faults=1,
        schedule="partition-answers at saga-1: inventory forward, send",
        source="elizaOS/eliza#10930",
    ),
    Mutant(
        name="tombstone-uncommitted",
        adapter=system(AsksOnce, about=told(TombstoneUncommitted), participants={"payment": TombstoneUncommitted}),
        twin=system(AsksOnce, about=told(KeyedParticipant), participants={"payment": KeyedParticipant}),
        invariants=("I7", "I8"),
        faults=1,
        schedule="reordered at saga-1: payment forward, send",
        source="seata-go#684",
    ),
    Mutant(
        name="null-rollback-deadlock",
        adapter=with_service(NullRollbackDeadlock, policy=PATIENT),
        twin=with_service(KeyedParticipant, policy=PATIENT),
        invariants=("I3", "I7"),
        faults=1,
        schedule="participant-outage at saga-1: payment forward, effect",
        source="incubator-seata#6679",
        concurrency=True,
    ),
    Mutant(
        name="barrier-eats-refusal",
        adapter=with_service(BarrierEatsRefusal, scenario=OVER),
        twin=with_service(Limited, scenario=OVER),
        invariants=("I23",),
        faults=0,
        schedule="no fault",
        source="the PHP client of dtm, #66",
    ),
    Mutant(
        name="in-flight-redelivery",
        adapter=with_service(InFlightRedelivery),
        twin=with_service(KeyedParticipant, scenario=SUCCEEDS),
        invariants=("I1",),
        faults=1,
        schedule="second-orchestrator at saga-1: write 'intent payment'",
        source="celery#5935, dapr#9903",
        timing=True,
    ),
)
