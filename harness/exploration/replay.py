"""Findings written so that they can be run again: one readable JSON file each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

from .. import __version__
from ..errors import UsageError
from ..faults import Fault, Plan, Site
from ..history import History
from ..invariants import rules_of
from ..plain import Malformed, to_brief
from ..ports import Adapter
from ..scenario import Scenario
from ..simulator import Setup, simulate
from ..verdict import Finding, Violation
from ..versioned import FileForm
from .driver import Action, replay_actions
from .judge import seen_again, told_beside, why_undecided
from .parting import first_difference

REPLAY_VERSION: Final = 1
REPEATS: Final = 3

Result: TypeAlias = Literal["FIXED", "STILL FAILS", "FLAKY", "CANNOT RUN"]


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """The violation of a schedule, as it was seen: see `Violation`."""

    invariant: str
    anomaly: str
    step: str
    direction: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A schedule to run again, as it stands in its file: a plan of faults, or the actions of the state machine; the
    other is None. ``sagafuzz`` is the version that wrote it."""

    sagafuzz_replay: int
    sagafuzz: str
    id: str
    adapter: str
    scenario: Scenario
    faults: tuple[Fault, ...] | None
    yields: tuple[Site, ...] = ()
    actions: tuple[Action, ...] | None
    violation: Symptom
    history_digest: str

    def __post_init__(self) -> None:
        if self.faults is None and self.actions is None:
            raise Malformed((), "faults = None and actions = None; write a list of tables for one of them")

    @cached_property
    def plan(self) -> Plan | None:
        """The plan to run; None for a schedule of actions."""
        return None if self.faults is None else Plan(faults=self.faults, yields=self.yields)

    @property
    def signature(self) -> tuple[str, str, str, str]:
        """By which the violation is known again."""
        symptom = self.violation
        return (symptom.invariant, symptom.anomaly, symptom.step, symptom.direction)


FORM: Final = FileForm(
    called="replay file",
    marker="sagafuzz_replay",
    version=REPLAY_VERSION,
    kind=Replay,
    instead="an F-….json of a report",
)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of it. ``violation`` and ``history`` are of the last run that could be made."""

    result: Result
    reason: str = ""
    violation: Violation | None = None
    history: History | None = None


def to_text(finding: Finding, spec: str) -> str:
    """The replay file of ``finding`` on the adapter that ``spec`` names."""
    plan, violation = finding.plan, finding.violation
    content = to_brief(
        Replay(
            sagafuzz_replay=REPLAY_VERSION,
            sagafuzz=__version__,
            id=finding.id,
            adapter=spec,
            scenario=finding.scenario,
            faults=plan.faults if plan is not None else None,
            yields=plan.yields if plan is not None else (),
            actions=finding.actions if plan is None else None,
            violation=Symptom(
                invariant=violation.invariant,
                anomaly=violation.anomaly,
                step=violation.step,
                direction=violation.direction,
                sentence=violation.sentence,
            ),
            history_digest=finding.history.digest,
        )
    )
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return (text if text.replace("\n", "").isprintable() else json.dumps(content, indent=2)) + "\n"


def from_text(text: str, name: str) -> Replay:
    """Read a replay file called ``name``. Raises UsageError in one line for anything else."""
    recorded: Replay = FORM.read(text, name)
    return recorded


def replay(recorded: Replay, adapter: Adapter) -> Replayed:
    """Run a recorded schedule again, a few times, and say what became of its violation."""
    setup = Setup(adapter=adapter, scenario=recorded.scenario)
    if reason := obstacle(recorded, setup):
        return Replayed(result="CANNOT RUN", reason=reason)
    histories: list[History] = []
    seen, history = [], None
    for _ in range(REPEATS):
        if recorded.plan is not None:
            run = simulate(setup, recorded.plan)
            struck = {*run.idle, *(index for _, index in run.fired)}
            missing = [fault for number, fault in enumerate(recorded.plan.faults) if number not in struck]
            history = run.history(setup, recorded.plan)
            if missing:
                return Replayed(result="CANNOT RUN", reason=f"never fired: {missing[0]}", history=history)
        else:
            try:
                history = replay_actions(setup, recorded.actions or ())
            except UsageError as error:
                return Replayed(result="CANNOT RUN", reason=str(error))
        histories.append(history)
        seen.append(seen_again(setup, history, recorded.signature))
    if found := next(filter(None, (first_difference(histories[0], other) for other in histories[1:])), ""):
        digests = {each.digest for each in histories}
        reason = f"{len(digests)} different histories in {REPEATS} runs: {found}"
        return Replayed(result="FLAKY", reason=reason, history=history)
    if seen[-1].violation is None:
        why = why_undecided(setup, histories[-1], recorded.signature[0])
        return Replayed(result="CANNOT RUN" if why else "FIXED", reason=why or told_beside(seen[-1]), history=history)
    return Replayed(result="STILL FAILS", violation=seen[-1].violation, history=history)


def obstacle(recorded: Replay, setup: Setup) -> str:
    """Why it cannot even be begun, "" where it can."""
    if reason := unjudged(recorded, setup):
        return reason
    plan = recorded.plan
    named = [*(fault.site for fault in plan.faults), *plan.yields] if plan is not None else []
    unknown = [site for site in named if site.saga not in setup.known]
    return f"the scenario has no {unknown[0].saga}" if unknown else ""


def unjudged(recorded: Replay, setup: Setup) -> str:
    """That nothing judges by the invariant that it broke, "" where something does."""
    id, anomaly = recorded.signature[:2]
    judge = setup.catalogue.by_id.get(id)
    if judge is None:
        return f"nothing here judges by {id!r}; `pytest --saga-replay` asks plugins for it"
    if id in rules_of(setup.adapter) and judge.name != anomaly:
        return f"{id} was the rule {anomaly!r} and is {judge.name!r} now; give a rule an id of its own to keep it"
    return ""
