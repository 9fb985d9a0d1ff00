"""What a process can still do, as it is seen from outside: it runs, it waits for a time to come, or for somebody else.

Linux tells of each thread in which call of the system it waits, and with which arguments. One that waits without a
time limit does nothing until somebody else acts. Where that cannot be read, nothing is claimed.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from .fork_server import children


class _Limit(NamedTuple):
    """Where a call has its time limit (the number of the argument), and what stands there for none."""

    argument: int
    none: int


_NONE: Final = 0
"""No pointer to a time."""

_MINUS_ONE: Final = 0xFFFFFFFF

_FUTEX, _EPOLL, _EPOLL2 = _Limit(3, _NONE), _Limit(3, _MINUS_ONE), _Limit(3, _NONE)
_POLL, _PPOLL, _SELECT = _Limit(2, _MINUS_ONE), _Limit(2, _NONE), _Limit(4, _NONE)

_CALLS: Final[Mapping[str, Mapping[int, _Limit | None]]] = {
    "x86_64": {
        **dict.fromkeys((0, 43, 45, 47, 61, 247, 288)),  # read, accept, recvfrom, recvmsg, wait4, waitid, accept4
        202: _FUTEX,
        232: _EPOLL,
        281: _EPOLL,
        441: _EPOLL2,
        7: _POLL,
        271: _PPOLL,
        23: _SELECT,
        270: _SELECT,
    },
    "aarch64": {
        **dict.fromkeys((63, 202, 207, 212, 242, 260, 95)),  # read, accept, recvfrom, recvmsg, accept4, wait4, waitid
        98: _FUTEX,
        22: _EPOLL,
        441: _EPOLL2,
        73: _PPOLL,
        72: _SELECT,
    },
}
"""The calls in which a thread may wait for ever, by machine and number: None where it always does."""


def waits_for_others(pid: int) -> bool:
    """True if every thread of the process, and of those that descend from it, waits without a time limit."""
    known = _CALLS.get(platform.machine(), {})
    return all(_without_limit(told, known) for told in _told(pid, "syscall"))


def runs(pid: int) -> bool:
    """True if a thread of the process, or of one that descends from it, is at work, or waits for its turn to be."""
    return any(stat.rpartition(")")[2].split()[0] in "RD" for stat in _told(pid, "stat") if stat)


def _told(pid: int, what: str) -> Iterator[str]:
    """What the system tells of each thread; "" where it does not."""
    try:
        threads = [*Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # it has ended
        return
    for thread in threads:
        try:
            yield (thread / what).read_text()
        except OSError:
            yield ""
    for child in children(pid):
        yield from _told(child, what)


def _without_limit(told: str, known: Mapping[int, _Limit | None]) -> bool:
    number, *arguments = told.split() or ("",)
    if not number.isdecimal() or int(number) not in known:
        return False  # it runs, sleeps, or waits in a way that is not known
    limit = known[int(number)]
    return limit is None or int(arguments[limit.argument], 16) & _width(limit) == limit.none


def _width(limit: _Limit) -> int:
    """The bits that count: a time in milliseconds is an int, a pointer has all of them."""
    return _MINUS_ONE if limit.none == _MINUS_ONE else ~0
