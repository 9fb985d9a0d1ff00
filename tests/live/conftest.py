"""Live systems in small: manifests written into the test's folder, and one world to run them in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("uvicorn", reason="live mode needs: pip install 'sagafuzz[live]'")

from sagafuzz.faults import Fault, Plan, Site
from sagafuzz.live.case import LiveRun
from sagafuzz.live.manifest import as_adapter, manifest_of
from sagafuzz.live.manifest_file import read
from sagafuzz.live.world import LiveWorld
from sagafuzz.simulator import Setup

T = TypeVar("T")

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "live"

STEPS = """
[[saga.step]]
id = "order"
do = "order.create"
undo = "order.cancel"

[[saga.step]]
id = "payment"
do = "payment.charge"
undo = "payment.refund"
"""

MANIFEST = (
    """
name = "small"

[saga]
name = "checkout"
%(saga)s
"""
    + STEPS
    + """
[[component]]
role = "worker"
argv = ["{python}", "small.py"]
prefork = true
ready_ms = %(ready_ms)s
%(component)s

[capabilities]
call_timeout_ms = 250
max_recovery_ms = %(recovery_ms)s
%(capabilities)s
"""
)


class _Shared:
    """One world for all cases of this process that ask for nothing of their own: to start it takes a second."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()

    def run(self, work: Callable[[LiveWorld], Coroutine[Any, Any, T]]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
            self._world = self._runner.run(self._stack.enter_async_context(LiveWorld()))
        return self._runner.run(work(self._world))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._runner = None


_SHARED = _Shared()


def in_any_world(work: Callable[[LiveWorld], Coroutine[Any, Any, T]]) -> T:
    """Returns the result of ``work``, called with a live world that others have used."""
    return _SHARED.run(work)


@pytest.fixture(scope="session", autouse=True)
def _one_world() -> Iterator[None]:
    yield
    _SHARED.close()


def run_plans(setup: Setup, *plans: Plan, gentle: bool = False) -> list[LiveRun]:
    """Run plans, all at once: in a world of their own where the system has what lasts as long as a world."""

    async def go(world: LiveWorld) -> list[LiveRun]:
        return list(await asyncio.gather(*(world.run(setup, plan, gentle=gentle) for plan in plans)))

    manifest = manifest_of(setup.adapter)
    alone = manifest is not None and any(
        each.build or each.shared or each.address or each.ahead for each in manifest.components
    )
    return in_a_world(go) if alone else in_any_world(go)


NOTHING = Plan()


def run(setup: Setup, plan: Plan = NOTHING, *, gentle: bool = False) -> LiveRun:
    return run_plans(setup, plan, gentle=gentle)[0]


def in_a_world(work: Callable[[LiveWorld], Coroutine[Any, Any, T]]) -> T:
    """Returns the result of ``work``, called with a live world of its own."""

    async def go() -> T:
        async with LiveWorld() as world:
            return await work(world)

    return asyncio.run(go())


def fault(kind: str, step: str, direction: str, phase: str, attempt: int = 1, saga: str = "saga-1") -> Plan:
    site = Site(saga=saga, subject=step, direction=direction, phase=phase, occurrence=attempt)
    return Plan(faults=(Fault(kind=kind, site=site),))


def example(name: str, scenario: str = "succeeds") -> Setup:
    """An example's system and one of its scenarios."""
    path = str(EXAMPLES / name)
    adapter = as_adapter(read(path), path)
    return Setup(adapter=adapter, scenario=adapter.scenario(scenario))


Small = Callable[..., Setup]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A system of one worker with this program; lines for its component, capabilities and saga may be added.
    Who waits in vain does so for twice ``recovery_ms``."""

    def write(
        program: str,
        *,
        component: str = "",
        capabilities: str = "",
        saga: str = "",
        scenario: str = "succeeds",
        ready_ms: int = 5000,
        recovery_ms: int = 1000,
    ) -> Setup:
        (tmp_path / "small.py").write_text(program, encoding="utf-8")
        more = {"component": component, "capabilities": capabilities, "saga": saga}
        text = MANIFEST % {**more, "ready_ms": ready_ms, "recovery_ms": recovery_ms}
        (tmp_path / "small.toml").write_text(text, encoding="utf-8")
        path = str(tmp_path / "small.toml")
        adapter = as_adapter(read(path), path)
        return Setup(adapter=adapter, scenario=adapter.scenario(scenario))

    return write
