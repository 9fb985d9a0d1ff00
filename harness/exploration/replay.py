"""Findings written so that they can be run again: one readable JSON file each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from .. import __version__
from ..errors import UsageError
from ..faults import Plan, Site
from ..history import History, fault_from_json, fault_to_json
from ..invariants import OURS, Catalogue
from ..ports import Adapter
from ..scenario import Scenario
from ..simulator import Setup, simulate
from ..verdict import Finding, Violation
from .driver import Action, replay_actions
from .judge import found_in

REPLAY_VERSION: Final = 1
REPEATS: Final = 3

Result: TypeAlias = Literal["FIXED", "STILL FAILS", "FLAKY", "CANNOT RUN"]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A schedule to run again: a plan of faults, or the actions of the state machine."""

    id: str
    adapter: str
    scenario: Scenario
    plan: Plan | None
    actions: tuple[Action, ...]
    signature: tuple[str, str, str, str]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of it. ``violation`` and ``history`` are of the last run that could be made."""

    result: Result
    reason: str = ""
    violation: Violation | None = None
    history: History | None = None


def to_text(finding: Finding, spec: str) -> str:
    """The replay file of ``finding`` on the adapter that ``spec`` names."""
    violation = finding.violation
    content = {
        "sagafuzz_replay": REPLAY_VERSION,
        "sagafuzz": __version__,
        "id": finding.id,
        "adapter": spec,
        "scenario": scenario_to_json(finding.scenario),
        "faults": [fault_to_json(fault) for fault in finding.plan.faults] if finding.plan is not None else None,
        **yields_to_json(finding.plan),
        "actions": [list(action) for action in finding.actions] if finding.plan is None else None,
        "violation": {
            "invariant": violation.invariant,
            "anomaly": violation.anomaly,
            "step": violation.step,
            "direction": violation.direction,
            "sentence": violation.sentence,
        },
        "history_digest": finding.history.digest,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return (text if text.replace("\n", "").isprintable() else json.dumps(content, indent=2)) + "\n"


def from_text(text: str, name: str) -> Replay:
    """Read a replay file called ``name``. Raises UsageError in one line for anything else."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is no replay file: it is not JSON ({error.msg}, line {error.lineno})") from None
    if not isinstance(data, dict) or "sagafuzz_replay" not in data:
        raise UsageError(f"{name} is no replay file: it lacks 'sagafuzz_replay'; name an F-….json of a report")
    if data["sagafuzz_replay"] != REPLAY_VERSION:
        raise UsageError(
            f"{name} is a replay file of version {data['sagafuzz_replay']}, and this sagafuzz ({__version__}) reads "
            f"version {REPLAY_VERSION}; run the campaign again to write a new one"
        )
    try:
        violation = data["violation"]
        faults = data["faults"]
        return Replay(
            id=str(data["id"]),
            adapter=str(data["adapter"]),
            scenario=scenario_from_json(data["scenario"]),
            plan=_plan(faults, data.get("yields", ())) if faults is not None else None,
            actions=tuple((str(action), int(number)) for action, number in data["actions"] or ()),
            signature=(violation["invariant"], violation["anomaly"], violation["step"], violation["direction"]),
            sentence=str(violation["sentence"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name} is no whole replay file: {type(error).__name__} {error}; write it again") from None


def yields_to_json(plan: Plan | None) -> dict[str, Any]:
    """The schedule of priorities, where the plan carries one."""
    return {"yields": [site._asdict() for site in plan.yields]} if plan is not None and plan.yields else {}


def _plan(faults: Iterable[Mapping[str, Any]], yields: Iterable[Mapping[str, Any]]) -> Plan:
    return Plan(faults=tuple(map(fault_from_json, faults)), yields=tuple(Site(**site) for site in yields))


def replay(recorded: Replay, adapter: Adapter, catalogue: Catalogue = OURS) -> Replayed:
    """Run a recorded schedule again, a few times, and say what became of its violation."""
    setup = Setup(adapter=adapter, scenario=recorded.scenario)
    if reason := _obstacle(recorded, setup, catalogue):
        return Replayed(result="CANNOT RUN", reason=reason)
    digests, violations, history = set(), [], None
    for _ in range(REPEATS):
        if recorded.plan is not None:
            run = simulate(setup, recorded.plan)
            missing = [f for n, f in enumerate(recorded.plan.faults) if n not in {index for _, index in run.fired}]
            history = run.history(setup, recorded.plan)
            if missing:
                return Replayed(result="CANNOT RUN", reason=f"never fired: {missing[0]}", history=history)
        else:
            try:
                history = replay_actions(setup, recorded.actions)
            except UsageError as error:
                return Replayed(result="CANNOT RUN", reason=str(error))
        digests.add(history.digest)
        violations.append(found_in(history, recorded.signature, catalogue))
    if len(digests) > 1:
        return Replayed(result="FLAKY", reason=f"{len(digests)} different histories in {REPEATS} runs", history=history)
    if violations[-1] is None:
        return Replayed(result="FIXED", history=history)
    return Replayed(result="STILL FAILS", violation=violations[-1], history=history)


def _obstacle(recorded: Replay, setup: Setup, catalogue: Catalogue) -> str:
    """Why it cannot even be begun, "" where it can."""
    if recorded.signature[0] not in catalogue.by_id:
        return f"nothing here judges by {recorded.signature[0]!r}; pytest --saga-replay asks plugins for it"
    plan = recorded.plan
    named = [*(fault.site for fault in plan.faults), *plan.yields] if plan is not None else []
    unknown = [site for site in named if site.saga not in setup.orders]
    return f"the scenario has no {unknown[0].saga}" if unknown else ""


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """Only what differs from the default, so that the file stays readable."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(scenario).items()}
    default = asdict(Scenario())
    return {name: value for name, value in plain.items() if name == "name" or getattr(scenario, name) != default[name]}


def scenario_from_json(data: Mapping[str, Any]) -> Scenario:
    known = {entry.name for entry in fields(Scenario)}
    extra = sorted(set(data) - known)
    if extra:
        raise UsageError(f"scenario: unknown key {extra[0]!r}; known are {', '.join(sorted(known))}")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    if "rejections" in values:
        values["rejections"] = tuple(tuple(pair) for pair in values["rejections"])
    return Scenario(**values)
