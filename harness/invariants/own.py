"""Rules of an adapter's own: the view that they read, and how each is judged beside the invariants of the table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Final

from ..errors import UsageError, nearest
from ..history import (
    ACCOUNT,
    ALERT,
    APPLY,
    CLIENT_ACK,
    DATA,
    DEAD_LETTER,
    DIRECTION,
    EFFECTIVE,
    ENTRY,
    HELD,
    HOLDS,
    KIND,
    OUTCOME,
    PROCESS,
    SAGA,
    STATE,
    STEP,
    History,
    Row,
)
from ..ports import Adapter
from ..rules import HISTORY, MOMENTS, READS, REST, Rule
from ..saga import Saga
from ..scenario import Order, Scenario
from ..verdict import Violation
from .facts import Facts
from .registry import OURS, Catalogue, Checked, Invariant, catalogue_with

NO_REPAIR: Final = "look at the event at which it is broken, and at what the view shows of the moment before"


class _NotAtRest(Exception):
    """A rule asked what is held at rest, of a run that did not come to rest."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One way in which a run breaks a rule: the sentence, and where, as far as that is said."""

    sentence: str
    saga: str = ""
    step: str = ""
    direction: str = ""
    position: int = -1


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What is held, and who was told what, after one event: a transaction of ``participant`` for ``saga``, of which
    ``operation`` says what was asked, or an answer to its client (then ``participant`` is "client"). ``told`` maps each
    saga whose client was told an outcome to the last one ("completed"), ``called`` are the sagas to which a person was
    called; ``balances`` are those of participants of one's own: what ``participant.account`` holds for each saga. At
    rest, ``participant`` is "" and it is of no saga."""

    participant: str
    saga: str
    step: str
    direction: str
    operation: str
    told: Mapping[str, str]
    called: frozenset[str]
    balances: Mapping[str, Mapping[str, int]] = field(repr=False)
    _texts: Mapping[str, str] = field(repr=False)
    _position: int = field(repr=False, default=-1)

    def state(self, participant: str) -> Any:
        """What that participant holds: a copy, as JSON has it. Of a built-in one a dict with its ``rows``, and where it
        has counters, what is ``free`` and ``taken`` of each subject. UsageError where there is none of that name."""
        text = self._texts.get(participant)
        if text is None:
            known = ", ".join(sorted(self._texts))
            raise UsageError(
                f"there is no participant {participant!r}{nearest(participant, self._texts)}; there is {known}"
            )
        return json.loads(text)

    def balance(self, account: str, saga: str | None = None) -> int:
        """What ``participant.account`` holds for a saga, or for all of them; 0 where nothing was put there."""
        held = self.balances.get(account, {})
        return sum(held.values()) if saga is None else held.get(saga, 0)

    @property
    def states(self) -> dict[str, Any]:
        """What each participant holds, by name."""
        return {name: json.loads(text) for name, text in self._texts.items()}

    def wrong(self, sentence: str, *, saga: str | None = None) -> Broken:
        """That the rule is broken here, for a rule to return; of the moment's own saga where none is named."""
        return Broken(
            sentence=sentence,
            saga=self.saga if saga is None else saga,
            step=self.step if saga in (None, self.saga) else "",
            direction=self.direction if saga in (None, self.saga) else "",
            position=self._position,
        )


