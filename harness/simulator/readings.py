"""Readings of the frames of processes, kept by the lives that led there.

Many plans lead a process through the same life: it was asked for the same, had the same answers at the same times, and
took its turns in the same order. What its frames hold follows from that, so they are read once. What stands around its
code does not: what of that can change is looked at each time.
"""

from __future__ import annotations

import hashlib
import marshal
from types import FrameType
from typing import Any, Final, NamedTuple

from .incarnation import TimedInputs
from .kernel import Task
from .message import Message
from .process import Process
from .process_state import Running, read, told_to
from .retained import Opaque
from .sqlite_values import found
from .surroundings import Reach
from .volatile import Teller

MOST: Final = 1 << 14
"""So many readings are kept at most, of some 200 bytes each."""

_NOTHING: Final = b""
"""In the place of 16 bytes that cannot be had."""


class _Reading(NamedTuple):
    """What was read, in 16 bytes, and what was ``around`` the code, with what of that stood there."""

    told: bytes
    around: list[Reach]
    standing: bytes


class Readings:
    """Those of one search."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Reading] = {}

    def of(self, sim: Running, process: Process, messages: list[Message], acting: FrameType | None) -> bytes:
        """16 bytes over what the frames of a process hold; ``acting`` is that in which the running task is about to
        act. Raises Opaque."""
        life = _life(sim, process, messages)
        reading = self._kept.get(life) if life else None
        if reading is None or not _stands(reading):
            reading = _read(sim, process, messages, acting)
            if life:
                if len(self._kept) >= MOST:
                    self._kept.clear()
                self._kept[life] = reading
        if not reading.told:
            raise Opaque
        return reading.told


def _read(sim: Running, process: Process, messages: list[Message], acting: FrameType | None) -> _Reading:
    try:
        parts, around = read(sim, process, messages, acting)
        return _Reading(_digest(parts), around, _standing(around))
    except (Opaque, ValueError):
        return _Reading(_NOTHING, [], _NOTHING)


def _stands(reading: _Reading) -> bool:
    """True if what is around the code is what it was."""
    try:
        return all(reach.holds for reach in reading.around) and _standing(reading.around) == reading.standing
    except (Opaque, ValueError):
        return False


def _standing(around: list[Reach]) -> bytes:
    """16 bytes over what can change around the code. Raises Opaque or ValueError."""
    teller = Teller()
    for reach in around:
        teller.tell_all(reach.moving)
    return _digest(teller.parts) if teller.parts else _NOTHING


def _digest(parts: Any) -> bytes:
    """16 bytes over plain values. Raises ValueError where some are not."""
    return hashlib.blake2b(marshal.dumps(parts, 2), digest_size=16).digest()


def _life(sim: Running, process: Process, messages: list[Message]) -> bytes:
    """16 bytes over all that made a process what it is; b"" where that is more than its ports told it."""
    inputs, current = process.inputs, sim.kernel.current
    came_us = inputs.came_us if isinstance(inputs, TimedInputs) else None
    in_a_loop = process.replayable if came_us is not None else not process.diary
    if process.net is not None or not in_a_loop:
        return _NOTHING
    begun = process.incarnation > 1, process.upgraded, process.label if process.named else ""
    orders = [order.id for order in process.orders]
    tasks = [(task.label, task.saga) for task in process.tasks]  # an order that comes late is no answer of a port
    met = [*inputs], came_us, process.turns, process.diary, process.asked
    runs = current.number if current is not None and current.process is process else -1
    now = sim.kernel.now_us if came_us is not None else 0, process.booted, runs
    try:
        waiting = [_caller(process, msg) for msg in messages]
        return _digest((begun, orders, tasks, found(sim.databases), met, now, waiting))
    except (Opaque, ValueError):  # an answer that is no plain data
        return _NOTHING


def _caller(process: Process, msg: Message) -> Any:
    """Which of a process waits for the answer of a request."""
    if msg.done or msg.process is not process:
        return -1
    whom = told_to(msg)[0]
    return (whom.number,) if isinstance(whom, Task) else whom
