"""A record judged: each saga by the invariants that the record shows enough for, and the report of it all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final

from .. import __version__
from ..definitions import root_of
from ..errors import UsageError
from ..exploration.explain import explain_record
from ..exploration.findings import finding_id, ranked
from ..exploration.statistics import by_number
from ..history import APPLY, DATA, EFFECTIVE, KIND, History
from ..invariants import INVARIANTS, check, consequences
from ..ports import Adapter
from ..saga import Saga
from ..scenario import Scenario
from ..verdict import (
    CONSISTENT,
    GAVE_UP,
    HOLDS,
    INCONCLUSIVE,
    NOT_EXERCISED,
    VIOLATED,
    Conclusion,
    Finding,
    InvariantResult,
    PlanCounts,
    RandomResult,
    Recorded,
    Report,
    Signature,
    Status,
    Verdict,
    Violation,
)
from . import ledger, spans
from .entries import Entry, ended, rows_of, shape, unanswered
from .facets import ALL, AMOUNTS, ANSWERS, EFFECTS, EVERY_EFFECT, WHOLE, judged_by, missing
from .ours import AT_ONCE, Runs
from .reading import OURS, ROWS, STDIN, Definitions, Seen, Sources, Troubles, form_of, opened
from .spool import Spool

RECORD: Final = "record"
"""The name of the scenario that a finding of a record stands in."""

AT_MOST_ONCE: Final = "I1"
"""The invariant of which each effect says something, whether it was asked for again or not."""

SHAPES: Final = 100_000
"""So many shapes of sagas are known; of others each saga is judged."""

TIMED: Final = frozenset({"min_backoff_ms", "deadline_ms", "key_retention_ms"})
"""Declarations that make times matter, not their order alone."""

_PLAIN: Final = str.maketrans(".", "·")
"""The dot parts a child's name from its parent's: in the ids of elsewhere it says nothing."""


@dataclass
class _Seen:
    """The history with the fewest events that showed a violation, and how many did."""

    violation: Violation
    history: History
    explains: tuple[str, ...]
    hits: int = 0


@dataclass
class _Judged:
    """All that was found, with its counts."""

    checked: Counter[str] = field(default_factory=Counter)
    violated: Counter[str] = field(default_factory=Counter)
    gave_up: dict[str, str] = field(default_factory=dict)
    sightings: dict[Signature, _Seen] = field(default_factory=dict)
    sagas: int = 0
    open: int = 0
    unanswered: int = 0  # sagas of which it is not known how each request ended
    known: dict[bytes, Verdict] = field(default_factory=dict)
    digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def judge(self, history: History, only: list[str], alike: bytes | None = None, *, effects: bool = False) -> None:
        """Judge a history by the invariants of those ids; ``alike`` is its `shape`, where it has one. Of ``effects``
        alone a repeat that was known is not to be seen, so that each says of its step how often it took effect."""
        verdict = check(history, only=only)
        if effects and any(row[KIND] == APPLY and row[DATA][EFFECTIVE] for row in history.rows):
            verdict = replace(verdict, exercised=verdict.exercised | {AT_MOST_ONCE})
        self.digest.update(bytes.fromhex(history.digest))
        for violation in verdict.violations:
            self._see(violation, history, verdict)
        self._count(verdict)
        if alike is not None and len(self.known) < SHAPES:
            self.known[alike] = verdict

    def recall(self, alike: bytes) -> bool:
        """Count a history once more where one of its `shape` was judged; whether that is so."""
        verdict = self.known.get(alike)
        if verdict is None:
            return False
        self.digest.update(alike)
        for violation in verdict.violations:
            self.sightings[violation.signature].hits += 1
        self._count(verdict)
        return True

    def _count(self, verdict: Verdict) -> None:
        self.checked.update(verdict.exercised)
        self.gave_up.update(verdict.gave_up)
        self.violated.update({found.invariant for found in (*verdict.violations, *verdict.explained)})

    def _see(self, violation: Violation, history: History, verdict: Verdict) -> None:
        known = self.sightings.get(violation.signature)
        if known is None or len(history.rows) < len(known.history.rows):
            explains = tuple(sorted({found.invariant for found in verdict.explained if violation.is_about(found.saga)}))
            known = _Seen(violation, history, explains, known.hits if known else 0)
            self.sightings[violation.signature] = known
        known.hits += 1


def check_record(sources: Sources, adapter: Adapter | None, *, at_rest: bool = False) -> Report:
    """Judge what ``sources`` tell. ``adapter`` has the definitions of the sagas and what is declared of them; histories
    that sagafuzz wrote bring their own. ``at_rest`` says that a saga without an end has none, not that the record ends
    before it. Raises UsageError."""
    judged, troubles, seen = _Judged(), Troubles(), Seen()
    read = _Reading(sources, adapter, at_rest, judged, troubles, seen)
    with Spool() as spool:
        for file in sources.files:
            read.file(file, spool)
        read.orders(spool)
    return _report(sources, read)


class _Reading:
    """The files of a record while they are read. ``events`` counts what they tell, ``cut`` the runs that were too long
    to be judged as a whole, ``own`` what those that sagafuzz wrote are of."""

    def __init__(
        self,
        sources: Sources,
        adapter: Adapter | None,
        at_rest: bool,
        judged: _Judged,
        troubles: Troubles,
        seen: Seen,
    ) -> None:
        self.events = 0
        self.cut = 0
        self.own: History | None = None
        self.elsewhere = False
        self.judged = judged
        self.troubles = troubles
        self.seen = seen
        self._sources = sources
        self._at_rest = at_rest
        self.adapter = adapter

    @property
    def definitions(self) -> Definitions:
        """The sagas that spans and rows are of. Raises UsageError where nobody has said them."""
        if self.adapter is None:
            raise UsageError(
                "check: spans and CSV do not say what the steps of a saga are, nor what undoes them; name it: --saga "
                "ADAPTER, or a manifest"
            )
        return Definitions(sagas=(self.adapter.saga, *self.adapter.sagas), hidden=tuple(_hidden(self.adapter)))

    @property
    def shown(self) -> frozenset[str]:
        """The facets that the files show."""
        return self.seen.shown(self.definitions) if self.elsewhere else ALL - ({WHOLE} if self.cut else frozenset())

    def file(self, file: str, spool: Spool) -> None:
        """Read a file: runs are judged at once, entries go to ``spool``."""
        with ExitStack() as stack:
            text = stack.enter_context(opened(file))
            first = next(text, "")
            while first and not first.strip():
                first = next(text, "")
            if not first:
                raise UsageError(f"check: {file!r} is empty; name a file of a record")
            form = self._sources.form or form_of(file, first)
            lines = chain((first,), text)
            name = "standard input" if file == STDIN else Path(file).name
            if form == OURS:
                self._runs(Runs(lines, name, self.troubles))
            else:
                self._entries(lines, form, name, spool)

    def _runs(self, runs: Runs) -> None:
        for history, whole in runs.histories():
            self.own = self.own or replace(history, rows=())
            self.judged.sagas += len(history.sagas)
            self.judged.judge(history, list(INVARIANTS) if whole else judged_by(INVARIANTS, ALL - {WHOLE}))
        self.events += runs.events
        self.cut += runs.cut

    def _entries(self, lines: Iterator[str], form: str, file: str, spool: Spool) -> None:
        self.elsewhere = True
        if form == ROWS:
            found = ledger.read(lines, file, self._sources.columns, self.definitions, self.seen, self.troubles)
        else:
            found = spans.read(lines, file, self.definitions, self.seen, self.troubles)
        nested = self.definitions.known.children
        for entry in found:
            id = entry.saga if nested else entry.saga.translate(_PLAIN)
            spool.add(root_of(id), entry.t_us, tuple(entry._replace(saga=id)))
            self.events += 1

    def orders(self, spool: Spool) -> None:
        """Judge the entries, order by order."""
        if not spool.count or self.adapter is None:
            return
        shown = self.shown
        timeless = not TIMED & self.adapter.declared.keys()
        all_answered, others = judged_by(INVARIANTS, shown), judged_by(INVARIANTS, shown - {ANSWERS})
        for order, bodies in spool.by_order():
            entries = [Entry(*body) for body in bodies]
            self.judged.sagas += 1
            self.judged.open += not ended(entries)
            unknown = ANSWERS in shown and unanswered(entries)
            self.judged.unanswered += unknown
            alike = shape(entries) if timeless else None
            if alike is None or not self.judged.recall(alike):
                history = self._history(order, entries)
                self.judged.judge(history, others if unknown else all_answered, alike, effects=EFFECTS in shown)

    def _history(self, order: str, entries: list[Entry]) -> History:
        adapter = self.adapter
        assert adapter is not None
        name = next((entry.name for entry in entries if entry.name), "")
        return History(
            saga=adapter.saga,
            sagas=tuple(dict.fromkeys((order, *(entry.saga for entry in entries)))),
            rows=rows_of(entries, adapter.known, at_rest=self._at_rest),
            adapter=adapter.name,
            scenario=RECORD,
            declared=adapter.declared,
            others=adapter.sagas,
            of={order: name} if adapter.sagas and name else {},
        )


def _hidden(adapter: Adapter) -> Iterator[tuple[str, str]]:
    """The facets of which spans and rows show a part only, where the adapter is of that kind, and why."""
    if adapter.topics or adapter.emits:
        yield ANSWERS, "an answer may come as a message"
    if adapter.known.children:
        yield ANSWERS, "a step is answered by how its child ends"
    if adapter.expiring:
        yield EVERY_EFFECT, f"what was reserved may run out at {', '.join(adapter.expiring)}"
        yield AMOUNTS, f"the amount that runs out at {', '.join(adapter.expiring)}"


def _report(sources: Sources, read: _Reading) -> Report:
    judged, own = read.judged, read.own
    saga: Saga | None = read.adapter.saga if read.adapter is not None else own.saga if own is not None else None
    if saga is None:
        raise UsageError("check: the files hold no history; name those of a record")
    known = read.adapter.known if read.adapter is not None else saga
    name = read.adapter.name if read.adapter is not None else own.adapter if own is not None else ""
    findings = ranked(_finding(name, signature, seen) for signature, seen in judged.sightings.items())
    rows = [id for id, entry in INVARIANTS.items() if entry.nature != "meta"]  # those are about campaigns
    invariants = tuple(_result(id, judged) for id in sorted(rows, key=by_number))
    reasons = tuple(_reasons(read, invariants))
    verdict: Conclusion = VIOLATED if findings else INCONCLUSIVE if reasons else CONSISTENT
    return Report(
        adapter=name,
        spec=read.adapter.spec if read.adapter is not None else name,
        saga=saga.name,
        steps=tuple((step.name, step.operation, step.undo or "") for step in known.steps),
        verdict=verdict,
        complete=True,
        max_faults=0,
        seed=0,
        counts=PlanCounts(),
        scenarios=(),
        random=RandomResult(),
        invariants=invariants,
        findings=findings,
        not_exercised=tuple(_unsaid(read, invariants)),
        reasons=reasons,
        digest=judged.digest.hexdigest(),
        version=__version__,
        definition=known,
        recorded=Recorded(
            files=tuple("-" if file == STDIN else Path(file).name for file in sources.files),
            events=read.events,
            sagas=judged.sagas,
            open=judged.open,
        ),
    )


def _finding(adapter: str, signature: Signature, seen: _Seen) -> Finding:
    return Finding(
        id=finding_id(adapter, signature),
        violation=seen.violation,
        scenario=Scenario(name=RECORD),
        history=seen.history,
        plan=None,
        hits=seen.hits,
        explains=seen.explains,
        necessary=False,
        first_events=len(seen.history.rows),
        explanation=explain_record(seen.violation, seen.history),
    )


def _result(id: str, judged: _Judged) -> InvariantResult:
    checked, violated = judged.checked[id], judged.violated[id]
    note = ""
    status: Status = HOLDS if checked else NOT_EXERCISED
    if violated:
        status = VIOLATED
        if not any(signature[0] == id for signature in judged.sightings):
            causes = (signature[0] for signature in judged.sightings if id in consequences(signature[0]))
            note = f"follows from {', '.join(sorted(set(causes), key=by_number))}"
    elif not checked and id in judged.gave_up:
        status, note = GAVE_UP, judged.gave_up[id]
    known = INVARIANTS[id]
    return InvariantResult(
        id=id,
        name=known.name,
        status=status,
        checked=checked,
        violated=violated,
        note=note,
        rule=known.holds_when,
        harm=known.harm,
    )


def _reasons(read: _Reading, invariants: tuple[InvariantResult, ...]) -> Iterator[str]:
    """Why the record as a whole cannot be called consistent."""
    yield from read.troubles.reasons()
    if not read.judged.sagas:
        yield "the record tells of no saga: a span needs saga.id, a row of CSV its saga"
    elif not any(result.status in (HOLDS, VIOLATED) for result in invariants):
        yield "no invariant is exercised: what the record would have to show stands below"


def _unsaid(read: _Reading, invariants: tuple[InvariantResult, ...]) -> Iterator[str]:
    """Each thing about which nobody should conclude anything, in words."""
    idle = [result.id for result in invariants if result.status == NOT_EXERCISED]
    if read.elsewhere:
        yield from read.seen.gaps(read.definitions)
        if read.judged.open:
            yield (
                f"how {read.judged.open:,} of {read.judged.sagas:,} sagas end: the record ends before; where the "
                f"system was at rest by then, say --at-rest"
            )
    if read.judged.unanswered:
        yield (
            f"what rests on answers in {read.judged.unanswered:,} of {read.judged.sagas:,} sagas: the record does not "
            f"show how each of their requests ended"
        )
    if read.cut:
        yield (
            f"what sagas did to one another: {'a run is' if read.cut == 1 else f'{read.cut:,} runs are'} longer than "
            f"{AT_ONCE:,} events, so each saga was judged by itself"
        )
    shown = read.shown
    yield from missing([id for id in idle if id not in judged_by(idle, shown)], shown)
    for result in invariants:
        if result.status == NOT_EXERCISED and result.id in judged_by([result.id], shown):
            yield f"invariant {result.id} ({result.name})"
