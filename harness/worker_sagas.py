"""The plan of a saga as a workflow of an engine carries it out: what adapters of engines share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from .errors import UsageError

Begin = Callable[[Any, str, str, Any, int], Awaitable[Any]]
"""Begins a request, given the saga, the step, ``do`` or ``undo``, the receipt of the former, and after how many
attempts it is given up (0: never): its answer, to be awaited. Where a step is a saga of its own, what `carried_out`
gave for that."""

Gather = Callable[..., Awaitable[Any]]
"""Waits until all of several are over, however they end."""


def layers(saga: Mapping[str, Any]) -> list[list[str]]:
    """The steps of a `SagaRequest.plain`, in order, those of one list at once: where it has no parallel steps, lists of
    one."""
    depth: dict[str, int] = {}
    for step in saga["steps"]:
        depth[step] = 1 + max((depth[earlier] for earlier in saga["after"].get(step, ())), default=-1)
    return [[step for step in depth if depth[step] == level] for level in range(1 + max(depth.values(), default=-1))]


Sleep = Callable[[float], Any]
"""Waits for so many seconds."""

Hear = Callable[[str], Any]
"""Waits for a message of a topic."""


def deaf(topic: str) -> None:
    """For who waits for no messages."""
    raise UsageError(f"the saga waits for {topic!r}, and its worker hears no messages; give hear=")


ALL_OVER: Final[Gather] = partial(asyncio.gather, return_exceptions=True)


async def carried_out(
    saga: Mapping[str, Any],
    *,
    sleep: Sleep,
    hear: Hear = deaf,
    begin: Begin,
    failed: type[Exception],
    gather: Gather = ALL_OVER,
    before: Callable[[str], Awaitable[object]] | None = None,
) -> dict[str, Any]:
    """Do the steps of a `SagaRequest.plain`, those of a layer at once; where one ``failed``, undo what was begun, the
    last layer first. ``before`` is called before each step is begun. Returns the receipts by step, or {} where the saga
    was undone. It waits for nothing but what it is handed, so that an engine can replay it."""
    begun: dict[str, Any] = {}
    for layer in layers(saga):
        for step in layer:
            for wait, value in _waits(saga, step, sleep, hear):
                await wait(value)
            if before is not None:
                await before(step)
            begun[step] = None
        asked = {step: _under_way(begin(saga, step, "do", None, saga["attempts"])) for step in layer}
        await gather(*asked.values())
        given_up = False
        for step, answer in asked.items():
            try:
                begun[step] = await answer
            except failed:
                given_up = True
            given_up = given_up or (step in saga["children"] and not begun[step])
        if given_up:
            await _undone(saga, begun, begin, gather)
            return {}
    return begun


def _under_way(answer: Awaitable[Any]) -> Awaitable[Any]:
    """The same, to be awaited more than once."""
    return asyncio.ensure_future(answer) if asyncio.iscoroutine(answer) else answer


def _waits(saga: Mapping[str, Any], step: str, sleep: Sleep, hear: Hear) -> Iterator[tuple[Callable[[Any], Any], Any]]:
    """What is to be waited for before a step: each call, and its argument."""
    if step in saga["waits"]:
        yield sleep, saga["waits"][step] / 1000
    if step in saga["signals"]:
        yield hear, saga["signals"][step]


async def _undone(saga: Mapping[str, Any], begun: Mapping[str, Any], begin: Begin, gather: Gather) -> None:
    """Undo what was begun; a step that is a saga of its own, its steps one by one."""
    for layer in reversed(layers(saga)):
        steps = [step for step in layer if step in begun]
        for step in steps:
            if step in saga["children"]:
                await _undone(saga["children"][step], begun[step] or {}, begin, gather)
        own = [step for step in steps if step not in saga["children"]]
        asked = [_under_way(begin(saga, step, "undo", begun[step], 0)) for step in own]
        if asked:
            await gather(*asked)
        for answer in asked:
            await answer


REFUSED: Final = {"refused": True}
GIVEN_UP: Final = {"given up": True}
"""What `sagafuzz.worker.attempt` gives in the place of a receipt."""


def in_turn(
    saga: Mapping[str, Any],
    *,
    sleep: Sleep,
    hear: Hear,
    ask: Callable[[Any, str, str, Any], Any],
    unknown: type[Exception] | tuple[()] = (),
) -> dict[str, Any]:
    """The same for an engine whose workflows are not async: one step after the other. ``ask`` makes a request and gives
    its receipt, REFUSED or GIVEN_UP, or for a step that is a saga of its own what this gave for that. Where it raises
    ``unknown``, the step is undone too; and an undo that does is told by Stuck when the others are through."""
    begun: dict[str, Any] = {}
    for step in saga["steps"]:
        for wait, value in _waits(saga, step, sleep, hear):
            wait(value)
        try:
            answer = ask(saga, step, "do", None)
        except unknown:
            answer = GIVEN_UP
        if answer != REFUSED:
            begun[step] = None if answer == GIVEN_UP else answer
        if answer in (REFUSED, GIVEN_UP, {}):
            if stuck := _undone_in_turn(saga, begun, ask, unknown):
                raise Stuck(", ".join(stuck))
            return {}
    return begun


class Stuck(Exception):
    """An undo keeps failing. Plain, since engines keep what a workflow raises in ways of their own."""


def _undone_in_turn(saga: Mapping[str, Any], begun: Mapping[str, Any], ask: Any, unknown: Any) -> list[str]:
    """Undo what was begun, the last first; the steps that could not be."""
    stuck = []
    for step, receipt in reversed([*begun.items()]):
        if step in saga["children"]:
            stuck += _undone_in_turn(saga["children"][step], receipt or {}, ask, unknown)
            continue
        try:
            ask(saga, step, "undo", receipt)
        except unknown:
            stuck.append(step)
    return stuck
