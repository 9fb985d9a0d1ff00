"""The simulator's side of `sagafuzz.Actor`: a task for each script, outside every process."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from greenlet import GreenletExit

from ..actors import Script
from ..effects import OUTSIDE
from ..errors import SagafuzzError, UsageError, nearest
from ..frames import passed, place, users
from ..history import CLIENT_ACK, DATA, KIND, OUTCOME, SAGA
from ..ports import PortError, ProcessCrashed
from ..saga import Outcome, problem_with_part
from ..scenario import Order
from .host import Host
from .incarnation import Incarnation
from .kernel import EPOCH_S, Kernel, Spinning, Task
from .letter import Letter
from .network import Network
from .participants import checked_topic, nobody_receives
from .replay_log import SLEPT


class Acting(Incarnation):
    """An actor as messages and the scheduler see it: it lives as long as its run. ``awaited`` are the sagas for whose
    end it waits, each with the task that does."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        super().__init__(kernel, 0)
        self.label = name
        self.bars = OUTSIDE
        self.awaited: list[tuple[str, Task]] = []

    @property
    def may_forget(self) -> bool:
        return False

    @property
    def over(self) -> bool:
        """True if nothing more comes of it by itself: its script has ended, or waits for an end."""
        return all(task.finished or any(task is each for _, each in self.awaited) for task in self.tasks)

    def serving_task(self, saga: str) -> asyncio.Task[Any] | None:
        return None

    def spawn_user(self, function: Callable[..., Any], *args: Any) -> None:
        raise NotImplementedError("an actor has one task")

    def start_thread(self, saga: str, main: Callable[[], object]) -> Task:
        return self.spawn("thread", saga, main)

    def receive(self, letter: Letter) -> None:
        raise NotImplementedError("an actor is sent no message")

    def cancel(self, order: Order) -> None:
        raise NotImplementedError("an actor serves no order")


