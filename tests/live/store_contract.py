"""What a store does in every world, and a saga whose runs check it.

A check of `WORLD_CHECKS` returns what it saw of ``world.store``; one of `SAGA_CHECKS` asserts what every store of sagas
keeps to, on a store that ``opened()`` opens again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz import Conflict, Order, Saga, Scenario, Step, World, adapter
from sagafuzz.reference_saga import PortStore
from sagafuzz.reference_saga.ports import SagaStore
from sagafuzz.reference_saga.stores.sqlite import SQLiteStore

STEP = (("outcome", "step"),)


# -- world.store ----------------------------------------------------------------------------------


def tried(store: Any, key: str, value: Any, **options: Any) -> str:
    """How a write ends."""
    try:
        store.put(key, value, **options)
    except Conflict:
        return "refused"
    return "written"


def guards(store: Any) -> list[str]:
    """An empty guard wants no record; another one wants its fields, where one that is not there counts as None."""
    return [
        tried(store, "a", {"n": 1}, guard={"n": 1}),
        tried(store, "a", {"n": 1, "l": [1, {"x": 2}]}, guard={}),
        tried(store, "a", {"n": 2}, guard={}),
        tried(store, "a", {"n": 2}, guard={"n": 2}),
        tried(store, "a", {"n": 2, "l": [1]}, guard={"n": 1, "l": [1, {"x": 2}]}),
        tried(store, "a", {"n": 3}, guard={"l": (1,)}),
        tried(store, "a", {"n": 3}, guard={"owner": None}),
        tried(store, "a", None, guard={"n": 3.0}),
        tried(store, "a", [1], guard={}),
        tried(store, "a", [1], guard={"n": 3}),
        tried(store, "b", 7, guard={"n": None}),
    ]


def reading(store: Any) -> list[Any]:
    """What is read is a copy of what was written last, in the order of the keys."""
    for key in ("b/2", "a", "b/10", "é", "B"):
        store.put(key, {"key": [key]})
    store.put("null", None)
    store.delete("a")
    store.delete("nowhere")
    store.get("B")["key"].append("changed")
    return [store.get("B"), store.get("a"), store.get("a", 5), store.get("null", 5), store.items("b/"), store.items()]


def transactions(store: Any) -> list[Any]:
    """A transaction reads what it has written, and its guards are about what there was before it."""
    store.put("a", {"n": 1})
    store.put("gone", 1)
    seen: list[Any] = []
    with store.transaction():
        store.put("a", {"n": 2}, guard={"n": 1})
        store.put("a", {"n": 3}, guard={"n": 1})
        store.put("new", 1, guard={})
        store.delete("gone")
        seen += [store.get("a"), store.get("gone", "-"), store.items()]
    try:
        with store.transaction():
            store.put("other", 1)
            store.put("a", {"n": 4}, guard={"n": 2})
    except Conflict:
        seen.append("refused")
    try:
        with store.transaction():
            store.put("other", {"outcome": "completed"}, record="terminal")
            raise ZeroDivisionError
    except ZeroDivisionError:
        seen.append(store.items())
    with store.transaction():
        pass
    return seen


def names(store: Any) -> list[Any]:
    """Whose a record is: as it says, as its key says, or the saga's that is being run; and what an end declares."""
    store.put("saga/saga-1/state", 1, record="intent", step="order")
    store.put("saga/saga-9", 1)
    store.put("x:saga-1", 1, saga="", epoch=3)
    store.delete("x:saga-1")
    with store.transaction():
        store.put("a", 1, record="outcome", step="order")
        store.put("b", 1, record="create")
        store.put("c", 1, record="outcome", step="order")
    store.put("end", {"outcome": "no such"}, record="terminal")
    store.put("end", "compensated", record="terminal", saga="saga-1")
    store.put("end", {"outcome": "completed"})
    return []


