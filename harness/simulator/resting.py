"""When a run is at rest, goes round without an end, or can do without the time that somebody polls in vain.

It is looked at now and then. Where it is provably where it was before (see `repeating`) it will never do anything else:
that is rest, or a livelock where something came of what it did. Where code asks for the time, and the run is where it
was but for that, or what it is answered otherwise repeats, time is skipped to the next moment at which something else
is due. Else numbers decide.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from ..history import DATA, KIND, LOG, LOGACK, MSG, OFTEN, RECORD, SAGA, STEP, WAITING, Row
from ..records import UNNAMED
from ..trace import SiteKind
from .incarnation import of_a_clock
from .kernel import LIVELOCK
from .repeating import FOR_EVER, Place, Running, Waits, first_due, position, surface, waits
from .replay_log import SLEPT

FIRST_LOOK_TICKS: Final = 45
"""So many timers fire before it is looked whether a run is at rest: most are at rest by then."""

LOOK_TICKS: Final = 10
"""So many fire between two looks."""

LATELY: Final = 50
"""So many of the last answers are compared with one another."""

MAX_TICKS: Final = 3_000
"""Timers that fire, for each saga, in a run that never stops doing something, before it is called a livelock."""

SAME_TICKS: Final = 100
"""Timers that fire although nothing comes of them, before time is skipped in which answers repeat."""

IDLE_TICKS: Final = 4_000
"""Timers that fire although nothing comes of them, before time is skipped in which answers vary."""

MAX_IDLE_TICKS: Final = 40_000
"""The same while something is open, before the run is cut."""

FAILING_TICKS: Final = 2_000
"""Timers that fire at most while a compensation fails."""

LATE_TICKS: Final = 400
"""Timers that fire after all sagas have come to their end, where no time can be skipped, before the run is cut."""

LATE_US: Final = 24 * 3_600_000_000
"""For how long those that poll for ever are watched after all sagas have come to their end: one day."""

MARK_TICKS: Final = 150
"""After so many timers of one stretch a run is compared with itself for the first time, and after each doubling."""

PERIOD_TICKS: Final = 48
"""So many timers fire in a round at most that is known again."""

SHORT_TICKS: Final = 3
"""For so many timers a run is compared with the first moment, and for four times as many with each later one: the first
may lie before all rounds."""

MOST_TRIES: Final = 12
"""At so many ticks one after the other it is tried to tell where a run is."""

SKIPPED_US: Final = 1_000_000
"""How much time is skipped at least."""

_WRITTEN: Final = (LOG, LOGACK)


class Mark(NamedTuple):
    """Where a run was, apart from what was ``timed`` in it: how many ticks, rows and sites there were, how many faults
    had struck, how many answers each living process had had, and which timer was due ``first``. ``lasts`` is for how
    many ticks the run is compared with it, ``surface`` and ``waits`` what costs little to compare."""

    surface: tuple[Any, ...]
    waits: Waits
    position: Place
    timed: bool
    ticks: int
    lasts: int
    rows: int
    sites: int
    fired: int
    heard: tuple[int, ...]
    first: int


class Look(NamedTuple):
    """What was seen when a run was looked at: how many ``rows`` and ``ticks`` there were, and in how many ticks
    something had ``worked``. Since tick ``since``, at ``since_us``, when the last timer was of ``order``, nothing has;
    each living process had ``heard`` so many answers by then. ``wrote`` says that somebody wrote all the same, of no
    saga. The ``next`` look is due after so many ticks. Where the run is compared with itself, ``mark`` says with what;
    it will be from tick ``compare`` on, or, where it is ``fresh``, as soon as nothing comes of anything. ``round`` says
    that it goes round since, but for the time; the sites of the first round that was proven have the numbers of
    ``rounds``. So often time was ``spared`` in which some went round while others slept; with the moment ``cycle``
    of one of these the run is compared at the next ones. The next mark ``lasts`` for so many ticks; where the run was
    could not be told at the last so many ``tries``, and is tried again."""

    rows: int
    worked: int
    ticks: int
    since: int
    since_us: int
    order: int
    heard: tuple[int, ...]
    wrote: bool
    next: int
    compare: int
    fresh: bool = True
    round: bool = False
    rounds: range = range(0)
    spared: int = 0
    cycle: Mark | None = None
    mark: Mark | None = None
    lasts: int = SHORT_TICKS
    tries: int = 0


class Resting(Running, Protocol):
    """A run, as far as it is judged whether it is at rest. ``called_at`` are the ticks by which a compensation began to
    fail for good; ``foretold`` are the sites, but for their phases and numbers, for which no fault is planned that did
    not strike yet: else it would not go on as it does."""

    called_at: int
    foretold: frozenset[SiteKind]

    def serves(self) -> bool:
        """True if a process is in boot, run or recover."""

    def operator_comes(self, *, waited: bool) -> bool:
        """Let an operator repair what fails and what he is called to; whether there was such."""


def first_look(sim: Resting) -> Look:
    """A run, or what is left of it, begins."""
    kernel = sim.kernel
    return Look(
        rows=len(sim.trace.rows),
        worked=0,
        ticks=kernel.ticks,
        since=kernel.ticks,
        since_us=kernel.now_us,
        order=kernel.newest,
        heard=_heard(sim),
        wrote=False,
        next=kernel.ticks + FIRST_LOOK_TICKS,
        compare=kernel.ticks + MARK_TICKS,
    )


def looked(sim: Resting, look: Look) -> Look | None:
    """Look again at a run that goes on: None where it is at rest, or is ended."""
    kernel, rows = sim.kernel, sim.trace.rows
    if sim.network.stuck and kernel.ticks - sim.called_at >= FAILING_TICKS:
        sim.operator_comes(waited=True)
    mark, look = look.mark, _marked(sim, look)
    mended = not sim.network.stuck
    rounds_us = _rounds_us(sim, mark) if mended and mark is not None and look.mark is not None else 0
    spares = rounds_us > 0 and mark is not None and _sleep_on(sim, mark)
    if spares and look.cycle is not None and _comes_round(sim, look.cycle):
        mark, rounds_us = look.cycle, FOR_EVER
    if rounds_us < 0 and mark is not None:
        sim.foretold |= _kinds_since(sim, mark)
        works = not mark.timed and _works(sim, rows[mark.rows :])
        if not (mark.timed or (works and sim.network.keeps)):
            kernel.stopped = LIVELOCK if works else ""
            return None
        rounds = look.rounds or range(mark.sites, len(sim.trace.sites))
        look = look._replace(round=True, rounds=rounds, mark=None, lasts=SHORT_TICKS)
    elif spares and mark is not None:
        look = _spared(sim, look, mark, rounds_us)
    new = rows[look.rows :]
    look = look._replace(rows=len(rows), next=kernel.ticks + (0 if _compares(look) else LOOK_TICKS))
    if _works(sim, new):
        worked = look.worked + (kernel.ticks - look.ticks if mended else 0)  # else an operator ends it
        if worked >= MAX_TICKS * len(sim.setup.orders):
            kernel.stopped = LIVELOCK
            return None
        since: dict[str, Any] = {"since": kernel.ticks, "since_us": kernel.now_us, "order": kernel.newest}
        since |= {"heard": _heard(sim), "wrote": False, "fresh": True, "round": False, "rounds": range(0)}
        look = look._replace(worked=worked, ticks=kernel.ticks, **since)
        return _from_now_on(sim, look) if mended and not _compares(look) and _nobody_works(sim) else look
    look = look._replace(ticks=kernel.ticks, wrote=look.wrote or any(row[KIND] == LOGACK for row in new))
    if sim.network.outage_lasts and kernel.ticks - look.since < MAX_IDLE_TICKS:
        return look  # what fails now will be done when it is over
    if look.round and not _asks_for_time(sim):
        look = look._replace(round=False, fresh=True)  # nobody does now, so it can be proven
    if look.fresh and not _compares(look):
        look = _from_now_on(sim, look)._replace(fresh=False)
    if (_compares(look) and not spares) or (sim.network.stuck and not sim.operator_comes(waited=False)):
        return look
    return _after_all(sim, look) if sim.only_pollers() else _idle(sim, look)


def goes_round_at(sim: Resting, look: Look) -> int:
    """The number of the site from which on a run that was looked at last so went round, but for the time, and did
    nothing at the same sites that it had not done there in the first round; -1 where there is none."""
    sites, rounds = sim.trace.sites, look.rounds
    if not rounds or _works(sim, sim.trace.rows[look.rows :]):
        return -1
    alike = {site[:-1] for site in sites[rounds.start : rounds.stop]}
    return rounds.stop if all(site[:-1] in alike for site in sites[rounds.stop :]) else -1


def _works(sim: Resting, rows: Sequence[Row]) -> bool:
    """True if one of the events is more than a question to a participant, or a sign of life in the store. A write of a
    saga whose kind nobody has named is a sign of life where all sagas are over, or somebody waits by the clock."""
    if any(map(_is_work, rows)):
        return True
    signs = any(row[KIND] in _WRITTEN and row[SAGA] for row in rows)
    return signs and not (_asks_for_time(sim) or sim.only_pollers())


def _is_work(row: Row) -> bool:
    if row[KIND] in _WRITTEN:
        return bool(row[SAGA]) and row[DATA][RECORD] != UNNAMED
    return not row[MSG] or bool(row[STEP])


# -- a run that is compared with itself --------------------------------------------------------------


def _compares(look: Look) -> bool:
    """True if the run is compared with itself at each tick, or is about to be."""
    return look.mark is not None or look.tries > 0


def _marked(sim: Resting, look: Look) -> Look:
    """The look with the mark that the run is to be compared with next, if it is time for one."""
    ticks, mark = sim.kernel.ticks, look.mark
    if mark is not None:
        struck = mark.fired != len(sim.trace.fired)
        if struck or (_asks_for_time(sim) and not mark.timed):  # it will not be there again
            mark, look = mark._replace(lasts=SHORT_TICKS if struck else 0), look._replace(lasts=SHORT_TICKS)
        if ticks - mark.ticks <= mark.lasts:
            return look
        if mark.lasts >= PERIOD_TICKS:
            return look._replace(mark=None, compare=2 * ticks, lasts=SHORT_TICKS)
        return _compared(sim, look)
    return look if look.round or ticks < look.compare else _compared(sim, look)


def _from_now_on(sim: Resting, look: Look) -> Look:
    """The look from which on the run is compared, at each tick, with what it is now; later if that cannot be told."""
    look = _compared(sim, look)
    return look if look.mark is None and not look.tries else look._replace(next=sim.kernel.ticks, fresh=False)


def _compared(sim: Resting, look: Look) -> Look:
    """The look from which on the run is compared with what it is now; later where that cannot be told."""
    ticks, timed = sim.kernel.ticks, any(process.reads_clock for process in sim.living)
    found = position(sim, timed=timed)
    if found is None and look.tries < MOST_TRIES:  # it may be in the midst of a loop, which it leaves soon
        return look._replace(mark=None, compare=ticks + 1, tries=look.tries + 1)
    if found is None:
        return look._replace(mark=None, compare=2 * ticks, tries=0, lasts=SHORT_TICKS)
    rows, sites = len(sim.trace.rows), len(sim.trace.sites)
    mark = Mark(
        surface=surface(sim, timed=timed),
        waits=waits(sim),
        position=found,
        timed=timed,
        ticks=ticks,
        lasts=look.lasts,
        rows=rows,
        sites=sites,
        fired=len(sim.trace.fired),
        heard=_heard(sim),
        first=first_due(sim),
    )
    return look._replace(mark=mark, tries=0, lasts=4 * look.lasts)


def _rounds_us(sim: Resting, mark: Mark) -> int:
    """How much of the time to come a run does what it did since it was where it is: until those who sleep on are
    woken, in whole rounds, or `FOR_EVER`; 0 where it was not there."""
    if sim.kernel.ticks == mark.ticks or surface(sim, timed=mark.timed) != mark.surface:
        return 0
    rounds_us = waits(sim).rounds_us(mark.waits)
    return rounds_us if rounds_us and _is_again(sim, mark) else 0


def _comes_round(sim: Resting, cycle: Mark) -> bool:
    """True if all who sleep on have been woken, nothing came of it, and all is as it was but for how far the rounds of
    the others had come by then: these need not be a part of theirs."""
    woken = all(each.order > cycle.waits.last for each in waits(sim).due)
    return woken and not _works(sim, sim.trace.rows[cycle.rows :]) and _is_again(sim, cycle)


def _is_again(sim: Resting, mark: Mark) -> bool:
    """True if a run is where it was, whenever those who sleep are woken; no fault has struck since or can have been
    nearer, and nobody has asked for the time since but where the mark is told apart from it."""
    if len(mark.heard) != len(sim.living):
        return False
    trace = sim.trace
    if len(trace.fired) != mark.fired or (not trace.spent and trace.nears(mark.sites)):
        return False
    asked = any(map(of_a_clock, _since(sim, mark.heard)))
    if asked and not mark.timed:
        return False
    if first_due(sim) == mark.first:  # only tasks of the dead were woken meanwhile
        return False
    now = position(sim, timed=mark.timed)
    return now is not None and now.again(mark.position)


def _sleep_on(sim: Resting, mark: Mark) -> bool:
    """True if the rounds since may be left out until one who sleeps is woken: nothing came of them, and no promise is
    judged by how long that takes."""
    return not (mark.timed or sim.setup.judged_by_time or _works(sim, sim.trace.rows[mark.rows :]))


def _kinds_since(sim: Resting, mark: Mark) -> set[SiteKind]:
    return {site[:3] for site in sim.trace.sites[mark.sites :]}


def _spared(sim: Resting, look: Look, mark: Mark, rounds_us: int) -> Look:
    """So much time is left out, in which those who were woken since the mark go round. What the others do when they are
    woken may come again as well: with each doubling of such times the run is compared with another one."""
    first = look.spared & (look.spared + 1) == 0
    sim.foretold |= _kinds_since(sim, mark)
    cycle = _compared(sim, look._replace(tries=MOST_TRIES)).mark if first else look.cycle
    sim.kernel.leave_out(rounds_us, mark.waits.last)
    since = look._replace(spared=look.spared + 1, cycle=cycle, mark=None, lasts=SHORT_TICKS)
    return since._replace(compare=sim.kernel.ticks, next=sim.kernel.ticks)


def _heard(sim: Resting) -> tuple[int, ...]:
    return tuple([len(process.inputs) for process in sim.living])


def _since(sim: Resting, heard: tuple[int, ...]) -> Iterator[Any]:
    """What the living processes were answered since each had ``heard`` so much."""
    for process, known in zip(sim.living, heard, strict=True):
        yield from process.inputs[known:]


# -- a run in which nothing comes of anything ----------------------------------------------------------


def _asks_for_time(sim: Resting) -> bool:
    return sim.setup.is_async or any(process.reads_clock for process in sim.living)


def _may_skip(sim: Resting, look: Look) -> bool:
    """True if nobody can notice that all who wait do so for longer, and no promise is judged by it."""
    return not sim.setup.judged_by_time and _goes_unnoticed(sim, look)


def _goes_unnoticed(sim: Resting, look: Look) -> bool:
    """True if what is written meanwhile only its writer reads, or nobody."""
    if not look.wrote or len(sim.living) == 1:
        return True
    return len(sim.living) == len(look.heard) and not any(map(_reads, _since(sim, look.heard)))


def _reads(entry: Any) -> bool:
    """True if an input may tell what another process wrote."""
    return not (of_a_clock(entry) or entry == SLEPT or (entry[0] == "put" and entry[1] != "Conflict"))


def _after_all(sim: Resting, look: Look) -> Look | None:
    """All sagas are over, and who is left polls. It is watched for a while. Messages that nobody can handle are not
    waited for."""
    kernel = sim.kernel
    if kernel.only_redelivers(OFTEN):
        return None
    idle, waited_us = kernel.ticks - look.since, kernel.now_us - look.since_us
    clock = _asks_for_time(sim)
    if clock and kernel.only_waits and _goes_unnoticed(sim, look):
        if not (look.round or idle >= SAME_TICKS):
            return look
        return (_skipped(sim, look, 3 * waited_us) or look) if waited_us < LATE_US else None
    if look.spared:
        return look if waited_us < LATE_US else None
    if idle < LATE_TICKS:
        return look
    kernel.stopped = "" if clock else WAITING
    return None


def _idle(sim: Resting, look: Look) -> Look | None:
    """Something is open, and nothing has come of anything since ``look.since``."""
    kernel = sim.kernel
    idle, waited_us, clock = kernel.ticks - look.since, kernel.now_us - look.since_us, _asks_for_time(sim)
    if not look.round and idle < (SAME_TICKS if not look.wrote and _answers_repeat(sim) else IDLE_TICKS):
        return look
    by_us = waited_us if look.round else waited_us // 4
    if clock and _may_skip(sim, look) and (skipped := _skipped(sim, look, by_us)):
        return skipped
    works = clock or sim.serves() or _works_for_sagas(sim) or _somebody_sleeps_on(sim, look)
    if idle < (MAX_IDLE_TICKS if works else IDLE_TICKS):
        return look
    if works:
        kernel.stopped = WAITING
    return None


def _works_for_sagas(sim: Resting) -> bool:
    """True if some task that a saga has left goes on: it may count what it does."""
    return any(task.saga and not task.finished for process in sim.living for task in process.tasks)


def _somebody_sleeps_on(sim: Resting, look: Look) -> bool:
    """True if somebody sleeps since before nothing came of anything any more: a recovery that seldom looks, say."""
    return any(each.order <= look.order for each in waits(sim).due)


def _nobody_works(sim: Resting) -> bool:
    """True if all sagas are over, or who still runs asks for the time and works for no saga, as far as is known."""
    if sim.only_pollers():
        return True
    return not (sim.setup.is_async or sim.serves() or _works_for_sagas(sim))


def _answers_repeat(sim: Resting) -> bool:
    """True if what each process was answered lately, the time apart, it had been answered shortly before."""
    for process in sim.living:
        lately = [entry for entry in process.inputs[-LATELY:] if not of_a_clock(entry)]
        half = len(lately) // 2
        before: Sequence[Hashable] = lately[:half]
        if not all(entry in before for entry in lately[half + 1 :]):
            return False
    return True


def _skipped(sim: Resting, look: Look, by_us: int) -> Look | None:
    """The next look is due when so much more time has passed, but no more than until something else is due, and as many
    timers have fired as there are; None where nothing can be skipped."""
    if not sim.kernel.skip(max(by_us, SKIPPED_US), look.order):
        return None
    return look._replace(next=sim.kernel.ticks + len(sim.kernel.timers) - 1)
