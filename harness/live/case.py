"""One plan on a live system: set up, drive with faults, settle, and give the history."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from ..faults import Plan
from ..history import DATA, END, KIND, RUNNING, STILL_BUSY
from ..rules import REST
from ..simulator import Run, Setup
from .acting import Actors
from .background import Background
from .client import Client
from .ledger import Books
from .manifest import manifest_of
from .member import Members
from .network import Network
from .processes import Launcher, Processes
from .record import Record
from .server import Server
from .services import RunningComponent, Services
from .settling import QUIESCENT, Settling
from .supervisor import Blocked, Supervisor

OVERDUE: Final = (STILL_BUSY,)
"""The data of the END of a case whose time was over."""


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """What a case left: its run, the last lines of each process and all that it ``wrote``, and why it could not be run
    ("" where it could). ``disturbed``: a caller gave up although no fault was done to its request, since the machine
    was too slow. ``late``: a saga had not come to its end when its time was over; that may be the reason too."""

    run: Run
    output: tuple[tuple[str, tuple[str, ...]], ...] = ()
    wrote: tuple[tuple[str, str], ...] = ()
    blocked: str = ""
    disturbed: bool = False
    late: bool = False
    engine: str = ""
    seconds: float = 0.0


class Case:
    """One run of one plan, in a folder of its own. ``gentle``: the worker is asked to end before it is made to.

    It composes the parts, and hands what one asks of another (`network.CaseHost`, `proxy.StoreHost`) on."""

    def __init__(
        self,
        supervisor: Supervisor,
        server: Server,
        setup: Setup,
        plan: Plan,
        folder: Path,
        *,
        shared: Mapping[str, RunningComponent],
        gentle: bool,
    ) -> None:
        manifest = manifest_of(setup.adapter)
        if manifest is None:
            raise UsageError(f"adapter {setup.adapter.name!r} is no live system; name the manifest of one, a .toml")
        self._scenario = setup.scenario
        self._doors = server.doors
        self._gentle = gentle
        self._id, token = secrets.token_hex(8), secrets.token_urlsafe(24)
        record = self._record = Record(setup=setup, faults=plan.faults)
        background = self._background = Background(record.changed.set)
        members = Members(record.changed.set)
        self._books = Books(folder / "participants.sqlite", setup)
        network = self._network = Network(manifest, record, self._books, members, self, token)
        if network.shows_states:
            network.show_states()
        client = self._client = Client(setup, manifest, record, members, background, network.admission)
        launcher = Launcher(
            supervisor=supervisor,
            manifest=manifest,
            background=background,
            port=server.port,
            id=self._id,
            token=token,
            folder=folder,
        )
        services = Services(manifest, network.writes, self, launcher.launch, shared)
        processes = self._processes = Processes(launcher, members, services, network, client, record)
        self._actors = actors = Actors(manifest, record, background, (server.port, self._id), token)
        self._settling = Settling(manifest, record, network, services, members, client, processes, background, actors)

    # -- the phases ----------------------------------------------------------------------------

    async def run(self) -> LiveRun:
        """All of it. What cannot be run is said in the result; a defect of ours is raised."""
        began, blocked = time.monotonic(), ""
        self._doors[self._id] = self._network
        try:
            await self._background.unless_failed(self._phases())
        except Blocked as error:
            blocked = str(error)
        finally:
            self._background.over = True
            self._actors.close()
            wrote = tuple((process.name, process.output.text) for process in self._processes.all)
            output = tuple((process.name, process.output.lines) for process in self._processes.all)
            await self._background.close()
            await self._processes.bury()
            del self._doors[self._id]
            self._books.close()
        rows = self._record.rows
        return LiveRun(
            run=self._record.run(),
            output=output,
            wrote=wrote,
            blocked=blocked,
            disturbed=self._record.disturbed,
            late=any(row[KIND] == RUNNING or row[DATA] == OVERDUE for row in rows),
            engine=self._processes.engine,
            seconds=time.monotonic() - began,
        )

    async def _phases(self) -> None:
        await self._processes.start()
        self._actors.begin()
        for number, order in enumerate(self._record.setup.orders.values()):
            if number and self._scenario.gap_ms:
                await asyncio.sleep(self._scenario.gap_ms / 1000)
            await self._client.submit(order)
        reason = await self._settling.to_rest()
        if self._gentle and reason == QUIESCENT:
            await self._processes.stop_gently()
        if self._record.setup.shown_states == REST:
            self._network.show_states()
        self._record.add(END, "harness", (reason,))

    # -- what the network and the proxies ask for ------------------------------------------------

    def dead(self, label: str) -> bool:
        return self._processes.dead(label)

    def known_as(self, label: str) -> str:
        return self._processes.known_as(label)

    def ended(self, saga: str) -> bool:
        return self._client.ended(saga)

    async def gone(self, label: str) -> None:
        await self._processes.gone(label)

    def spares(self, label: str) -> bool:
        return self._processes.spares(label)

    async def crash(self, label: str, reason: str) -> None:
        await self._processes.crash(label, reason)

    async def restart(self, component: str) -> None:
        await self._processes.restart(component)

    async def stop(self, label: str) -> None:
        await self._processes.stop(label)

    async def pause(self, label: str) -> None:
        await self._processes.pause(label)

    async def cancel(self, saga: str) -> None:
        await self._client.cancel(saga)

    def resubmit(self, saga: str, after_s: float) -> None:
        self._network.later(after_s, self._client.resubmit(saga))

    def resubmit_elsewhere(self, saga: str) -> None:
        self._network.later(0, self._sent_to_another(saga))

    async def _sent_to_another(self, saga: str) -> None:
        await self._processes.start_beside()
        await self._client.resubmit(saga)

    async def announced(self, label: str, said: Mapping[str, Any]) -> None:
        self._processes.announced(label, said)

    def fail(self, error: BaseException) -> None:
        self._background.fail(error)
