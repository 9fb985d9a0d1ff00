"""The timers of a run, one row for each: what can still happen by itself, and what is known of it.

A timer in the kernel is data: when it is due, its order, what happens (a name of TIMERS), and to what. Who makes a
timer happen says so in `Kernel.acts`; whoever looks at timers (a prefix, the state of a run) asks the table here, never
the name of a function.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Entry = tuple[int, int, str, Any]
"""(when it is due in µs, its order among those due at once, what happens, to what)."""

REQUEST: Final = "request"
OPEN_REQUEST: Final = "open request"
ANSWER: Final = "answer"
TASK: Final = "task"
BEGINNING: Final = "beginning"
LETTER: Final = "letter"
HIDDEN: Final = "hidden"
"""To what something happens: to a request, whether or not its caller still waits; to a request whose caller waits, else
to nobody; to a tuple of a request and its reply; to a task; to an order, or a process that is to start and why; to a
copy of a message; to something whose state cannot be told."""


class Timer(NamedTuple):
    """What is known of a kind of timer. ``to`` says to what it happens, ``copyable`` whether a copy of the run can have
    it (of a timer for a task: where that task has ended, or is asleep), ``starts`` whether it starts a process."""

    to: str
    copyable: bool = False
    starts: bool = False


WAKE: Final = "wake"
RESUME: Final = "resume"
LOOP: Final = "loop"
DELIVERY: Final = "delivery"
TURN: Final = "turn"
ANSWERING: Final = "answering"
ARRIVAL: Final = "arrival"
GIVE_UP: Final = "give up"
WAIT_OVER: Final = "wait over"
RUN_OUT: Final = "run out"
START: Final = "start"
START_BESIDE: Final = "start beside"
SUBMIT: Final = "submit"
LETTER_DUE: Final = "message due"
RESUBMIT: Final = "resubmit"
WORK_DUE: Final = "work due"
APP_START: Final = "start of an app"
PATIENCE: Final = "patience over"

TIMERS: Final[Mapping[str, Timer]] = MappingProxyType(
    {
        WAKE: Timer(TASK, copyable=True),
        RESUME: Timer(TASK),
        LOOP: Timer(HIDDEN),
        DELIVERY: Timer(REQUEST, copyable=True),
        TURN: Timer(HIDDEN),
        ANSWERING: Timer(ANSWER, copyable=True),
        ARRIVAL: Timer(ANSWER, copyable=True),
        GIVE_UP: Timer(OPEN_REQUEST, copyable=True),
        WAIT_OVER: Timer(OPEN_REQUEST, copyable=True),
        RUN_OUT: Timer(REQUEST, copyable=True),
        START: Timer(BEGINNING, starts=True),
        START_BESIDE: Timer(HIDDEN, starts=True),
        SUBMIT: Timer(BEGINNING, copyable=True),
        LETTER_DUE: Timer(LETTER, copyable=True),
        RESUBMIT: Timer(BEGINNING),
        WORK_DUE: Timer(HIDDEN),
        PATIENCE: Timer(HIDDEN),
        APP_START: Timer(HIDDEN),
    }
)
"""Every kind of timer there is."""
