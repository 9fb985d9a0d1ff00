"""The compensation algebra (I9) on a participant itself, without an orchestrator.

Hypothesis draws what other sagas did before; then a step and its undo are applied in the orders that a
network can bring them in, and the participant's business state is compared:

    F · F = F        a step that comes twice is the step
    C · C = C        an undo that comes twice is the undo
    C · F = C        a step after its undo does nothing      (also when it had been done before)
    F · C = nothing  an undo after its step leaves what was there before
    C     = nothing  an undo of what was never done changes nothing
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast

import hypothesis
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from ..errors import UsageError, nearest
from ..participant import Participant
from ..saga import COMPENSATION, FORWARD, Saga
from ..scenario import Scenario
from ..simulator.counters import LEDGERS
from ..simulator.message import Message
from ..simulator.own import UserParticipant
from ..simulator.participants import REJECTED, Ledger
from ..verdict import Violation
from .seeding import by_the_seed_alone

LAWS: Final[Mapping[str, tuple[str, str]]] = {
    "F·F = F": ("FF", "F"),
    "C·C = C": ("FCC", "FC"),
    "C·F = C": ("CF", "C"),
    "F·C·F = F·C": ("FCF", "FC"),
    "F·C = nothing": ("FC", ""),
    "C = nothing": ("C", ""),
}
"""Each law as two sequences of steps (F) and undos (C) that must leave the same business state."""


class Asked(NamedTuple):
    """A request as a participant sees it."""

    operation: str
    saga: str
    step: str
    direction: str
    key: str
    payload: dict[str, Any]


Before = tuple[list[tuple[int, bool]], bool]
"""What happened before: (number of another saga, whether its step was undone), and whether the participant
restarts after each request, losing what it holds in memory only."""


def check_algebra(
    participant: str | Callable[[], Participant],
    saga: Saga,
    step: str,
    *,
    payload: Mapping[str, Any] | None = None,
    undo_payload: Mapping[str, Any] | None = None,
    examples: int = 50,
    seed: int = 0,
) -> tuple[Violation, ...]:
    """The laws that ``participant`` breaks for one step of ``saga``, each with the smallest past that shows it.

    ``participant`` is a class of the user's, or the name of a built-in one. ``payload`` and ``undo_payload`` are what
    the requests carry.
    """
    found = saga.by_name.get(step)
    if found is None:
        raise UsageError(f"check_algebra: {saga.name!r} has no step {step!r}{nearest(step, saga.by_name)}")
    if found.undo is None:
        raise UsageError(f"check_algebra: the step {step!r} has no undo, so there is no algebra; name one that has")
    bench = _Bench(participant, saga, step, dict(payload or {}), dict(undo_payload or payload or {}))
    past = st.tuples(st.lists(st.tuples(st.integers(2, 4), st.booleans()), max_size=4), st.booleans())
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def smallest(laws: Collection[str]) -> Before | None:
        """The smallest past after which one of the laws is broken, if Hypothesis finds any."""
        with suppress(NoSuchExample), by_the_seed_alone():
            return hypothesis.find(
                past,
                lambda before: any(not bench.holds(law, before) for law in laws),
                settings=settings,
                random=random.Random(seed),
            )
        return None

    if smallest(LAWS) is None:
        return ()
    broken = ((law, smallest((law,))) for law in LAWS)
    return tuple(_broken(bench, law, before) for law, before in broken if before is not None)


class _Bench:
    """Brings a fresh participant into a state."""

    def __init__(
        self,
        participant: str | Callable[[], Participant],
        saga: Saga,
        step: str,
        payload: dict[str, Any],
        undo_payload: dict[str, Any],
    ) -> None:
        self.participant = participant
        self.saga = saga
        self.step = step
        self.payloads = {FORWARD: payload, COMPENSATION: undo_payload}

    def fresh(self) -> Ledger | UserParticipant:
        scenario = Scenario(sagas=4)
        if callable(self.participant):
            return UserParticipant(self.participant, scenario)
        return LEDGERS.get(self.participant, Ledger)(
            scenario, {order.id: order for order in scenario.orders}, terms=self.saga.terms
        )

    def state(self, before: Before, sequence: Sequence[str]) -> Any:
        """The business state after the past and then ``sequence`` of saga-1's requests."""
        others, restarts = before
        service = self.fresh()
        for number, undone in others:
            for direction in (FORWARD, COMPENSATION)[: 1 + undone]:
                self.ask(service, f"saga-{number}", direction)
        for direction in sequence:
            self.ask(service, "saga-1", direction)
            if restarts:
                service.restart()
        return business(service)

    def holds(self, law: str, before: Before) -> bool:
        one, other = LAWS[law]
        return bool(self.state(before, one) == self.state(before, other))

    def ask(self, service: Ledger | UserParticipant, saga: str, direction: str) -> bool:
        """One request under the key that an attempt would have again; whether it was not refused."""
        operation = self.saga.operation(self.step, direction)
        asked = Asked(operation, saga, self.step, direction, f"{saga}/{operation}", self.payloads[direction])
        return service.handle(cast("Message", asked)).answer != REJECTED


def business(service: Ledger | UserParticipant) -> Any:
    """What a participant holds for the business, without what it keeps to know requests again."""
    if isinstance(service, UserParticipant):
        return {name: value for name, value in service.durable.state.items() if value}  # none is as good as zero
    rows = sorted((row.saga, row.step, row.subject, row.amount, row.confirmed) for row in service.rows)
    taken = {subject: amount for subject, amount in getattr(service, "taken", {}).items() if amount}
    return rows, taken


def _broken(bench: _Bench, law: str, before: Before) -> Violation:
    one, other = LAWS[law]
    others, restarts = before
    operation = bench.saga.operation(bench.step, COMPENSATION if other in ("", "C", "FC") else FORWARD)
    past = ", ".join(f"saga-{number} {'did and undid it' if undone else 'did it'}" for number, undone in others)
    circumstances = [f"after {past}"] * bool(past) + ["with a restart after each request"] * restarts
    return Violation(
        invariant="I9",
        anomaly=law,
        sentence=f"{bench.step} breaks {law}" + "".join(f", {each}" for each in circumstances),
        expected=str(bench.state(before, other)),
        got=str(bench.state(before, one)),
        saga="saga-1",
        step=bench.step,
        direction=bench.saga.by_operation[operation][1],
    )
