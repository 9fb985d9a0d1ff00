"""What code under test does outside of the simulated world: on a real server, with the same crash points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from ..history import TERMINAL
from ..ports import StoreUnavailable
from .store import Write, durable_write, subject_of

if TYPE_CHECKING:
    from .process import Process
    from .simulation import Simulation

_T = TypeVar("_T")


def resource(sim: Simulation, name: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
    """What the run has under ``name``: made, and entered, when it is first asked for; left at the run's end."""
    if name not in sim.resources:
        stack = ExitStack()
        sim.resources[name] = stack.enter_context(make())
        sim.on_close.append(stack.close)
    return sim.resources[name]


def act_outside(
    sim: Simulation,
    process: Process,
    act: Callable[[], _T],
    *,
    saga: str,
    records: Sequence[tuple[str, str]],
    epoch: int,
    outcome: str | None,
) -> _T:
    """Carry out ``act``; where it makes ``records`` durable, as one durable write."""
    done: list[_T] = []

    def carry_out(_: object) -> None:
        try:
            done.append(act())
        except StoreUnavailable as error:
            sim.refuse(
                UsageError(
                    f"adapter {sim.setup.adapter.name!r}: what it does outside of the world failed, so nothing can "
                    f"be said of it: {error}"
                )
            )
        if outcome is not None:
            sim.record((sim.kernel.now_us, TERMINAL, process.label, saga, "", "", 0, None, 0, (outcome,)))

    if records:
        writes = [Write(saga, step, kind, epoch=epoch) for kind, step in records]
        durable_write(sim, process, saga, subject_of(writes), writes, carry_out)
    else:
        carry_out(None)
    return done[0]
