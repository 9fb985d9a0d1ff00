"""What was not exercised at all, so that no verdict follows: nothing asked, nothing completed, nothing injected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def never_asked(*scenarios: str) -> str:
    """What is said of scenarios in which no request was sent."""
    return (
        f"{_named(scenarios)} sent no request: the code under test asks no participant, so nothing was tested; "
        f"look at whether it reaches them by world.call"
    )


def never_completed(*scenarios: str, struck: bool = False) -> str:
    """What is said of scenarios that are meant to succeed and do not complete; ``struck``: they do where a fault
    strikes."""
    several = len(scenarios) > 1
    return (
        f"{_named(scenarios)} {_how(struck, several=several)}, and nothing refuses {'their' if several else 'its'} "
        f"orders; look first at how the code under test is wired, or write succeeds=False in the Scenario"
    )


def _how(struck: bool, *, several: bool = False) -> str:
    s = "" if several else "s"
    return f"complete{s} only where a fault strikes" if struck else f"never complete{s}, not even without a fault"


def _named(scenarios: Sequence[str]) -> str:
    """``scenario declined``, or ``scenarios succeeds, declined and two-at-once``."""
    *before, last = scenarios
    return f"scenarios {', '.join(before)} and {last}" if before else f"scenario {last}"


def doubted(finding: Finding, scenarios: Iterable[ScenarioResult]) -> Finding:
    """The finding, with a note where its scenario does not complete without a fault: then what a fault breaks is not
    what to mend first."""
    for found in scenarios:
        if found.scenario == finding.scenario and found.counts.run and found.sends and not found.completes:
            note = f"scenario {found.scenario.name} {_how(found.ever_completes)}: look at that first"
            return replace(finding, notes=(*finding.notes, note))
    return finding


def vacuous(scenarios: Iterable[ScenarioResult]) -> Iterator[str]:
    """A sentence for the scenarios that were run and asked for nothing, for those that never completed, and for those
    that did only where a fault struck."""
    run = [found for found in scenarios if found.counts.run]
    if silent := [found.scenario.name for found in run if not found.sends]:
        yield never_asked(*silent)
    for struck in (False, True):
        open_ = [found for found in run if found.sends and not found.completes and found.ever_completes is struck]
        if open_:
            yield never_completed(*(found.scenario.name for found in open_), struck=struck)


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
