"""A laboratory for small sagas: an adapter from two functions, faults from a few words, rows to ask."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sagafuzz import (
    Adapter,
    CallTimeout,
    Event,
    Fault,
    Plan,
    Rejected,
    Saga,
    Scenario,
    Site,
    Step,
    Unavailable,
    adapter,
)
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.simulator import Run, Setup, simulate

PAIR = Saga(
    "pair",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("pay", "payment.charge", undo="payment.refund"),
    ],
)


class Trial:
    """One run of an adapter and what it left."""

    def __init__(self, setup: Setup, plan: Plan, run: Run) -> None:
        self.setup = setup
        self.plan = plan
        self.run = run
        self.history = run.history(setup, plan)

    @property
    def events(self) -> tuple[Event, ...]:
        return self.history.events

    @property
    def sites(self) -> list[Site]:
        return [Site(*site) for site in self.run.sites]

    @property
    def end(self) -> str:
        """Why the run ended."""
        assert self.events[-1].kind == "END"
        return str(self.events[-1].get("reason"))

    def of(self, *kinds: str, step: str | None = None, direction: str | None = None) -> list[Event]:
        """The events of these kinds, in order."""
        return [
            event
            for event in self.events
            if event.kind in kinds and step in (None, event.step) and direction in (None, event.direction)
        ]

    def story(self, step: str, direction: str = "F") -> list[str]:
        """The kinds of events of one call, in order."""
        return [event.kind for event in self.events if (event.step, event.direction) == (step, direction)]

    def position(self, kind: str, **fields: Any) -> int:
        """Where the first such event stands."""
        for position, event in enumerate(self.events):
            if event.kind == kind and all(getattr(event, name) == value for name, value in fields.items()):
                return position
        raise AssertionError(f"no {kind} with {fields} in\n" + "\n".join(map(str, self.events)))

    @property
    def answers(self) -> list[str]:
        """What the clients were told."""
        return [event.data[0] for event in self.of("CLIENT_ACK")]

    @property
    def raised(self) -> list[tuple[Any, ...]]:
        return [event.data for event in self.of("RAISED")]

    @property
    def fired(self) -> list[str]:
        return [fired.fault.kind for fired in self.history.fired]


class Laboratory:
    """What the tests of the simulator are written with."""

    saga = PAIR

    @staticmethod
    def system(
        run: Callable[..., Any],
        *,
        boot: Callable[..., Any] | None = None,
        recover: Callable[..., Any] | None = None,
        saga: Saga = PAIR,
        **options: Any,
    ) -> Adapter:
        """An adapter whose ``run`` is ``run(world, order)``, and so on; async where run is."""

        def booted(self: Any, world: Any) -> Any:
            self.world = world
            return boot(world) if boot is not None else None

        async def served_async(self: Any, order: Any) -> Any:
            return await run(self.world, order)

        def served(self: Any, order: Any) -> Any:
            return run(self.world, order)

        methods: dict[str, Any] = {"boot": booted, "run": served_async if inspect.iscoroutinefunction(run) else served}
        if recover is not None:
            methods["recover"] = lambda self: recover(self.world)
        options.setdefault("scenarios", [Scenario()])
        return adapter(saga=saga, name="made", **options)(type("Made", (), methods)).__sagafuzz_adapter__  # type: ignore[attr-defined,no-any-return]

    @staticmethod
    def fault(words: str) -> Fault:
        """``lost-ack pay F``, ``undo-fails pay C #2``, ``crash-before-log 'intent pay'`` (of saga-1)."""
        kind, _, rest = words.partition(" ")
        rest, _, nth = rest.partition(" #")
        phase = FAULT_KINDS[kind].phase
        if rest.startswith("'"):
            return Fault(kind=kind, site=Site("saga-1", rest.strip("'"), "", phase, int(nth or 1)))
        step, _, direction = rest.partition(" ")
        return Fault(kind=kind, site=Site("saga-1", step, direction, phase, int(nth or 1)))

    def plan(self, faults: Iterable[str]) -> Plan:
        return Plan(faults=tuple(map(self.fault, faults)))

    def trial(self, system: Adapter, *faults: str, scenario: Scenario | None = None, seed: int = 0) -> Trial:
        """Run ``system`` under ``faults``; each of them must strike."""
        trial = self.unchecked(system, *faults, scenario=scenario, seed=seed)
        assert len(trial.run.fired) == len(faults), f"{trial.fired} struck, of {faults}"
        return trial

    def unchecked(self, system: Adapter, *faults: str, scenario: Scenario | None = None, seed: int = 0) -> Trial:
        setup = Setup(adapter=system, scenario=scenario or system.scenarios[0])
        plan = self.plan(faults)
        return Trial(setup, plan, simulate(setup, plan, seed=seed))


@pytest.fixture
def lab() -> Laboratory:
    return Laboratory()


@pytest.fixture
def careful(lab: Laboratory) -> Adapter:
    """Writes ahead, keys its calls, asks again, undoes in reverse, takes up what is open after a restart."""

    def run(world: Any, order: Any) -> bool:
        world.store.put(order.id, {"done": [], "undo": False, "outcome": ""}, record="create", saga=order.id)
        return _drive(world, order.id)

    def recover(world: Any) -> None:
        for saga, log in world.store.items():
            if not log["outcome"]:
                _drive(world, saga)

    return lab.system(run, recover=recover)


def _drive(world: Any, saga: str) -> bool:
    log = world.store.get(saga)
    if not log["undo"]:
        _go_forward(world, saga, log)
    if log["undo"]:
        world.store.put(saga, log, record="compensating", saga=saga)
        for name in reversed(log["done"]):
            _ask(world, str(PAIR.by_name[name].undo), saga, name)
    log["outcome"] = "compensated" if log["undo"] else "completed"
    world.store.put(saga, log, record="terminal", saga=saga)
    return not log["undo"]


def _go_forward(world: Any, saga: str, log: dict[str, Any]) -> None:
    for step in PAIR.steps:
        if step.name not in log["done"]:
            world.store.put(saga, log, record="intent", saga=saga, step=step.name)
            try:
                _ask(world, step.operation, saga, step.name)
            except Rejected:
                log["undo"] = True
                return
            log["done"].append(step.name)


def _ask(world: Any, operation: str, saga: str, step: str) -> None:
    for _ in range(200):
        try:
            world.call(operation, saga=saga, key=f"{saga}/{step}")
        except (CallTimeout, Unavailable):
            world.sleep(60)
        else:
            return


def assert_repeats(program: str, *arguments: str) -> None:
    """``program`` prints three different lines, the same whatever the hash seed, and complains of nothing."""
    told = [
        subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", program, *arguments],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        )
        for seed in ("1", "77")
    ]
    assert told[0].stdout == told[1].stdout and len(set(told[0].stdout.split())) == 3
    assert "Traceback" not in told[0].stderr and "never awaited" not in told[0].stderr, told[0].stderr
