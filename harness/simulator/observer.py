"""Somebody who looks at a run while it goes on, for a search: the run itself knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..faults import AT_LOG, Plan
from ..trace import Run, SiteKey
from .past import Past
from .past import begun as begun_past
from .projection import Projection
from .setup import Setup
from .simulation import Simulation, Stretch, begun


class Observed(NamedTuple):
    """A run, and what was seen of it. ``known_at`` is the number of sites visited when it was ended because the caller
    knew the rest (-1: it ran to its end). ``projection`` is what the invariants ask of it, as 16 bytes (see
    `Projection`); empty where nobody compares pasts. ``stretches`` says where it came to rest. At the sites of the
    numbers ``repeated`` it does what it did before, but for the time."""

    run: Run
    known_at: int = -1
    projection: bytes = b""
    stretches: tuple[Stretch, ...] = ()
    repeated: tuple[range, ...] = ()

    @property
    def until(self) -> int:
        """How many of its sites come before it is like another run, or does to its end what it did before."""
        until = self.known_at if self.known_at >= 0 else len(self.run.sites)
        last = self.repeated[-1] if self.repeated else range(0)
        return last.start if last and last.stop >= until else until


class Observer:
    """Asks ``watch(observer)`` whenever a process of ``sim`` is about to act after all ``planned`` faults struck,
    and ends the run where the answer is True: the caller knows the rest. ``about_to_write`` says whether a write is
    what the process is about to do."""

    __slots__ = ("_before", "about_to_write", "known_at", "planned", "projection", "sim", "watch")

    def __init__(
        self,
        sim: Simulation,
        planned: int,
        watch: Callable[[Observer], bool] | None = None,
        before: Past | Projection | None = None,
    ) -> None:
        self.sim = sim
        self.planned = planned
        self.watch = watch
        self.projection: Past | Projection | None = None  # as far as it was asked for
        sim.forgets = sim.setup.forgets_retries
        self._before = before  # that of the run from which this one goes on
        self.about_to_write = False
        self.known_at = -1
        if watch is not None:
            sim.trace.on_act = self._about_to_act

    def look_away(self) -> None:
        """Ask ``watch`` no more."""
        self.watch = self.sim.trace.on_act = None

    def _about_to_act(self, site: SiteKey) -> None:
        """A process is about to act at ``site``."""
        trace = self.sim.trace
        if len(trace.fired) < self.planned or self.known_at >= 0 or self.watch is None:
            return
        self.about_to_write = site[3] == AT_LOG
        if self.watch(self):
            self.known_at = len(trace.sites)
            self.sim.kernel.stopped = "known"

    def projection_by_now(self) -> Past | Projection:
        """What the rows so far leave to the invariants."""
        if self.projection is None:
            self.projection = self._before.copy() if self._before else begun_past(self.sim.setup.asked)
        self.projection.follow(self.sim.trace.rows)
        return self.projection

    def completed(self, run: Run) -> Observed:
        """The run with what was seen of it."""
        asked = (self.projection or self._before) and self.known_at < 0
        projection = self.projection_by_now().digest if asked else b""
        return Observed(run, self.known_at, projection, tuple(self.sim.stretches))


def observe(setup: Setup, plan: Plan, watch: Callable[[Observer], bool], *, seed: int = 0) -> Observed:
    """What ``simulate`` does. ``watch`` is asked whenever a process is about to act after every fault has struck, and
    ends the run by answering True."""
    sim = begun(setup, plan, seed)
    observer = Observer(sim, len(plan.faults), watch)
    observed = observer.completed(sim.complete())
    sim.dissolve()
    return observed