WORLD_CHECKS: dict[str, Callable[[Any], list[Any]]] = {
    check.__name__: check for check in (guards, reading, transactions, names)
}


# -- stores of sagas ------------------------------------------------------------------------------


def record(saga: str, revision: int, outcome: str = "", **more: Any) -> dict[str, Any]:
    return {"id": saga, "revision": revision, "epoch": 1, "outcome": outcome, **more}


def what_was_saved_is_loaded_by_who_opens_the_store_next(opened: Callable[[], SagaStore]) -> None:
    kept = record("a", 1, request={"item": "ü\u0001", "amounts": [1, 2.5, None, True]})
    opened().save(kept, (("create", ""),))
    assert opened().load("a") == kept
    assert opened().load("b") is None


def a_write_must_follow_the_revision_that_is_kept(opened: Callable[[], SagaStore]) -> None:
    store = opened()
    with pytest.raises(Conflict):
        store.save(record("a", 2), STEP)
    store.save(record("a", 1), STEP)
    store.save(record("a", 2, by="first"), STEP)
    for revision in (1, 2, 4):
        with pytest.raises(Conflict):
            store.save(record("a", revision, by="second"), STEP)
    assert store.load("a") == record("a", 2, by="first")


def of_what_one_record_tells_all_is_kept_or_nothing(opened: Callable[[], SagaStore]) -> None:
    store = opened()
    store.save(record("a", 1), (("create", ""), ("intent", "order"), ("intent", "payment")))
    with pytest.raises(Conflict):
        store.save(record("a", 1, by="second"), (("outcome", "order"), ("intent", "mail")))
    assert store.load("a") == record("a", 1)


def only_sagas_without_an_end_are_listed_with_their_revisions(opened: Callable[[], SagaStore]) -> None:
    store = opened()
    for saga in ("b", "a", "c", "B"):
        store.save(record(saga, 1), STEP)
    store.save(record("b", 2), STEP)
    store.save(record("c", 2, outcome="completed"), STEP)
    assert opened().open() == [("B", 1), ("a", 1), ("b", 2)]


def what_is_loaded_is_a_copy(opened: Callable[[], SagaStore]) -> None:
    store = opened()
    store.save(record("a", 1, done={}), STEP)
    found = store.load("a")
    assert found is not None
    found["done"]["x"] = 1
    assert store.load("a") == record("a", 1, done={})


SAGA_CHECKS = {
    check.__name__: check
    for check in (
        what_was_saved_is_loaded_by_who_opens_the_store_next,
        a_write_must_follow_the_revision_that_is_kept,
        of_what_one_record_tells_all_is_kept_or_nothing,
        only_sagas_without_an_end_are_listed_with_their_revisions,
        what_is_loaded_is_a_copy,
    )
}


# -- a saga that checks ---------------------------------------------------------------------------


def on_sqlite(world: World) -> SQLiteStore:
    connection = world.sqlite()
    connection.isolation_level = None
    return SQLiteStore(connection)


STORES: dict[str, Callable[[World], SagaStore]] = {"port": lambda world: PortStore(world.store), "sqlite": on_sqlite}
SCENARIOS = [
    *(Scenario(name=name, data={"check": name}) for name in WORLD_CHECKS),
    *(Scenario(name=f"{kind}-{name}", data={"check": name, "on": kind}) for name in SAGA_CHECKS for kind in STORES),
]


@adapter(saga=Saga("checked", [Step("order", "order.create", undo="order.cancel")]), scenarios=SCENARIOS)
class Checked:
    """Makes the check that its order names, and tells what it saw as an alert."""

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> bool:
        check = order.data["check"]
        if "on" in order.data:
            SAGA_CHECKS[check](lambda: STORES[order.data["on"]](self.world))
            seen: list[Any] = ["kept"]
        else:
            seen = WORLD_CHECKS[check](self.world.store)
        self.world.alert(order.id, reason=json.dumps(seen))
        return True
