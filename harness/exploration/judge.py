"""Runs judged: each distinct history once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from ..faults import Plan
from ..history import CLIENT_ACK, DATA, KIND, OUTCOME, SAGA, History
from ..invariants import check
from ..live.manifest import manifest_of
from ..simulator import Run, Setup, simulate
from ..verdict import Signature, Verdict, Violation

_ALIKE: Final = Verdict()


class Judge:
    """Verdicts on the runs of one setup. Equal histories have one verdict, so it is kept by digest. So have those that
    no invariant can tell apart, where a run tells its past: once one of them broke no rule, the others break none, and
    no check is counted for them."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._verdicts: dict[tuple[bytes, bool], Verdict] = {}
        self._sound: set[tuple[bytes, bool]] = set()  # the pasts of histories that break no rule

    def judge(self, plan: Plan, run: Run, digest: bytes, projection: bytes = b"") -> tuple[Verdict, bool]:
        """The verdict on a run, and whether its history is new. ``projection`` is what tells its past, where known."""
        fired = bool(run.fired)
        key = (digest, fired)
        known = self._verdicts.get(key)
        if known is not None:
            return known, False
        past = (projection, fired)
        alike = projection and past in self._sound
        verdict = _ALIKE if alike else check(run.history(self.setup, plan), catalogue=self.setup.catalogue)
        if projection and not (verdict.violations or verdict.gave_up):
            self._sound.add(past)
        self._verdicts[key] = verdict
        return verdict, True


class Seen:
    """The histories of runs that were judged elsewhere: one of a million takes little."""

    def __init__(self) -> None:
        self._keys: set[bytes] = set()

    def is_new(self, run: Run, digest: bytes) -> bool:
        """Whether the history of ``run``, which has that digest, was not seen before; now it is."""
        key = digest + b"+" if run.fired else digest
        known = len(self._keys)
        self._keys.add(key)
        return len(self._keys) > known


def promising(setup: Setup, run: Run) -> Setup:
    """The setup with how its sagas end: as in ``run``, which is without a fault, where an engine promises that a crash
    changes nothing."""
    manifest = manifest_of(setup.adapter)
    if manifest is None or not manifest.durable_execution:
        return setup
    return replace(setup, ends={row[SAGA]: row[DATA][OUTCOME] for row in run.rows if row[KIND] == CLIENT_ACK})


def violates(setup: Setup, plan: Plan, signature: tuple[str, ...]) -> tuple[Violation, History] | None:
    """Run ``plan`` and return its violation of that signature with the history, or None."""
    run = simulate(setup, plan)
    history = run.history(setup, plan)
    found = found_in(setup, history, signature)
    return (found, history) if found is not None else None


def found_in(setup: Setup, history: History, signature: tuple[str, ...]) -> Violation | None:
    """The violation of that signature among the causes that ``history``, a run of ``setup``, shows; or None."""
    violations = check(history, catalogue=setup.catalogue).violations
    return next((violation for violation in violations if violation.signature == signature), None)


class Again(NamedTuple):
    """A violation that was seen before, in another run: the ``violation`` itself, or another one of its invariant;
    None where that holds. ``beside`` is the first of another invariant."""

    violation: Violation | None
    beside: Violation | None


def seen_again(setup: Setup, history: History, signature: tuple[str, ...]) -> Again:
    """Look for the violation of that signature in ``history``, a run of ``setup``."""
    violations = check(history, catalogue=setup.catalogue).violations
    same = [violation for violation in violations if violation.invariant == signature[0]]
    exact = [violation for violation in same if violation.signature == signature]
    others = [violation for violation in violations if violation.invariant != signature[0]]
    return Again(next(iter(exact or same), None), next(iter(others), None))


def told_beside(again: Again) -> str:
    """Name the other invariant that is broken; "" where none is."""
    return f"it breaks {again.beside.invariant}: {again.beside.sentence}" if again.beside is not None else ""


def why_undecided(setup: Setup, history: History, invariant: str) -> str:
    """Why the check of an invariant, by its id, says nothing of ``history``, a run of ``setup``; "" where it does."""
    return check(history, only=(invariant,), catalogue=setup.catalogue).gave_up.get(invariant, "")


def end_of(setup: Setup, plan: Plan) -> tuple[str, frozenset[Signature]]:
    """What the clients are told where ``plan`` is run to its end, and which rules are broken."""
    run = simulate(setup, plan)
    violations = check(run.history(setup, plan), catalogue=setup.catalogue).violations
    return outcome_of(run, setup), frozenset(violation.signature for violation in violations)


def outcome_of(run: Run, setup: Setup) -> str:
    """What the clients were told, saga by saga; "no answer" where a crash came between."""
    told: dict[str, str] = {}
    for row in reversed(run.rows):
        if row[KIND] == CLIENT_ACK:
            told.setdefault(row[SAGA], row[DATA][OUTCOME])
            if told.keys() >= setup.orders.keys():
                break
    return ", ".join(told.get(saga, "no answer") for saga in setup.orders)
