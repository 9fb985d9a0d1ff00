"""The orchestrators where nothing is simulated: real threads, a real event loop, real time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sagafuzz import Outcome, Rejected, UsageError
from sagafuzz.reference_saga import Definition, Orchestrator, RetryPolicy
from sagafuzz.reference_saga.aio import AsyncOrchestrator, in_place
from sagafuzz.reference_saga.runtime import Request, Runtime
from sagafuzz.reference_saga.stores.memory import MemoryStore

from .sagas import TRIP

PATIENCE_S = 20.0
"""For how long one waits for another that may never come: far longer than it takes."""

BRISK = Definition(TRIP, forward=RetryPolicy(first_backoff_s=0.01), undo=RetryPolicy(first_backoff_s=0.01))


class Trips:
    """The operations of TRIP. What ``special`` names is done by its function; all others just happen."""

    def __init__(self, **special: Callable[[Request], Any]) -> None:
        self.done: list[tuple[str, str]] = []
        self._special = {name.replace("_", "."): function for name, function in special.items()}

    @property
    def operations(self) -> dict[str, Callable[[Request], Any]]:
        return dict.fromkeys(TRIP.by_operation, self.act)

    def act(self, request: Request) -> Any:
        if request.operation in self._special:
            self._special[request.operation](request)
        self.done.append((request.saga, request.operation))

    def of(self, saga: str) -> list[str]:
        return [operation for whose, operation in self.done if whose == saga]


def refuse(request: Request) -> None:
    raise Rejected("no")


def threaded(trips: Trips, store: MemoryStore, pool: ThreadPoolExecutor | None, **options: Any) -> Orchestrator:
    return Orchestrator(BRISK, ports=Runtime(trips.operations), store=store, executor=pool, **options)


def test_branches_are_asked_by_several_threads_at_once_and_so_are_their_undos() -> None:
    both, undone = threading.Barrier(2), threading.Barrier(2)

    def meet(request: Request) -> None:
        both.wait(PATIENCE_S)

    def meet_again(request: Request) -> None:
        undone.wait(PATIENCE_S)

    trips = Trips(
        flight_book=meet, hotel_book=meet, payment_charge=refuse, flight_cancel=meet_again, hotel_cancel=meet_again
    )
    with ThreadPoolExecutor(2) as pool:
        outcome = threaded(trips, MemoryStore(), pool).execute("t1", {})
    assert outcome is Outcome.COMPENSATED
    done = trips.of("t1")
    assert set(done[1:3]) == {"flight.book", "hotel.book"}
    assert set(done[3:5]) == {"flight.cancel", "hotel.cancel"}
    assert (done[0], done[5:]) == ("order.create", ["order.cancel"])


def test_without_an_executor_one_step_is_asked_after_the_other() -> None:
    together = threading.Semaphore(1)

    def alone(request: Request) -> None:
        assert together.acquire(blocking=False)
        time.sleep(0.01)
        together.release()

    trips = Trips(flight_book=alone, hotel_book=alone)
    assert threaded(trips, MemoryStore(), None).execute("t1", {}) is Outcome.COMPLETED
    assert len(trips.done) == len(TRIP.steps)


def test_sagas_that_are_taken_up_go_on_at_the_same_time() -> None:
    store, names = MemoryStore(), ["t1", "t2", "t3"]
    for name in names:
        leave_open(store, name)
    all_there = threading.Barrier(len(names))

    def meet(request: Request) -> None:
        all_there.wait(PATIENCE_S)

    trips = Trips(payment_charge=meet)
    with ThreadPoolExecutor(6) as pool:
        ended = threaded(trips, store, pool, look_s=0.01).resume_pending()
    assert ended == dict.fromkeys(names, Outcome.COMPLETED)
    assert store.open() == []


class Killed(BaseException):
    """The end of an owner."""


def leave_open(store: MemoryStore, saga: str, **options: Any) -> None:
    """Begin a saga, and die before its payment."""

    def die(request: Request) -> None:
        raise Killed

    with pytest.raises(Killed):
        threaded(Trips(payment_charge=die), store, None, **options).execute(saga, {})


def test_a_dead_owners_saga_is_taken_over_when_its_lease_is_over_and_not_before() -> None:
    store, lease_s = MemoryStore(), 0.2
    leave_open(store, "t1", lease_s=lease_s)
    trips, began = Trips(), time.monotonic()
    assert threaded(trips, store, None, lease_s=lease_s).resume_pending() == {"t1": Outcome.COMPLETED}
    assert time.monotonic() - began >= lease_s
    record = store.load("t1")
    assert record is not None
    assert record["epoch"] == 2


def test_an_owner_that_slept_through_its_lease_writes_nothing_more() -> None:
    """It wakes with an answer in hand, and finds that its saga is another's."""
    store, asleep, awake = MemoryStore(), threading.Event(), threading.Event()

    def sleep(request: Request) -> None:
        asleep.set()
        assert awake.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(threaded(Trips(payment_charge=sleep), store, None, lease_s=0.1).execute, "t1", {})
        assert asleep.wait(PATIENCE_S)
        assert threaded(Trips(), store, None, lease_s=0.1).resume_pending() == {"t1": Outcome.COMPLETED}
        kept = store.load("t1")
        awake.set()
        assert slow.result(PATIENCE_S) is Outcome.COMPLETED, "what the other one had reached"
    assert store.load("t1") == kept


