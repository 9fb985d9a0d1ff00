"""One incarnation of the orchestrator: it boots, recovers, serves orders, and dies whole."""

from __future__ import annotations

import asyncio
import inspect
import marshal
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from greenlet import GreenletExit

from ..errors import SagafuzzError, UsageError
from ..history import BOOT, CLIENT_ACK, NONSENSE, RAISED
from ..ports import PortError, ProcessCrashed
from ..saga import Outcome
from ..scenario import Order
from .aio import SimLoop, current_saga
from .kernel import MAX_DEAD_CALLS, Task
from .replay_log import SLEPT, ReplayLog
from .world import SimWorld

if TYPE_CHECKING:
    from .simulation import Simulation

ORCHESTRATOR: Final = "orchestrator"

BESIDE: Final = "spawned task"
"""Work that nobody waits for: a task that polls for ever does not keep a run from its end."""

_FAILED_TRIES: Final = frozenset({"CallTimeout", "Unavailable", "StoreUnavailable"})

_FAILED: Final = object()
"""What a guarded call gives when the adapter raised."""


def _failed(entry: Any) -> bool:
    """Whether an input says that what was asked came to nothing, or nobody knows to what."""
    return type(entry) is tuple and len(entry) == 4 and entry[1] in _FAILED_TRIES


