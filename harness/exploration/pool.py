"""Parts of a campaign searched by several processes ahead of the campaign, which takes them as if they had been kept.

Nothing is merged by time: the campaign asks for the parts in their order and counts them itself, so that how many
processes there are changes no count, no finding and no digest. The parts of a worker that dies are told, and left to
the campaign, which searches them like those that nobody was given.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ..ports import Adapter
from .events import Event, PartFinished, RootsKnown
from .part_search import PartSearch, drawn_parts
from .part_worker import CopiedWorker, PartWorker, Roots
from .settings import Settings
from .shards import ALL, Share, is_drawn, is_root

POLL_S: Final = 0.2
"""How long to wait for workers before it is asked again whether to stop."""

GIVEN: Final = 2
"""How many parts a worker is given at once: it goes on with the second while the campaign counts the first."""

AFTER_S: Final = 2.0
"""A campaign that is over before has no workers, unless it was told how many."""

AHEAD: Final = 8
"""How many of the random parts for each worker may be searched before the campaign has asked for them."""


class Done(NamedTuple):
    """A worker brings a part, as text; None for one that came to no end."""

    worker: str
    part: str
    text: str | None


class Lost(NamedTuple):
    """A worker is gone: how, in words."""

    worker: str
    how: str


class Crew(Protocol):
    """Workers, each called by a name."""

    def present(self) -> Sequence[str]:
        """Those that can be given parts."""

    def give(self, worker: str, part: str) -> None:
        """Have it search one more part. That it is gone is an event, no error."""

    def events(self, timeout_s: float) -> Iterator[Done | Lost]:
        """What happened, after at most that time."""


class Pool:
    """Has a crew search the parts of one campaign; they are kept by ``keep`` as they come and found by ``kept``.

    ``drawn`` are the parts of random plans, in the order in which the campaign will ask for them. ``share``
    says of a part whether it is searched at all. ``complain`` hears of workers that died, in words."""

    def __init__(
        self,
        settings: Settings,
        crew: Crew,
        *,
        kept: Callable[[str], str | None],
        keep: Callable[[str, str], None],
        stopped: Callable[[], bool],
        complain: Callable[[str], None],
        share: Share = ALL,
    ) -> None:
        self._crew = crew
        self._kept = kept
        self._keep = keep
        self._stopped = stopped
        self._complain = complain
        self._leave = share.leave
        self._given: dict[str, list[str]] = {}
        self._waiting: deque[str] = deque()
        self._open: set[str] = set()  # given, or to be given, to a worker
        self._drawn = (part for part in drawn_parts(settings) if share.leave(part) is None)
        self._next_drawn = next(self._drawn, None)
        self._ahead = 0  # random parts that were planned and not yet asked for
        for index in range(len(settings.scenarios)):
            self._plan(f"{index}/0")

    def get(self, part: str) -> str | None:
        """The part of that name, as soon as it is there; None where no worker brings it."""
        if is_drawn(part) and self._leave(part) is None:
            self._ahead -= 1
            while self._next_drawn is not None and self._ahead < 0:
                self._plan_drawn()
        self._advance(0)
        while part in self._open and not self._stopped():
            self._advance(POLL_S)
        return self._kept(part)

    def expect(self, parts: Iterable[str]) -> None:
        """Of the parts that wait, give these first, in this order."""
        places = {part: place for place, part in enumerate(parts)}
        self._waiting = deque(sorted(self._waiting, key=lambda part: places.get(part, len(places))))

    def _plan(self, part: str) -> None:
        text = self._kept(part)
        if text is not None:
            self._plan_more(part, text)
        elif self._leave(part) is None:
            self._open.add(part)
            self._waiting.append(part)

    def _plan_more(self, part: str, text: str) -> None:
        """A scenario's part 0 says how many others there are."""
        if is_root(part):
            index = part.partition("/")[0]
            for more in range(1, len(json.loads(text)["extended"]) + 1):
                self._plan(f"{index}/{more}")

    def _plan_drawn(self) -> None:
        """The next part of random plans."""
        if self._next_drawn is not None:
            self._ahead += 1
            self._plan(self._next_drawn)
            self._next_drawn = next(self._drawn, None)

    def _advance(self, timeout_s: float) -> None:
        """Give parts to those that have few, and take what comes."""
        workers = self._crew.present()
        if not workers:
            self._open.clear()
            self._waiting.clear()
            return
        for turn in range(GIVEN):
            for worker in workers:
                if len(self._given.setdefault(worker, [])) == turn:
                    self._give(worker, AHEAD * len(workers))
        for event in self._crew.events(timeout_s):
            self._take(event)

    def _give(self, worker: str, ahead: int) -> None:
        while not self._waiting and self._next_drawn is not None and self._ahead < ahead:
            self._plan_drawn()
        if self._waiting:
            part = self._waiting.popleft()
            self._given[worker].append(part)
            self._crew.give(worker, part)

    def _take(self, event: Done | Lost) -> None:
        if isinstance(event, Lost):
            parts = self._given.pop(event.worker, [])
            again = f"; {_in_words(parts)} searched again by the campaign itself" if parts else ""
            self._complain(f"worker {event.worker} {event.how}{again}")
            self._open.difference_update(parts)
            return
        self._given[event.worker].remove(event.part)
        if event.text is not None:
            self._keep(event.part, event.text)
            self._plan_more(event.part, event.text)
        self._open.discard(event.part)


