"""Runs judged: each distinct history once."""

from __future__ import annotations

from typing import Any, Final

from ..faults import Plan
from ..history import CLIENT_ACK, DATA, DATA_FIELDS, KIND, OUTCOME, PROCESS, SAGA, Event, History, Row, rows_digest
from ..invariants import OURS, Catalogue, check
from ..simulator import Run, Setup, simulate
from ..verdict import Verdict, Violation


class NotDeterministic(ValueError):
    """The adapter did one thing and then, where the same was asked, another. Its text says what."""


_ALIKE: Final = Verdict()


class Judge:
    """Verdicts on the runs of one setup. Equal histories have one verdict, so it is kept by digest. So have those that
    no invariant can tell apart, where a run tells its past: once one of them broke no rule, the others break none, and
    no check is counted for them."""

    def __init__(self, setup: Setup, catalogue: Catalogue = OURS) -> None:
        self.setup = setup
        self._catalogue = catalogue
        self._verdicts: dict[tuple[bytes, bool], Verdict] = {}
        self._silent: dict[frozenset[str], Verdict] = {}
        self._sound: set[tuple[bytes, bool]] = set()  # the pasts of histories that break no rule

    @property
    def histories(self) -> int:
        """How many distinct histories were judged."""
        return len(self._verdicts)

    def judge(self, plan: Plan, run: Run, digest: bytes, projection: bytes = b"") -> tuple[Verdict, bool]:
        """The verdict on a run, and whether its history is new. ``projection`` is what tells its past, where known."""
        key = (digest, bool(run.fired))
        known = self._verdicts.get(key)
        if known is not None:
            return known, False
        past = (projection, bool(run.fired))
        alike = projection and past in self._sound
        verdict = _ALIKE if alike else check(run.history(self.setup, plan), catalogue=self._catalogue)
        if not (verdict.violations or verdict.gave_up):  # nearly all are; kept once for each set of ids, not each run
            verdict = self._silent.setdefault(verdict.exercised, verdict)
            if projection:
                self._sound.add(past)
        self._verdicts[key] = verdict
        return verdict, True

    def recall(self, run: Run, digest: bytes, verdict: Verdict) -> bool:
        """A run was judged elsewhere: whether its history is new here."""
        key = (digest, bool(run.fired))
        new = key not in self._verdicts
        if new:
            self._verdicts[key] = verdict
        return new


def violates(
    setup: Setup, plan: Plan, signature: tuple[str, ...], catalogue: Catalogue = OURS
) -> tuple[Violation, History] | None:
    """Run ``plan`` and return its violation of that signature with the history, or None."""
    run = simulate(setup, plan)
    history = run.history(setup, plan)
    found = found_in(history, signature, catalogue)
    return (found, history) if found is not None else None


def found_in(history: History, signature: tuple[str, ...], catalogue: Catalogue = OURS) -> Violation | None:
    """The violation of that signature among the causes that ``history`` shows, or None."""
    violations = check(history, catalogue=catalogue).violations
    return next((violation for violation in violations if violation.signature == signature), None)


def outcome_of(run: Run, setup: Setup) -> str:
    """What the clients were told, saga by saga; "no answer" where a crash came between."""
    told = {row[SAGA]: row[DATA][OUTCOME] for row in run.rows if row[KIND] == CLIENT_ACK}
    return ", ".join(told.get(saga, "no answer") for saga in setup.orders)


def first_difference(one: Run | History, other: Run | History) -> str:
    """The first event in which two runs of one plan differ, in words; "" where they are equal."""
    if rows_digest(one.rows) == rows_digest(other.rows):
        return ""
    for number, (a, b) in enumerate(zip(one.rows, other.rows, strict=False)):
        if repr(a) != repr(b):
            return f"event {number} is {_in_words(a, b)} in one run, {_in_words(b, a)} in the other"
    return f"one run has {len(one.rows)} events, the other {len(other.rows)}"


def _in_words(row: Row, other: Row) -> str:
    """``SEND of orchestrator, saga saga-1, payload (('number', 1),)``: the event, and in what it differs."""
    event, beside = _fields(row), _fields(other)
    words = [f"{row[KIND]} of {row[PROCESS]}", *([f"saga {row[SAGA]}"] if row[SAGA] else [])]
    words += [f"{name} {value!r}" for name, value in event.items() if repr(value) != repr(beside.get(name))]
    return ", ".join(words)[:300]


def _fields(row: Row) -> dict[str, Any]:
    """All of an event that its kind, actor and saga do not say."""
    event = Event._make(row)._asdict()
    data = event.pop("data")
    return {
        **{name: value for name, value in event.items() if name not in ("kind", "actor", "saga")},
        **dict(zip(DATA_FIELDS[row[KIND]], data, strict=False)),
    }


def difference(setup: Setup, plan: Plan, *, runs: int = 5) -> str:
    """How runs of one plan differ, where they were seen to; in words even if it does not happen again."""
    first = simulate(setup, plan)
    for _ in range(runs - 1):
        if found := first_difference(first, simulate(setup, plan)):
            return found
    return f"it did not behave again as it had; {runs} more runs were equal"
