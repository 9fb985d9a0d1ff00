"""Violations told as findings: under a short name, made small and explained, or as they were first seen."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..faults import Plan
from ..history import History
from ..simulator import Setup, simulate
from ..verdict import Finding, Signature, Violation
from .explain import explain
from .judge import violates
from .parting import NotDeterministic, parted
from .shrink import shrink
from .statistics import Sighting


def finding_id(adapter: str, signature: Signature) -> str:
    """A short name that stays the same from run to run: F- and five letters of a hash."""
    text = "\0".join((adapter, *signature)).encode()
    return "F-" + b32encode(hashlib.blake2b(text, digest_size=5).digest()).decode().lower()[:5]


def output_file(id: str) -> str:
    """The name of the file with what the processes of a live system wrote in a finding."""
    return f"{id}.output.txt"


def replay_file(id: str) -> str:
    """The name of a finding's replay file in the folder of its report."""
    return f"{id}.json"


def worth_telling(sightings: Mapping[Signature, Sighting]) -> list[tuple[Signature, Sighting]]:
    """All sightings but those that another of the same step shows with its harm."""
    return [
        (signature, sighting)
        for signature, sighting in sightings.items()
        if signature[1] != "false terminal" or (signature[0], "leaked effect", *signature[2:]) not in sightings
    ]


def shrunk(sighting: Sighting, signature: Signature, seed: int, *, explained: bool) -> Finding:
    """The violation with the smallest scenario and plan that show it, and with its explanation where it is to be
    ``explained``. Raises NotDeterministic."""
    adapter = sighting.setup.adapter
    small = shrink(sighting.setup, sighting.plan, signature)
    setup = Setup(adapter=adapter, scenario=small.scenario)
    if found := parted(setup, small.plan, small.history, simulate(setup, small.plan)):
        raise NotDeterministic(f"{small.scenario.name}, {small.plan}: {found}")
    finding = shown_by(sighting, signature, small.violation, small.history, setup, small.plan)
    return replace(
        finding,
        seed=seed,
        necessary=small.necessary,
        explanation=explain(setup, small.plan, small.violation, small.history) if explained else None,
    )


def as_seen(sighting: Sighting, signature: Signature) -> Finding:
    """The violation as it was first seen, where it could not be shrunk."""
    setup, plan = sighting.setup, sighting.plan
    shown = violates(setup, plan, signature)
    if shown is None:  # not deterministic: this run shows something else
        run = simulate(setup, plan)
        shown = (replace(sighting.violation, position=-1), run.history(setup, plan))
    return shown_by(sighting, signature, *shown, setup, plan)


def shown_by(
    sighting: Sighting, signature: Signature, violation: Violation, history: History, setup: Setup, plan: Plan
) -> Finding:
    """The violation as the run of ``plan`` under ``setup`` shows it, which may not be the smallest."""
    id = finding_id(setup.adapter.name, signature)
    return Finding(
        id=id,
        violation=violation,
        scenario=setup.scenario,
        history=history,
        plan=plan,
        hits=sighting.hits,
        explains=sighting.explains,
        necessary=False,
        first_events=sighting.events,
        first_faults=len(sighting.plan),
        replay=replay_file(id),
    )


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By invariant; within one the fewest faults first, then the latest step: what it does is hardest to take back."""
    findings = tuple(findings)
    steps = {step.name: n for finding in findings for n, step in enumerate(finding.history.known.steps)}

    def rank(finding: Finding) -> tuple[object, ...]:
        violation = finding.violation
        id = violation.invariant
        faults = len(finding.plan) if finding.plan is not None else len(finding.actions)
        last_step_first = -steps.get(violation.step, -1)
        return (id[:1] != "I", id[:1], int(id[1:]), finding.plan is None, faults, last_step_first, violation.signature)

    return tuple(sorted(findings, key=rank))