class Process:
    """The state that dies with a crash: the adapter's object, its tasks, its world."""

    def __init__(self, sim: Simulation, incarnation: int) -> None:
        self.sim = sim
        self.incarnation = incarnation
        self.label = ORCHESTRATOR if incarnation == 1 else f"{ORCHESTRATOR}#{incarnation}"
        self.dead = False
        self.paused_until_us = 0
        self.upgraded = False
        self.named = False  # whether its code has asked for its label
        self.inputs: list[Any] = []  # every answer that a port gave it, in order: (port, ...), see `ReplayLog`
        self.forgotten: list[tuple[int, int, tuple[Any, ...]]] = []  # see `forget_tries`
        self.replay_log: ReplayLog | None = None  # the answers of another run, while they are given again
        self.replayable = True  # whether what it did so far follows from its inputs, one task after the other
        self.orders: list[Order] = []  # those that it was handed when it had booted
        self._serving: dict[str, asyncio.Task[Any]] = {}
        self.booted = False
        self.running = 0  # tasks that have begun and not ended
        self.serving = 0  # calls of boot, run and recover that have not returned
        self.tasks: list[Task] = []
        self.loop: SimLoop | None = None
        self.on_death: list[Callable[[], None]] = []
        self._dead_calls = 0
        self._subject: Any = None
        self.world = SimWorld(sim, self)

    # -- life and death ----------------------------------------------------------------------

    def start(self, reason: str) -> None:
        self.sim.booted_at = len(self.sim.rows)
        self.sim.record((self.sim.kernel.now_us, BOOT, self.label, "", "", "", 0, None, 0, (self.incarnation, reason)))
        if self.sim.setup.is_async:
            self.spawn("loop", "", self._async_main)
        else:
            self.spawn("boot", "", self.main)

    def spawn(self, label: str, saga: str, main: Callable[[], object]) -> Task:
        task = Task(self, label, saga)
        self.tasks.append(task)
        self.sim.kernel.spawn(task, main)
        return task

    def die(self) -> None:
        """Kill every task. They unwind when the scheduler reaches them; the caller must raise
        ProcessCrashed itself where it is one of them."""
        self.dead = True
        kernel = self.sim.kernel
        for release in self.on_death:
            release()
        for task in self.tasks:
            kernel.wake(task, None, ProcessCrashed())

    def dissolve(self) -> None:
        """See `Simulation.dissolve`."""
        for task in self.tasks:
            task.error = None
        self.tasks.clear()
        self.on_death.clear()
        self._serving.clear()
        del self._subject, self.world, self.sim

    def packed(self, value: Any) -> Any:
        """An answer's value as it is kept among the inputs."""
        try:
            return marshal.dumps(value, 2)
        except ValueError:  # no plain data
            self.replayable = False
            return repr(value)

    def forget_tries(self, about: object, instead: tuple[Any, ...] = (), *, after: int = 0) -> None:
        """What is ``about`` this is being answered: the failed tries in the same words before it, and the waits between
        them, are no longer part of what the process knows. So are the ``after`` last inputs, which settled it;
        ``instead`` is what it knows in place of them all."""
        end = len(self.inputs)
        start = end - after
        while start:
            last = start - 1
            while last and self.inputs[last] == SLEPT:
                last -= 1
            entry = self.inputs[last]
            if not _failed(entry) or entry[3] != about:
                break
            start = last
        if start < end - after:
            self.forgotten.append((start, end, instead))

    @property
    def may_forget(self) -> bool:
        """Whether what comes next can be a retry."""
        return bool(self.inputs) and (self.inputs[-1] == SLEPT or _failed(self.inputs[-1]))

    @property
    def known(self) -> tuple[Any, ...]:
        """Its inputs without what is forgotten."""
        if not self.forgotten:
            return tuple(self.inputs)
        left: list[Any] = []
        done = 0
        for start, end, instead in self.forgotten:
            left += self.inputs[done:start]
            left += instead
            done = end
        return (*left, *self.inputs[done:])

    def check_alive(self) -> None:
        """Every port begins with this: a dead incarnation can do nothing more."""
        if self.dead:
            self._dead_calls += 1
            if self._dead_calls > MAX_DEAD_CALLS:
                self.sim.kernel.abandon()
            raise ProcessCrashed

    def current_saga(self) -> str:
        """The saga that the calling code works for; "" where it works for none in particular."""
        if self.loop is not None:
            saga = current_saga.get()
            if saga:
                return saga
        task = self.sim.kernel.current
        return task.saga if task is not None else ""

    def current_task(self) -> object:
        """The thread of control that is calling: asyncio's task where there is one, else the kernel's."""
        task = self.sim.kernel.current
        if task is not None and task.loop is not None:
            return asyncio.current_task(task.loop) or task
        return task

    # -- the adapter's methods ---------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Let the adapter run one order, beside whatever else it does."""
        if self.loop is not None:
            self.loop.poke(self._start_serving, order)
        else:
            self.spawn("run", order.id, partial(self._serve, order))

    def cancel(self, order: Order) -> None:
        """The client cancels ``order``: by the adapter's own method, else by cancelling its asyncio task."""
        cancel = getattr(self._subject, "cancel", None)
        if self.loop is None:
            if cancel is not None:
                self.spawn("cancel", order.id, partial(self._guarded, "cancel", order.id, partial(cancel, order)))
        elif cancel is not None:
            self.loop.poke(self._start_cancelling, order)
        else:
            self.loop.poke(self._cancel_task, order.id)

    def _cancel_task(self, saga: str) -> None:
        task = self._serving.get(saga)
        if task is not None:
            task.cancel()

    def _factory(self) -> Any:
        adapter = self.sim.setup.adapter
        return (adapter.upgrade if self.upgraded and adapter.upgrade is not None else adapter.factory)()

    def main(self) -> None:
        if self._guarded("boot", "", self._boot) is _FAILED:
            return
        self._after_boot()
        if self.incarnation > 1 and hasattr(self._subject, "recover"):
            self._guarded("recover", "", self._subject.recover)

    def _boot(self) -> Any:
        self._subject = self._factory()
        return self._subject.boot(self.world)

    def _after_boot(self) -> None:
        self.booted = True
        self.sim.serve_waiting(self)

    def _serve(self, order: Order) -> None:
        answer = self._guarded("run", order.id, self._subject.run, order)
        if answer is not _FAILED:
            self._finish(order, answer)

    def _guarded(self, method: str, saga: str, call: Callable[..., Any], *args: Any) -> Any:
        """Call into the adapter; what escapes is a fact about it, and then the answer is _FAILED."""
        self.serving += method != BESIDE
        try:
            answer = call(*args)
        except _OURS:
            raise
        except BaseException as error:
            self._raised(method, saga, error)
            return _FAILED
        finally:
            self.serving -= method != BESIDE
        if self.dead:  # it swallowed its own death
            raise ProcessCrashed
        return answer

    def _raised(self, method: str, saga: str, error: BaseException) -> None:
        if self.dead:
            raise ProcessCrashed
        if self.sim.stopped_by(error):
            return
        data = (type(error).__name__, _message(error), f"{method}: {user_frame(error)}", from_a_port(error))
        self.sim.record((self.sim.kernel.now_us, RAISED, self.label, saga, "", "", 0, None, 0, data))

    def _finish(self, order: Order, answer: Any) -> None:
        outcome = as_outcome(answer)
        if inspect.iscoroutine(answer):
            answer.close()
            name = self.sim.setup.adapter.name
            self.sim.refuse(UsageError(f"adapter {name!r}: run gives a coroutine; write 'async def run(self, order)'"))
        kind, data = (CLIENT_ACK, outcome.value) if outcome is not None else (NONSENSE, _shown(answer))
        self.sim.record((self.sim.kernel.now_us, kind, "client", order.id, "", "", 0, None, 0, (data,)))

    # -- the same, on a deterministic event loop ---------------------------------------------

    def _async_main(self) -> None:
        task = self.sim.task()
        self.loop = SimLoop(self.sim.kernel, task)
        try:
            self.loop.run_until_dead(self._async_body())
        except _OURS:
            raise
        except BaseException as error:
            self._raised("boot", "", error)
        finally:
            self.loop.close()

    async def _async_body(self) -> None:
        if await self._guarded_async("boot", "", self._boot) is _FAILED:
            return
        self._after_boot()
        if self.incarnation > 1 and hasattr(self._subject, "recover"):
            self._start_coroutine(self._guarded_async("recover", "", self._subject.recover), "")

    def _start_serving(self, order: Order) -> None:
        self._serving[order.id] = self._start_coroutine(self._serve_async(order), order.id)

    def _start_cancelling(self, order: Order) -> None:
        self._start_coroutine(self._guarded_async("cancel", order.id, self._subject.cancel, order), order.id)

    def _start_coroutine(self, coroutine: Any, saga: str) -> asyncio.Task[Any]:
        assert self.loop is not None
        token = current_saga.set(saga)
        task = self.loop.create_task(coroutine)
        self.loop.keep(task)
        current_saga.reset(token)
        return task

    async def _serve_async(self, order: Order) -> None:
        answer = await self._guarded_async("run", order.id, self._subject.run, order)
        if answer is not _FAILED:
            self._finish(order, answer)

    async def _guarded_async(self, method: str, saga: str, call: Callable[..., Any], *args: Any) -> Any:
        self.serving += method != BESIDE
        try:
            answer = call(*args)
            if inspect.isawaitable(answer):
                answer = await answer
        except (*_OURS, GeneratorExit):
            raise
        except BaseException as error:
            self._raised(method, saga, error)
            return _FAILED
        finally:
            self.serving -= method != BESIDE
        if self.dead:
            raise ProcessCrashed
        return answer

    def spawn_user(self, function: Callable[..., Any], *args: Any) -> None:
        """`World.spawn`: a task of the user's own beside the sagas."""
        saga = self.current_saga()
        if self.loop is not None:
            self._start_coroutine(self._guarded_async(BESIDE, saga, function, *args), saga)
        elif inspect.iscoroutinefunction(function):
            self.sim.refuse(UsageError(f"world.spawn({function.__name__}): run is not async, so pass a plain function"))
        else:
            self.spawn("spawned", saga, partial(self._guarded, BESIDE, saga, function, *args))


