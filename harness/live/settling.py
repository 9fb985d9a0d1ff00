"""How a case comes to its end: what is held arrives, what lasts is healed, who died starts again, and then it waits.

Nothing is waited for blindly: each wait ends with the event that it is for, and is bounded by what the manifest says
that the system needs at most.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from ..history import HEAL, RUNNING, STILL_BUSY
from .acting import Actors
from .background import Background
from .client import Client
from .manifest import Manifest
from .member import Members
from .network import Network
from .processes import Processes
from .record import Record
from .services import Services

POLL_S: Final = (0.02, 0.2)
"""How soon a worker is asked for a status that it does not tell of by itself, at first and in the end."""

FACTOR: Final = 2
"""A system gets so much more time than it says that it needs, since the machine may be slow."""

IDLE_S: Final = 1.0
"""After so long without an event a message comes that was to come when all else is at rest."""

LOOK_S: Final = 0.005
"""How often it is looked whether a process can still do something."""

LOOKS: Final = 2
"""How often it must be seen that none can."""

MOST_TIMERS: Final = 20
"""For so many timers a case is waited for."""

QUIESCENT: Final = "quiescent"


class Settling:
    """Brings one case to rest, and owns the one restart that every system is given after the last fault."""

    def __init__(
        self,
        manifest: Manifest,
        record: Record,
        network: Network,
        services: Services,
        members: Members,
        client: Client,
        processes: Processes,
        background: Background,
        actors: Actors,
    ) -> None:
        self._manifest = manifest
        self._record = record
        self._network = network
        self._services = services
        self._members = members
        self._client = client
        self._processes = processes
        self._background = background
        self._actors = actors
        self._restarted = False
        self._passed = 0  # how often time passed at once

    async def to_rest(self) -> str:
        """Let everything come to its end; QUIESCENT, or STILL_BUSY where the time ran out."""
        bound = self._bound()
        while True:
            quiet = await self._until_quiet(bound)
            if self._pass_time():
                bound = self._bound()
                continue
            if await self._network.flush():
                bound = self._bound()
                continue
            lasted, why = self._network.heal(waited=not quiet)
            if self._services.heal() or lasted:
                self._record.add(HEAL, "harness", why)
                bound = self._bound()
                continue
            if not quiet and self._worth_a_restart():
                self._restarted = True
                self._note_open()
                bound = self._bound()
                await self._processes.restart_all()
                continue
            if not quiet:
                return QUIESCENT if self._note_open() else STILL_BUSY
            if await self._stays_quiet(bound):
                if not self._actors.go_on():
                    return QUIESCENT
                bound = self._bound()
            elif time.monotonic() > bound:
                return STILL_BUSY

    def _pass_time(self) -> bool:
        """Let the next thing happen for which nobody waits: a message comes whose time is over, or before that an actor
        wakes. False where there is no such message, or there were more than a system that comes to rest has."""
        due = self._network.mail.next_due
        if due is None or self._passed == MOST_TIMERS:
            return False
        self._passed += 1
        if not self._actors.go_on(before=due):
            self._network.mail.pass_time()
        return True

    def _bound(self) -> float:
        """Until when, by the monotonic clock, the system is to have recovered from what is done to it now."""
        return time.monotonic() + FACTOR * self._manifest.max_recovery_ms / 1000

    async def _until_quiet(self, bound: float) -> bool:
        """Until nothing is in flight and every saga has come to its end, or nothing happens any more and it may be for
        a message that is held; False where the time ran out."""
        wait_s, idle_since = POLL_S[0], time.monotonic()
        while True:
            self._record.changed.clear()
            if self._quiet():
                return True
            left = bound - time.monotonic()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(min(wait_s, left)):
                    await self._record.changed.wait()
                idle_since = time.monotonic()
            except TimeoutError:
                wait_s = min(2 * wait_s, POLL_S[1])
                if self._network.mail.holds and not self._under_way() and time.monotonic() - idle_since > IDLE_S:
                    return True
                await self._client.ask_for_statuses()

    def _quiet(self) -> bool:
        return not self._under_way() and self._client.all_ended()

    def _under_way(self) -> bool:
        network, members = self._network, self._members
        return bool(network.waiting or members.starting or self._background.busy or self._actors.busy)

    async def _stays_quiet(self, bound: float) -> bool:
        """True if nothing more is done for a saga for as long as that may take: then late zombies were seen. It is so
        at once where every process waits for somebody else; and one that had stood still must have come to its turn,
        by the ``bound`` at the latest."""
        before, looks = self._record.deeds, 0
        until = time.monotonic() + self._manifest.settling_ms / 1000
        while not self._under_way() and self._record.deeds == before:
            looks = looks + 1 if self._manifest.alone and self._members.wait_for_others() else 0
            now = time.monotonic()
            if looks == LOOKS or (now > until and (now > bound or not (self._members.wake() or self._services.wake()))):
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def _note_open(self) -> bool:
        """Note the sagas that are open, if nothing was done for any as long as the system needs to recover."""
        waited_s = max(self._manifest.settling_ms, self._manifest.max_recovery_ms) / 1000
        if self._under_way() or time.monotonic() - self._record.acted < waited_s:
            return False
        for saga in self._client.open():
            self._record.add(RUNNING, "client", saga=saga)
        return True

    def _worth_a_restart(self) -> bool:
        """Liveness is judged after a restart without a fault; one is due where a fault struck since the last."""
        return self._manifest.resume != "none" and bool(self._record.fired) and not self._restarted
