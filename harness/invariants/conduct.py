"""How the code under test behaves towards its caller: C1 to C3.

Without these, an adapter that fails at its first line would pass every other invariant: it has
no effect at all.
"""

from __future__ import annotations

from typing import Final

from ..definitions import parent_of
from ..history import ANSWER, CRASH, DATA, DIRECTION, KIND, LOGACK, LOST, OPERATION, SAGA, SEND, TIMEOUT
from ..saga import COMPENSATION, FORWARD
from ..verdict import Violation
from .facts import Facts
from .registry import Checked, invariant

_ANSWERING: Final = ("run", "its driver")
"""What runs a saga and gives an answer, as events call it in the simulator and of a live worker."""


@invariant(
    "C1",
    "no stray exception",
    harm="an exception can reach the caller",
    holds_when="no exception leaves the adapter, save that of a port to which a fault was done",
    cause="a bug in the code under test, or an adapter that does not translate its refusals",
    repair="catch it where it is raised; run gives False where the saga was refused or rolled back, and lets only "
    "errors of ports pass",
    remembers=("raised",),
    explains=("I2", "I3", "I5", "I10", "I11", "I13", "I16", "I22"),
)
def no_stray_exception(facts: Facts) -> Checked:
    """A port's error may pass when a fault was injected: the client then knows that it knows nothing. Without one a
    refusal that leaves ``run`` is wrong: it is an answer, and False, for compensated, is what it leads to. A mistake
    of the code where it handles a port's error, a name that is not there say, is its own."""
    found = []
    positions = [at for saga in facts.sagas.values() for at in saga.raised] + facts.strays
    for position in sorted(positions):
        row = facts.history.rows[position]
        type_name, message, where, port = row[DATA]
        if port and _disturbed(facts):
            continue
        answers = where.partition(":")[0] in _ANSWERING
        hint = _hint(facts, message) if answers else "; catch it there, since nobody else does"
        found.append(
            Violation(
                invariant="C1",
                anomaly=f"{type_name} escapes",
                sentence=f"{where} raised {type_name}: {message}"[:300] + (hint if port else ""),
                expected="True, False or an Outcome" if answers else "no exception",
                got=type_name,
                saga=row[SAGA],
                position=position,
            )
        )
    return True, found


def _hint(facts: Facts, message: str) -> str:
    """What to do with a port's error in the place of letting it leave ``run``. A refusal names its operation."""
    _, direction = facts.saga.by_operation.get(message.partition(":")[0], (None, FORWARD))
    undo = "; an undo that is refused is not done: mend it, or put it aside and call a person"
    return undo if direction == COMPENSATION else "; return False where the saga was refused"


def _disturbed(facts: Facts) -> bool:
    """A planned fault struck, or the history itself shows one (the state machine has no plan)."""
    return bool(facts.history.fired) or any(row[KIND] in (LOST, TIMEOUT, CRASH) for row in facts.history.rows)


@invariant(
    "C2",
    "sane answer",
    harm="the caller can get an answer that nobody understands",
    by_prefix=True,
    holds_when="run returns True, False or an Outcome",
    cause="run returns nothing, or the engine's own result object",
    repair="translate the result: True for completed, False for compensated, or an Outcome",
    remembers=("raised",),
)
def sane_answer(facts: Facts) -> Checked:
    """Anything else is no answer that a client could act on."""
    found = []
    for saga in facts.sagas.values():
        for position in saga.nonsense:
            answer = facts.history.rows[position][DATA][ANSWER]
            found.append(
                Violation(
                    invariant="C2",
                    anomaly="nonsense",
                    sentence=f"run answered {answer} for {saga.id}; it must return True, False or an Outcome",
                    expected="True, False or an Outcome",
                    got=str(answer),
                    saga=saga.id,
                    position=position,
                )
            )
    return True, found


_OFTEN: Final = 2
"""A call that is asked for more often than that, and last, is what a saga goes round on."""


def _round_what(facts: Facts) -> str:
    """``: it asked for payment.refund of saga-1 998 times``, where the last call was asked for that often, or
    ``: it wrote for saga-1 998 times``, where the last durable write of a saga was; else ""."""
    rows = facts.history.rows
    last = next((row for row in reversed(rows) if row[KIND] == SEND), None)
    if last is not None:
        call = (*last[SAGA : DIRECTION + 1], last[DATA][OPERATION])
        times = sum(row[KIND] == SEND and (*row[SAGA : DIRECTION + 1], row[DATA][OPERATION]) == call for row in rows)
        of = f" of {last[SAGA]}" if last[SAGA] else ""
        if times > _OFTEN:
            return f": it asked for {last[DATA][OPERATION]}{of} {times:,} times"
    written = [row[SAGA] for row in rows if row[KIND] == LOGACK and row[SAGA]]
    times = written.count(written[-1]) if written else 0
    return f": it wrote for {written[-1]} {times:,} times" if times > _OFTEN else ""


@invariant(
    "C3",
    "comes to rest",
    harm="a run can go on without an end",
    holds_when="once faults have stopped, every run ends, and everything is quiet in the end",
    cause="a loop without progress, or a wait for something that never comes",
    repair="bound each wait and each loop, and back off between attempts",
    nature="liveness",
    remembers=("ends", "deaths", "raised", "people"),
    explains=("I2", "I3", "I10", "I11", "I13", "I16"),
)
def comes_to_rest(facts: Facts) -> Checked:
    """A livelock in virtual time, a loop that touches no port, or a saga whose client waits for ever: a saga that is a
    step of another one has none. To wait is neither rest nor livelock: who polls, and writes and asks for no step, is
    waited for; where a run has to be cut all the same, this and every rule about what comes in the end give up."""
    found = []
    if facts.end in ("livelock", "spins"):
        how = "goes round without an end" if facts.end == "livelock" else "computes for ever without touching a port"
        how += _round_what(facts) if facts.end == "livelock" else ""
        found.append(
            Violation(
                invariant="C3",
                anomaly=facts.end,
                sentence=f"the code under test {how}",
                expected="rest",
                got=facts.end,
            )
        )
        return True, found
    for saga in facts.sagas.values():
        answered = saga.claims or saga.raised or saga.nonsense or saga.pending >= 0 or saga.dead
        crashed = any(at > saga.submitted for at, _ in facts.crashes)
        if saga.submitted >= 0 and not parent_of(saga.id) and not answered and not crashed and not facts.strays:
            found.append(
                Violation(
                    invariant="C3",
                    anomaly="never answers",
                    sentence=f"run for {saga.id} never returned: it waits for something that will not come",
                    expected="an answer",
                    got="none",
                    saga=saga.id,
                )
            )
    return True, found
