"""The invariant over whose rows compensations touch: I18."""

from __future__ import annotations

from ..saga import COMPENSATION, FORWARD
from ..verdict import Violation
from .facts import Facts, SagaFacts
from .registry import Checked, invariant


@invariant(
    "I18",
    "ownership",
    harm="an undo can take what belongs to another saga",
    by_prefix=True,
    holds_when="a compensation touches only what its own saga took",
    cause="an undo that carries no id of what it undoes, or state that outlives one run",
    repair="let the forward step return an id, keep it durably, and undo by that id",
    remembers=("sums",),
    explains=("I17", "I2", "I3", "I13", "I16"),
)
def ownership(facts: Facts) -> Checked:
    """No effective undo of another saga's row, or of nothing, where the participant shows whose row it was: one of
    one's own does by ``tx.owner``. Where counters are shown, I17 sees it too. It explains what is then missing, or
    seems to be left, of the saga whose row it was."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        for step, call in saga.back.items():
            for position, _, owner in call.effective:
                if owner is None:
                    continue
                exercised = True
                if owner == saga.id:
                    continue
                operation = facts.saga.operation(step, COMPENSATION)
                how = f"on what {owner} holds" if owner else _on_nothing(facts, saga, step, position)
                found.append(
                    Violation(
                        invariant="I18",
                        anomaly="undo of another's" if owner else "undo of nothing",
                        sentence=f"{operation} for {saga.id}{facts.hand(position)} took effect {how}",
                        expected=f"an effect only on what {saga.id} took",
                        got=f"an effect on {f'what {owner} holds' if owner else 'nothing of its own'}",
                        saga=saga.id,
                        step=step,
                        direction=COMPENSATION,
                        position=position,
                        harms=owner,
                    )
                )
    return exercised, found


def _on_nothing(facts: Facts, saga: SagaFacts, step: str, position: int) -> str:
    """Say why an undo found nothing of its saga's."""
    forward, operation = saga.calls.get((step, FORWARD)), facts.saga.operation(step, FORWARD)
    if forward is None or not any(at < position for at, _, _ in forward.effective):
        return f"although {operation} had taken nothing"
    return f"although all that {operation} took had been given back"
