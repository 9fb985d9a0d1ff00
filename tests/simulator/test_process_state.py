"""The state of a process, read from its frames: alike where its code cannot tell a difference, and only there."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from sagafuzz import Order, Plan, PortError, Saga, Scenario, Step, World, adapter
from sagafuzz.simulator import Observer, Setup, observe
from sagafuzz.simulator.readings import Readings
from sagafuzz.simulator.state import State

PAIR = Saga("pair", [Step("order", "order.create"), Step("pay", "payment.charge", undo="payment.refund")])

Body = Callable[[World, bool], object]


def setup_of(body: Body) -> Setup:
    class Shop:
        def boot(self, world: World) -> None:
            self.world = world

        def run(self, order: Order) -> bool:
            self.world.call("order.create", key="1")
            body(self.world, OTHER[0])
            return True

    return _setup(Shop)


def async_setup_of(body: Callable[[World, bool], Any]) -> Setup:
    class Shop:
        def boot(self, world: World) -> None:
            self.world = world

        async def run(self, order: Order) -> bool:
            await self.world.call("order.create", key="1")
            await body(self.world, OTHER[0])
            return True

    return _setup(Shop)


def _setup(cls: type) -> Setup:
    declared = adapter(saga=PAIR, name="shop")(cls).__sagafuzz_adapter__  # type: ignore[attr-defined]
    return Setup(adapter=declared, scenario=Scenario(name="one"))


OTHER = [False]
"""Whether the code is to have, at the moment that is looked at, another state than otherwise."""


def last_key(setup: Setup, *, other: bool) -> bytes:
    """The state in which the payment is asked for, told by frames; b"" where it cannot be told."""
    seen: list[bytes] = []

    def watch(observer: Observer) -> bool:
        if observer.sim.network.sent == 1:
            OTHER[0] = False  # what is compared is what the code made of it
            keys = State(observer, 0).by_frames(Readings())
            seen.append(keys[0] if keys else b"")
            OTHER[0] = other
        return False

    OTHER[0] = other
    observe(setup, Plan(), watch)
    OTHER[0] = False
    return seen[-1]


def is_told(body: Body) -> bool:
    """False where this version of Python does not show how far an iterator has come."""
    return body is not a_count or sys.version_info < (3, 12)


def charge(world: World) -> None:
    world.call("payment.charge", key="2")


def a_local(world: World, other: bool) -> None:
    kept = "a" if other else "b"
    del other
    charge(world)
    str(kept)


def a_cell(world: World, other: bool) -> None:
    kept = [1] if other else [2]
    del other

    def act() -> None:
        charge(world)
        kept.append(3)

    act()


def an_alias(world: World, other: bool) -> None:
    one: list[int] = []
    two = one if other else []
    del other
    charge(world)
    one.append(1)
    str(two)


def how_far_an_iterator_has_come(world: World, other: bool) -> None:
    kept = iter(["same", "same", "same"])
    next(kept)
    if other:
        next(kept)
    del other
    charge(world)
    next(kept)


def how_far_a_for_loop_has_come(world: World, other: bool) -> None:
    for _ in ["same", "same", "same"]:
        if other:
            other = False
            continue
        charge(world)
        break


def how_far_an_inner_loop_has_come(world: World, other: bool) -> None:
    for _ in range(1):
        for _ in reversed(["same", "same", "same"]):
            if other:
                other = False
                continue
            charge(world)
            return


def what_waits_for_its_operator(world: World, other: bool) -> None:
    def asked() -> int:
        charge(world)
        return 1

    str(((1 if other else 2), (other := False), asked()))


def what_waits_beside_a_call_by_keywords(world: World, other: bool) -> None:
    def asked(*, number: int) -> int:
        charge(world)
        return number

    str(((1 if other else 2), (other := False), asked(number=1)))


def an_error_that_is_handled(world: World, other: bool) -> None:
    try:
        raise ValueError("a" if other else "b")
    except ValueError:
        del other
        charge(world)


def which_copy_of_a_finally_block_runs(world: World, other: bool) -> None:
    try:
        try:
            if other:
                raise ValueError
        finally:
            other = False
            charge(world)
    except ValueError:
        pass


CACHE: dict[str, int] = {}
COUNT = 0


def something_in_a_global(world: World, other: bool) -> None:
    CACHE.clear()
    CACHE["x"] = int(other)
    del other
    charge(world)
    str(CACHE)


def another_value_of_a_global(world: World, other: bool) -> None:
    global COUNT  # noqa: PLW0603, that is the point
    COUNT = int(other)
    del other
    charge(world)
    str(COUNT)


def _used_by_another_function() -> int:
    return CACHE["x"]


def a_global_of_a_function_that_is_called_later(world: World, other: bool) -> None:
    _fill(int(other))
    del other
    charge(world)
    _used_by_another_function()


def _fill(value: int) -> None:
    globals()["CACHE"]["x"] = value


class Shared:
    counted = 0
    table: list[int] = []  # noqa: RUF012, that is the point


def what_a_class_keeps(world: World, other: bool) -> None:
    Shared.counted = int(other)
    kept = Shared()
    del other
    charge(world)
    str(kept.counted)


def a_list_of_a_class(world: World, other: bool) -> None:
    Shared.table[:] = [int(other)]
    kept = Shared()
    del other
    charge(world)
    str(kept.table)


def _remembers(value: int, kept: list[int] = []) -> list[int]:  # noqa: B006, that is the point
    kept[:] = [value]
    return kept


def a_default_argument(world: World, other: bool) -> None:
    _remembers(int(other))
    del other
    charge(world)


def _offers(amount: int = 0) -> int:
    return amount


def other_default_arguments(world: World, other: bool) -> None:
    _offers.__defaults__ = (int(other),)
    del other
    charge(world)
    _offers()


def _bids(*, amount: int = 0) -> int:
    return amount


def other_default_arguments_by_name(world: World, other: bool) -> None:
    _bids.__kwdefaults__ = {"amount": 5 if other else 0}
    del other
    charge(world)
    _bids()


@dataclass(frozen=True)
class Limits:
    """What a program is configured by."""

    most: int = 1
    seen: list[int] = field(default_factory=list)


LIMITS = Limits()


def a_field_of_a_frozen_global(world: World, other: bool) -> None:
    object.__setattr__(LIMITS, "most", 2 if other else 1)
    del other
    charge(world)
    assert LIMITS.most


def a_list_in_a_frozen_global(world: World, other: bool) -> None:
    LIMITS.seen[:] = [1] if other else []
    del other
    charge(world)
    LIMITS.seen.append(2)


def _counter() -> tuple[Callable[[int], None], Callable[[], int]]:
    count, seen = 0, [0]

    def put(value: int) -> None:
        nonlocal count
        count = value
        seen[0] = value

    return put, lambda: count + seen[0]


_put, _get = _counter()


def a_cell_of_a_function_that_is_called_later(world: World, other: bool) -> None:
    _put(int(other))
    del other
    charge(world)
    _get()


@functools.cache
def _cached(value: int) -> int:
    return value


def what_a_function_has_cached(world: World, other: bool) -> None:
    _cached.cache_clear()
    _cached(int(other))
    del other
    charge(world)


def _numbers(start: int) -> Iterator[int]:
    yield start
    yield start + 1


def a_generator(world: World, other: bool) -> None:
    kept = _numbers(0)
    next(kept)
    if other:
        next(kept)
    del other
    charge(world)
    next(kept, 0)


def a_generator_that_is_not_begun(world: World, other: bool) -> None:
    kept = _numbers(int(other))
    del other
    charge(world)
    next(kept)


def _pair(value: int) -> Iterator[tuple[int, int, int]]:
    yield (value, (value := 0), (yield))


def what_waits_in_a_generator_for_what_it_is_sent(world: World, other: bool) -> None:
    kept: Any = _pair(int(other))
    next(kept)
    del other
    charge(world)
    kept.send(1)


def a_count(world: World, other: bool) -> None:
    kept = itertools.count(int(other))
    del other
    charge(world)
    next(kept)


def _bound(world: World, value: int) -> None:
    charge(world)


def an_argument_of_a_partial(world: World, other: bool) -> None:
    act = functools.partial(_bound, world, int(other))
    del other
    act()


VARIABLE: ContextVar[int] = ContextVar("variable")


def a_context_variable(world: World, other: bool) -> None:
    VARIABLE.set(int(other))
    del other
    charge(world)


def what_is_written_in_a_transaction(world: World, other: bool) -> None:
    with world.store.transaction():
        world.store.put("x", int(other), saga="saga-1")
        del other
        charge(world)


def a_global_that_is_there_only_later(world: World, other: bool) -> None:
    global LATER  # noqa: PLW0603, that is the point
    globals().pop("LATER", None)
    if other:
        LATER = 1  # type: ignore[name-defined]
    del other
    charge(world)


ELSEWHERE: Any = ModuleType("elsewhere")


def what_a_module_of_no_file_holds_only_later(world: World, other: bool) -> None:
    vars(ELSEWHERE).pop("flag", None)
    if other:
        ELSEWHERE.flag = 1
    del other
    charge(world)


def _keeps() -> None:
    """Keeps something, now and then."""


def what_a_function_keeps_only_later(world: World, other: bool) -> None:
    vars(_keeps).clear()
    if other:
        vars(_keeps)["flag"] = 1
    del other
    charge(world)
    _keeps()


DIFFERENT: tuple[Body, ...] = (
    *(a_global_that_is_there_only_later, what_a_module_of_no_file_holds_only_later, what_a_function_keeps_only_later),
    *(a_local, a_cell, an_alias, how_far_an_iterator_has_come, how_far_a_for_loop_has_come),
    *(how_far_an_inner_loop_has_come, what_waits_for_its_operator, an_error_that_is_handled),
    *(which_copy_of_a_finally_block_runs, something_in_a_global, another_value_of_a_global),
    *(a_global_of_a_function_that_is_called_later, what_a_class_keeps, a_list_of_a_class, a_default_argument),
    *(other_default_arguments_by_name, a_field_of_a_frozen_global, a_list_in_a_frozen_global),
    *(other_default_arguments, a_cell_of_a_function_that_is_called_later),
    *(what_a_function_has_cached, a_generator, a_count, an_argument_of_a_partial, a_context_variable),
    *(what_is_written_in_a_transaction, what_waits_beside_a_call_by_keywords, a_generator_that_is_not_begun),
    what_waits_in_a_generator_for_what_it_is_sent,
)


@pytest.mark.parametrize("body", DIFFERENT, ids=lambda body: body.__name__)
def test_two_states_that_differ_in_one_thing_are_two(body: Body) -> None:
    setup = setup_of(body)
    keys = [last_key(setup, other=other) for other in (False, True, False)]
    assert [bool(key) for key in keys] == [is_told(body)] * 3
    assert keys[0] == keys[2], "the same again is the same"
    assert keys[0] != keys[1] or not is_told(body)


def a_retry_that_is_over(world: World, other: bool) -> None:
    attempts = 0
    while True:
        try:
            attempts += 1
            if other:
                other = False
                raise PortError
            break
        except PortError:
            continue
    del attempts
    charge(world)


def test_a_retry_that_is_over_leaves_nothing_behind() -> None:
    setup = setup_of(a_retry_that_is_over)
    keys = [last_key(setup, other=other) for other in (False, True)]
    assert keys[0] == keys[1]
    assert bool(keys[0]) == is_told(a_retry_that_is_over)


def what_only_c_knows(world: World, other: bool) -> None:
    str(sorted([2, 1], key=lambda _: charge(world)))


class Last:
    def __init__(self, world: World) -> None:
        self.world = world

    def __del__(self) -> None:
        charge(self.world)


def what_is_being_destroyed(world: World, other: bool) -> None:
    [Last(world)]


@pytest.mark.parametrize("body", [what_only_c_knows, what_is_being_destroyed], ids=lambda body: body.__name__)
def test_what_cannot_be_told_is_not(body: Body) -> None:
    assert last_key(setup_of(body), other=False) == b""


async def a_local_of_a_task(world: World, other: bool) -> None:
    async def beside(kept: int) -> int:
        await asyncio.sleep(5)
        return kept

    task = asyncio.create_task(beside(int(other)))
    del other
    await asyncio.sleep(0)
    await world.call("payment.charge", key="2")
    await task


async def a_callback_of_a_future(world: World, other: bool) -> None:
    future = asyncio.get_running_loop().create_future()
    if other:
        future.add_done_callback(print)
    del other
    await world.call("payment.charge", key="2")
    str(future)


async def the_order_of_what_is_ready(world: World, other: bool) -> None:
    async def asks(number: int) -> None:
        await asyncio.sleep(number)

    tasks = [asyncio.create_task(asks(number)) for number in ((1, 2) if other else (2, 1))]
    del other
    await world.call("payment.charge", key="2")
    await asyncio.gather(*tasks)


async def how_long_is_still_to_wait(world: World, other: bool) -> None:
    task = asyncio.create_task(asyncio.sleep(7 if other else 8))
    del other
    await asyncio.sleep(0)
    await world.call("payment.charge", key="2")
    await task


async def that_a_task_is_to_be_cancelled(world: World, other: bool) -> None:
    task = asyncio.create_task(asyncio.sleep(7))
    if other:
        task.cancel()
    del other
    await world.call("payment.charge", key="2")


async def how_far_a_loop_has_come(world: World, other: bool) -> None:
    for _ in ["same", "same", "same"]:
        if other:
            other = False
            continue
        await world.call("payment.charge", key="2")
        break


ASYNC = (
    *(a_local_of_a_task, a_callback_of_a_future, the_order_of_what_is_ready, how_long_is_still_to_wait),
    *(that_a_task_is_to_be_cancelled, how_far_a_loop_has_come),
)


@pytest.mark.parametrize("body", ASYNC, ids=lambda body: body.__name__)
def test_two_states_of_an_event_loop_that_differ_in_one_thing_are_two(body: Any) -> None:
    setup = async_setup_of(body)
    keys = [last_key(setup, other=other) for other in (False, True, False)]
    assert [bool(key) for key in keys] == [is_told(body)] * 3
    assert keys[0] == keys[2], "the same again is the same"
    assert keys[0] != keys[1] or not is_told(body)
