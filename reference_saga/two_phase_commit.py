"""Two-phase commit, to contrast with: the coordinator's mind, a pure function like that of the sagas.

    state, commands = advance(state, event)

Every participant is asked to *prepare*: to do its work under locks, to make that durable, and to vote. When all have
voted yes, the decision to commit is made durable; only then is the first of them told. The rules of presumed abort:

- what is durable of a decision is only that to commit. A transaction whose record holds none is aborted: by its
  coordinator when that comes back, and by whoever asks for a transaction of which there is no record at all;
- a participant that voted yes has given its freedom away. Until it hears the decision its rows stay locked, and
  while no coordinator lives nobody can tell it: the protocol *blocks*;
- a decision is told until every participant has answered, then the transaction is over.

Participants are asked one after the other, in one order for all transactions, so no two wait for each other's locks
in a circle. Sources: Gray, Notes on data base operating systems (1978); Mohan, Lindsay and Obermarck, Transaction
management in the R* distributed database management system (1986), for presumed abort; Gray and Lamport, Consensus
on transaction commit (2006), for what a coordinator of its own costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..saga import Outcome, Saga, Step
from .definition import RetryPolicy

PREPARE: Final = "prepare"
COMMIT: Final = "commit"
ABORT: Final = "abort"

VOTES: Final = RetryPolicy(attempts=5, first_backoff_s=0.1)
"""How often a vote is asked for before the transaction is aborted: this bounds the wait for a lock."""

DECISIONS: Final = RetryPolicy(attempts=1, first_backoff_s=0.1)
"""How long is waited before a decision is told again; it is told until it is answered."""


def as_saga(name: str, participants: Sequence[str]) -> Saga:
    """The transaction in the harness's terms: to prepare can be taken back by an abort, in any order; the commits
    come when all have prepared, and cannot fail for good."""
    prepared = tuple(step_of(participant, PREPARE) for participant in participants)
    prepares = [Step(step_of(p, PREPARE), f"{p}.{PREPARE}", undo=f"{p}.{ABORT}", after=()) for p in participants]
    commits = [Step(step_of(p, COMMIT), f"{p}.{COMMIT}", retriable=True, after=prepared) for p in participants]
    return Saga(name, [*prepares, *commits])


def step_of(participant: str, verb: str) -> str:
    """The name of a step of `as_saga`."""
    return f"{participant}-{verb}"


class State(NamedTuple):
    """A transaction as its coordinator knows it. ``decision`` is "commit" where that is durable, else "";
    ``owner`` and ``epoch`` say who may write, ``revision`` counts the writes. What comes after ``outcome`` dies with
    the process: who voted yes, whether it is being aborted, whom that concerns, who has answered to the decision,
    who would not follow it, and how often each was asked in vain."""

    id: str
    owner: str
    participants: tuple[str, ...]
    epoch: int = 1
    revision: int = 0
    request: Mapping[str, Any] = {}
    decision: str = ""
    outcome: str = ""
    votes: tuple[str, ...] = ()
    aborting: bool = False
    concerned: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    silences: Mapping[str, int] = {}

    @property
    def verb(self) -> str:
        """What participants are asked for now."""
        return self.decision or (ABORT if self.aborting else PREPARE)

    def record(self) -> dict[str, Any]:
        """What is kept of it: JSON data."""
        return dict(zip(_KEPT, self, strict=False))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> State:
        values = {name: record[name] for name in _KEPT}
        return cls(**{**values, "participants": tuple(values["participants"])})


_KEPT: Final = State._fields[: State._fields.index("outcome") + 1]


# -- events: what happened ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """A new transaction, or one that a coordinator takes up."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The participant votes yes, or has done what was decided."""

    participant: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The participant votes no; or it would not do what was decided, which it must never."""

    participant: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer, or an error: the request may have been carried out, or may yet be."""

    participant: str


Event = Begin | Agreed | Refused | Silent


# -- commands: what is to be done, in this order ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Save:
    """Make the new state durable; ``entries`` say what is new in it, as (kind of record, step)."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the participant for what the state's ``verb`` says, after that wait."""

    participant: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CallPerson:
    """A participant broke its word: put the transaction aside."""

    participant: str
    reason: str


Command = Save | Send | CallPerson
Move = tuple[State, tuple[Command, ...]]


def advance(state: State, event: Event) -> Move:
    """The state after the event, and what is to be done now. A state with an ``outcome`` is the last.

    Commands are to be carried out in order; nothing may be sent before the `Save` before it is durable.
    """
    match event:
        case Begin():
            return _begin(state)
        case Agreed():
            return _agreed(state, event.participant)
        case Refused():
            return _refused(state, event)
        case Silent():
            return _silent(state, event.participant)


def _begin(state: State) -> Move:
    if not state.revision:
        intents = [("intent", step_of(participant, PREPARE)) for participant in state.participants]
        return _saved(state, [("create", ""), *intents], Send(state.participants[0]))
    state = state._replace(aborting=not state.decision, concerned=state.participants)
    return _saved(state, [("adopt", "")], *map(Send, state.participants))


def _agreed(state: State, participant: str) -> Move:
    if state.verb != PREPARE:
        return _settled(state._replace(answered=(*state.answered, participant)))
    state = state._replace(votes=(*state.votes, participant))
    if len(state.votes) < len(state.participants):
        return state, (Send(state.participants[len(state.votes)]),)
    state = state._replace(decision=COMMIT, concerned=state.participants, silences={})
    entries = [("decision", "")]
    entries += [("outcome", step_of(each, PREPARE)) for each in state.participants]
    entries += [("intent", step_of(each, COMMIT)) for each in state.participants]
    return _saved(state, entries, *map(Send, state.participants))


def _refused(state: State, event: Refused) -> Move:
    if state.verb == PREPARE:
        return _abort(state)
    state = state._replace(answered=(*state.answered, event.participant), stuck=(*state.stuck, event.participant))
    aside = CallPerson(event.participant, f"it would not {state.verb}: {event.reason}")
    state, commands = _settled(state)
    return state, (aside, *commands)


def _silent(state: State, participant: str) -> Move:
    count = state.silences.get(participant, 0) + 1
    state = state._replace(silences={**state.silences, participant: count})
    if state.verb != PREPARE:
        return state, (Send(participant, DECISIONS.backoff_s(count)),)
    if count < VOTES.attempts:
        return state, (Send(participant, VOTES.backoff_s(count)),)
    return _abort(state)


def _abort(state: State) -> Move:
    """Nothing is written: a transaction without a decision is an aborted one. Who voted no is told too, since a copy
    of the request to prepare may still be on its way to it."""
    asked = state.participants[: len(state.votes) + 1]
    return state._replace(aborting=True, concerned=asked, silences={}), tuple(map(Send, asked))


def _settled(state: State) -> Move:
    if len(state.answered) < len(state.concerned):
        return state, ()
    outcome = Outcome.COMPLETED if state.decision else Outcome.COMPENSATED
    state = state._replace(outcome=(Outcome.STUCK if state.stuck else outcome).value)
    return _saved(state, [("terminal", "")])


def _saved(state: State, entries: Sequence[tuple[str, str]], *sends: Send) -> Move:
    return state._replace(revision=state.revision + 1), (Save(tuple(entries)), *sends)
