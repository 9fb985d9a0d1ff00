"""Why a schedule fails: which faults it takes, the nearest schedule that is fine, and where the two part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from .. import history as h
from ..errors import UsageError
from ..event_words import event_in_words
from ..faults import Fault, Plan, Site, given_way
from ..frames import Caller
from ..history import Event, History, Row
from ..invariants import OURS, Catalogue, check
from ..invariants.facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from ..invariants.parts import excess, excused, spelled
from ..saga import ANY, COMPENSATION, FORWARD, Step
from ..simulator import Setup, callers_of, simulate
from ..simulator.kernel import LIVELOCK
from ..verdict import CONSISTENT, EITHER, Explanation, Removed, StateRow, Verdict, Violation
from .causes import cause_of, culprits_of
from .driver import FAULTY_ACTIONS, MESSAGE_ACTIONS, Action, replay_actions
from .enumerator import Enumerator
from .reductions import SHAPING

LATER_SITES: Final = 3
"""How many of the next sites are tried for the last fault, in search of a plan that passes."""

MAX_ACTIONS: Final = 12
"""Of a program of the state machine, how many faulty actions are tried without."""


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A schedule near the failing one: in which words, and what came of it."""

    words: str
    plan: Plan | None
    history: History
    verdict: Verdict


def explain(setup: Setup, plan: Plan, violation: Violation, history: History) -> Explanation:
    """Explain the violation that ``history``, the run of ``plan`` under ``setup``, shows."""

    def tried(other: Plan, words: str) -> _Candidate:
        near = simulate(setup, other).history(setup, other)
        return _Candidate(words=words, plan=other, history=near, verdict=check(near, catalogue=setup.catalogue))

    without = [tried(plan.without(index), f"without {fault}") for index, fault in enumerate(plan.faults)]
    parts = list(map(str, plan.faults))
    for index, site in enumerate(plan.yields):
        parts.append(given_way(site))
        without.append(tried(plan.without_yield(index), f"where not {given_way(site)}"))
    removed = tuple(
        Removed(what=part, then=_then(candidate.verdict, violation))
        for part, candidate in zip(parts, without, strict=True)
    )
    near = [*without, *(tried(other, words) for other, words in _moved(setup, plan))]
    culprits = culprits_of(history.known, [str(fault.kind) for fault in plan.faults], [f.site for f in plan.faults])
    said = _explanation(violation, history, removed, near, culprits, setup.catalogue)
    acted = callers_of(setup, plan)
    where = _caller_at(acted, violation, history)
    lines = tuple((at, caller.source) for at, caller in acted.items() if caller.source is not None)
    return replace(said, code=where.words, source=where.source, lines=lines)


def _caller_at(acted: Mapping[int, Caller], violation: Violation, history: History) -> Caller:
    """The lines of the code under test behind what the violation is about: that wrote the record or acknowledged the
    message that it is judged at, that sent the last request of its step by then, or the last request at all where the
    code goes round."""
    rows = history.rows
    position = violation.position if 0 <= violation.position < len(rows) else len(rows) - 1
    call = (violation.saga, violation.step, violation.direction or FORWARD)
    if rows and rows[position][h.KIND] == h.LOGACK and not violation.direction:
        write = _write(rows[position])
        found = [at for at, row in enumerate(rows[:position]) if row[h.KIND] == h.LOG and _write(row) == write]
    elif rows and rows[position][h.KIND] == h.HANDLED:
        found = [position]
    else:
        goes_round = violation.anomaly == LIVELOCK
        sent = [at for at, row in enumerate(rows[: position + 1]) if row[h.KIND] == h.SEND]
        found = [at for at in sent if goes_round or rows[at][3:6] == call]
    return acted.get(found[-1], Caller()) if found else Caller()


def _write(row: Row) -> tuple[object, ...]:
    """What the request of a durable write and its acknowledgement have in common."""
    return (row[h.PROCESS], row[h.SAGA], row[h.STEP], row[h.DATA][h.RECORD], row[h.DATA][h.OCCURRENCE])


