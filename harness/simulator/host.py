"""What a port may ask of the run around it: its parts, and what a fault does to a process."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from ..saga import Outcome
from ..trace import Trace
from .database import Database
from .durable import Durable
from .incarnation import Incarnation
from .kernel import Kernel, Task
from .setup import Setup


class Post(Protocol):
    """What carries the messages of a run, as far as those who publish and receive them know it."""

    @property
    def busy(self) -> bool:
        """True if some message is to be delivered yet, or is being handled."""

    def publish(
        self,
        sender: str,
        topic: str,
        *,
        saga: str,
        key: str = "",
        delay_us: int = 0,
        payload: Mapping[str, Any] | None = None,
        process: Incarnation | None = None,
        cause: int = 0,
        also: Sequence[str] = (),
    ) -> None:
        """Take a message of ``sender``, to be delivered in ``delay_us``. ``process`` is the one that publishes it, if
        one does; ``cause`` is the number of the request in which a participant does. It goes to the topics of ``also``
        at the same moment. Raises ProcessCrashed."""

    def handled(self, letter: Any, process: Incarnation) -> None:
        """The handler of a message has returned: it is acknowledged. Raises ProcessCrashed."""

    def failed(self, letter: Any, process: Incarnation, reason: str, where: str) -> None:
        """The handler of a message has raised."""


class Host(Protocol):
    """A run, as its ports see it. ``manual`` says that somebody moves the messages by hand; ``wall_offset_s`` is by how
    much the wall clock was set ahead; ``clock_read`` and ``time_read`` are how many rows there were when the code under
    test last asked for it, and for any time (-1: never); ``forgets`` says whether processes forget their retries, which
    matters only to who tells their states by it; ``on_close`` is called when the run ends, the last first.
    ``remembered`` is what modules of the standard library keep for this run, by the names of their variables."""

    setup: Setup
    seed: int
    kernel: Kernel
    trace: Trace
    durable: Durable
    manual: bool
    wall_offset_s: int
    clock_read: int
    time_read: int
    forgets: bool
    on_close: list[Callable[[], None]]
    resources: dict[str, Any]
    databases: dict[str, Database]
    remembered: dict[str, Any]

    @property
    def broker(self) -> Post | None:
        """What carries messages; None where nobody receives any."""

    @property
    def process(self) -> Incarnation | None:
        """The newest process, where it lives."""

    @property
    def living(self) -> Sequence[Incarnation]:
        """The processes that live."""

    @property
    def random(self) -> random.Random:
        """The run's source of randomness."""

    def task(self) -> Task:
        """The task that is running; UsageError where a port is used outside of any."""

    def refuse(self, error: Exception) -> NoReturn:
        """End the run: the adapter is used wrongly. Not catchable by the code under test."""

    def start(self, reason: str) -> None:
        """Start a new incarnation of the orchestrator."""

    def crash(self, process: Incarnation, reason: str) -> None:
        """Kill an orchestrator. Where it was the newest one, another starts after the adapter's restart time."""

    def pause(self, process: Incarnation, for_us: int) -> None:
        """Let a process stand still for so long, with all its tasks, while another one starts."""

    def cancel(self, process: Incarnation, saga: str) -> None:
        """The client cancels its saga."""

    def look_soon(self) -> None:
        """Look at the run as soon as all its tasks wait: who polls may be all that is left."""

    def told(self, saga: str, outcome: Outcome) -> None:
        """The client of a saga is told an outcome."""

    def resubmit(self, saga: str, after_us: int) -> None:
        """The client sends its order again, after so long."""

    def resubmit_elsewhere(self, saga: str) -> None:
        """Another process starts, and the client sends its order again, to that one."""

    def jump_clock(self, by_s: int) -> None:
        """Set the wall clock ahead or back."""

    def call_operator(self) -> None:
        """A compensation fails for good: somebody is to repair it, an hour from now at the latest."""
