"""One incarnation of the orchestrator: it boots, recovers, serves orders, and dies whole."""

from __future__ import annotations

import asyncio
import inspect
import re
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from greenlet import GreenletExit

from ..errors import SagafuzzError, UsageError
from ..frames import passed, place, users
from ..history import BOOT, FAILED_BOOT, NONSENSE, RAISED
from ..inbox import Inbox
from ..ports import PortError, ProcessCrashed
from ..saga import Outcome
from ..scenario import Order
from .aio import current_saga
from .chance import renew
from .edge import Edges
from .host import Host, Post
from .incarnation import Incarnation, TimedInputs
from .kernel import Spinning, Task
from .letter import Letter
from .network import Network
from .replay_log import RECEIVED
from .streams import loop_for
from .world import SimWorld

RECEIVES: Final = "receive"
"""The label of a task in which the adapter handles a message."""

BESIDE: Final = "spawned task"
"""Work that nobody waits for: a task that polls for ever does not keep a run from its end."""

_FAILED: Final = object()
"""What a guarded call gives when the adapter raised."""


class Process(Incarnation):
    """The adapter's object, its tasks, its world. ``on_booted(process)`` is called when it has booted."""

    __slots__ = ("_host", "_on_booted", "_serving", "_struck_before", "_subject", "orders", "serving", "world")

    def __init__(
        self, host: Host, network: Network, number: int, on_booted: Callable[[Process], object] = lambda _: None
    ) -> None:
        super().__init__(host.kernel, number)
        if host.setup.is_async:
            self.inputs = TimedInputs(self.kernel)
        self._host = host
        self._on_booted = on_booted
        self.orders: list[Order] = []  # those that it was handed when it had booted
        self._serving: dict[str, asyncio.Task[Any]] = {}
        self._struck_before = 0  # how many faults had struck when it was started
        self.serving = 0  # calls of boot, run and recover that have not returned
        self._subject: Any = None
        self.world = SimWorld(host, network, self)
        service = host.setup.adapter.service
        if service is not None:
            self.net = Edges(host, network, self, service)
            self.replayable = False  # what its sockets and databases tell it is no answer of a port

    # -- life and death ----------------------------------------------------------------------

    def start(self, reason: str) -> None:
        """Boot the adapter."""
        self._host.trace.add(BOOT, self.label, (self.incarnation, reason))
        self._struck_before = len(self._host.trace.fired)
        self.begin()

    def begin(self) -> None:
        """Let the adapter boot, which is no row of the record by itself."""
        if self._host.setup.is_async:
            self.spawn("loop", "", self._async_main)
        else:
            self.spawn("boot", "", self.main)

    def dissolve(self) -> None:
        """See `Simulation.dissolve`."""
        for task in self.tasks:
            task.error = None
        self.tasks.clear()
        self.on_death.clear()
        self.net = self.loop = self.at_work = None
        self._serving.clear()
        self.world.dissolve()
        del self._subject, self.world, self._host, self._on_booted

    # -- the adapter's methods ---------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Let the adapter run one order, beside whatever else it does."""
        if self.loop is not None:
            self.loop.poke(self._start_serving, order)
        else:
            self.spawn("run", order.id, partial(self._serve, order))

    @property
    def inbox(self) -> Inbox | None:
        return getattr(self._subject, "inbox", None)

    def receive(self, letter: Letter) -> None:
        """Let the adapter handle a message, beside whatever else it does."""
        about = (letter.id, letter.topic, letter.saga, letter.key, letter.deliveries)
        self.inputs.append((RECEIVED, *about, self.packed(letter.payload)))
        self.hand(letter)

    def hand(self, letter: Letter) -> None:
        """Do so, where it has been noted that the message came."""
        if self.loop is not None:
            self.loop.poke(self._start_receiving, letter)
        else:
            self.spawn(RECEIVES, letter.saga, partial(self._receive, letter))

    def cancel(self, order: Order) -> None:
        """The client cancels ``order``: by the adapter's own method, else by cancelling its asyncio task."""
        self.replayable = False  # when it comes is no answer of a port
        cancel = getattr(self._subject, "cancel", None)
        if self.loop is None:
            if cancel is not None:
                self.spawn("cancel", order.id, partial(self._guarded, "cancel", order.id, partial(cancel, order)))
        elif cancel is not None:
            self.loop.poke(self._start_cancelling, order)
        else:
            self.loop.poke(self._cancel_task, order.id)

    def serving_task(self, saga: str) -> asyncio.Task[Any] | None:
        return self._serving.get(saga)

    def _cancel_task(self, saga: str) -> None:
        task = self._serving.get(saga)
        if task is not None:
            task.cancel()

    def _factory(self) -> Any:
        adapter = self._host.setup.adapter
        return (adapter.upgrade if self.upgraded and adapter.upgrade is not None else adapter.factory)()

    def main(self) -> None:
        """Boot, and recover where another process was before."""
        renew(self._host, self.incarnation)
        if self._guarded("boot", "", self._boot) is _FAILED:
            return
        self._after_boot()
        if self.incarnation > 1 and hasattr(self._subject, "recover"):
            self._guarded("recover", "", self._subject.recover)
        self._host.look_soon()

    def _boot(self) -> Any:
        self._subject = self._factory()
        return self._subject.boot(self.world)

    def _after_boot(self) -> None:
        self.booted = True
        self._on_booted(self)

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

    @property
    def _broker(self) -> Post:
        assert self._host.broker is not None, "a message came from it"
        return self._host.broker

    def _receive(self, letter: Letter) -> None:
        self.serving += 1
        try:
            answer = self._subject.receive(letter.message())
        except _OURS:
            raise
        except BaseException as error:
            self._not_handled(letter, error)
            return
        finally:
            self.serving -= 1
        self._handled(letter, answer)

    def _handled(self, letter: Letter, answer: Any) -> None:
        if self.dead:
            raise ProcessCrashed
        if self.replay_log is not None:  # it was acknowledged before the run went on
            return
        if inspect.iscoroutine(answer):
            answer.close()
            text = f"adapter {self._host.setup.adapter.name!r}: receive gives a coroutine"
            self._host.refuse(UsageError(f"{text}; write 'async def run' and 'async def receive', or neither"))
        self._broker.handled(letter, self)

    def _not_handled(self, letter: Letter, error: BaseException) -> None:
        """What leaves ``receive`` says that the message is to come again."""
        if not self._ended_by(error) and self.replay_log is None:
            where = place(users(passed(error))) or "?"
            reason = f"{type(error).__name__}: {_message(error)}"
            self._broker.failed(letter, self, reason, f"receive: {where}")

    def _ended_by(self, error: BaseException) -> bool:
        """True if the watchdog ended the run; ProcessCrashed where the process is dead."""
        if self.dead:
            raise ProcessCrashed
        if isinstance(error, Spinning):
            self.kernel.stopped = "spins"
            return True
        return False

    def _raised(self, method: str, saga: str, error: BaseException) -> None:
        if self._ended_by(error):
            return
        where = place(users(passed(error))) or "?"
        of_a_port = from_a_port(error) or (self.net is not None and _of_the_outside(error))
        data = (type(error).__name__, _message(error), f"{method}: {where}", of_a_port)
        self._host.trace.add(RAISED, self.label, data, saga=saga)
        if method == "boot" and len(self._host.trace.fired) > self._struck_before:
            self._host.crash(self, FAILED_BOOT)  # it ends, and is started again; one that fails by itself stays down
            raise ProcessCrashed
        if method == "run":
            self._host.look_soon()

    def _finish(self, order: Order, answer: Any) -> None:
        outcome = as_outcome(answer)
        if inspect.iscoroutine(answer):
            answer.close()
            text = f"adapter {self._host.setup.adapter.name!r}: run gives a coroutine"
            mend = "what it calls is async" if self._host.setup.is_async else "write 'async def run(self, order)'"
            self._host.refuse(UsageError(f"{text}; {mend}: write 'return await {answer.__name__}(…)'"))
        if outcome is not None:
            self._host.told(order.id, outcome)
        else:
            self._host.trace.add(NONSENSE, "client", (_shown(answer),), saga=order.id)

    # -- the same, on a deterministic event loop ---------------------------------------------

    def _async_main(self) -> None:
        renew(self._host, self.incarnation)
        task = self._host.task()
        self.loop = loop_for(self.kernel, task, self.net)
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

    def _start_receiving(self, letter: Letter) -> None:
        self._start_coroutine(self._receive_async(letter), letter.saga)

    async def _receive_async(self, letter: Letter) -> None:
        self.serving += 1
        try:
            answer = self._subject.receive(letter.message())
            if inspect.isawaitable(answer):
                await answer
        except (*_OURS, GeneratorExit):
            raise
        except BaseException as error:
            self._not_handled(letter, error)
            return
        finally:
            self.serving -= 1
        self._handled(letter, None)

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
            self._host.refuse(
                UsageError(f"world.spawn({function.__name__}): run is not async, so pass a plain function")
            )
        else:
            self.spawn("spawned", saga, partial(self._guarded, BESIDE, saga, function, *args))

    def start_thread(self, saga: str, main: Callable[[], object]) -> Task:
        return self.spawn("thread", saga, partial(self._guarded, BESIDE, saga, main))


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
    """True if ``error`` is what a port raised, or was raised because of that."""
    return any(isinstance(each, (PortError, asyncio.CancelledError)) for each in _causes(error))


def _of_the_outside(error: BaseException) -> bool:
    """True if it is what a socket or a database of a service raised, or was raised because of that."""
    return any(isinstance(each, (OSError, sqlite3.OperationalError)) for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised because of. A mistake of the code itself has no other cause than one that it
    names: that it was made where an error of a port was handled makes it none of the port."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if isinstance(seen, _MISTAKES) else seen.__context__)


_MISTAKES: Final = (TypeError, NameError, AttributeError, LookupError, ArithmeticError, AssertionError)
"""What Python raises of itself where code is wrong."""


def _message(error: BaseException) -> str:
    """What the error says, without addresses, so that it repeats."""
    try:
        return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", str(error))
    except Exception as broken:
        return f"(its text cannot be had: {type(broken).__name__})"
