"""The live world: a supervisor, a server, and as many cases at once as the machine bears."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Self

from ..errors import UsageError
from ..faults import Plan
from ..simulator import Setup
from .case import Case, LiveRun
from .manifest import Component, Manifest, manifest_of
from .record import Record
from .server import Server
from .services import Places, RunningComponent, end_store, launch, until_reached, until_ready, with_ports
from .supervisor import Blocked, Start, Supervisor

JOBS_PER_CORE: Final = 4
"""Cases at one time: most of a case's time somebody waits, for a process to start, to end, or to give up."""


class _Slots:
    """So many cases at one time, or one that has the machine for itself."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = asyncio.Semaphore(number)
        self._wanted = asyncio.Lock()  # by one that waits for all of them

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        async with self._wanted:
            await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def all(self) -> AsyncIterator[None]:
        taken = 0
        async with self._wanted:
            try:
                for _ in range(self._number):
                    await self._free.acquire()
                    taken += 1
                yield
            finally:
                for _ in range(taken):
                    self._free.release()


class LiveWorld:
    """Runs plans on live systems. Use as ``async with``; ``jobs`` bounds the cases at one time."""

    def __init__(self, *, jobs: int = 0) -> None:
        self.jobs = jobs or JOBS_PER_CORE * (os.cpu_count() or 1)

    async def __aenter__(self) -> Self:
        """Raises UsageError where the system cannot end what it starts."""
        if platform.system() != "Linux":
            here = platform.system()
            raise UsageError(f"live mode needs Linux, and this is {here}; write an adapter for the simulator")
        self.slots = _Slots(self.jobs)
        self._ready: dict[tuple[Path, tuple[Component, ...]], asyncio.Task[Mapping[str, RunningComponent]]] = {}
        async with AsyncExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="sagafuzz-live-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.server = await stack.enter_async_context(Server())
            self.supervisor = await stack.enter_async_context(Supervisor())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self, setup: Setup, plan: Plan = Plan(), *, gentle: bool = False, alone: bool = False) -> LiveRun:
        """Run one plan, when its turn comes: ``alone`` when no other runs."""
        async with self.slots.all() if alone else self.slots.one():
            manifest = manifest_of(setup.adapter)
            try:
                shared = await self._prepared(manifest) if manifest is not None else {}
            except Blocked as error:
                return LiveRun(run=Record(setup=setup, faults=()).run(), blocked=str(error))
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            try:
                case = Case(self.supervisor, self.server, setup, plan, folder, shared=shared, gentle=gentle)
                return await case.run()
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def _prepared(self, manifest: Manifest) -> Mapping[str, RunningComponent]:
        """Before the first case of a system: build what is to be built, and start what all cases share. Raises
        Blocked, and UsageError where what it needs is not installed."""
        key = (manifest.file, manifest.components)
        if key not in self._ready:
            self._ready[key] = asyncio.create_task(self._prepare(manifest))
        return await asyncio.shield(self._ready[key])

    async def _prepare(self, manifest: Manifest) -> Mapping[str, RunningComponent]:
        manifest.check_installed()
        shared: dict[str, RunningComponent] = {}
        places: Places = {"build": self.folder}
        for component in manifest.components:
            if component.preload and (failed := await self.supervisor.preload(component.preload)):
                raise Blocked(f"what it preloads is not installed: {failed}")
            if component.build:
                await self._build(manifest, component, places)
            if component.shared or component.address:
                service = shared[component.name] = await self._share(manifest, component, places)
                places |= {f"{component.name}.{word}": port for word, port in service.own_places.items()}
                places[f"{component.name}.direct"] = service.port
        return shared

    async def _share(self, manifest: Manifest, component: Component, places: Places) -> RunningComponent:
        """A store or server that all cases use."""
        service = with_ports(component)
        self._stack.callback(service.give_back)
        if component.address:
            await until_reached(component, service.port)
            return service
        own = {**places, **service.own_places, "dir": self.folder}
        process = await launch(
            self.supervisor, manifest, component, component.name, own, env={}, case=f"shared {component.name}"
        )
        await until_ready(process, component, own)
        service.process = process
        self._stack.push_async_callback(end_store, service, self.supervisor.terminate)
        return service

    async def _build(self, manifest: Manifest, component: Component, places: Places) -> None:
        words = [manifest.fill(word, places) for word in component.build]
        env = {name: manifest.fill(value, places) for name, value in component.env.items()}
        limit = component.max_output_kb * 1024
        start = Start(name="build", argv=words, env=env, cwd=manifest.folder, case="build", limit=limit)
        process = await self.supervisor.spawn(start)
        done, _ = await asyncio.wait([process.exited], timeout=component.build_ms / 1000)
        status = process.exited.result() if done else None
        lines = process.output.lines
        await self.supervisor.sweep("build", [process])
        if status == 0:
            return
        how = f"took longer than {component.build_ms} ms" if status is None else f"ended ({process.how_it_ended})"
        raise Blocked(f"{' '.join(words)} {how}", lines)
