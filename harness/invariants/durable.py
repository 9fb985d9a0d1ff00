"""The invariant over what an engine promises of crashes: I42."""

from __future__ import annotations

from typing import Any

from ..fault_kinds import FAULT_KINDS
from ..verdict import Violation
from .facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from .registry import Checked, Usual, invariant


@invariant(
    "I42",
    "durable execution",
    harm="a crash can change how a saga ends",
    holds_when="where an engine promises durable execution, a saga in which nothing but one crash happens ends as it "
    "does without it",
    cause="what was under way when a process died counts as failed, or is executed anew with other answers",
    repair="let the engine take up what was under way; where its step may have been executed, ask again under the same "
    "key rather than give up",
    remembers=("ends", "deaths"),
    apart={
        "a crash cancels": Usual(
            cause="a request that was under way when a process died is taken for one that failed, or counts as an "
            "attempt until none is left, and the saga is rolled back",
            repair="retry a step that a crash interrupted, under the same key and without counting it as a failure",
        )
    },
)
def durable_execution(facts: Facts) -> Checked:
    """Judged on real processes, where the manifest declares ``durable_execution`` and one crash is the only fault: each
    saga is to be called what it was called in the run without a fault. A saga that was refused something is left out,
    since a crash may change who comes first; so are all where there are several, but for a good order that is
    cancelled. What is wrong about how it was cancelled is I5's and I11's."""
    ends: Any = facts.history.declared.get("durable_execution")
    fired = facts.history.fired
    if not ends or len(fired) != 1 or not FAULT_KINDS[fired[0].fault.kind].kills:
        return False, ()
    changed = [saga for saga in facts.sagas.values() if _differs(facts, saga, ends)]
    return True, [_changed(saga, ends[saga.id], saga.claims[-1]) for saga in changed]


def _differs(facts: Facts, saga: SagaFacts, ends: Any) -> bool:
    if saga.id not in ends or not saga.claims or saga.claims[-1][1] == ends[saga.id]:
        return False
    if any(call.refusals for call in saga.calls.values()):
        return False
    return len(facts.history.sagas) == 1 or (ends[saga.id], saga.claims[-1][1]) == (COMPLETED, COMPENSATED)


def _changed(saga: SagaFacts, end: str, claim: tuple[int, str, bool]) -> Violation:
    position, outcome, _ = claim
    cancels = (end, outcome) == (COMPLETED, COMPENSATED)
    return Violation(
        invariant="I42",
        anomaly="a crash cancels" if cancels else "a crash changes the end",
        sentence=f"{saga.id} is {end} without a fault, and was {outcome} although nothing but a crash happened",
        expected=end,
        got=outcome,
        saga=saga.id,
        position=position,
    )