def explain_program(
    setup: Setup,
    actions: Sequence[Action],
    shown: Sequence[str],
    violation: Violation,
    history: History,
) -> Explanation:
    """The same for a program of the state machine; instead of a fault an action is taken back."""
    near, removed = [], []
    faulty = [index for index, (name, _) in enumerate(actions) if name in FAULTY_ACTIONS or name == "advance"]
    for index in faulty[:MAX_ACTIONS]:
        name, number = actions[index]
        instead: tuple[Action, ...] = (("deliver", number),) if name in MESSAGE_ACTIONS else ()
        words = shown[index] if index < len(shown) else name
        try:
            other = replay_actions(setup, (*actions[:index], *instead, *actions[index + 1 :]))
        except UsageError:  # what comes after cannot be done without it
            continue
        verdict = check(other, catalogue=setup.catalogue)
        plain = f"delivered plainly instead of '{words}'" if instead else f"without '{words}'"
        near.append(_Candidate(words=plain, plan=None, history=other, verdict=verdict))
        removed.append(Removed(what=words, then=_then(verdict, violation)))
    names = dict.fromkeys("a slow answer" if actions[i][0] == "advance" else actions[i][0] for i in faulty)
    culprits = " and ".join(names).replace("_", " ")
    return _explanation(violation, history, tuple(removed), near, culprits, setup.catalogue)


def explain_live(
    setup: Setup, plan: Plan, violation: Violation, history: History, near: Mapping[int, History]
) -> Explanation:
    """Explain the violation that ``history``, a run of real processes, shows. ``near`` are runs of its plan without one
    fault, by the number of that fault."""
    candidates = [
        _Candidate(
            words=f"without {plan.faults[number]}",
            plan=plan.without(number),
            history=run,
            verdict=check(run, catalogue=setup.catalogue),
        )
        for number, run in near.items()
    ]
    removed = tuple(
        Removed(what=str(plan.faults[number]), then=_then(candidate.verdict, violation))
        for number, candidate in zip(near, candidates, strict=True)
    )
    if len(removed) < len(plan):  # of which of them it is told, nobody would know
        removed = ()
    culprits = culprits_of(history.known, [str(fault.kind) for fault in plan.faults], [f.site for f in plan.faults])
    return _explanation(violation, history, removed, candidates, culprits, setup.catalogue, told=_timeless)


def explain_record(violation: Violation, history: History) -> Explanation:
    """Explain the violation that a history from elsewhere shows: nothing can be run beside it."""
    facts = Facts(history)
    found = cause_of(facts, violation, None, OURS)
    steps, states = tuple(_columns(facts)), tuple(_states(_by_then(facts, violation), violation))
    return Explanation(steps=steps, states=states, cause=found.cause, repair=found.repair)


def _explanation(
    violation: Violation,
    history: History,
    removed: tuple[Removed, ...],
    near: Sequence[_Candidate],
    culprits: str,
    catalogue: Catalogue,
    told: Callable[[Row], Row] = lambda row: row,
) -> Explanation:
    """``told`` gives of a row what two runs are compared by."""
    passing, shared = None, -1
    for candidate in near:
        if candidate.verdict.conclusion == CONSISTENT and (same := _shared(history, candidate.history, told)) > shared:
            passing, shared = candidate, same
    facts = Facts(history)
    found = cause_of(facts, violation, culprits, catalogue)
    return Explanation(
        removed=removed,
        passing=passing.words if passing else "",
        passing_plan=passing.plan if passing else None,
        passing_history=passing.history if passing else None,
        shared=max(shared, 0),
        parting=_parting(history, passing.history, shared) if passing else "",
        steps=tuple(_columns(facts)),
        states=tuple(_states(_by_then(facts, violation), violation)),
        cause=found.cause,
        repair=found.repair,
    )


# -- schedules nearby ------------------------------------------------------------------------------


