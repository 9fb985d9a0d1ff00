"""An object that stores things, put on the world: what its methods change is durable, what they read is copied."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from sagafuzz import StoreUnavailable, UsageError

from .conftest import Laboratory, Trial


class Orders:
    """A repository in memory, with what such ones have."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        self.tags: set[str] = set()
        self._lock = threading.RLock()

    def add(self, id: str, row: dict[str, str]) -> Orders:
        with self._lock:
            if id in self.rows:
                raise KeyError(id)
            self.rows[id] = row
            self.tags |= {id, "any", "order"}
        return self

    def get(self, id: str) -> dict[str, str] | None:
        return self.rows.get(id)

    async def set_state(self, id: str, state: str) -> None:
        self.rows[id]["state"] = state

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        yield Session(self)

    @contextlib.asynccontextmanager
    async def async_session(self) -> AsyncIterator[Session]:
        yield Session(self)

    def find(self) -> Iterator[str]:
        yield from self.rows

    async def wait(self) -> None:
        await Waits()


class Waits:
    def __await__(self) -> Iterator[None]:
        yield


class Session:
    def __init__(self, orders: Orders) -> None:
        self.orders = orders

    def add(self, id: str) -> None:
        self.orders.add(id, {"state": "new"})


def ran(lab: Laboratory, do: Callable[[Any], Any], *faults: str, again: Callable[[Any], Any] | None = None) -> Trial:
    """A run in which ``do`` is handed the repository, and ``again`` that of the next process."""
    return lab.trial(
        lab.system(
            lambda world, order: bool(do(world.proxy(Orders())) or True),
            recover=lambda world: (again or (lambda orders: None))(world.proxy(Orders())),
        ),
        *faults,
    )


def subjects(trial: Trial) -> list[str]:
    return [event.data[0] for event in trial.of("LOGACK")]


def test_what_changes_it_is_a_write_and_what_does_not_is_none(lab: Laboratory) -> None:
    found: list[Any] = []

    def do(orders: Any) -> None:
        orders.add("a", {"state": "new"})
        found.append(orders.get("a"))
        with pytest.raises(KeyError):
            orders.add("a", {})
        found.append((orders.rows, isinstance(orders, Orders)))

    assert subjects(ran(lab, do)) == ["Orders.add"]
    assert found == [{"state": "new"}, ({"a": {"state": "new"}}, True)]


@pytest.mark.parametrize(("kind", "kept"), [("crash-before-log", None), ("crash-after-log", {"state": "new"})])
def test_a_write_is_a_crash_point_and_outlives_the_process(lab: Laboratory, kind: str, kept: Any) -> None:
    found: list[Any] = []
    seen = ran(
        lab,
        lambda orders: orders.add("a", {"state": "new"}),
        f"{kind} 'Orders.add'",
        again=lambda orders: found.append(orders.get("a")),
    )
    assert len(seen.of("CRASH")) == 1 and found == [kept]


@pytest.mark.parametrize(("kind", "kept"), [("store-error-before-commit", False), ("store-error-after-commit", True)])
def test_a_store_that_fails_raises_what_a_store_raises(lab: Laboratory, kind: str, kept: bool) -> None:
    found: list[bool] = []

    def do(orders: Any) -> None:
        with pytest.raises(StoreUnavailable):
            orders.add("a", {})
        found.append("a" in orders.rows)

    ran(lab, do, f"{kind} 'Orders.add'")
    assert found == [kept]


def test_a_write_that_was_acknowledged_can_be_lost(lab: Laboratory) -> None:
    found: list[Any] = []
    ran(
        lab,
        lambda orders: orders.add("a", {}),
        "lost-write 'Orders.add'",
        again=lambda orders: found.append(orders.get("a")),
    )
    assert found == [None]


def test_nothing_changes_by_a_reference(lab: Laboratory) -> None:
    found: list[Any] = []

    def do(orders: Any) -> None:
        row = {"state": "new"}
        orders.add("a", row)
        row["state"] = orders.get("a")["state"] = orders.rows["a"]["state"] = "changed"
        found.append(orders.get("a"))

    ran(lab, do)
    assert found == [{"state": "new"}]


def test_coroutines_context_managers_and_generators_of_it_write_too(lab: Laboratory) -> None:
    found: list[Any] = []

    async def run(world: Any, order: Any) -> bool:
        orders = world.proxy(Orders())
        async with orders.async_session() as session:
            session.add("a")
        with orders.session() as session:
            session.add("b")
        await orders.set_state("a", "paid")
        found.extend([orders.get("a"), [*orders.find()], orders.add("c", {}) is orders])
        return True

    seen = lab.trial(lab.system(run))
    assert subjects(seen) == ["Orders.add", "Orders.add", "Orders.set_state", "Orders.add"]
    assert found == [{"state": "paid"}, ["a", "b"], True]


def test_a_mapping_is_a_storage(lab: Laboratory) -> None:
    found: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        rows: dict[str, list[int]] = world.proxy({}, name="rows")
        rows["a"] = [1]
        rows.setdefault("a", []).append(2)
        rows.update(b=[3])
        del rows["b"]
        found.append((len(rows), "a" in rows, rows["a"], [*rows], rows.items(), world.proxy({}, name="rows").get("a")))
        return True

    assert subjects(lab.trial(lab.system(run))) == ["rows.setitem", "rows.update", "rows.delitem"]
    assert found == [(1, True, [1], ["a"], [("a", [1])], [1])]


def test_two_tasks_that_write_at_once_lose_nothing(lab: Laboratory) -> None:
    found: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        rows: dict[str, int] = world.proxy({}, name="rows")
        world.spawn(rows.update, {"a": 1})
        rows["b"] = 2
        world.sleep(1)
        found.append(dict(rows.items()))
        return True

    lab.trial(lab.system(run))
    assert found == [{"a": 1, "b": 2}]


def test_it_is_empty_when_a_run_begins(lab: Laboratory) -> None:
    rows: dict[str, int] = {}

    def run(world: Any, order: Any) -> bool:
        kept = world.proxy(rows)
        assert not len(kept)
        kept["a"] = 1
        return True

    for _ in range(2):
        assert lab.trial(lab.system(run)).answers == ["completed"]
    assert rows == {}


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (lambda orders: orders.add("a", (each for each in ())), "Orders.add: its arguments cannot be kept"),
        (lambda orders: orders.wait().send(None), "Orders.wait: it waits for something, in the midst of a write"),
    ],
)
def test_what_cannot_be_kept_is_said(lab: Laboratory, do: Any, told: str) -> None:
    with pytest.raises(UsageError) as error:
        ran(lab, do)
    assert told in str(error.value)


def test_an_object_that_cannot_be_kept_is_said(lab: Laboratory) -> None:
    with pytest.raises(UsageError, match=r"world.proxy\(generator\(\)\): it cannot be kept"):
        lab.trial(lab.system(lambda world, order: world.proxy(each for each in ())))
