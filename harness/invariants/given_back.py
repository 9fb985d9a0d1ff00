"""Amounts that are given back in parts, under a key each: which part is which (I1)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..history import MSG, PROCESS
from ..saga import COMPENSATION
from ..verdict import Violation
from .calls import CallFacts
from .facts import Facts, SagaFacts
from .knowledge import knew
from .parts import amount_at, spelled


def intent_of(key: str | None, message: int) -> str | int:
    """Return what tells requests of one intent from others: their key, or the message itself where it has none."""
    return message if key is None else key


def given_back_anew(facts: Facts, saga: SagaFacts, step: str) -> Iterator[Violation]:
    """Parts of an amount that were given back once more under another key, for their own was lost sight of."""
    call, field, rows = saga.calls[step, COMPENSATION], saga.definition.by_name[step].amount, facts.history.rows
    if field is None or saga.handed_over(step) or saga.definition.by_name[step].participant in saga.asked:
        return
    asked: dict[str | int, list[tuple[int, int]]] = {}
    for sent, message, key in call.sends:
        asked.setdefault(intent_of(key, message), []).append((sent, message))
    done = {intent_of(key, rows[at][MSG]): at for at, key, _ in reversed(call.effective)}  # where each did first
    parts = [(intent, done[intent]) for intent in asked if intent in done]
    for nth, (intent, at) in enumerate(parts):
        for first, before in parts[:nth]:
            amount = amount_at(rows, call, at, field)
            same = amount is not None and amount == amount_at(rows, call, before, field)
            if same and _lost_sight_of(facts, call, asked[first], asked[intent][0][0]):
                named = [repr(key) for key in (first, intent) if isinstance(key, str)]
                keys = f"under {' and '.join(named)}" if len(named) > 1 else "without a key of its own"
                operation = facts.saga.operation(step, COMPENSATION)
                yield Violation(
                    invariant="I1",
                    anomaly="duplicate effect",
                    sentence=f"{operation} for {saga.id} gave back {spelled(amount or Fraction(0))} twice, {keys}: "
                    f"the second was sent when nobody knew what had become of the first",
                    expected=f"the same key again after an unknown outcome of {operation}",
                    got=f"once more, {keys}",
                    saga=saga.id,
                    step=step,
                    direction=COMPENSATION,
                    position=max(at, before),
                )
                return


def _lost_sight_of(facts: Facts, call: CallFacts, requests: list[tuple[int, int]], at: int) -> bool:
    """True if nobody who acts at ``at`` can know what became of the ``requests`` of one intent, none is waited for any
    more, and it is not asked for again."""
    rows = facts.history.rows
    messages = {message for _, message in requests}
    if requests[-1][0] > at:
        return False
    told = [when for m, (when, answer) in call.answers.items() if call.told.get(m, m) in messages and answer != "error"]
    if told and (max(told) > at or facts.history.declared.get("hidden_writes")):
        return False
    died = [(death, process) for death, process in facts.deaths if death < at]
    for learnt in told:
        lives = not any(death > learnt and process == rows[learnt][PROCESS] for death, process in died)
        if lives or knew(facts, learnt, at):
            return False
    return all(
        call.given_up.get(message, at) < at
        or call.answers.get(message, (at, ""))[0] < at
        or any(sent < death < at and process == rows[sent][PROCESS] for death, process in facts.deaths)
        for sent, message in requests
    )