def _moved(setup: Setup, plan: Plan) -> Iterator[tuple[Plan, str]]:
    """The plan with its last fault of another kind at the same site, or of the same kind at one of the next."""
    if not plan.faults:
        return
    *before, last = plan.faults
    run = simulate(setup, replace(plan, faults=tuple(before)))
    if last.site not in run.sites:
        return
    enumerator = Enumerator(setup, 0, reductions=SHAPING)
    at = run.sites.index(last.site)
    for kind in enumerator.kinds(last.site):
        if kind != last.kind and kind not in run.impossible.get(at, ()):
            yield (
                replace(plan, faults=(*before, Fault(kind=kind, site=last.site))),
                f"{kind} instead of {last.kind} there",
            )
    later = 0
    for index in range(at + 1, len(run.sites)):
        site = Site._make(run.sites[index])
        if last.kind in enumerator.kinds(site) and last.kind not in run.impossible.get(index, ()):
            other = replace(plan, faults=(*before, Fault(kind=last.kind, site=site)))
            yield other, f"{last.kind} later, at {site}"
            later += 1
            if later == LATER_SITES:
                return


def _then(verdict: Verdict, violation: Violation) -> str:
    """What a run nearby shows, in a few words."""
    if not verdict.violations:
        return "every check gives up" if verdict.gave_up else "all invariants hold"
    if any(found.signature == violation.signature for found in verdict.violations):
        return "the violation stays"
    broken = ", ".join(dict.fromkeys(f"{found.invariant} {found.anomaly}" for found in verdict.violations))
    if any(found.invariant == violation.invariant for found in verdict.violations):
        return f"not this, but {broken}"
    return f"{violation.invariant} holds, but {broken}"


# -- where two histories part ----------------------------------------------------------------------


def _timeless(row: Row) -> Row:
    """A row of a live run without what differs from run to run: when it was, keys and numbers, and what is carried."""
    said = row[h.DATA][:1] if row[h.KIND] in _SAY_THE_SAME else ()
    return (0, *row[h.KIND : h.KEY], None, 0, said)


_SAY_THE_SAME: Final = frozenset({h.APPLY, h.ACK, h.LOST, h.TERMINAL, h.CLIENT_ACK})


def _shared(one: History, other: History, told: Callable[[Row], Row]) -> int:
    """How many events the two begin with in common."""
    for index, (a, b) in enumerate(zip(one.rows, other.rows, strict=False)):
        if told(a) != told(b):
            return index
    return min(len(one.rows), len(other.rows))


def _parting(failing: History, passing: History, shared: int) -> str:
    """The first event in which they differ, as each has it."""
    here, there = (_at(history, shared) for history in (failing, passing))
    if here == there:
        one, other = (_details(history, shared) for history in (failing, passing))
        different = [(a, b) for a, b in zip_longest(one, other, fillvalue="none") if a != b]
        here, there = (f"{here} ({', '.join(dict.fromkeys(each))})" for each in zip(*different, strict=True))
    return f"after {shared} equal events: here {here}; there {there}"


def _at(history: History, index: int) -> str:
    if index >= len(history.rows):
        return "it is over"
    event = history.events[index]
    words = event_in_words(event, history.known, several=history.several, asked=_asked(history, event))
    return f"{words} at {_ms(event.t_us)}"


def _ms(t_us: int) -> str:
    """``1105.201 ms``: virtual time as diagrams show it, to the microsecond where two differ by so little."""
    return f"{t_us / 1000:.3f}".rstrip("0").rstrip(".") + " ms"


def _asked(history: History, event: Event) -> str:
    """What the request of a call of no step asked for; "" for others."""
    if event.step or not event.msg:
        return ""
    return next((sent.asks for sent in history.events if sent.kind == h.SEND and sent.msg == event.msg), "")