class View:
    """What a rule may read of a run, as far as it says that it ``reads``. It changes nothing."""

    def __init__(self, history: History, reads: str, end: str) -> None:
        self._history = history
        self._reads = reads
        self._end = end
        self.looked = False
        """True if the rule was given anything that happened: if not, it is not exercised."""

    @property
    def saga(self) -> Saga:
        """The definition."""
        return self._history.saga

    @property
    def scenario(self) -> Scenario:
        """What was asked, in which world: its stock and funds."""
        if self._history.given is None:
            raise UsageError("the history does not hold its scenario; run it again")
        return self._history.given

    @property
    def orders(self) -> Mapping[str, Order]:
        """The orders by the ids of their sagas."""
        return MappingProxyType({order.id: order for order in self.scenario.orders})

    @property
    def rest(self) -> Moment:
        """What is held when all is at rest. A rule that asks for it is not judged where a run did not come to rest."""
        if self._end != "quiescent":
            raise _NotAtRest
        self.looked = self.looked or self._happened
        return Moment(
            participant="",
            saga="",
            step="",
            direction="",
            operation="",
            told=self._told,
            called=self._called,
            balances=self._balances,
            _texts=self._texts,
        )

    @property
    def moments(self) -> tuple[Moment, ...]:
        """One for each transaction of a participant that changed what it holds, and for each answer to a client, in
        their order."""
        self._needs(MOMENTS)
        self.looked = self.looked or bool(self._moments)
        return self._moments

    @property
    def history(self) -> History:
        """Every event, with its time."""
        self._needs(HISTORY)
        self.looked = True
        return self._history

    def _needs(self, reads: str) -> None:
        if READS.index(self._reads) < READS.index(reads):
            raise UsageError(f"it reads {self._reads} only; write @sagafuzz.rule(reads={reads!r}) above it")

    @cached_property
    def _happened(self) -> bool:
        return any(row[KIND] == APPLY and row[DATA][EFFECTIVE] for row in self._history.rows)

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        """What each participant held last."""
        return {row[PROCESS]: row[DATA][HELD] for row in self._history.rows if row[KIND] == STATE}

    @cached_property
    def _told(self) -> Mapping[str, str]:
        return {row[SAGA]: row[DATA][OUTCOME] for row in self._history.rows if row[KIND] == CLIENT_ACK}

    @cached_property
    def _called(self) -> frozenset[str]:
        return frozenset(row[SAGA] for row in self._history.rows if row[KIND] in (ALERT, DEAD_LETTER))

    @cached_property
    def _balances(self) -> Mapping[str, Mapping[str, int]]:
        found: Mapping[str, Mapping[str, int]] = {}
        for row in self._history.rows:
            if row[KIND] == ENTRY:
                found = _with_entry(found, row)
        return found

    @cached_property
    def _moments(self) -> tuple[Moment, ...]:
        return tuple(self._each())

    def _each(self) -> Iterator[Moment]:
        texts: Mapping[str, str] = {}
        told: Mapping[str, str] = {}
        called: frozenset[str] = frozenset()
        balances: Mapping[str, Mapping[str, int]] = {}
        for position, row in enumerate(self._history.rows):
            kind = row[KIND]
            if kind == STATE:
                texts = {**texts, row[PROCESS]: row[DATA][HELD]}
                if not row[SAGA]:  # as it is at the start, or at the end
                    continue
                position -= 1  # the transaction, which comes right before  # noqa: PLW2901
            elif kind == CLIENT_ACK:
                told = {**told, row[SAGA]: row[DATA][OUTCOME]}
            else:
                if kind in (ALERT, DEAD_LETTER):
                    called |= {row[SAGA]}
                elif kind == ENTRY:
                    balances = _with_entry(balances, row)
                continue
            yield Moment(
                _position=position,
                participant=row[PROCESS],
                saga=row[SAGA],
                step=row[STEP],
                direction=row[DIRECTION],
                operation=self._operation(row),
                told=told,
                called=called,
                balances=balances,
                _texts=texts,
            )

    def _operation(self, row: Row) -> str:
        return self._history.known.operation(row[STEP], row[DIRECTION]) if row[STEP] else ""


def _with_entry(balances: Mapping[str, Mapping[str, int]], row: Row) -> Mapping[str, Mapping[str, int]]:
    account = f"{row[PROCESS]}.{row[DATA][ACCOUNT]}"
    return {**balances, account: {**balances.get(account, {}), row[SAGA]: row[DATA][HOLDS]}}


def catalogue_of(adapter: Adapter) -> Catalogue:
    """What its runs are judged by: the invariants of the table, and its own. UsageError where one of these does not
    fit beside the others."""
    if not adapter.invariants:
        return OURS
    return _catalogue(adapter.invariants)


@cache
def _catalogue(own: tuple[Any, ...]) -> Catalogue:
    return catalogue_with(_as_invariant(entry, id) if isinstance(entry, Rule) else entry for id, entry in _named(own))


def rules_of(adapter: Adapter) -> dict[str, Rule]:
    """The rules that it declares, by the ids under which they are judged."""
    return {id: entry for id, entry in _named(adapter.invariants) if isinstance(entry, Rule)}


def _named(own: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Each with its id; a rule without one has its place among the rules."""
    number = 0
    for entry in own:
        number += isinstance(entry, Rule)
        yield entry.id or f"R{number}", entry


def _as_invariant(rule: Rule, id: str) -> Invariant:
    def check(facts: Facts) -> Checked:
        return _judged(rule, id, facts)

    return Invariant(
        id=id,
        name=rule.name,
        holds_when=rule.about or f"{rule.name}: a rule of the adapter's own",
        cause=rule.cause,
        repair=rule.repair or NO_REPAIR,
        nature="liveness" if rule.reads == REST else "safety",
        check=check,
        reads=rule.reads,
        remembers=("shown",) if rule.reads != HISTORY else None,
    )


def _judged(rule: Rule, id: str, facts: Facts) -> Checked:
    """Of a run the first breach alone: what is broken is so at each moment after as well."""
    view = View(facts.history, rule.reads, facts.end)
    try:
        first = next(_said(rule, rule(view)), None)
    except _NotAtRest:
        return False, ()
    return view.looked, () if first is None else (_violation(rule, id, first),)


def _said(rule: Rule, answer: Iterable[Any] | None) -> Iterator[Broken]:
    if answer is None:
        return
    if isinstance(answer, (str, Broken)) or not isinstance(answer, Iterable):
        raise UsageError(f"rule {rule.name!r} returned {answer!r}; return a list of sentences, or yield them")
    for said in answer:
        if isinstance(said, str):
            yield Broken(sentence=said)
        elif isinstance(said, Broken):
            yield said
        else:
            raise UsageError(f"rule {rule.name!r} gave {said!r}; give sentences, or what moment.wrong(sentence) makes")


def _violation(rule: Rule, id: str, said: Broken) -> Violation:
    return Violation(
        invariant=id,
        anomaly=rule.name,
        sentence=said.sentence,
        expected=rule.about or rule.name,
        got="a breach",
        saga=said.saga,
        step=said.step,
        direction=said.direction,
        position=said.position,
    )
