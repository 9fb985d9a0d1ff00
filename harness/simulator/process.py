"""One incarnation of the orchestrator: it boots, recovers, serves orders, and dies whole."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..errors import SagafuzzError, UsageError
from ..history import BOOT, CLIENT_ACK, NONSENSE, RAISED
from ..ports import Outcome, PortError, ProcessCrashed
from ..scenario import Order
from .aio import SimLoop, current_saga
from .kernel import MAX_DEAD_CALLS, Task
from .world import SimWorld

if TYPE_CHECKING:
    from .simulation import Simulation

ORCHESTRATOR: Final = "orchestrator"


class Process:
    """The state that dies with a crash: the adapter's object, its tasks, its world."""

    def __init__(self, sim: Simulation, incarnation: int) -> None:
        self.sim = sim
        self.incarnation = incarnation
        self.label = ORCHESTRATOR if incarnation == 1 else f"{ORCHESTRATOR}#{incarnation}"
        self.dead = False
        self.booted = False
        self.tasks: list[Task] = []
        self.loop: SimLoop | None = None
        self._dead_calls = 0
        self._subject: Any = None
        self.world = SimWorld(sim, self)

    # -- life and death ----------------------------------------------------------------------

    def start(self, reason: str) -> None:
        self.sim.record((self.sim.kernel.now_us, BOOT, self.label, "", "", "", 0, None, 0, (self.incarnation, reason)))
        if self.sim.setup.is_async:
            self.spawn("loop", "", self._async_main)
        else:
            self.spawn("boot", "", self._sync_main)

    def spawn(self, label: str, saga: str, main: Callable[[], None]) -> Task:
        task = Task(self, label, saga)
        self.tasks.append(task)
        self.sim.kernel.spawn(task, main)
        return task

    def die(self) -> None:
        """Kill every task. They unwind when the scheduler reaches them; the caller must raise
        ProcessCrashed itself where it is one of them."""
        self.dead = True
        kernel = self.sim.kernel
        for task in self.tasks:
            kernel.wake(task, error=ProcessCrashed())

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
            return current_saga.get()
        task = self.sim.kernel.current
        return task.saga if task is not None else ""

    # -- the adapter's methods ---------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Let the adapter run one order, beside whatever else it does."""
        if self.loop is not None:
            self.loop.poke(lambda: self._start_coroutine(self._serve_async(order), order.id))
        else:
            self.spawn(f"run {order.id}", order.id, lambda: self._serve(order))

    def _sync_main(self) -> None:
        if not self._guarded("boot", "", self._boot):
            return
        self._after_boot()
        if self.incarnation > 1 and hasattr(self._subject, "recover"):
            self._guarded("recover", "", self._subject.recover)

    def _boot(self) -> None:
        self._subject = self.sim.setup.adapter.factory()
        self._subject.boot(self.world)

    def _after_boot(self) -> None:
        self.booted = True
        self.sim.serve_waiting()

    def _serve(self, order: Order) -> None:
        answer: list[Any] = []
        if self._guarded("run", order.id, lambda: answer.append(self._subject.run(order))):
            self._finish(order, answer[0])

    def _guarded(self, method: str, saga: str, call: Callable[[], object]) -> bool:
        """Call into the adapter; what escapes is a fact about it. True when it returned."""
        try:
            call()
        except (ProcessCrashed, SagafuzzError):
            raise
        except BaseException as error:
            self._raised(method, saga, error)
            return False
        return True

    def _raised(self, method: str, saga: str, error: BaseException) -> None:
        if self.dead:
            raise ProcessCrashed
        if self.sim.stopped_by(error):
            return
        data = (type(error).__name__, str(error), f"{method}: {user_frame(error)}", from_a_port(error))
        self.sim.record((self.sim.kernel.now_us, RAISED, self.label, saga, "", "", 0, None, 0, data))

    def _finish(self, order: Order, answer: Any) -> None:
        outcome = as_outcome(answer)
        kind, data = (CLIENT_ACK, outcome.value) if outcome is not None else (NONSENSE, _shown(answer))
        self.sim.record((self.sim.kernel.now_us, kind, "client", order.id, "", "", 0, None, 0, (data,)))

    # -- the same, on a deterministic event loop ---------------------------------------------

    def _async_main(self) -> None:
        task = self.sim.task()
        self.loop = SimLoop(self.sim.kernel, task)
        try:
            self.loop.run_until_dead(self._async_body())
        except (ProcessCrashed, SagafuzzError):
            raise
        except BaseException as error:
            self._raised("boot", "", error)
        finally:
            self.loop.bury()

    async def _async_body(self) -> None:
        self._subject = self.sim.setup.adapter.factory()
        if not await self._guarded_async("boot", "", lambda: self._subject.boot(self.world)):
            return
        self._after_boot()
        if self.incarnation > 1 and hasattr(self._subject, "recover"):
            self._start_coroutine(self._guarded_async("recover", "", self._subject.recover), "")

    def _start_coroutine(self, coroutine: Any, saga: str) -> None:
        assert self.loop is not None
        token = current_saga.set(saga)
        self.loop.keep(self.loop.create_task(coroutine))
        current_saga.reset(token)

    async def _serve_async(self, order: Order) -> None:
        answer: list[Any] = []
        if await self._guarded_async("run", order.id, lambda: self._subject.run(order), answer):
            self._finish(order, answer[0])

    async def _guarded_async(
        self, method: str, saga: str, call: Callable[[], Any], answer: list[Any] | None = None
    ) -> bool:
        try:
            result = call()
            if inspect.isawaitable(result):
                result = await result
            if answer is not None:
                answer.append(result)
        except (ProcessCrashed, SagafuzzError, GeneratorExit):
            raise
        except BaseException as error:
            self._raised(method, saga, error)
            return False
        return True

    def spawn_user(self, function: Callable[..., Any], *args: Any) -> None:
        """`World.spawn`: a task of the user's own beside the sagas."""
        saga = self.current_saga()
        if self.loop is not None:
            self._start_coroutine(self._guarded_async("spawned task", saga, lambda: function(*args)), saga)
        elif inspect.iscoroutinefunction(function):
            self.sim.refuse(UsageError(f"world.spawn({function.__name__}): run is not async, so pass a plain function"))
        else:
            self.spawn("spawned", saga, lambda: self._guarded_void("spawned task", saga, lambda: function(*args)))

    def _guarded_void(self, method: str, saga: str, call: Callable[[], object]) -> None:
        self._guarded(method, saga, call)


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
        if isinstance(seen, PortError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def user_frame(error: BaseException) -> str:
    """``file:line`` of the innermost frame that is the user's, not ours."""
    place = "?"
    for frame in traceback.extract_tb(error.__traceback__):
        name = frame.filename.replace("\\", "/")
        if "/sagafuzz/" in name or "/harness/" in name or "/asyncio/" in name or name.startswith("<"):
            continue
        place = f"{name.rsplit('/', 1)[-1]}:{frame.lineno}"
    return place
