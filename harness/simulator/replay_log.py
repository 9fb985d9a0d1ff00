"""The answers that a process had, given once more: so its code comes again to where it stood.

A process that asks nothing but its ports is a function of their answers, and of whose turn it was among its tasks.
Without kernel, network and participants it is brought to its next step in a fraction
of the time.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from ..ports import CallTimeout, Conflict, PortError, Rejected, StoreUnavailable, Unavailable

LIVE: Final = object()
"""The log is over: the port is to answer itself."""

WOKEN: Final = object()
"""The log is over, and the time for which the task slept then."""

_ERRORS: Final[dict[str, type[PortError]]] = {
    error.__name__: error for error in (CallTimeout, Conflict, Rejected, StoreUnavailable, Unavailable)
}


SLEPT: Final = ("sleep", None)
"""The input of a process that has slept."""

PUBLISHED: Final = ("publish", None)
"""The input of a process that has published a message."""


RECEIVED: Final = "receive"
"""What stands first in the input of a process that was handed a message."""


def error_in(entry: tuple[Any, ...]) -> PortError | None:
    """The error that an input of a port says it raised, a fresh copy; None where it answered."""
    if len(entry) < 4:
        return None
    error = _ERRORS[entry[1]](entry[2])
    if len(entry) == 5:
        error.told = marshal.loads(entry[4])
    return error


class Owner(Protocol):
    """The process that is answered again: its kernel and its tasks."""

    kernel: Any
    tasks: list[Any]


class ReplayLog:
    """``entries`` are the inputs of a process: (port, answer, for a call what it was about), or for an error (port, its
    type, its text, what it was about, and what a participant told, if one did), or for a message (RECEIVED, id, topic,
    saga, key, delivery, payload); ``turns`` say from which of them on which of its tasks went on, since two of them ran
    beside one another: until then each began when the one before had ended. ``hand(entry, last)`` hands the process a
    message again, the last one or not. ``over()`` is called before the first live answer, ``strayed()``, which does not
    return, where another port is asked than before, or by another task."""

    __slots__ = (
        *("_at", "_ends", "_entries", "_hand", "_is_over", "_last_message", "_over", "_process", "_strayed", "_turn"),
        "_turns",
    )

    def __init__(
        self,
        process: Owner,
        entries: Sequence[tuple[Any, ...]],
        turns: Sequence[tuple[int, int]],
        *,
        hand: Callable[[tuple[Any, ...], bool], object],
        over: Callable[[], object],
        strayed: Callable[[], object],
    ) -> None:
        self._process = process
        self._entries = entries
        self._turns = turns
        self._hand = hand
        self._over = over
        self._strayed = strayed
        messages = [at for at, entry in enumerate(entries) if entry[0] == RECEIVED]
        self._last_message = messages[-1] if messages else -1
        self._at = 0
        self._turn = -1
        self._ends = self._end()
        self._is_over = False

    def answer(self, port: str) -> Any:
        """What ``port`` answered at this place, a fresh copy; LIVE where it is to answer itself, WOKEN where the task
        had begun to sleep and has slept by now. Raises what it raised."""
        if self._at <= self._last_message:
            self._receive()
        while self._at == self._ends:
            if self._turn + 1 == len(self._turns):
                self._is_over = True
                self._over()
                return LIVE
            self._wait_for_turn()
            if self._is_over:
                if port != SLEPT[0]:
                    self._strayed()
                return WOKEN
        entry = self._entries[self._at]
        self._at += 1
        if entry[0] != port:
            self._strayed()
        error = error_in(entry)
        if error is not None:
            raise error
        return marshal.loads(entry[1]) if port == "call" else entry[1]

    def went_on(self, number: int) -> None:
        """The task of that number goes on, or begins."""
        if self._turns[self._turn][1] != number:
            self._strayed()

    def ended(self) -> None:
        """The task whose turn it is has come to its end."""
        self._receive()
        if -1 < self._turn < len(self._turns) - 1:
            self._next_turn()

    def _receive(self) -> None:
        """Hand the process the messages again that came next."""
        while self._at < self._ends and self._entries[self._at][0] == RECEIVED:
            self._at += 1
            self._hand(self._entries[self._at - 1], self._at - 1 == self._last_message)

    def _wait_for_turn(self) -> None:
        kernel = self._process.kernel
        me = kernel.current
        self._next_turn()
        kernel.block(me)
        self._receive()

    def _next_turn(self) -> None:
        """Let the task go on whose turn is next: it waits for that, or is about to begin."""
        tasks = self._process.tasks
        if self._at != self._ends:
            self._strayed()
        self._turn += 1
        self._ends = self._end()
        self._receive()
        number = self._turns[self._turn][1]
        if number >= len(tasks) or not (tasks[number].waiting or tasks[number].glet is None):
            self._strayed()
        self._process.kernel.wake(tasks[number])

    def _end(self) -> int:
        """How many entries there are when the turn is over."""
        return self._turns[self._turn + 1][0] if self._turn + 1 < len(self._turns) else len(self._entries)
