"""What was not exercised at all, so that no verdict follows: nothing asked, nothing completed, nothing injected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ..history import APPLY, CLIENT_ACK, DATA, DIRECTION, KIND, OUTCOME, PROCESS, REJECT, SAGA, SEND, STEP, TERMINAL
from ..saga import COMPENSATION, FORWARD, Outcome, split
from ..simulator import Run, Setup
from ..verdict import Finding, ScenarioResult


def sends(run: Run) -> bool:
    """True if a request was sent."""
    return any(row[KIND] == SEND for row in run.rows)


def completes(run: Run, setup: Setup) -> bool:
    """True if a saga completed: somebody was told so, or all its steps took effect and none was undone."""
    if any(row[KIND] in (CLIENT_ACK, TERMINAL) and row[DATA][OUTCOME] == Outcome.COMPLETED.value for row in run.rows):
        return True
    done: dict[str, set[str]] = {}
    undone: set[str] = set()
    for row in run.rows:
        if row[KIND] == APPLY and row[DIRECTION] == FORWARD:
            done.setdefault(row[SAGA], set()).add(split(row[STEP])[0])
        elif row[KIND] == APPLY and row[DIRECTION] == COMPENSATION:
            undone.add(row[SAGA])
    return any(saga not in undone and steps >= _needed(setup, saga) for saga, steps in done.items())


def _needed(setup: Setup, saga: str) -> set[str]:
    """The steps without which a saga cannot have completed, as far as participants are asked for them."""
    definition = setup.definition(saga)
    return definition.by_name.keys() - definition.grouped - definition.children.keys()


def refused_by_its_own(run: Run, setup: Setup) -> bool:
    """True if a participant of the user's own refused a request: what that one refuses no scenario says."""
    return any(row[KIND] == REJECT and row[PROCESS] in setup.adapter.participants for row in run.rows)


def waited_in_vain(run: Run) -> bool:
    """True if the client of a saga was told 'pending', and later that it is compensated: it waited for somebody outside
    of the model, a confirmation say, and its time ran out."""
    told = [(row[SAGA], row[DATA][OUTCOME]) for row in run.rows if row[KIND] == CLIENT_ACK]
    pending = {saga for saga, outcome in told if outcome == Outcome.PENDING.value}
    return any(saga in pending and outcome == Outcome.COMPENSATED.value for saga, outcome in told)


def meant_to_succeed(run: Run, setup: Setup) -> bool:
    """True if the orders of the scenario are meant to go through, as far as its run without a fault can tell."""
    scenario = setup.scenario
    otherwise = refused_by_its_own(run, setup) or waited_in_vain(run)
    return scenario.meant_to_succeed and (scenario.succeeds is True or not otherwise)


def never_asked(scenario: str) -> str:
    """What is said of a scenario in which no request was sent."""
    return (
        f"scenario {scenario} sent no request: the code under test asks no participant, so nothing was tested; "
        f"look at whether it reaches them by world.call"
    )


def never_completed(scenario: str, *, struck: bool = False) -> str:
    """What is said of a scenario that is meant to succeed and does not complete; ``struck``: it does where a fault
    strikes."""
    return (
        f"scenario {scenario} {_how(struck)}, and nothing refuses its orders; look first at how the code under test is "
        f"wired, or write succeeds=False in the Scenario"
    )


def _how(struck: bool) -> str:
    return "completes only where a fault strikes" if struck else "never completes, not even without a fault"


def doubted(finding: Finding, scenarios: Iterable[ScenarioResult]) -> Finding:
    """The finding, with a note where its scenario does not complete without a fault: then what a fault breaks is not
    what to mend first."""
    for found in scenarios:
        if found.scenario == finding.scenario and found.counts.run and found.sends and not found.completes:
            note = f"scenario {found.scenario.name} {_how(found.ever_completes)}: look at that first"
            return replace(finding, notes=(*finding.notes, note))
    return finding


def vacuous(scenarios: Iterable[ScenarioResult]) -> Iterator[str]:
    """A sentence for each scenario that was run and showed nothing."""
    for found in scenarios:
        if not found.counts.run:
            continue
        if not found.sends:
            yield never_asked(found.scenario.name)
        elif not found.completes:
            yield never_completed(found.scenario.name, struck=found.ever_completes)


def vacuous_run(run: Run, setup: Setup) -> str:
    """The same of a run without a fault, "" where it asks and completes, or is not meant to."""
    if not sends(run):
        return never_asked(setup.scenario.name)
    if not completes(run, setup) and meant_to_succeed(run, setup):
        return never_completed(setup.scenario.name)
    return ""


NOTHING_INJECTED: Final = (
    "no fault was injected, so nothing is known of what faults do; allow one or more of a kind that can strike, "
    "or examples of the state machine"
)
