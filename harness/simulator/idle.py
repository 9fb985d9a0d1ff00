"""Which faults of a run struck, and changed nothing: they do not count as fired.

A clock that jumps where nobody asks for the time, a process that is doubled by one that does nothing: the run is the
one without the fault, but for the marks of the harness. Only what is certain is told; whoever looked has noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..effects import Effect, Expire, JumpClock, Lag, Pause, StartSecond
from ..history import BOOT, CRASH, EXPIRE, KIND, PROCESS, SAGA, STEP, SUBMIT, Row
from ..trace import Run, SiteKey, Strike


class Signs(NamedTuple):
    """What a run leaves of who noticed what.

    ``clock_read`` is how many rows there were when the wall clock was last asked for, ``time_read`` the same of any
    clock (-1: never). At the rows ``alone`` a process paused while nothing else was under way. The processes
    ``behind`` read from a replica that lagged; those in ``used`` asked their ports for anything. At the row
    ``restarted_at`` the harness ended a process, to start it anew: any fault is a reason for that (-1: it never did).
    ``left_open()`` says whether a saga is open in the end that a restart could have freed.
    """

    rows: list[Row]
    clock_read: int
    time_read: int
    alone: Collection[int]
    behind: Collection[str]
    restarted_at: int
    used: Collection[str]
    left_open: Callable[[], bool]


def without_idle(run: Run, strikes: Iterable[tuple[int, SiteKey, Strike]], signs: Callable[[], Signs]) -> Run:
    """The run with those of its faults told apart that changed nothing. ``signs()`` is asked where one may have."""
    possible = [strike for strike in strikes if strike[2].kind.may_be_idle]
    found = tuple(_idle(possible, signs())) if possible else ()
    return (
        run._replace(idle=found, fired=tuple(entry for entry in run.fired if entry[1] not in found)) if found else run
    )


def _idle(strikes: Iterable[tuple[int, SiteKey, Strike]], signs: Signs) -> Iterator[int]:
    """The numbers of the faults that changed nothing, of those that struck before the row of each position."""
    for at, site, strike in strikes:
        unnoticed = all(_UNNOTICED[type(effect)](signs, at, site) for effect in strike.kind.effects)
        if unnoticed and not (signs.restarted_at >= at or signs.left_open()):
            yield strike.number


def _unread(signs: Signs, at: int, site: SiteKey) -> bool:
    return signs.clock_read <= at


def _up_to_date(signs: Signs, at: int, site: SiteKey) -> bool:
    return signs.rows[at][PROCESS] not in signs.behind


def _kept(signs: Signs, at: int, site: SiteKey) -> bool:
    """What was reserved was confirmed or undone before it could run out."""
    return not any(row[KIND] == EXPIRE and (row[SAGA], row[STEP]) == site[:2] for row in signs.rows[at:])


def _doubled_in_vain(signs: Signs, at: int, site: SiteKey) -> bool:
    """The process that was started did nothing, and nobody died or was asked who would have been another without it."""
    others: set[str] = set()
    for row in signs.rows[at:]:
        if row[KIND] == BOOT:
            others.add(row[PROCESS])
        elif row[PROCESS] in others or row[KIND] in (CRASH, SUBMIT):
            return False
    return others.isdisjoint(signs.used)


def _stood_still_in_vain(signs: Signs, at: int, site: SiteKey) -> bool:
    """All that happened afterwards happened later, and nobody asks for the time."""
    return at in signs.alone and signs.time_read <= at and _doubled_in_vain(signs, at, site)


_UNNOTICED: Final[Mapping[type[Effect], Callable[[Signs, int, Any], bool]]] = {
    JumpClock: _unread,
    Lag: _up_to_date,
    Expire: _kept,
    StartSecond: _doubled_in_vain,
    Pause: _stood_still_in_vain,
}
"""Whether nobody noticed an effect, for each that can pass unnoticed."""

MAY_BE_IDLE: Final = frozenset(_UNNOTICED)
