"""A kind that is made of known effects strikes real processes too: nothing else has to be told of it."""

from __future__ import annotations

import pytest

from sagafuzz.effects import AFTER, AT_EFFECT, AT_SEND, Crash, DeliverAgain, Effect, JumpClock, LoseRequest, Mute
from sagafuzz.effects import RestartParticipant as Restart
from sagafuzz.fault_kinds import FaultKind, registered
from sagafuzz.faults import Fault, Plan, Site
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import run


@pytest.mark.parametrize(
    ("phase", "effects", "first"),
    [
        (AT_SEND, (LoseRequest(), Crash(when=AFTER)), ["CRASH", "BOOT"]),
        (AT_SEND, (DeliverAgain(), Mute(for_ms=100, live_ms=20)), ["DELIVER", "APPLY", "DELIVER", "APPLY", "LOST"]),
        (AT_EFFECT, (Restart(for_ms=50, live_ms=5), Crash(when=AFTER)), ["APPLY", "DOWN", "CRASH", "BOOT"]),
    ],
)
def test_effects_come_in_their_order(phase: str, effects: tuple[Effect, ...], first: list[str]) -> None:
    kind = FaultKind(name="dummy", phase=phase, effects=effects, meaning="")
    with registered(kind):
        adapter = load("live:reference")
        setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
        plan = Plan(faults=(Fault(kind="dummy", site=Site("saga-1", "payment", "F", phase, 1)),))
        live = run(setup, plan)
        ((at, _),) = live.run.fired
        assert [row[1] for row in live.run.rows[at:]][: len(first)] == first
        assert check(live.run.history(setup, plan)).conclusion == "consistent"


def test_one_that_only_the_simulator_can_do_is_not_tried_live() -> None:
    kind = FaultKind(name="dummy", phase=AT_SEND, effects=(LoseRequest(), JumpClock(by_s=60)), meaning="")
    with registered(kind):
        simulated, live = load("reference"), load("live:reference")
        assert "dummy" in Setup(adapter=simulated, scenario=simulated.scenarios[0]).kinds
        setup = Setup(adapter=live, scenario=live.scenarios[0])
        assert "dummy" not in setup.kinds
        assert setup.refusal("dummy") == "no system of real processes can be made to suffer it from outside"
