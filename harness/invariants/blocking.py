"""How long data is held: I26, a metric, and the locks that nobody gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..history import BOOT, CRASH, DATA, ENTITY, HOLD, KIND, PROCESS, RELEASE, SAGA, SEND, T_US, History
from .facts import Facts
from .registry import Checked, invariant


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A lock on an entity, from its HOLD to its RELEASE, or to the end of the run where it was not ``released``.

    ``in_doubt_us`` is the time in which no orchestrator ran that could have decided; ``waits`` counts the
    requests that its saga sent meanwhile: a lock across the network, as two-phase commit holds it.
    """

    service: str
    entity: str
    saga: str
    since_us: int
    until_us: int
    released: bool
    in_doubt_us: int
    waits: int

    @property
    def held_us(self) -> int:
        return self.until_us - self.since_us


def blocking(history: History) -> tuple[Hold, ...]:
    """Every lock that the participants showed, in the order in which they were taken."""
    open_holds: dict[tuple[str, str, str], tuple[int, int]] = {}  # (number, position)
    found: dict[int, Hold] = {}
    dark = tuple(_dark(history))
    for position, row in enumerate(history.rows):
        if row[KIND] not in (HOLD, RELEASE):
            continue
        lock = (row[PROCESS], row[DATA][ENTITY], row[SAGA])
        if row[KIND] == HOLD:
            open_holds.setdefault(lock, (len(found) + len(open_holds), position))
        elif lock in open_holds:
            number, since = open_holds.pop(lock)
            found[number] = _hold(history, lock, since, position, dark, released=True)
    for lock, (number, since) in open_holds.items():
        found[number] = _hold(history, lock, since, len(history.rows) - 1, dark, released=False)
    return tuple(found[number] for number in sorted(found))


def _hold(
    history: History,
    lock: tuple[str, str, str],
    since: int,
    until: int,
    dark: Iterable[tuple[int, int]],
    *,
    released: bool,
) -> Hold:
    rows = history.rows
    since_us, until_us = rows[since][T_US], rows[until][T_US]
    return Hold(
        service=lock[0],
        entity=lock[1],
        saga=lock[2],
        since_us=since_us,
        until_us=until_us,
        released=released,
        in_doubt_us=sum(max(min(end, until_us) - max(begin, since_us), 0) for begin, end in dark),
        waits=sum(row[KIND] == SEND and row[SAGA] == lock[2] for row in rows[since:until]),
    )


def _dark(history: History) -> list[tuple[int, int]]:
    """The intervals (µs) in which no orchestrator lived."""
    found, living, since_us = [], set[str](), -1
    for row in history.rows:
        if row[KIND] == BOOT:
            if since_us >= 0:
                found.append((since_us, row[T_US]))
            since_us = -1
            living.add(row[PROCESS])
        elif row[KIND] == CRASH:
            living.discard(row[PROCESS])
            since_us = row[T_US] if not living else -1
    return [*found, (since_us, history.rows[-1][T_US])] if since_us >= 0 else found


@invariant(
    "I26",
    "blocking",
    holds_when="a metric: for how long each row was locked, and for how much of that nobody could decide",
    cause="a lock that is held while a request travels, as in two-phase commit",
    repair="commit each local transaction by itself, and mark what is not final instead of locking it",
    nature="meta",
    source="Gray & Lamport, Consensus on transaction commit, 2006",
)
def blocking_is_measured(facts: Facts) -> Checked:
    """Not judged: `blocking` gives the figures, and a campaign's report their sums. A lock that is never given back is
    I3's."""
    return False, ()