_OURS: Final = (ProcessCrashed, SagafuzzError, GreenletExit, KeyboardInterrupt)
"""What passes through the guard: no doing of the adapter, or not to be laid at its door."""


def as_outcome(answer: Any) -> Outcome | None:
    """True, False or an Outcome as an Outcome; None for anything else."""
    if answer is True:
        return Outcome.COMPLETED
    if answer is False:
        return Outcome.COMPENSATED
    return answer if isinstance(answer, Outcome) else None


def _shown(answer: Any) -> str:
    """A short text for an answer that makes no sense; without addresses, so that it repeats."""
    if isinstance(answer, (str, int, float, type(None))):
        return repr(answer)[:80]
    return f"an object of type {type(answer).__name__}"


def from_a_port(error: BaseException) -> bool:
    """Whether ``error`` is what a port raised, or was raised because of that."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (PortError, asyncio.CancelledError)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _message(error: BaseException) -> str:
    """What the error says, without addresses, so that it repeats."""
    try:
        return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", str(error))
    except Exception as broken:
        return f"(its text cannot be had: {type(broken).__name__})"


_SIMULATOR: Final = str(Path(__file__).parent) + os.sep
_STDLIB: Final = sysconfig.get_path("stdlib") + os.sep
_SITE: Final = ("site-packages", "dist-packages")


def user_frame(error: BaseException) -> str:
    """``file:line`` of the innermost frame that is neither the simulator's nor the standard library's."""
    place = "?"
    for frame in traceback.extract_tb(error.__traceback__):
        if _is_theirs(frame.filename):
            place = f"{Path(frame.filename).name}:{frame.lineno}"
    return place


def calling_line() -> str:
    """``file:line in function`` of the innermost such frame that is running; "" where there is none. A lambda has no
    name to tell."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_theirs(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    where, name = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}", frame.f_code.co_name
    return where if name.startswith("<") else f"{where} in {name}"


def _is_theirs(filename: str) -> bool:
    stdlib = filename.startswith(_STDLIB) and not any(part in filename for part in _SITE)
    return not (stdlib or filename.startswith((_SIMULATOR, "<")))
