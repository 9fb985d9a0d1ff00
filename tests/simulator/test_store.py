"""The durable store: copies, transactions, and what a crash leaves of them."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from sagafuzz import Outcome, Scenario, UsageError

from .conftest import Laboratory


def inside(lab: Laboratory, body: Any, *faults: str, boot: Any = None, scenario: Scenario | None = None) -> Any:
    """Run ``body(world)`` as the saga."""
    return lab.trial(lab.system(lambda world, order: body(world) or True, boot=boot), *faults, scenario=scenario)


def returned(lab: Laboratory, body: Any) -> Any:
    """What ``body(store)`` returns inside the simulation."""
    found: list[Any] = []
    inside(lab, lambda world: found.append(body(world.store)))
    return found[0]


def test_a_put_keeps_a_copy(lab: Laboratory) -> None:
    def body(store: Any) -> Any:
        value = {"list": [1]}
        store.put("k", value)
        value["list"].append(2)
        return store.get("k")

    assert returned(lab, body) == {"list": [1]}


def test_a_get_gives_a_copy(lab: Laboratory) -> None:
    def body(store: Any) -> Any:
        store.put("k", {"list": [1]})
        store.get("k")["list"].append(2)
        return store.get("k")

    assert returned(lab, body) == {"list": [1]}


def test_what_is_got_is_what_json_makes_of_it(lab: Laboratory) -> None:
    value = {"tuple": (1, 2), 3: "three", "none": None, "float": 1.5, "true": True, "text": "é\ud800"}
    got = returned(lab, lambda store: (store.put("k", value), store.get("k"))[1])
    assert got == {"tuple": [1, 2], "3": "three", "none": None, "float": 1.5, "true": True, "text": "é\ud800"}
    assert list(got) == ["tuple", "3", "none", "float", "true", "text"]


@pytest.mark.parametrize(("first", "second"), [(1, True), (1, 1.0), ((1,), [1]), ("1", 1), (0.0, -0.0)])
def test_values_that_look_alike_are_not_mixed_up(lab: Laboratory, first: Any, second: Any) -> None:
    def body(store: Any) -> Any:
        store.put("a", first)
        store.put("b", second)
        return repr(store.get("a")), repr(store.get("b"))

    as_json = {"(1,)": "[1]"}
    assert returned(lab, body) == (as_json.get(repr(first), repr(first)), repr(second))


def test_an_absent_key_gives_the_default(lab: Laboratory) -> None:
    assert returned(lab, lambda store: (store.get("k"), store.get("k", 7))) == (None, 7)


def test_what_was_deleted_is_gone_and_deleting_nothing_is_no_error(lab: Laboratory) -> None:
    def body(store: Any) -> Any:
        store.put("k", 1)
        store.delete("k")
        store.delete("k")
        return store.get("k", "gone"), store.items()

    assert returned(lab, body) == ("gone", [])


def test_items_are_sorted_and_chosen_by_prefix(lab: Laboratory) -> None:
    def body(store: Any) -> Any:
        for key in ("saga/b", "other", "saga/a"):
            store.put(key, key)
        return store.items("saga/"), [key for key, _ in store.items()]

    assert returned(lab, body) == ([("saga/a", "saga/a"), ("saga/b", "saga/b")], ["other", "saga/a", "saga/b"])


def test_a_transaction_sees_its_own_writes_and_nobody_else_does(lab: Laboratory) -> None:
    seen: list[Any] = []

    def body(world: Any) -> None:
        world.store.put("gone", 0)
        world.spawn(lambda: seen.append(("other", world.store.get("k"), world.store.items())))
        with world.store.transaction():
            world.store.put("k", 1)
            world.store.delete("gone")
            seen.append(("own", world.store.get("k"), world.store.items()))
            world.sleep(1)
        seen.append(("after", world.store.get("k"), world.store.items()))

    inside(lab, body)
    assert seen == [("own", 1, [("k", 1)]), ("other", None, [("gone", 0)]), ("after", 1, [("k", 1)])]


def test_two_sagas_have_a_transaction_each(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        with world.store.transaction():
            world.store.put(f"{order.id}/a", 1, record="intent", saga=order.id, step="pay")
            world.call("payment.charge", saga=order.id)
            world.store.put(f"{order.id}/b", 1, record="outcome", saga=order.id, step="pay")
        return True

    trial = lab.trial(lab.system(run), scenario=Scenario(sagas=2))
    assert trial.answers == ["completed", "completed"]
    assert [(event.saga, event.data[0]) for event in trial.of("LOGACK")] == [
        ("saga-1", "intent"),
        ("saga-1", "outcome"),
        ("saga-2", "intent"),
        ("saga-2", "outcome"),
    ]


def test_two_coroutines_have_a_transaction_each(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        with world.store.transaction():
            world.store.put(f"{order.id}/a", 1)
            await world.call("payment.charge")
        return True

    trial = lab.trial(lab.system(run), scenario=Scenario(sagas=2))
    assert trial.answers == ["completed", "completed"]
    assert [event.saga for event in trial.of("LOGACK")] == ["saga-1", "saga-2"]


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("crash-before-log 'write + write'", []),
        ("crash-after-log 'write + write'", [("a", 1), ("b", 2)]),
    ],
)
def test_a_transaction_is_durable_as_a_whole_or_not_at_all(lab: Laboratory, fault: str, left: list[Any]) -> None:
    found: list[Any] = []

    def body(world: Any) -> None:
        with world.store.transaction():
            world.store.put("a", 1)
            world.store.put("b", 2, record="write", saga="saga-1", step="")

    fault = fault.replace("write + write", "write")
    inside(lab, body, fault, boot=lambda world: found.append(world.store.items()))
    assert found == [[], left]


def test_a_transaction_with_several_kinds_of_record_is_one_site(lab: Laboratory) -> None:
    def body(world: Any) -> None:
        with world.store.transaction():
            world.store.put("a", 1, record="outcome", saga="saga-1", step="order")
            world.store.put("b", 2, record="intent", saga="saga-1", step="pay")

    trial = inside(lab, body)
    assert [site.subject for site in trial.sites] == ["outcome order + intent pay"] * 2
    assert [event.t_us for event in trial.of("LOG", "LOGACK")] == [0, 0, 200, 200]


def test_an_exception_in_a_transaction_leaves_nothing(lab: Laboratory) -> None:
    def body(world: Any) -> None:
        try:
            with world.store.transaction():
                world.store.put("a", 1)
                raise ZeroDivisionError
        except ZeroDivisionError:
            world.alert("saga-1")
        assert world.store.items() == []
        world.store.put("b", 1)

    trial = inside(lab, body)
    assert (len(trial.of("ALERT")), trial.answers) == (1, ["completed"])


def test_a_record_belongs_to_the_saga_that_it_names_or_its_key_or_that_runs(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        if order.id == "saga-2":
            world.store.put("log:saga-1:x", 1)
            world.store.put("mine", 1)
            world.store.put("other", 1, saga="saga-1")
        return True

    trial = lab.trial(lab.system(run), scenario=Scenario(sagas=2))
    assert [event.saga for event in trial.of("LOG")] == ["saga-1", "saga-2", "saga-1"]


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        ("completed", ["completed"]),
        ({"outcome": "stuck", "more": 1}, ["stuck"]),
        ({"outcome": "finished"}, []),
        ({"outcome": {"state": "completed"}}, []),
        ({}, []),
        (["completed"], []),
    ],
)
def test_a_durable_terminal_record_declares_an_outcome(lab: Laboratory, value: Any, declared: list[str]) -> None:
    trial = inside(lab, lambda world: world.store.put("saga-1", value, record="terminal"))
    assert [event.data[0] for event in trial.of("TERMINAL")] == declared
    assert trial.raised == []


def test_a_terminal_record_that_did_not_become_durable_declares_nothing(lab: Laboratory) -> None:
    trial = inside(
        lab,
        lambda world: world.store.put("saga-1", "completed", record="terminal"),
        "crash-before-log 'terminal'",
    )
    assert trial.of("TERMINAL") == []


class Colour(enum.Enum):
    RED = 1


def inside_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j, Outcome.COMPLETED, Colour.RED, {(1, 2): 3}, inside_itself()]
)
def test_what_is_no_json_data_is_refused(lab: Laboratory, value: Any) -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match=r"world\.store\.put\('k', \.\.\.\): the value is no JSON data"):
            inside(lab, lambda world: world.store.put("k", value))


def test_a_key_that_is_no_string_is_refused(lab: Laboratory) -> None:
    with pytest.raises(UsageError, match="the key 5 is no string; write '5'"):
        inside(lab, lambda world: world.store.put(5, 1))


def test_a_transaction_inside_a_transaction_is_refused(lab: Laboratory) -> None:
    def body(world: Any) -> None:
        with world.store.transaction(), world.store.transaction():
            pass

    with pytest.raises(UsageError, match="inside another one; close the outer one first"):
        inside(lab, body)


def test_the_store_of_one_run_is_not_that_of_the_next(lab: Laboratory) -> None:
    found: list[Any] = []

    def body(world: Any) -> None:
        found.append(world.store.items())
        world.store.put("k", 1)

    inside(lab, body)
    inside(lab, body)
    assert found == [[], []]