def asynchronous(operations: dict[str, Callable[[Request], Any]], store: MemoryStore) -> AsyncOrchestrator:
    runtime = Runtime(operations, asynchronous=True)
    return AsyncOrchestrator(BRISK, ports=runtime, store=store, ask_store=in_place, look_s=0.01)


def test_async_functions_are_awaited_together_on_one_loop() -> None:
    async def trip() -> Outcome:
        both, here = asyncio.Barrier(2), asyncio.get_running_loop()

        async def meet(request: Request) -> None:
            assert asyncio.get_running_loop() is here
            await asyncio.wait_for(both.wait(), PATIENCE_S)

        operations = {**Trips().operations, "flight.book": meet, "hotel.book": meet}
        return await asynchronous(operations, MemoryStore()).execute("t1", {})

    assert asyncio.run(trip()) is Outcome.COMPLETED


def test_plain_functions_run_in_threads_beside_the_loop() -> None:
    both, threads = threading.Barrier(2), set[int]()

    def meet(request: Request) -> None:
        both.wait(PATIENCE_S)  # on the loop itself the first one would wait for ever
        threads.add(threading.get_ident())

    trips = Trips(flight_book=meet, hotel_book=meet)
    outcome = asyncio.run(asynchronous(trips.operations, MemoryStore()).execute("t1", {}))
    assert outcome is Outcome.COMPLETED
    assert len(threads - {threading.get_ident()}) == 2


@pytest.mark.parametrize("awaited", [True, False])
def test_what_a_function_raises_is_unknown_and_asked_again_under_its_key(*, awaited: bool) -> None:
    keys: list[str] = []

    def fail_once(request: Request) -> None:
        keys.append(request.key)
        if len(keys) == 1:
            raise OSError("the line is dead")

    async def fail_once_later(request: Request) -> None:
        await asyncio.sleep(0)
        fail_once(request)

    operations = {**Trips().operations, "hotel.book": fail_once_later if awaited else fail_once}
    assert asyncio.run(asynchronous(operations, MemoryStore()).execute("t1", {})) is Outcome.COMPLETED
    assert keys == ["t1/hotel", "t1/hotel"]


def test_under_asyncio_a_refusal_compensates_and_what_was_left_open_is_taken_up() -> None:
    store = MemoryStore()
    leave_open(store, "t1")
    trips = Trips(payment_charge=refuse)
    assert asyncio.run(asynchronous(trips.operations, store).resume_pending()) == {"t1": Outcome.COMPENSATED}
    assert trips.of("t1")[-1] == "order.cancel"


def test_an_async_function_under_threads_runs_on_a_loop_of_its_own_even_beside_another() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def note(request: Request) -> None:
        loops.append(asyncio.get_running_loop())

    operations = {**Trips().operations, "hotel.book": note}
    orchestrator = Orchestrator(BRISK, ports=Runtime(operations), store=MemoryStore())
    assert orchestrator.execute("t1", {}) is Outcome.COMPLETED

    async def beside() -> Outcome:
        loops.append(asyncio.get_running_loop())
        return orchestrator.execute("t2", {})

    assert asyncio.run(beside()) is Outcome.COMPLETED
    assert len(set(map(id, loops))) == 3


def test_an_operation_without_a_function_is_named() -> None:
    with pytest.raises(UsageError, match=r"no operation 'hotel\.bok' \(did you mean 'hotel\.book'"):
        Runtime(Trips().operations).call("hotel.bok")
