"""What code under test does outside of the simulated world: on a real server, with the same crash points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

from ..errors import UsageError
from ..history import TERMINAL
from ..ports import StoreUnavailable
from ..records import Write, subject_of
from .host import Host
from .incarnation import Incarnation
from .leaving import permitted
from .store import durable_write

_T = TypeVar("_T")


def resource(host: Host, name: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
    """What the run has under ``name``: made, and entered, when it is first asked for; left at the run's end."""
    if name not in host.resources:
        stack = ExitStack()
        with permitted():
            host.resources[name] = stack.enter_context(make())
        host.on_close.append(stack.close)
    return host.resources[name]


def act_outside(
    host: Host,
    process: Incarnation,
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
            with permitted():
                done.append(act())
        except StoreUnavailable as error:
            host.refuse(
                UsageError(
                    f"adapter {host.setup.adapter.name!r}: what it does outside of the world failed, so nothing can "
                    f"be said of it: {error}"
                )
            )
        if outcome is not None:
            host.trace.add(TERMINAL, process.label, (outcome,), saga=saga)

    if records:
        writes = [Write(saga, step, kind, epoch=epoch) for kind, step in records]
        durable_write(host, process, saga, subject_of(writes), writes, carry_out)
    else:
        carry_out(None)
    return done[0]
