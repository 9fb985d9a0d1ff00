"""Whose doing it is, also where none of the user's lines is on the stack: in a library's task, or a helper thread."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ..asgi import answering
from ..frames import Caller, Frame, caller, is_ours, is_own, running, users
from .host import Host
from .incarnation import Incarnation


def here() -> Caller:
    """Where the user's code does what is being done, if it is on the stack."""
    frames = list(running(sys._getframe(1)))
    return caller(frames) if any(is_own(code.co_filename) for code, _ in frames) else Caller()


def calling(sim: Host) -> Caller:
    """Where the user's code does what is being done, through awaits and helper threads."""
    frames = list(running(sys._getframe(1)))
    if any(is_own(code.co_filename) for code, _ in frames):
        return caller(frames)
    return caller(waiting(sim) or frames)


def waiting(sim: Host) -> list[Frame]:
    """The frames of what waits for what a task of a library, or a thread, does; the innermost first."""
    process = sim.kernel.current.process if sim.kernel.current is not None else None
    if not isinstance(process, Incarnation):
        return []
    coroutines = [
        other.get_coro()
        for loop in [each.loop for each in process.tasks if each.loop is not None]
        for other in sorted(asyncio.all_tasks(loop), key=lambda other: (len(other.get_name()), other.get_name()))
    ]
    serving = process.serving_task(process.current_saga())
    first = [serving, answering(serving)] if serving is not None else []
    for coroutine in [*[task.get_coro() for task in first if task is not None], *coroutines]:
        frames = _suspended(coroutine)
        found = users(frames)
        waits_for_us = bool(frames) and is_ours(frames[0][0].co_filename)  # a lifespan for the end, say
        if found is not None and is_own(found[0].co_filename) and not waits_for_us:
            return frames
    return []


def _suspended(coroutine: Any) -> list[Frame]:
    """The frames of a coroutine that waits, the innermost first."""
    frames: list[Frame] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            frames.append((frame.f_code, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frames[::-1]