class SimActor:
    """See `sagafuzz.Actor`."""

    def __init__(self, host: Host, network: Network, acting: Acting) -> None:
        self._host = host
        self._network = network
        self._acting = acting

    @property
    def name(self) -> str:
        return self._acting.label

    @property
    def orders(self) -> tuple[Order, ...]:
        return tuple(self._host.setup.orders.values())

    def call(
        self,
        operation: str,
        /,
        *,
        saga: str | None = None,
        key: str | None = None,
        timeout_ms: float | None = None,
        part: str | None = None,
        **payload: Any,
    ) -> Any:
        host, acting = self._host, self._acting
        acting.check_alive()
        saga = self._saga(saga, f"call({operation!r}, ...)")
        setup = host.setup
        if operation not in setup.routes:
            host.refuse(
                UsageError(
                    f"actor {self.name!r} calls {operation!r}, which saga {setup.adapter.saga.name!r} does not "
                    f"declare{nearest(str(operation), setup.routes)}; give it a Step, or list it in "
                    f"@sagafuzz.adapter(operations=...)"
                )
            )
        if part is not None or operation in setup.in_parts:
            problem = problem_with_part(setup.adapter.known, operation, part, "actor.call")
            if problem:
                host.refuse(UsageError(f"actor {self.name!r}: {problem}"))
        task = host.task()
        timeout_us = setup.call_timeout_us if timeout_ms is None else int(timeout_ms * 1000)
        wake = partial(host.kernel.wake, task)
        self._network.request(acting, operation, saga, key, timeout_us, payload, wake, part=part)
        return host.kernel.block(task)

    def signal(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        host = self._host
        self._acting.check_alive()
        saga = self._saga(saga, f"signal({topic!r}, ...)")
        try:
            checked_topic(topic, delay_ms)
        except UsageError as error:
            host.refuse(error)
        if host.broker is None:
            host.refuse(nobody_receives(host.setup.adapter.name, topic))
        host.broker.publish(self.name, topic, saga=saga, key=key, delay_us=int(delay_ms * 1000), payload=payload)

    def sleep(self, seconds: float) -> None:
        self._acting.check_alive()
        if seconds < 0:
            raise ValueError(f"actor.sleep({seconds}): a time cannot be negative")
        self._host.kernel.sleep(self._host.task(), round(seconds * 1e6))
        self._acting.inputs.append(SLEPT)

    def now(self) -> float:
        host, acting = self._host, self._acting
        acting.check_alive()
        host.clock_read = host.time_read = len(host.trace.rows)
        now = EPOCH_S + host.kernel.now_us / 1e6 + host.wall_offset_s
        acting.inputs.append(("now", now))
        return now

    def outcome(self, saga: str | None = None) -> Outcome | None:
        self._acting.check_alive()
        saga = self._saga(saga, "outcome(...)")
        told = [row[DATA][OUTCOME] for row in self._host.trace.rows if row[KIND] == CLIENT_ACK and row[SAGA] == saga]
        found = told[-1] if told else None
        self._acting.inputs.append(("outcome", saga, found))
        return None if found is None else Outcome(found)

    def wait(self, saga: str | None = None) -> Outcome:
        saga = self._saga(saga, "wait(...)")
        while True:
            found = self.outcome(saga)
            if found is not None and found is not Outcome.PENDING:
                return found
            task = self._host.task()
            self._acting.awaited.append((saga, task))
            self._host.kernel.block(task)

    def _saga(self, saga: str | None, where: str) -> str:
        orders, known = self._host.setup.orders, self._host.setup.known
        if saga is None and len(orders) == 1:
            return next(iter(orders))
        if saga not in known:
            self._host.refuse(
                UsageError(f"actor.{where}: saga={saga!r} is none of {', '.join(known)}; pass saga=order.id")
            )
        return str(saga)


class Actors:
    """Those of one run, who ``begin`` when it does."""

    __slots__ = ("_all",)

    def __init__(self) -> None:
        self._all: list[Acting] = []

    @property
    def at_rest(self) -> bool:
        """True if none of them is about to do anything by itself."""
        return all(acting.over for acting in self._all)

    def begin(self, host: Host, network: Network) -> None:
        """Start the script of each actor that the scenario names."""
        setup = host.setup
        for name in setup.scenario.actors:
            acting = Acting(host.kernel, name)
            self._all.append(acting)
            script = setup.adapter.actors[name]
            acting.spawn("script", "", partial(_perform, host, script, SimActor(host, network, acting)))

    def told(self, saga: str) -> None:
        """The client of a saga was told something: wake who waits for that."""
        for acting in self._all:
            waiting = [task for awaited, task in acting.awaited if awaited == saga]
            acting.awaited = [each for each in acting.awaited if each[0] != saga]
            for task in waiting:
                acting.kernel.wake(task)

    def close(self) -> None:
        """Nobody acts any more."""
        for acting in self._all:
            acting.dead = True

    def dissolve(self) -> None:
        """See `Simulation.dissolve`."""
        for acting in self._all:
            acting.tasks.clear()
            acting.awaited.clear()
        self._all.clear()


_OURS: Final = (ProcessCrashed, SagafuzzError, GreenletExit, KeyboardInterrupt)


def _perform(host: Host, script: Script, actor: SimActor) -> None:
    """Run a script to its end. What a port raises may end it; anything else is a mistake in it, and ends the run."""
    name, adapter = actor.name, host.setup.adapter.name
    try:
        done = script(actor)
    except PortError:
        return
    except _OURS:
        raise
    except Spinning:
        host.kernel.stopped = "spins"
        return
    except BaseException as error:
        where = place(users(passed(error))) or "?"
        text = f"{type(error).__name__}: {error}"
        host.refuse(UsageError(f"adapter {adapter!r}: the script of actor {name!r} raised {text} ({where})"))
    if inspect.iscoroutine(done):
        done.close()
        host.refuse(UsageError(f"adapter {adapter!r}: the script of actor {name!r} is async; write def {name}(actor)"))
