"""Invariants over who works on a saga, and by which definition: I14, I22, I24."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..history import (
    ALERT,
    DATA,
    DEAD_LETTER,
    DEFINITION,
    DIRECTION,
    KIND,
    OPERATION,
    PROCESS,
    SAGA,
    SEND,
    STEP,
    WHERE,
)
from ..verdict import Violation
from .facts import STUCK, Facts, SagaFacts, written
from .log import interrupted, zombie_state
from .registry import Checked, Usual, invariant


@invariant(
    "I14",
    "single effective owner",
    harm="two processes can act for one saga at a time",
    by_prefix=True,
    holds_when="the durable writes for one saga come from owners whose epochs never go back, and no owner writes again "
    "once another has taken over",
    cause="a lease that runs out while its holder sleeps, or a store that does not look at the epoch of a write",
    repair="raise an epoch with each takeover, in the saga's own record, and let every write name the epoch that it "
    "expects to find",
    remembers=("owners",),
    explains=("I2", "I3", "I5", "I11", "I15", "I16"),
    source="Kleppmann, How to do distributed locking, 2016",
    apart={
        "two owners in one epoch": Usual(
            cause="two processes begin one saga, or take it over, and the store gives both the same epoch",
            repair="begin a saga by a write that fails where its record is there already, and raise the epoch with "
            "each takeover in the same way",
        )
    },
)
def single_owner(facts: Facts) -> Checked:
    """Judged on writes that the store accepted and kept, where they show an epoch. Where none is shown, two
    owners are tolerable as long as the other invariants hold. Two executions of a saga in one process are two owners
    as well: their epochs tell. Needed: what the stale owner overwrites may be read by nobody in the run at hand."""
    exercised, found = False, []
    rows = facts.history.rows
    for saga in facts.sagas.values():
        if len({owner for _, owner in saga.owned}) < 2:
            continue
        exercised = True
        _, (latest, latest_epoch) = saga.owned[0]
        seen = {latest}
        for position, (process, epoch) in saga.owned:
            stale = epoch < latest_epoch
            if stale or (process != latest and process in seen and epoch == latest_epoch):
                record, step, _ = written(rows[position])
                found.append(
                    Violation(
                        invariant="I14",
                        anomaly="stale write accepted" if stale else "two owners in one epoch",
                        sentence=f"{process} wrote {f'{record} {step}'.rstrip()!r} for {saga.id} under epoch {epoch}, "
                        f"and the store took it, although {'it' if process == latest else latest} had written under "
                        f"{f'epoch {latest_epoch}' if stale else 'the same epoch'} by then",
                        expected="a write refused, or under a later epoch",
                        got=f"epoch {epoch} after {latest_epoch}",
                        saga=saga.id,
                        step=step,
                        position=position,
                    )
                )
                break
            latest, latest_epoch = process, epoch
            seen.add(process)
    return exercised, found


@invariant(
    "I22",
    "no poisoning",
    harm="one saga can keep others from going on",
    holds_when="a saga that cannot be handled keeps back no other",
    cause="recovery takes the sagas one after the other, and ends or waits for ever at the first that fails",
    repair="guard each saga on its own: catch, put aside, alert, and go on with the next",
    nature="liveness",
    remembers=("beside", "deaths", "ends", "effects", "people", "durable", "rest"),
    explains=("I2", "I3", "I5", "I10", "I11", "I13", "I16", "C3"),
)
def no_poisoning(facts: Facts) -> Checked:
    """A saga that nobody takes up, or answers, while another one's handling raised or never came to an end. The saga
    that is kept back is a zombie as well (I13), or never answers (C3); this one names the cause. Judged in the end, and
    while a compensation fails to which nobody is called: who waits for it must not let other sagas wait."""
    if len(facts.sagas) < 2:
        return False, ()
    meanwhile = facts.meanwhile()  # while a compensation fails to which nobody is called
    exercised, found = _kept_back(meanwhile) if meanwhile is not None else (False, [])
    at_rest, in_the_end = _kept_back(facts)
    return exercised or at_rest, found or in_the_end


def _kept_back(facts: Facts) -> tuple[bool, list[Violation]]:
    exercised, found = False, []
    for saga in facts.sagas.values():
        since = interrupted(facts, saga)
        if since is None:
            since = saga.submitted
            kept_back = _never_served(facts, saga)
        else:
            kept_back = zombie_state(facts, saga, since) is not None
        bad = [other.id for other in facts.sagas.values() if other is not saga and _failed(facts, other, since)]
        if not bad:
            continue
        exercised = True
        if kept_back:
            found.append(
                Violation(
                    invariant="I22",
                    anomaly="kept back",
                    sentence=f"nobody came to {saga.id}, because {' and '.join(bad)} could not be handled",
                    expected=f"{saga.id} handled all the same",
                    got="nothing done for it",
                    saga=saga.id,
                    position=since,
                )
            )
    return exercised, found


def _failed(facts: Facts, saga: SagaFacts, since: int) -> bool:
    """Work on the saga after ``since`` raised, ended with a person being called, or did not come to an end."""
    if any(at > since for at in saga.raised):
        return True
    if saga.last_row < since or any(at > since and outcome != STUCK for at, outcome, _ in saga.claims):
        return False
    if facts.end != "quiescent" or any(at > since for at in saga.dead.values()):
        return True
    rows = facts.history.rows
    return any(at > since and rows[at][DATA][WHERE].startswith("recover") for at in facts.strays)


def _never_served(facts: Facts, saga: SagaFacts) -> bool:
    """The client asked, and nothing at all was done."""
    touched = saga.claims or saga.raised or saga.nonsense or saga.pending >= 0 or saga.dead or saga.calls
    return saga.submitted >= 0 and not touched and saga.last_row < 0


@invariant(
    "I24",
    "version",
    harm="a saga can be taken up by another definition than its own",
    holds_when="a saga that is taken up again runs the definition that it was started with, or is refused explicitly",
    cause="recovery runs every saga by the newest definition",
    repair="keep the version with the saga, and the old definition as long as sagas of it are open; or put them aside",
    remembers=("definitions",),
    explains=("I2", "I3", "I5", "I16", "I23"),
)
def version(facts: Facts) -> Checked:
    """Judged where the adapter shows versions: by ``world.adopt(saga, definition=...)`` at the start and at each
    takeover, and, where it declares ``definitions``, by the operations that it sends. Needed: both definitions
    may do and undo the same steps, by other operations."""
    exercised, found = False, []
    declared: Any = facts.history.declared.get("definitions")
    versions: Mapping[str, tuple[str, ...]] = declared if isinstance(declared, Mapping) else {}
    for saga in facts.sagas.values():
        if len(saga.adopted) < 2:
            continue
        violation = _other_version(facts, saga, versions)
        shown = {facts.history.rows[at][DATA][DEFINITION] for at in saga.adopted}
        exercised = exercised or shown != {""}
        if violation is not None:
            found.append(violation)
    return exercised, found


def _other_version(facts: Facts, saga: SagaFacts, versions: Mapping[str, tuple[str, ...]]) -> Violation | None:
    rows = facts.history.rows
    first = next((rows[at][DATA][DEFINITION] for at in saga.adopted if rows[at][DATA][DEFINITION]), "")
    if not first:
        return None
    own = frozenset(versions.get(first, ()))
    foreign = frozenset().union(*versions.values()) - own
    follows = {rows[saga.adopted[0]][2]: first}
    for position in range(saga.adopted[0], len(rows)):
        row = rows[position]
        if row[SAGA] != saga.id or row[PROCESS] in facts.actors:
            continue
        if position in saga.adopted:
            follows[row[PROCESS]] = row[DATA][DEFINITION] or first
        elif row[KIND] in (DEAD_LETTER, ALERT):
            follows[row[PROCESS]] = first  # refused explicitly
        elif row[KIND] == SEND and own and row[DATA][OPERATION] in foreign:
            return _version_violation(
                saga, row[DATA][OPERATION], f"which {first!r} does not have", row[STEP], row[DIRECTION], first, position
            )
        elif row[KIND] == SEND and row[STEP] and follows.get(row[PROCESS], first) != first:
            return _version_violation(
                saga,
                row[DATA][OPERATION],
                f"by definition {follows[row[PROCESS]]!r}",
                row[STEP],
                row[DIRECTION],
                first,
                position,
            )
    return None


def _version_violation(
    saga: SagaFacts, operation: str, how: str, step: str, direction: str, first: str, position: int
) -> Violation:
    return Violation(
        invariant="I24",
        anomaly="another definition",
        sentence=f"{saga.id} was started by definition {first!r}, and {operation} was sent for it, {how}",
        expected=f"definition {first!r}, or an explicit refusal",
        got=f"{operation}, {how}",
        saga=saga.id,
        step=step,
        direction=direction,
        position=position,
    )
