"""Parts of a campaign searched by several processes ahead of the campaign, which takes them as if they had been kept.

Nothing is merged by time: the campaign asks for the parts in their order and counts them itself, so that how many
processes there are changes no count, no finding and no digest. The part of a worker that dies is told, and left to
the campaign, which searches it like one that nobody was given.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from ..loading import load
from ..simulator import Setup
from ..simulator.patches import watchdog
from .part_search import DRAWN_TOGETHER, PartSearch
from .parts import to_text
from .quiet import fewer_collections, quiet

POLL_S: Final = 0.2
"""How long to wait for workers before it is asked again whether to stop."""

_MAIN: Final = multiprocessing.get_context("spawn")


def drawn_parts(settings: Any) -> Iterator[tuple[str, int, int, int]]:
    """The parts of the random plans: name, scenario, first number, how many."""
    scenarios = len(settings.scenarios)
    for index in range(scenarios if settings.random_plans else 0):
        share = settings.random_plans // scenarios + (index < settings.random_plans % scenarios)
        for start in range(0, share, DRAWN_TOGETHER):
            yield f"drawn/{index}/{start}", index, start, min(DRAWN_TOGETHER, share - start)


class _Worker:
    """A process and the part that it was given."""

    def __init__(self, spec: str, settings: Any, *, loud: bool) -> None:
        self.pipe, theirs = _MAIN.Pipe()
        self.process = _MAIN.Process(target=_work, args=(theirs, spec, settings, loud), daemon=True)
        self.process.start()
        theirs.close()
        self.part = ""

    def give(self, part: str) -> None:
        self.part = part
        self.pipe.send(part)


class Pool:
    """Workers that search the parts of one campaign, kept by ``keep`` as they come and found again by ``kept``.

    ``complain`` hears of a worker that died, in words."""

    def __init__(
        self,
        settings: Any,
        *,
        kept: Callable[[str], str | None],
        keep: Callable[[str, str], None],
        stopped: Callable[[], bool],
        complain: Callable[[str], None],
    ) -> None:
        self._kept = kept
        self._keep = keep
        self._stopped = stopped
        self._complain = complain
        self._workers: list[_Worker] = []
        self._waiting: deque[str] = deque()
        self._open: set[str] = set()  # given, or to be given, to a worker
        for index in range(len(settings.scenarios)):
            self._plan(f"{index}/0")
        for name, *_ in drawn_parts(settings):
            self._plan(name)

    def get(self, name: str) -> str | None:
        """The part of that name, as soon as it is there; None where no worker brings it."""
        while name in self._open and not self._stopped():
            self._advance()
        return self._kept(name)

    def start(self, spec: str, settings: Any, count: int, *, loud: bool) -> None:
        self._workers = [_Worker(spec, settings, loud=loud) for _ in range(count)]

    def end(self) -> None:
        """End every worker at once: what it is at is not wanted any more."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _plan(self, name: str) -> None:
        text = self._kept(name)
        if text is None:
            self._open.add(name)
            self._waiting.append(name)
        else:
            self._plan_more(name, text)

    def _plan_more(self, name: str, text: str) -> None:
        """A scenario's part 0 says how many others there are."""
        index, _, number = name.partition("/")
        if number == "0":
            for more in range(1, json.loads(text)["parts"] + 1):
                self._plan(f"{index}/{more}")

    def _advance(self) -> None:
        """Give parts to those that have none, and take what comes."""
        if not self._workers:
            self._open.clear()
            return
        for worker in self._workers:
            if not worker.part and self._waiting:
                self._give(worker)
        for ready in wait([worker.pipe for worker in self._workers], POLL_S):
            self._take(next(worker for worker in self._workers if worker.pipe is ready))

    def _give(self, worker: _Worker) -> None:
        try:
            worker.give(self._waiting.popleft())
        except OSError:
            self._bury(worker)

    def _take(self, worker: _Worker) -> None:
        try:
            text = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        name, worker.part = worker.part, ""
        if text is not None:
            self._keep(name, text)
            self._plan_more(name, text)
        self._open.discard(name)

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        self._workers.remove(worker)
        worker.pipe.close()
        code = worker.process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        again = f"; its part {worker.part} is searched again by the campaign itself" if worker.part else ""
        self._complain(f"worker {worker.process.pid} ended {how}{again}")
        self._open.discard(worker.part)


@contextmanager
def workers(count: int, spec: str, settings: Any, pool: Pool, *, loud: bool = False) -> Iterator[None]:
    """Let ``count`` processes work for ``pool``; none is left afterwards."""
    try:
        pool.start(spec, settings, count, loud=loud)
        yield
    finally:
        pool.end()


def _work(pipe: Connection[Any, Any], spec: str, settings: Any, loud: bool) -> None:
    """The life of a worker: a part in, its text out, None for one that came to no end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # of the whole group: the campaign decides what becomes of it
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    with fewer_collections(), watchdog(settings.spin_s) as watch:
        if loud:
            _serve(pipe, spec, settings, watch)
        else:
            with quiet():
                _serve(pipe, spec, settings, watch)


def _follow(parent: Any) -> None:
    """Wait for the end of the campaign's process, however it comes, and end with it."""
    parent.join()
    os._exit(1)


def _serve(pipe: Connection[Any, Any], spec: str, settings: Any, watch: Any) -> None:
    adapter = load(spec)
    drawn = {name: (index, start, count) for name, index, start, count in drawn_parts(settings)}
    searches = [
        PartSearch(Setup(adapter=adapter, scenario=scenario), settings, lambda: watch.ended > 0)
        for scenario in settings.scenarios
    ]
    while True:
        try:
            name = pipe.recv()
        except EOFError:
            return
        watch.ended = 0
        if name in drawn:
            index, start, count = drawn[name]
            record = searches[index].drawn(start, count)
        else:
            index, number = map(int, name.split("/"))
            record = searches[index].plans(number)
        pipe.send(to_text(record) if record.whole and not watch.ended else None)
