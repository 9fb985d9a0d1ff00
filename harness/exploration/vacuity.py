"""What was not exercised at all, so that no verdict follows: nothing asked, nothing completed, nothing injected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..history import APPLY, CLIENT_ACK, DATA, DIRECTION, KIND, OUTCOME, PROCESS, REJECT, SAGA, SEND, STEP, TERMINAL
from ..saga import COMPENSATION, FORWARD, Outcome
from ..simulator import Run, Setup
from ..verdict import RandomResult, ScenarioResult


def sends(run: Run) -> bool:
    """Whether a request was sent."""
    return any(row[KIND] == SEND for row in run.rows)


def completes(run: Run, setup: Setup) -> bool:
    """Whether a saga completed: somebody was told so, or all its steps took effect and none was undone."""
    if any(row[KIND] in (CLIENT_ACK, TERMINAL) and row[DATA][OUTCOME] == Outcome.COMPLETED.value for row in run.rows):
        return True
    done: dict[str, set[str]] = {}
    undone: set[str] = set()
    for row in run.rows:
        if row[KIND] == APPLY and row[DIRECTION] == FORWARD:
            done.setdefault(row[SAGA], set()).add(row[STEP])
        elif row[KIND] == APPLY and row[DIRECTION] == COMPENSATION:
            undone.add(row[SAGA])
    steps = set(setup.adapter.saga.by_name)
    return any(done[saga] >= steps and saga not in undone for saga in done)


def refused_by_its_own(run: Run, setup: Setup) -> bool:
    """Whether a participant of the user's own refused a request: what that one refuses no scenario says."""
    return any(row[KIND] == REJECT and row[PROCESS] in setup.adapter.participants for row in run.rows)


def waited_in_vain(run: Run) -> bool:
    """Whether the client of a saga was told 'pending', and later that it is compensated: it waited for somebody outside
    of the model, a confirmation say, and its time ran out."""
    told = [(row[SAGA], row[DATA][OUTCOME]) for row in run.rows if row[KIND] == CLIENT_ACK]
    pending = {saga for saga, outcome in told if outcome == Outcome.PENDING.value}
    return any(saga in pending and outcome == Outcome.COMPENSATED.value for saga, outcome in told)


def meant_to_succeed(run: Run, setup: Setup) -> bool:
    """Whether the orders of the scenario are meant to go through, as far as its run without a fault can tell."""
    scenario = setup.scenario
    otherwise = refused_by_its_own(run, setup) or waited_in_vain(run)
    return scenario.meant_to_succeed and (scenario.succeeds is True or not otherwise)


def never_asked(scenarios: Iterable[ScenarioResult]) -> Iterator[str]:
    """A sentence for each scenario in which no request was sent."""
    for found in scenarios:
        if found.counts.run and not found.sends:
            yield (
                f"scenario {found.scenario.name} sent no request: the code under test asks no participant, so nothing "
                f"was tested; look at whether it reaches them by world.call"
            )


def never_completed(scenarios: Iterable[ScenarioResult]) -> Iterator[str]:
    """A sentence for each scenario that is meant to succeed and completes in no run."""
    for found in scenarios:
        if found.counts.run and found.sends and not found.ever_completes:
            yield (
                f"scenario {found.scenario.name} never completes, not even without a fault, and nothing refuses its "
                f"orders; look at how the code under test is wired, or write succeeds=False in the Scenario"
            )


def nothing_injected(fired: int, machine: RandomResult) -> str:
    """A sentence where no fault struck in the whole campaign, "" where one did. ``fired`` counts those of all plans."""
    if fired or machine.faults:
        return ""
    return (
        "no fault was injected, so nothing is known of what faults do; allow one or more of a kind that can strike, "
        "or examples of the state machine"
    )
