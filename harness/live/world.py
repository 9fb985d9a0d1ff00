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
from .server import Server
from .supervisor import Supervisor


class LiveWorld:
    """Runs plans on live systems. Use as ``async with``; ``jobs`` bounds the cases at one time."""

    def __init__(self, *, jobs: int = 0) -> None:
        self.jobs = jobs or 2 * (os.cpu_count() or 1)

    async def __aenter__(self) -> Self:
        self._slots = asyncio.Semaphore(self.jobs)
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
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            try:
                return await Case(self.supervisor, self.server, setup, plan, folder, gentle=gentle).run()
            finally:
                shutil.rmtree(folder, ignore_errors=True)
