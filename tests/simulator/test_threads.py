"""Threads of a service are tasks: they switch at ports and locks, in a known order, and end with their process."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import concurrent.futures
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.to_thread
import httpx
import pytest
from fastapi import FastAPI

from sagafuzz import UsageError, service
from sagafuzz.ports import ADAPTER_ATTRIBUTE

from .conftest import Laboratory, Trial
from .http_clients import by_urllib
from .test_service import PAIR, ROUTES, Handler, declared, trial


def charge(order: str) -> int:
    (status,) = by_urllib("http://payment", ["/charge"], order)
    return status


def served(work: Callable[[str], Any]) -> Handler:
    """A handler that does some synchronous work."""

    async def handler(order: str) -> int:
        work(order)
        return 200

    return handler


def ran(work: Callable[[str], Any], *faults: str) -> Trial:
    return trial(declared(served(work)), *faults)


# -- every primitive -----------------------------------------------------------------------------------


def by_thread(order: str) -> list[int]:
    said: list[int] = []
    started = [threading.Thread(target=lambda: said.append(charge(order)), daemon=True) for _ in range(2)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert not any(thread.is_alive() for thread in started)
    return said


def by_lock(order: str) -> list[int]:
    lock, said = threading.Lock(), []

    def guarded() -> None:
        with lock:
            said.append(charge(order))

    return both(guarded, said)


def by_rlock(order: str) -> list[int]:
    lock, said = threading.RLock(), []

    def guarded() -> None:
        with lock, lock:
            said.append(charge(order))

    return both(guarded, said)


def both(work: Callable[[], object], said: list[int]) -> list[int]:
    """What two threads have said that do the same work."""
    started = [threading.Thread(target=work) for _ in range(2)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(timeout=60)
    return said


def by_condition(order: str) -> list[int]:
    condition, said, asked = threading.Condition(), [], []

    def work() -> None:
        with condition:
            assert condition.wait_for(lambda: asked, timeout=5)
        said.append(charge(asked.pop()))
        with condition:
            condition.notify_all()

    threading.Thread(target=work).start()
    with condition:
        asked.append(order)
        condition.notify()
        while not said:
            condition.wait()
    return said


def by_event(order: str) -> list[int]:
    go, over, said = threading.Event(), threading.Event(), []

    def work() -> None:
        go.wait()
        said.append(charge(order))
        over.set()

    threading.Thread(target=work).start()
    go.set()
    assert over.wait(30)
    return said


def by_semaphore(order: str) -> list[int]:
    few, said = threading.BoundedSemaphore(1), []

    def work() -> None:
        with few:
            said.append(charge(order))

    return both(work, said)


def by_barrier(order: str) -> list[int]:
    barrier, said = threading.Barrier(2), []

    def work() -> None:
        barrier.wait()
        said.append(charge(order))

    return both(work, said)


def by_timer(order: str) -> list[int]:
    said: list[int] = []
    timer = threading.Timer(3600, lambda: said.append(charge(order)))
    timer.start()
    timer.join()
    return said


def by_queue(order: str, kind: Any = queue.Queue) -> list[int]:
    asked, answered = kind(), kind()

    def work() -> None:
        while (each := asked.get()) is not None:
            answered.put(charge(each))

    threading.Thread(target=work, daemon=True).start()
    asked.put(order)
    said = [answered.get(timeout=30)]
    asked.put(None)
    return said


def by_simple_queue(order: str) -> list[int]:
    return by_queue(order, queue.SimpleQueue)


def by_local(order: str) -> list[int]:
    own, said = threading.local(), []
    own.order = "another"

    def work() -> None:
        assert not hasattr(own, "order")
        own.order = order
        time.sleep(1)
        said.append(charge(own.order))

    both(work, said)
    assert own.order == "another"
    return said


def by_pool(order: str) -> list[int]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(charge, [order, order, order]))


def by_as_completed(order: str) -> list[int]:
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(charge, order) for _ in range(3)]
        return [each.result() for each in concurrent.futures.as_completed(asked, timeout=30)]


PRIMITIVES = [
    by_thread,
    by_lock,
    by_rlock,
    by_condition,
    by_event,
    by_semaphore,
    by_barrier,
    by_timer,
    by_queue,
    by_simple_queue,
    by_local,
    by_pool,
    by_as_completed,
]


async def in_asyncios(order: str) -> list[int]:
    return list(await asyncio.gather(*[asyncio.to_thread(charge, order) for _ in range(2)]))


async def in_a_pool(order: str) -> list[int]:
    with ThreadPoolExecutor(1) as pool:
        return [await asyncio.get_running_loop().run_in_executor(pool, charge, order)]


async def in_anyios(order: str) -> list[int]:
    return [await anyio.to_thread.run_sync(charge, order)]


@pytest.fixture(params=[*PRIMITIVES, in_asyncios, in_a_pool, in_anyios], ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_each_does_in_virtual_time_what_it_does_elsewhere(way: Any) -> None:
    said: list[int] = []

    async def handler(order: str) -> int:
        found = way(order)
        said.extend(await found if asyncio.iscoroutine(found) else found)
        return 200

    began = time.monotonic()
    seen = trial(declared(handler))
    assert time.monotonic() - began < 60
    assert said and set(said) == {200} and seen.answers == ["completed"], seen.raised
    assert len(seen.of("ACK")) == len(said)


CRASHES = {"send": "crash-after-send", "effect": "crash-after-effect", "ack": "crash-after-ack"}
"""How a process is ended at each kind of site."""


def test_each_ends_with_its_process_at_every_site(way: Any) -> None:
    """Nothing is asked by what a dead process has left."""

    async def handler(order: str) -> int:
        found = way(order)
        if asyncio.iscoroutine(found):
            await found
        return 200

    adapter = declared(handler)
    sites = [site for site in trial(adapter).sites if site.phase in CRASHES]
    assert len(sites) >= 3
    for site in sites:
        fault = f"{CRASHES[site.phase]} {site.subject} {site.direction} #{site.occurrence}"
        seen, again = (trial(adapter, fault) for _ in range(2))
        assert len(seen.of("CRASH")) == 1 and seen.end == "quiescent", (fault, seen.end)
        crashed = seen.position("CRASH")
        assert all(event.kind != "SEND" for event in seen.events[crashed:]), "a dead thread asks"
        assert seen.run.rows == again.run.rows


# -- what tells one thread from another ----------------------------------------------------------------


def test_each_thread_has_a_number_and_a_name_of_its_own_that_repeat() -> None:
    seen: list[tuple[int, str]] = []

    def tell() -> None:
        time.sleep(1)
        current = threading.current_thread()
        assert current.ident == threading.get_ident() and current in threading.enumerate()
        seen.append((threading.get_ident(), current.name))

    def work(order: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        by_all = [threading.Thread(target=tell) for _ in range(2)]
        for thread in by_all:
            thread.start()
        assert threading.active_count() == 3
        with ThreadPoolExecutor(1) as pool:
            pool.submit(tell).result()
        _thread.start_new_thread(tell, ())
        time.sleep(2)

    runs = []
    for _ in range(2):
        ran(work)
        runs.append(seen[:])
        seen.clear()
    assert runs[0] == runs[1] and len({ident for ident, _ in runs[0]}) == 4
    assert {name for _, name in runs[0]} == {
        "Thread-1 (tell)",
        "Thread-2 (tell)",
        "ThreadPoolExecutor-0_0",
        "Thread-3 (tell)",
    }


def test_thread_locals_do_not_outlive_a_process() -> None:
    own, found = threading.local(), []

    def work(order: str) -> None:
        own.order = order
        charge(order)

    async def start() -> None:
        found.append(getattr(own, "order", None))

    own.order = "outside"
    trial(declared(served(work), start), "crash-after-effect pay F")
    assert found == [None, None] and own.order == "outside"


def test_a_run_that_is_refused_leaves_the_thread_locals_of_whoever_drives_it() -> None:
    def work(order: str) -> None:
        own.order = order
        httpx.post("http://nobody/knows", json={"order": order})

    own = threading.local()
    own.order = "outside"
    with pytest.raises(UsageError, match="which no route names"):
        ran(work)
    assert own.order == "outside"


# -- what waits for ever -------------------------------------------------------------------------------


def deadlocks(seen: Trial) -> list[str]:
    return [str(message) for kind, message, _, _ in seen.raised if kind == "Deadlock"]


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_a_deadlock_is_named_with_both_lines(kind: Any) -> None:
    one, other = kind(), kind()

    def forth(order: str) -> None:
        with one:
            charge(order)
            with other:
                pass

    def back(order: str) -> None:
        with other:
            charge(order)
            with one:
                pass

    def work(order: str) -> None:
        started = [threading.Thread(target=way, args=(order,)) for way in (forth, back)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()

    for _ in range(2):  # what a run has left taken, the next one finds free
        (told,) = deadlocks(ran(work))
        first = forth.__code__.co_firstlineno
        assert f"test_threads.py:{first + 3} in forth" in told and f"test_threads.py:{first + 9} in back" in told
        assert told.endswith("wait for one another")
    assert one.acquire(False) and other.acquire(False)


def test_who_takes_a_lock_twice_is_told() -> None:
    def work(order: str) -> None:
        lock = threading.Lock()
        with lock, lock:
            charge(order)

    (told,) = deadlocks(ran(work))
    assert "waits for what it has taken itself" in told


def test_who_joins_a_thread_that_wants_its_lock_is_told() -> None:
    def work(order: str) -> None:
        lock = threading.Lock()
        with lock:
            thread = threading.Thread(target=lock.acquire)
            thread.start()
            thread.join()

    assert "wait for one another" in deadlocks(ran(work))[0]


def test_a_lock_that_somebody_else_gives_back_is_no_deadlock() -> None:
    def work(order: str) -> None:
        gate = threading.Lock()
        gate.acquire()
        threading.Timer(5, gate.release).start()
        gate.acquire()
        charge(order)

    seen = ran(work)
    assert not deadlocks(seen) and seen.answers == ["completed"]


def test_a_lock_that_a_dead_process_held_is_free_for_the_next_one() -> None:
    for lock in (threading.Lock(), threading.RLock()):
        taken: list[bool] = []

        async def start(lock: Any = lock, taken: list[bool] = taken) -> None:
            taken.append(lock.acquire(timeout=1))

        async def handler(order: str) -> int:
            charge(order)
            return 200

        seen = trial(declared(handler, start), "crash-after-effect pay F")
        assert taken == [True, True] and len(seen.of("CRASH")) == 1
        assert lock.acquire(False)


def test_a_worker_that_polls_for_ever_keeps_no_run_from_its_end() -> None:
    async def start() -> None:
        asked: queue.Queue[str] = queue.Queue()

        def work() -> None:
            while True:
                with contextlib.suppress(queue.Empty):
                    charge(asked.get(timeout=1))

        threading.Thread(target=work, daemon=True).start()

    seen = trial(declared(served(charge), start))
    assert seen.answers == ["completed"] and seen.end == "quiescent"


def test_what_leaves_a_thread_is_told() -> None:
    def work(order: str) -> None:
        def fail() -> None:
            raise KeyError(order)

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    ((kind, message, where, port),) = ran(work).raised
    assert (kind, message, port) == ("KeyError", "'saga-1'", False) and "test_threads.py:" in where


def test_what_a_fault_to_a_client_raises_in_a_thread_is_told_as_that_of_a_port() -> None:
    def work(order: str) -> None:
        thread = threading.Thread(target=charge, args=(order,))
        thread.start()
        thread.join()

    ((kind, _, _, port),) = ran(work, "lost-request pay F").raised
    assert (kind, port) == ("TimeoutError", True)


def test_the_dead_say_nothing_by_their_pools(caplog: pytest.LogCaptureFixture) -> None:
    def work(order: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(charge, order).result()

    ran(work, "crash-after-effect pay F")
    assert not caplog.records


# -- an app whose endpoints are functions --------------------------------------------------------------


def test_two_requests_to_endpoints_that_are_functions_run_side_by_side() -> None:
    said: list[str] = []

    def create_app() -> FastAPI:
        app = FastAPI()

        @app.post("/orders")
        def post(order: dict[str, str]) -> dict[str, str]:
            said.append(f"{order['id']} begins")
            charge(order["id"])
            said.append(f"{order['id']} ends")
            return order

        return app

    class Endpoints:
        app = staticmethod(create_app)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Endpoints)
    adapter = getattr(made, ADAPTER_ATTRIBUTE)
    seen = Laboratory().trial(adapter, scenario=adapter.scenario("two-on-one-item"))
    assert seen.answers == ["completed", "completed"]
    assert said == ["saga-1 begins", "saga-2 begins", "saga-1 ends", "saga-2 ends"]


@pytest.mark.parametrize("lock", [threading.Lock, threading.RLock, queue.Queue, queue.SimpleQueue])
def test_who_waits_for_less_than_a_tick_again_and_again_lets_time_pass(lock: Callable[[], Any]) -> None:
    def work(order: str) -> None:
        of, held = lock(), threading.Event()
        if hasattr(of, "acquire"):
            threading.Thread(target=lambda: (of.acquire(), held.set(), time.sleep(9))).start()
            held.wait()
        end, tries = time.monotonic() + 1e-6, 0
        while (left := (end - time.monotonic()) / 10) > 0 and tries < 100:
            tries += 1
            if hasattr(of, "acquire"):
                assert not of.acquire(timeout=left)
            else:
                with contextlib.suppress(queue.Empty):
                    of.get(timeout=left)
        assert tries < 100

    assert ran(work).answers == ["completed"]


def test_a_loop_that_one_thread_makes_and_another_runs_serves_both() -> None:
    def work(order: str) -> None:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()

        async def ask() -> int:
            await asyncio.sleep(1)
            return await asyncio.to_thread(charge, order)

        assert asyncio.run_coroutine_threadsafe(ask(), loop).result() == 200

    trial = ran(work)
    assert (trial.answers, trial.story("pay")) == (["completed"], ["SEND", "DELIVER", "APPLY", "ACK"])
    assert len(ran(work, "crash-after-effect pay F").of("CRASH")) == 1


def test_what_is_registered_for_the_exit_of_a_process_is_not_done_at_that_of_the_harness() -> None:
    def work(order: str) -> None:
        before = atexit._ncallbacks()
        assert atexit.register(charge, order) is charge
        assert atexit._ncallbacks() == before

    assert ran(work).answers == ["completed"]
