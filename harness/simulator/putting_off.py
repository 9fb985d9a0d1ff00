"""What participants of a user's own put off, and do later in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from greenlet import getcurrent

from ..errors import UsageError
from ..history import ERROR, EXPIRE
from ..saga import COMPENSATION
from . import participants as p
from .host import Host
from .timers import WORK_DUE

AGAIN_US: Final = 1_000_000
"""After how long a participant tries again what it could not do; each further time after twice as long."""

MOST_TRIES: Final = 8
"""How often it does."""


def direction_of(later: p.Later, reply: p.Reply) -> str:
    """What was put off is a part of an undo where an undo did that, and where it takes something back."""
    mine = (each for each in reply.beside if each.saga == later.job.saga)
    back = any(each.kind == EXPIRE or each.direction == COMPENSATION for each in mine)
    return COMPENSATION if back else later.direction


class PuttingOff:
    """The work that is put off in one run. ``down`` says until when a participant is down, ``handled(service, work,
    reply)`` is told what was done; ``numbered()`` is the number of the next transaction that is no request's."""

    __slots__ = ("_down", "_handled", "_host", "_numbered", "_services")

    def __init__(
        self,
        host: Host,
        services: Mapping[str, Any],
        down: Mapping[str, int],
        handled: Callable[[str, p.Later, p.Reply], None],
        numbered: Callable[[], int],
    ) -> None:
        self._host = host
        self._services = services
        self._down = down
        self._handled = handled
        self._numbered = numbered

    def note(self, service: str, reply: p.Reply, own: tuple[str, str, str] | None = None) -> None:
        """What a participant did beside what it was asked for, and what it puts off. ``own`` is the (saga, step,
        direction) of a transaction that is no request's: what that read and wrote is noted, under a number of its
        own."""
        kernel = self._host.kernel
        if own is not None and reply.touched:
            number = self._numbered()
            for kind, data in reply.touched:
                self._host.trace.record((kernel.now_us, kind, service, *own, 0, None, number, data))
        for kind, saga, step, direction, data in reply.beside:
            self._host.trace.record((kernel.now_us, kind, service, saga, step, direction, 0, None, 0, data))
        for later in reply.later:
            kernel.at(int(later.delay_ms * 1000), WORK_DUE, (service, later))

    def due(self, what: tuple[str, p.Later]) -> None:
        """A participant does what it has put off, unless it was held in the memory of a process that is no more; where
        it cannot, it tries again."""
        name, later = what
        service, kernel = self._services[name], self._host.kernel
        if later.life and later.life != service.life:
            return
        if (down_us := self._down.get(name, 0) - kernel.now_us) > 0:
            kernel.at(down_us, WORK_DUE, what)
            return
        reply = self._worked(service, later)
        if reply.answer == p.ERROR:
            self._host.trace.add(ERROR, name, (f"{later.job.what}: {reply.value}",), saga=later.job.saga)
            if later.tries < MOST_TRIES:
                kernel.at(AGAIN_US << later.tries, WORK_DUE, (name, later._replace(tries=later.tries + 1)))
            return
        self.note(name, reply, (later.job.saga, later.job.step, direction_of(later, reply)))
        self._handled(name, later, reply)

    def _worked(self, service: Any, later: p.Later) -> p.Reply:
        kernel = self._host.kernel
        kernel.handler, kernel.handler_delay_us = getcurrent(), 0
        try:
            reply: p.Reply = service.work(later)
        except UsageError as error:
            self._host.refuse(error)
        finally:
            kernel.handler = None
        return reply