def _in_words(parts: list[str]) -> str:
    return f"its part {parts[0]} is" if len(parts) == 1 else f"its parts {' and '.join(parts)} are"


class Later:
    """Finds parts as ``kept`` does; of a campaign that takes longer than ``AFTER_S`` as the pool that ``begin`` makes
    then: the processes of a short one would cost more than they spare. With ``at_once`` no time is waited; with
    ``after_roots`` the part 0 of each scenario comes before, from which copies of this process go on."""

    def __init__(
        self,
        kept: Callable[[str], str | None],
        begin: Callable[[], Pool],
        *,
        at_once: bool = False,
        after_roots: bool = False,
    ) -> None:
        self._kept = kept
        self._begin = begin
        self._after_roots = after_roots
        self._pool: Pool | None = None
        self._expected: tuple[str, ...] = ()
        self._from = time.monotonic() + (0.0 if at_once else AFTER_S)

    def get(self, part: str) -> str | None:
        """The part of that name, None where it is to be searched here."""
        too_early = time.monotonic() < self._from or (self._after_roots and is_root(part))
        if self._pool is None and not too_early:
            self._pool = self._begin()
            self._pool.expect(self._expected)
        return self._kept(part) if self._pool is None else self._pool.get(part)

    def expect(self, parts: Iterable[str]) -> None:
        """See `Pool.expect`."""
        self._expected = tuple(parts)
        if self._pool is not None:
            self._pool.expect(self._expected)


class Shelf:
    """The parts of a campaign that keeps none: the names of those that are done, and the text of those that others have
    brought until it is asked for. It listens to the campaign."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, PartFinished):
            self._texts[event.name] = json.dumps({"extended": event.record.extended})

    def get(self, part: str) -> str | None:
        return self._texts.get(part)

    def keep(self, part: str, text: str) -> None:
        self._texts[part] = text


class Rooted(dict[int, PartSearch]):
    """The scenarios of a campaign whose part 0 is there. It listens to the campaign."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RootsKnown):
            self[event.scenario] = event.search


def cores() -> int:
    """How many processes of this machine can run at once for this one, by its affinity and its control group. One
    where the process is a worker of pytest-xdist, which has as many of them, and where the system is not POSIX."""
    if "PYTEST_XDIST_WORKER" in os.environ or not hasattr(os, "fork"):
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(usable, int(quota) // int(period)))
    except (OSError, ValueError):  # there is none: "max"
        return usable


class Processes:
    """A crew on this machine."""

    def __init__(self, workers: Sequence[PartWorker | CopiedWorker]) -> None:
        self._workers = {worker.name: worker for worker in workers}
        self._given: dict[str, deque[str]] = {name: deque() for name in self._workers}

    def present(self) -> Sequence[str]:
        return list(self._workers)

    def give(self, worker: str, part: str) -> None:
        self._given[worker].append(part)
        try:
            self._workers[worker].pipe.send(part)
        except OSError:  # it is gone, which its pipe will tell
            return

    def events(self, timeout_s: float) -> Iterator[Done | Lost]:
        pipes = {worker.pipe: name for name, worker in self._workers.items()}
        for ready in wait(list(pipes), timeout_s):
            name = pipes[ready]  # type: ignore[index]  # nothing but pipes was waited for
            worker = self._workers[name]
            try:
                text = worker.pipe.recv()
            except (EOFError, OSError):
                del self._workers[name]
                worker.pipe.close()
                yield Lost(name, worker.ending)
            else:
                yield Done(name, self._given[name].popleft(), text)

    def end(self) -> None:
        for worker in self._workers.values():
            worker.end()


@contextmanager
def processes(count: int, spec: str, settings: Settings, *, loud: bool = False) -> Iterator[Processes]:
    """So many workers on this machine; none is left afterwards."""
    with _ending(Processes([PartWorker(spec, settings, loud=loud) for _ in range(count)])) as crew:
        yield crew


@contextmanager
def copies(
    count: int, adapter: Adapter, settings: Settings, roots: Roots, *, loud: bool = False
) -> Iterator[Processes]:
    """So many copies of this process as workers, which go on from ``roots``; none is left afterwards."""
    with _ending(Processes([CopiedWorker(adapter, settings, roots, loud=loud) for _ in range(count)])) as crew:
        yield crew


@contextmanager
def _ending(crew: Processes) -> Iterator[Processes]:
    try:
        yield crew
    finally:
        crew.end()
