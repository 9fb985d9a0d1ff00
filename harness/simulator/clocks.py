"""What the clocks of the standard library say inside a simulation: its virtual time."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from time import asctime, ctime, gmtime, localtime, strftime  # what they are outside
from typing import Any, Final

from .host import Host
from .kernel import EPOCH_S
from .replacing import Answer
from .streams import loop_for


def _sleep(sim: Host, seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    delay_us = round(seconds * 1e6)
    if sim.kernel.current is None:  # a participant's code: its answer is late
        sim.kernel.handler_delay_us += delay_us
        return
    task = sim.task()
    task.process.check_alive()
    sim.kernel.sleep(task, delay_us)


def _now_us(sim: Host) -> int:
    """Virtual time as the running code sees it: for a participant's, with what it has slept."""
    kernel = sim.kernel
    return kernel.now_us if kernel.current is not None else kernel.now_us + kernel.handler_delay_us


def wall_s(sim: Host) -> float:
    """The wall clock, in Unix seconds."""
    sim.clock_read = len(sim.trace.rows)
    return EPOCH_S + _asked_us(sim, sim.wall_offset_s) / 1e6 + sim.wall_offset_s


def wall_ns(sim: Host) -> int:
    """The wall clock, in Unix nanoseconds."""
    sim.clock_read = len(sim.trace.rows)
    return (int(EPOCH_S) + sim.wall_offset_s) * 1_000_000_000 + _asked_us(sim, sim.wall_offset_s) * 1000


def monotonic_s(sim: Host) -> float:
    """The clock that nobody sets, in seconds."""
    return _asked_us(sim) / 1e6


def _monotonic_ns(sim: Host) -> int:
    return _asked_us(sim) * 1000


def _asked_us(sim: Host, ahead_s: int = 0) -> int:
    """The time, noted as something that the process now knows of a clock that is so many seconds ahead."""
    now = _now_us(sim)
    sim.time_read = len(sim.trace.rows)
    if sim.kernel.current is not None:
        sim.kernel.current.process.inputs.append(now + ahead_s * 1_000_000)
    return now


# -- the wall clock in other forms ---------------------------------------------------------------


def _gmtime(sim: Host, seconds: float | None = None) -> time.struct_time:
    return gmtime(wall_s(sim) if seconds is None else seconds)


def _localtime(sim: Host, seconds: float | None = None) -> time.struct_time:
    return localtime(wall_s(sim) if seconds is None else seconds)


def _ctime(sim: Host, seconds: float | None = None) -> str:
    return ctime(wall_s(sim) if seconds is None else seconds)


def _asctime(sim: Host, *moment: Any) -> str:
    return asctime(*moment or (localtime(wall_s(sim)),))


def _strftime(sim: Host, form: str, *moment: Any) -> str:
    return strftime(form, *moment or (localtime(wall_s(sim)),))


_WALLS: Final = frozenset(getattr(time, name) for name in ("CLOCK_REALTIME", "CLOCK_TAI") if hasattr(time, name))


def utc(sim: Host, form: str) -> str:
    """The wall clock, in UTC, in that form."""
    return strftime(form, gmtime(wall_s(sim)))


def utc_of(seconds: int) -> str:
    """Unix seconds in UTC, as SQL writes them."""
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(seconds))


def _clock_gettime(sim: Host, clock: int) -> float:
    return wall_s(sim) if clock in _WALLS else monotonic_s(sim)


def _clock_gettime_ns(sim: Host, clock: int) -> int:
    return wall_ns(sim) if clock in _WALLS else _monotonic_ns(sim)


def _now(sim: Host, cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
    return cls.fromtimestamp(wall_s(sim), tz)


def _utcnow(sim: Host, cls: type[dt.datetime]) -> dt.datetime:
    return cls.fromtimestamp(wall_s(sim), dt.UTC).replace(tzinfo=None)


def _today(sim: Host, cls: type[dt.date]) -> dt.date:
    return cls.fromtimestamp(wall_s(sim))


def _new_event_loop(sim: Host) -> asyncio.AbstractEventLoop:
    """For `asyncio.run` inside a synchronous adapter."""
    task = sim.task()
    return loop_for(sim.kernel, task, getattr(task.process, "net", None))


CLOCKS: Final[tuple[Answer, ...]] = (
    Answer(time, "sleep", _sleep),
    Answer(time, "time", wall_s),
    Answer(time, "time_ns", wall_ns),
    Answer(time, "monotonic", monotonic_s),
    Answer(time, "monotonic_ns", _monotonic_ns),
    Answer(time, "perf_counter", monotonic_s),
    Answer(time, "perf_counter_ns", _monotonic_ns),
    Answer(time, "process_time", monotonic_s),
    Answer(time, "process_time_ns", _monotonic_ns),
    Answer(time, "thread_time", monotonic_s),
    Answer(time, "thread_time_ns", _monotonic_ns),
    Answer(time, "clock_gettime", _clock_gettime),
    Answer(time, "clock_gettime_ns", _clock_gettime_ns),
    Answer(time, "gmtime", _gmtime),
    Answer(time, "localtime", _localtime),
    Answer(time, "ctime", _ctime),
    Answer(time, "asctime", _asctime),
    Answer(time, "strftime", _strftime),
    Answer(dt.datetime, "now", _now),
    Answer(dt.datetime, "utcnow", _utcnow),
    Answer(dt.date, "today", _today),
    Answer(asyncio, "new_event_loop", _new_event_loop),
    Answer(asyncio.events, "new_event_loop", _new_event_loop),
)
"""Each clock, and what it says inside. A method of a class is given the class after the simulation."""
