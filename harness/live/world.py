"""The live world: a supervisor, a server, and as many cases at once as the machine bears."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from ..faults import Plan
from ..simulator import Setup
from .case import Case, LiveRun
from .manifest import Component, Manifest, manifest_of
from .network import Record
from .server import Server
from .supervisor import Blocked, Supervisor


class LiveWorld:
    """Runs plans on live systems. Use as ``async with``; ``jobs`` bounds the cases at one time."""

    def __init__(self, *, jobs: int = 0) -> None:
        self.jobs = jobs or 2 * (os.cpu_count() or 1)

    async def __aenter__(self) -> Self:
        self._slots = asyncio.Semaphore(self.jobs)
        self._builds: dict[tuple[Path, tuple[str, ...], tuple[str, ...]], asyncio.Task[str]] = {}
        async with AsyncExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="sagafuzz-live-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.server = await stack.enter_async_context(Server())
            self.supervisor = await stack.enter_async_context(Supervisor())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self, setup: Setup, plan: Plan = Plan(), *, gentle: bool = False) -> LiveRun:
        """Run one plan, when its turn comes."""
        async with self._slots:
            if why := await self._built(setup):
                return LiveRun(run=Record(setup=setup, faults=()).run(), blocked=why)
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            try:
                return await Case(self.supervisor, self.server, setup, plan, folder, gentle=gentle).run()
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def _built(self, setup: Setup) -> str:
        """Build what is to be built before the first case; why it cannot be, or ""."""
        manifest = manifest_of(setup.adapter)
        for component in manifest.components if manifest is not None else ():
            if manifest is not None and (component.build or component.preload):
                key = (manifest.file, component.build, component.preload)
                if key not in self._builds:
                    self._builds[key] = asyncio.create_task(self._build(manifest, component))
                if why := await asyncio.shield(self._builds[key]):
                    return why
        return ""

    async def _build(self, manifest: Manifest, component: Component) -> str:
        if failed := await self.supervisor.preload(component.preload):
            return f"what it preloads is not installed: {failed}"
        if not component.build:
            return ""
        words = [manifest.fill(word, build=self.folder) for word in component.build]
        process = await self.supervisor.spawn(
            "build", words, env={}, cwd=manifest.folder, case="build", limit=component.max_output_kb * 1024
        )
        done, _ = await asyncio.wait([process.exited], timeout=component.build_ms / 1000)
        status = process.exited.result() if done else None
        lines = process.output.lines
        await self.supervisor.sweep("build", [process])
        if status == 0:
            return ""
        how = f"took longer than {component.build_ms} ms" if status is None else f"gave {status}"
        return str(Blocked(f"{' '.join(component.build)} {how}", lines))
