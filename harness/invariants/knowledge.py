"""Who can have known what: in one look-up, or of many events in one pass."""

from __future__ import annotations

from ..history import (
    ACK,
    APPLY,
    BOOT,
    DELIVER,
    ERROR,
    KIND,
    LOGACK,
    MSG,
    PROCESS,
    PUBLISH,
    RECEIVE,
    REJECT,
    SEND,
    History,
)
from .calls import heard
from .facts import Facts


def knew(facts: Facts, learnt: int, at: int) -> bool:
    """True if the process that acts at ``at`` can know what was learnt at ``learnt``: it is the same one,
    the other wrote something durable in between, or a message that it received comes of who knew."""
    rows = facts.history.rows
    learner = rows[learnt][PROCESS]
    if learner == rows[at][PROCESS]:
        return True
    if any(row[KIND] == LOGACK and row[PROCESS] == learner for row in rows[learnt + 1 : at]):
        return True
    return any(learnt < before and knew(facts, learnt, before) for before in heard(rows, facts.messages.values(), at))


def knowledge(history: History, marks: dict[int, int]) -> dict[int, int]:
    """Which marked events happened before which, in the sense of Lamport (1978).

    ``marks`` gives events (positions) a bit each; the result maps each marked position to the bits
    of the marked events that happened before it. Knowledge travels with messages (any answer, be it
    an error, tells what its sender knew), through each process in program order, and through what
    is durable: to the next incarnation, and to whoever writes or asks next (it may have read what it found). A write
    that was only asked for tells nothing. Where a system hides its writes (``hidden_writes``), every answer counts as
    kept: nothing shows otherwise.
    """
    hidden = bool(history.declared.get("hidden_writes"))
    holder: dict[str, int] = {}
    in_message: dict[tuple[int, str], int] = {}
    stored = 0
    result: dict[int, int] = {}
    for position in range(min(marks, default=0), max(marks, default=-1) + 1):  # nobody knows of any before the first
        row = history.rows[position]
        kind, process, message = row[KIND], row[PROCESS], row[MSG]
        known = holder.get(process, 0)
        if kind == DELIVER:
            known |= in_message.get((message, "request"), 0)
        elif kind in (BOOT, LOGACK, SEND):
            known |= stored
        elif kind == ACK:
            known |= in_message.get((message, "answer"), 0)
        elif kind == RECEIVE:
            known |= in_message.get((message, "request"), 0)
        if position in marks:
            result[position] = known
            known |= marks[position]
        if kind in (SEND, PUBLISH):
            in_message[message, "request"] = known
        elif kind == LOGACK:
            stored = known
        elif hidden and kind == ACK:
            stored |= known
        elif kind in (APPLY, REJECT, ERROR):
            in_message[message, "answer"] = in_message.get((message, "answer"), 0) | known
        holder[process] = known
    return result
