"""The simulator's side of `sagafuzz.World`: what one incarnation of a process can reach."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from asyncio import events
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NoReturn, TypeVar

from ..errors import UsageError, nearest
from ..history import ADOPT, ALERT, DEAD_LETTER
from ..records import declared_outcome
from ..saga import Outcome, problem_with_part
from .aio import Answer, SimLoop
from .files import FilePort
from .host import Host
from .incarnation import Incarnation
from .kernel import EPOCH_S
from .network import Network
from .outside import act_outside, resource
from .participants import checked_topic, nobody_receives
from .proxied import proxy
from .replay_log import LIVE, PUBLISHED, SLEPT, WOKEN
from .sqlite import connect
from .store import StorePort

_T = TypeVar("_T")


class SimWorld:
    """See `sagafuzz.World`. ``call`` and ``sleep`` are awaitable inside a running event loop."""

    def __init__(self, host: Host, network: Network, process: Incarnation) -> None:
        self._host = host
        self._network = network
        self._process = process
        self.store = StorePort(host, process)

    def dissolve(self) -> None:
        """See `Simulation.dissolve`. Code under test may hold it longer, by the traceback of an error say: then it
        holds nothing of the run by it, and every use is refused, as the process is dead."""
        nothing: Any = None
        self._host = self._network = nothing
        self.store.dissolve()

    def call(
        self,
        operation: str,
        /,
        *,
        saga: str | None = None,
        key: str | None = None,
        timeout_ms: float | None = None,
        epoch: int = 0,
        part: str | None = None,
        **payload: Any,
    ) -> Any:
        host, process = self._host, self._process
        if process.dead:
            process.check_alive()
        loop = events._get_running_loop()
        if process.replay_log is not None:
            if loop is not None:
                future = process.replay_log.request(process.asked + 1)
                if future is not None:
                    process.asked += 1
                    return Answer(future)
            elif (answer := process.replay_log.answer("call")) is not LIVE:
                return answer
        task = host.task()
        if saga is None or saga not in host.setup.known:
            saga = self._known_saga(saga, f"call({operation!r}, ...)")
        if operation not in host.setup.routes:
            self._undeclared(operation)
        if part is not None or operation in host.setup.in_parts:
            self._check_part(operation, part)
        timeout_us = host.setup.call_timeout_us if timeout_ms is None else int(timeout_ms * 1000)
        if host.trace.on_ask is not None:
            host.trace.on_ask()
        if loop is None:
            kernel = host.kernel
            self._network.request(
                process, operation, saga, key, timeout_us, payload, partial(kernel.wake, task), epoch, part
            )
            return kernel.block(task)
        if not isinstance(loop, SimLoop):
            host.refuse(
                UsageError(
                    f"adapter {host.setup.adapter.name!r} calls {operation!r} on an event loop of its own making "
                    f"({type(loop).__name__}), which knows no virtual time; write 'async def run', or use asyncio.run"
                )
            )
        future = loop.create_future()
        process.asked += 1
        resolve = partial(loop.answer, process.asked, future)
        msg = self._network.request(process, operation, saga, key, timeout_us, payload, resolve, epoch, part)
        future.add_done_callback(lambda done: self._network.give_up(msg) if done.cancelled() else None)
        return Answer(future)

    def publish(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        host, process = self._host, self._process
        process.check_alive()
        if process.replay_log is not None and process.replay_log.answer("publish") is not LIVE:
            return
        saga = self._known_saga(saga, f"publish({topic!r}, ...)")
        try:
            checked_topic(topic, delay_ms)
        except UsageError as error:
            host.refuse(error)
        if host.broker is None:
            host.refuse(nobody_receives(host.setup.adapter.name, topic))
        if host.trace.on_ask is not None:
            host.trace.on_ask()
        delay_us = int(delay_ms * 1000)
        host.broker.publish(
            process.label, topic, saga=saga, key=key, delay_us=delay_us, payload=payload, process=process
        )
        process.inputs.append(PUBLISHED)

    def _undeclared(self, operation: str) -> NoReturn:
        setup = self._host.setup
        self._host.refuse(
            UsageError(
                f"adapter {setup.adapter.name!r} calls {operation!r}, which saga {setup.adapter.known.name!r} does not "
                f"declare{nearest(str(operation), setup.routes)}; give it a Step, or list it in "
                f"@sagafuzz.adapter(operations=...)"
            )
        )

    def _check_part(self, operation: str, part: str | None) -> None:
        problem = problem_with_part(self._host.setup.adapter.known, operation, part)
        if problem:
            self._host.refuse(UsageError(problem))

    def sqlite(self, name: str = "main") -> sqlite3.Connection:
        self._process.check_alive()
        self._process.replayable = False
        return connect(self._host, self._process, name)

    def file(self, name: str = "log") -> FilePort:
        self._process.check_alive()
        self._process.replayable = False
        return FilePort(self._host, self._process, name)

    def proxy(self, thing: _T, *, name: str = "") -> _T:
        self._process.check_alive()
        self._process.replayable = False
        found: _T = proxy(self._host, self._process, thing, name)
        return found

    def resource(self, name: str, make: Callable[[], AbstractContextManager[_T]]) -> _T:
        self._process.check_alive()
        self._process.replayable = False
        found: _T = resource(self._host, name, make)
        return found

    def outside(
        self,
        act: Callable[[], _T],
        *,
        saga: str | None = None,
        records: Sequence[tuple[str, str]] = (),
        epoch: int = 0,
        outcome: str = "",
    ) -> _T:
        process = self._process
        process.check_alive()
        process.replayable = False
        about = process.current_saga() if saga is None else saga
        end = declared_outcome(outcome)
        return act_outside(self._host, process, act, saga=about, records=records, epoch=epoch, outcome=end)

    def now(self) -> float:
        host, process = self._host, self._process
        process.check_alive()
        if process.replay_log is not None and (answer := process.replay_log.answer("now")) is not LIVE:
            return float(answer)
        host.clock_read = host.time_read = len(host.trace.rows)
        now = EPOCH_S + host.kernel.now_us / 1e6 + host.wall_offset_s
        process.inputs.append(("now", now))
        return now

    def sleep(self, seconds: float) -> Any:
        process = self._process
        if process.dead:
            process.check_alive()
        if seconds < 0:
            raise ValueError(f"world.sleep({seconds}): a time cannot be negative")
        if events._get_running_loop() is not None:
            return asyncio.sleep(seconds)
        host, answer = self._host, LIVE
        if process.replay_log is not None and (answer := process.replay_log.answer("sleep")) not in (LIVE, WOKEN):
            return None
        task = host.task()
        if answer is LIVE:
            task.asleep = True
            host.kernel.sleep(task, round(seconds * 1e6))
        task.asleep = False
        process.inputs.append(SLEPT)
        return None

    def alert(self, saga: str, *, step: str = "", reason: str = "") -> None:
        self._say(ALERT, saga, step, reason)

    def adopt(self, saga: str, *, epoch: int = 0, definition: str = "") -> None:
        self._process.check_alive()
        saga = self._known_saga(saga, f"adopt({saga!r}, ...)")
        self._host.trace.add(ADOPT, self._process.label, (epoch, definition), saga=saga)

    def dead_letter(self, saga: str, *, step: str = "", reason: str = "") -> None:
        self._say(DEAD_LETTER, saga, step, reason)

    def _say(self, kind: str, saga: str, step: str, reason: str) -> None:
        self._process.check_alive()
        saga = self._known_saga(saga, f"{kind.lower()}({saga!r}, ...)")
        self._host.trace.add(kind, self._process.label, (reason,), saga=saga, step=step)

    def reply(self, saga: str, outcome: Outcome | bool) -> None:
        self._process.check_alive()
        saga = self._known_saga(saga, f"reply({saga!r}, ...)")
        if isinstance(outcome, bool):
            outcome = Outcome.COMPLETED if outcome else Outcome.COMPENSATED
        if not isinstance(outcome, Outcome):
            self._host.refuse(UsageError(f"world.reply({saga!r}, {outcome!r}): write True, False or an Outcome"))
        self._host.told(saga, outcome)

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        self._process.check_alive()
        self._process.spawn_user(function, *args)

    @property
    def process(self) -> str:
        self._process.named = True
        return self._process.label

    @property
    def random(self) -> random.Random:
        self._process.check_alive()
        return self._host.random

    def _known_saga(self, saga: str | None, where: str) -> str:
        host = self._host
        found = self._process.current_saga() if saga is None else saga
        if found not in host.setup.known:
            host.refuse(
                UsageError(
                    f"world.{where}: saga={found!r} is none of {', '.join(host.setup.known)}; pass saga=order.id"
                    + (" (outside of run it cannot be guessed)" if saga is None else "")
                )
            )
        return found
