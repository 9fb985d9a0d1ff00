"""The standard library inside code under test: virtual time, repeatable chance, and no way out of the world.

What is replaced stands in tables: `CLOCKS`, `CHANCE`, `LOGS` and `WAYS_OUT`; and what is another thing for a service
as it is, `SOCKETS`, `TLS`, `THREADS`, `DATABASES`, `ABSENT` and `LIBRARIES`. Inside a simulated task the stand-ins
answer from the simulation, everywhere else they are what they were.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from greenlet import getcurrent

from ..fresh import REGISTRIES, Registries
from . import confluent, kafka, rabbit
from .absent import ABSENT
from .chance import CHANCE
from .clocks import CLOCKS
from .databases import DATABASES
from .host import Host
from .inside import enter, simulation
from .kernel import Spinning
from .leaving import WAYS_OUT, channels, drivers, hubs, nurseries
from .libraries import LIBRARIES, ONCE_THERE
from .locks import LOCKS, locks_in_place, renew_conditions
from .logs import LOGS
from .messaging import entries
from .registries import adopt, forget, keep
from .replacing import Entry, Replacements
from .sockets import SOCKETS
from .threads import THREADS
from .tls import TLS

_T = TypeVar("_T")

SPIN_SECONDS: Final = 10.0
"""Real time after which code under test that touches no port is taken to spin."""

_REPLACEMENTS: Final = Replacements(CLOCKS, CHANCE, WAYS_OUT, SOCKETS, TLS, THREADS, DATABASES, ABSENT, LIBRARIES, LOGS)
_LOCKS: Final = Replacements(LOCKS)
"""Apart, as locks are taken everywhere: they are in place once a service was run."""


_CLIENTS: Final[dict[str, Callable[[], Iterable[Entry]]]] = {
    "aio_pika": rabbit.iterators,
    "aiokafka": lambda: entries(kafka.faked()),
    "aiormq": rabbit.entries,
    "confluent_kafka": confluent.entries,
    "confluent_kafka.aio": confluent.entries_for_asyncio,
    "gevent": hubs,
    "grpc": channels,
    "trio": nurseries,
}
"""What of a client of a broker is simulated by its calls, or is refused, by the library."""

_replaced: Final = set[str]()


def _replace_clients() -> None:
    """Put in place what stands in for the calls of those that are imported."""
    for library, stand_ins in _CLIENTS.items():
        if library in sys.modules and library not in _replaced:
            _replaced.add(library)
            Replacements(stand_ins()).put()


ONCE_THERE.append(_replace_clients)
REGISTRIES.append(Registries(keep, forget, adopt))


class virtual:  # noqa: N801, it is used as a function; one with a generator costs each run ten calls
    """Answer the standard library's questions from ``sim`` meanwhile."""

    __slots__ = ("_hooks", "_previous", "_sim")

    def __init__(self, sim: Host) -> None:
        self._sim = sim

    def __enter__(self) -> None:
        install()
        if self._sim.setup.adapter.service is not None:
            if not locks_in_place():
                Replacements(drivers()).put()
                _LOCKS.put()
                renew_conditions(gc.get_objects())
            _replace_clients()
        self._previous = enter(self._sim)
        self._hooks = gc.callbacks[:]  # they may ask for the time, at moments that no plan determines
        gc.callbacks.clear()

    def __exit__(self, *_: object) -> None:
        enter(self._previous)
        gc.callbacks.extend(self._hooks)


def made_inside(sim: Host, make: Callable[[], _T]) -> _T:
    """What ``make()`` makes, which is code under test that no task of ``sim`` runs."""
    with virtual(sim):
        sim.kernel.handler = getcurrent()
        try:
            return make()
        finally:
            sim.kernel.handler = None


def install() -> None:
    """Put the stand-ins in place, where they are not."""
    if not _REPLACEMENTS.in_place:
        _REPLACEMENTS.put()


class Watch:
    """What a watchdog did: ``ended`` counts the runs that it had to end."""

    ended = 0


@contextmanager
def watchdog(seconds: float = SPIN_SECONDS) -> Iterator[Watch]:
    """Raise Spinning inside code under test that computes for ``seconds`` of real time without
    touching a port. Only where signals can be had: in the main thread, on POSIX."""
    watch = Watch()
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable or signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN, None):
        yield watch
        return
    last: list[Any] = [None]

    def alarm(signum: int, frame: Any) -> None:
        sim = simulation()
        # The simulation itself, not its id: another one may come to lie where the last one lay.
        seen = (sim, sim.kernel.ticks, len(sim.trace.rows)) if sim is not None else None
        if sim is None or seen != last[0]:
            last[0] = seen
            return
        kernel = sim.kernel
        if kernel.stopped == "spins" and kernel.current is not None:  # it has swallowed the first one
            kernel.current.finished = True
            kernel.abandon()
        kernel.stopped = "spins"
        watch.ended += 1
        raise Spinning

    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds / 2, seconds / 2)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
