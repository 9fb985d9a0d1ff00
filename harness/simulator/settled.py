"""Whether the sagas of a run have come to an end."""

from __future__ import annotations

from collections.abc import Sequence

from ..history import ALERT, APPLY, BOOT, CLIENT_ACK, CRASH, DEAD_LETTER, EXPIRE, LOGACK, LOGLOST, TERMINAL, Row
from ..saga import FORWARD, Outcome
from .setup import Setup


def unsettled(setup: Setup, rows: Sequence[Row]) -> set[str]:
    """The sagas that are neither all done, nor all undone, nor handed to a person; also those that are not begun
    and were made durable, after the last start, by a process that then died: nobody has had a chance to see them."""
    done: set[str] = set()
    for row in rows:
        if row[1] in (CLIENT_ACK, TERMINAL) and row[9][0] != Outcome.PENDING.value:
            done.add(row[3])
        elif row[1] == LOGLOST and row[9][0] == "terminal":
            done.discard(row[3])
    handed = {row[3] for row in rows if row[1] == DEAD_LETTER} & {row[3] for row in rows if row[1] == ALERT}
    left = [saga for saga in setup.orders if saga not in done and saga not in handed]
    if not left:
        return set()
    binding = {step.name for step in setup.adapter.saga.steps if step.undo is not None or step.pivot}
    everything = {step.name for step in setup.adapter.saga.steps}
    unseen = _unseen(rows)
    found: set[str] = set()
    for saga in left:
        net: dict[str, int] = {}
        for row in rows:
            if row[3] == saga and (row[1] == EXPIRE or (row[1] == APPLY and row[9][0])):
                lasts = row[1] == APPLY and row[5] == FORWARD
                net[row[4]] = net.get(row[4], 0) + (1 if lasts else -1)
        begun = any(net.get(step) for step in binding) and not all(net.get(step) == 1 for step in everything)
        if begun or (saga in unseen and not net):
            found.add(saga)
    return found


def _unseen(rows: Sequence[Row]) -> set[str]:
    started = max((number for number, row in enumerate(rows) if row[1] == BOOT), default=0)
    since = rows[started:]
    dead = {row[2] for row in since if row[1] == CRASH}
    return {row[3] for row in since if row[1] == LOGACK and row[9][0] == "create" and row[2] in dead}
