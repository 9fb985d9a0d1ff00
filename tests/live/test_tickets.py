"""A ticket calls a person, in both worlds alike, as soon as its service has taken it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz import Fault, Plan, Site
from sagafuzz.faults import AT_SEND
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Run, Setup, simulate

from .conftest import run_plans

TICKETS = Path(__file__).with_name("own_tickets.py")
NOTHING = Plan()


def told(setup: Setup, run: Run, plan: Plan = NOTHING) -> tuple[list[tuple[str, str]], list[str]]:
    """To what a person was called, and what is broken."""
    history = run.history(setup, plan)
    called = [(event.kind, event.step) for event in history.events if event.kind in ("ALERT", "DEAD_LETTER")]
    return called, [found.anomaly for found in check(history).violations]


def loaded(spec: str) -> Setup:
    adapter = load(spec)
    return Setup(adapter=adapter, scenario=adapter.scenarios[0])


@pytest.mark.parametrize(("name", "aside"), [("Declared", "pay"), ("OfTheWhole", "")])
def test_a_ticket_puts_aside_what_it_names(name: str, aside: str) -> None:
    expected: tuple[object, object] = [("DEAD_LETTER", aside), ("ALERT", aside)], []
    there, here = loaded(f"{TICKETS}:{name}"), loaded(f"live:{TICKETS}:{name}")
    assert told(there, simulate(there, Plan())) == expected
    (ran,) = run_plans(here, Plan())
    assert not ran.blocked
    assert told(here, ran.run) == expected


def test_a_request_that_is_not_declared_to_be_a_ticket_calls_nobody() -> None:
    setup = loaded(f"{TICKETS}:Silent")
    assert told(setup, simulate(setup, Plan())) == ([], ["nobody called"])


def test_a_ticket_that_never_arrived_called_nobody() -> None:
    setup = loaded(f"{TICKETS}:Declared")
    lost = [Fault(kind="lost-request", site=Site("saga-1", "desk.open", "Q", AT_SEND, nth)) for nth in (1, 2, 3)]
    plan = Plan(faults=tuple(lost))
    run = simulate(setup, plan)
    assert len(run.fired) == 3
    assert told(setup, run, plan) == ([], ["nobody called"])