def _details(history: History, index: int) -> list[str]:
    """All that an event is made of beside its words, the same in the same place: for two that read alike."""
    if index >= len(history.rows):
        return []
    event = history.events[index]
    said = [event.process, event.saga or "no saga", event.step or "no step", event.direction or "no direction"]
    said += [f"attempt {event.attempt}", f"key {event.key}", f"message {event.msg}"]
    for value in event.data:
        pairs = value if isinstance(value, tuple) and all(isinstance(each, tuple) for each in value) else ()
        said += [" ".join(map(str, pair)) for pair in pairs] or [str(value)]
    return said


# -- expected against found ------------------------------------------------------------------------


def _by_then(facts: Facts, violation: Violation) -> Facts:
    """What there was when the harness gave the system a last restart, where the violation is that it needed that."""
    if violation.position < 0 or violation.position != facts.rest:
        return facts
    return Facts(replace(facts.history, rows=facts.history.rows[: facts.rest]))


def _columns(facts: Facts) -> list[str]:
    """The steps, those of several parts by each part that a saga asked for."""
    return list(dict.fromkeys(step.name for saga in facts.sagas.values() for step in saga.definition.steps))


def _states(facts: Facts, violation: Violation) -> Iterator[StateRow]:
    """The sagas that the violation is about (all, where it is of the whole), by their net effects."""
    columns = _columns(facts)
    for id in facts.sagas:
        if violation.saga in ("", id):
            saga = facts.sagas[id]
            expected = dict(zip((step.name for step in saga.definition.steps), _expected(saga), strict=True))
            found = {step.name: _found(saga, step) for step in saga.definition.steps}
            yield StateRow(
                saga=id,
                expected=tuple(expected.get(name, "any") for name in columns),
                found=tuple(found.get(name, "0") for name in columns),
            )


def _found(saga: SagaFacts, step: Step) -> str:
    """What is left of it: of an amount how much, of another step how often it is in effect."""
    if step.name in saga.used:
        return "used up"
    if step.name in saga.sums:
        return spelled(saga.sums[step.name].left)
    return str(_net(saga, step.name, free=not step.can_be_undone))


def _net(saga: SagaFacts, step: str, *, free: bool) -> int:
    """Effects less undone effects; a step that changes nothing and was done counts 1."""
    forward, back = saga.calls.get((step, FORWARD)), saga.calls.get((step, COMPENSATION))
    effects = (len(forward.effective) if forward else 0) - (len(back.effective) if back else 0)
    return 1 if free and effects == 0 and forward is not None and forward.applied >= 0 else effects


def _done(saga: SagaFacts, step: Step, free: frozenset[str]) -> str:
    """What is left of a step in a saga that is completed; "any" where that is free."""
    if step.name in saga.used:
        return "used up"
    if step.needs == ANY or step.name in free:
        return "any"
    if step.name in saga.sums:
        found = saga.sums[step.name]
        given_back_for_good = 0 < found.given < found.taken
        return "any" if given_back_for_good else spelled(found.taken)
    return "1"


def _free(saga: SagaFacts) -> frozenset[str]:
    """The steps of optional groups, and of the alternatives that were not taken where one was: of one that stands
    beside it nothing may be left."""
    groups = saga.definition.groups
    return frozenset(excused(saga)) | frozenset(name for group in groups if group.optional for name in group.members)


def _expected(saga: SagaFacts) -> tuple[str, ...]:
    """What the outcome that was claimed last stands for; without a claim either all, or none."""
    outcome, steps = saga.claims[-1][1] if saga.claims else "", saga.definition.steps
    if outcome == COMPLETED:
        free, beside = _free(saga), excess(saga)
        return tuple("0" if step.name in beside else _done(saga, step, free) for step in steps)
    undone = tuple("0" if step.can_be_undone or step.pivot else "any" for step in steps)
    undone = tuple("any" if step.name in saga.used else entry for step, entry in zip(steps, undone, strict=True))
    if outcome == COMPENSATED:
        return undone
    return tuple("any" if entry == "any" else EITHER for entry in undone)
