"""A saga's definition: what it accepts, what it refuses and in which words, what it knows of its order."""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagafuzz import OneOf, Optional, Saga, Step, UsageError
from sagafuzz.plain import from_plain, to_plain
from sagafuzz.saga import instance, split

CHAIN = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("stock", "stock.reserve", undo="stock.release"),
        Step("pay", "payment.charge", undo="payment.refund"),
    ],
)
DIAMOND = Saga(
    "trip",
    [
        Step("book", "trip.book", undo="trip.cancel"),
        Step("hotel", "hotel.book", undo="hotel.cancel", after=("book",)),
        Step("flight", "flight.book", undo="flight.cancel", after=("book",)),
        Step("pay", "payment.charge", undo="payment.refund", after=("hotel", "flight")),
    ],
)


def test_a_step_comes_after_the_one_listed_before_it() -> None:
    assert CHAIN.predecessors == {"order": (), "stock": ("order",), "pay": ("stock",)}
    assert CHAIN.sequence == ("order", "stock", "pay")
    assert CHAIN.ancestors["pay"] == {"order", "stock"}


def test_a_dag_says_its_predecessors() -> None:
    assert DIAMOND.predecessors["pay"] == ("hotel", "flight")
    assert DIAMOND.ancestors == {
        "book": frozenset(),
        "hotel": {"book"},
        "flight": {"book"},
        "pay": {"book", "hotel", "flight"},
    }
    assert DIAMOND.sequence == ("book", "hotel", "flight", "pay")


def test_the_sequence_is_the_listed_one_as_far_as_the_order_of_steps_allows() -> None:
    late_first = Saga(
        "s",
        [
            Step("last", "a.last", after=("first",)),
            Step("free", "a.free", after=()),
            Step("first", "a.first", after=()),
        ],
    )
    assert late_first.sequence == ("free", "first", "last")


def test_the_ancestors_of_a_deep_lattice_are_found_at_once() -> None:
    steps = [Step("0a", "p.0a", after=()), Step("0b", "p.0b", after=())]
    for level in range(1, 40):
        before = (f"{level - 1}a", f"{level - 1}b")
        steps += [Step(f"{level}{side}", f"p.{level}{side}", after=before) for side in "ab"]
    assert len(Saga("lattice", steps).ancestors["39a"]) == 78


def test_an_operation_leads_to_its_step_and_direction() -> None:
    assert CHAIN.by_operation["payment.refund"] == (CHAIN.by_name["pay"], "C")
    assert CHAIN.operation("pay", "F") == "payment.charge"
    assert CHAIN.operation("pay", "C") == "payment.refund"
    assert CHAIN.by_name["stock"].participant == "stock"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Saga("s", []), "saga 's' has no steps; give it at least one Step"),
        (lambda: Saga("", [Step("a", "p.a")]), "its name is not a non-empty string"),
        (lambda: Saga("s", ["a.b"]), "'a.b' is not a Step; write Step"),
        (lambda: Saga("s", Step("a", "p.a")), "write a list, [Step("),  # type: ignore[arg-type]
        (lambda: Saga("s", None), "write a list, [Step("),  # type: ignore[arg-type]
        (lambda: Saga("s", [Step("a", "p.a"), Step("a", "p.b")]), "two steps are called 'a'; give each its own name"),
        (
            lambda: Saga("s", [Step("a", "p.x"), Step("b", "p.y", undo="p.x")]),
            "operation 'p.x' belongs to the steps 'a' and 'b', so a call could not be told apart; name them apart",
        ),
        (
            lambda: Saga("s", [Step("order", "p.a"), Step("b", "p.b", after=("ordr",))]),
            "step 'b' comes after 'ordr', which is no step of it (did you mean 'order'?)",
        ),
        (
            lambda: Saga("s", [Step("a", "p.a", after=("b",)), Step("b", "p.b", after=("a",))]),
            "its steps form a cycle a -> b -> a; take one name out of an 'after'",
        ),
        (lambda: Saga("s", [Step("a", "p.a", after=("a",))]), "its steps form a cycle a -> a"),
        (
            lambda: Saga(
                "s", [Step(name, f"p.{name}", after=(before,)) for name, before in zip("abcd", "acdb", strict=True)][1:]
            ),
            "its steps form a cycle b -> d -> c -> b; take",
        ),
        (
            lambda: Saga("s", [Step("a", "p.a", pivot=True), Step("m", "p.m"), Step("b", "p.b", pivot=True)]),
            "'a' and 'b' are both pivots on one path; keep the first and make the later one retriable=True",
        ),
    ],
)
def test_a_saga_that_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        make()  # type: ignore[operator]
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Step("", "p.a"), "its name is ''; write a non-empty string"),
        (lambda: Step("a", ""), "its operation is ''; write a non-empty string"),
        (lambda: Step("a", 5), "its operation is 5; write a non-empty string"),  # type: ignore[arg-type]
        (lambda: Step("a", "charge"), "names no participant; write 'participant.verb', for example 'payment.charge'"),
        (lambda: Step("a", "p."), "names no participant"),
        (lambda: Step("a", ".b"), "names no participant"),
        (lambda: Step("a", "p.a", undo="refund"), "operation 'refund' names no participant"),
        (lambda: Step("a", "p.a", undo=""), "operation '' names no participant"),
        (lambda: Step("a", "p.a", undo=7), "its undo is 7; write a string, or leave it out"),  # type: ignore[arg-type]
        (lambda: Step("a", "p.a", undo="p.a"), "its undo is its own operation 'p.a'; name the inverse"),
        (lambda: Step("a", "p.a", after="b"), "after='b' is a string; write after=('b',)"),  # type: ignore[arg-type]
    ],
)
def test_a_step_that_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        make()  # type: ignore[operator]
    assert message in str(refusal.value)


def test_each_parallel_branch_may_have_a_pivot_of_its_own() -> None:
    saga = Saga(
        "s",
        [
            Step("a", "p.a"),
            Step("left", "p.l", after=("a",), pivot=True),
            Step("right", "p.r", after=("a",), pivot=True),
        ],
    )
    assert [step.name for step in saga.steps if step.pivot] == ["left", "right"]


@pytest.mark.parametrize(("value", "field"), [(CHAIN, "name"), (CHAIN.steps[0], "operation")])
def test_definitions_are_frozen(value: object, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")


def test_definitions_are_equal_hashed_and_pickled_by_what_they_say() -> None:
    assert Saga("checkout", CHAIN.steps) == CHAIN
    assert hash(Saga("checkout", list(CHAIN.steps))) == hash(CHAIN)
    assert CHAIN.sequence
    assert pickle.loads(pickle.dumps(CHAIN)) == CHAIN


@st.composite
def dags(draw: st.DrawFn) -> Saga:
    """Sagas whose steps may only come after earlier names, listed in any order."""
    count = draw(st.integers(1, 7))
    names = [f"s{n}" for n in range(count)]
    steps = [
        Step(name, f"p.{name}", after=tuple(draw(st.lists(st.sampled_from(names[:n]), unique=True))) if n else ())
        for n, name in enumerate(names)
    ]
    return Saga("drawn", draw(st.permutations(steps)))


@given(dags())
def test_the_sequence_holds_every_step_once_and_after_all_its_ancestors(saga: Saga) -> None:
    assert sorted(saga.sequence) == sorted(saga.by_name)
    for position, name in enumerate(saga.sequence):
        assert saga.ancestors[name] <= set(saga.sequence[:position])
        assert set(saga.predecessors[name]) <= saga.ancestors[name]
        free = [step.name for step in saga.steps if saga.ancestors[step.name] <= set(saga.sequence[:position])]
        assert name == next(step for step in free if step not in saga.sequence[:position])  # the first that may come


TRIP = Saga(
    "trip",
    [
        Step("hotel", "hotel.book"),
        Optional("extras", [Step("car", "cars.rent"), Optional("seats", [Step("seat", "cars.seat")])]),
        OneOf("journey", [Step("train", "rail.book"), [Step("air", "air.book"), Step("bus", "bus.book")]]),
        Step("payment", "payment.charge"),
    ],
)


def test_what_comes_after_a_group_comes_after_all_of_it_and_alternatives_not_after_each_other() -> None:
    assert TRIP.predecessors == {
        "hotel": (),
        "car": ("hotel",),
        "seat": ("car",),
        "train": ("seat",),
        "air": ("seat",),
        "bus": ("air",),
        "payment": ("train", "bus"),
    }
    assert [(group.name, group.alternatives, group.optional) for group in TRIP.groups] == [
        ("seats", (("seat",),), True),
        ("extras", (("car", "seat"),), True),
        ("journey", (("train",), ("air", "bus")), False),
    ]


@pytest.mark.parametrize(
    "saga",
    [
        TRIP,
        Saga("order", [Step("a", "x.do", undo="x.undo", many=True, needs="any", amount="cents")]),
        Saga("order", [Step("a", "x.do"), Step("b", "y.do", consumes="a")]),
    ],
)
def test_groups_parts_and_amounts_are_read_again_as_they_were_written(saga: Saga) -> None:
    assert from_plain(Saga, to_plain(saga)) == saga


def test_a_saga_without_these_words_is_written_as_before() -> None:
    (step,) = to_plain(Saga("order", [Step("a", "x.do")]))["steps"]
    assert list(step) == ["name", "operation", "undo", "pivot", "retriable", "after"]
    assert list(to_plain(Saga("order", [Step("a", "x.do")]))) == ["name", "steps"]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Step("a", "x.do", needs="any"), "write many=True as well"),
        (lambda: Step("a", "x.do", needs="some", many=True), "write 'all' or 'any'"),
        (lambda: Step("a", "x.do", amount=""), "write the name of a field"),
        (lambda: Step("a", "x.do", part_by_part=True), "write many=True as well"),
        (
            lambda: Saga("s", [Step("a", "x.do"), Step("b", "y.do", many=True, part_by_part=True)]),
            "no step right before it is of several parts",
        ),
        (lambda: Saga("s", [Step("a[1]", "x.do")]), "take the brackets out"),
        (lambda: Saga("s", [Step("a", "x.do"), Step("b", "y.do", consumes="c")]), "which is no step before it"),
        (lambda: Saga("s", [OneOf("way", [Step("a", "x.do")])]), "write two, or an Optional"),
        (lambda: Saga("s", [Optional("extras", [])]), "has no steps"),
    ],
)
def test_what_is_wrong_with_these_words_is_said(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        make()


def test_a_name_of_a_part_is_split_into_step_and_part() -> None:
    assert split(instance("reserve", "line-2")) == ("reserve", "line-2")
    assert split("reserve") == ("reserve", "")
    assert ORDER_LINES.step("reserve[line-2]") is ORDER_LINES.by_name["reserve"]
    assert ORDER_LINES.operation("reserve[line-2]", "C") == "inventory.release[line-2]"


ORDER_LINES = Saga("order", [Step("reserve", "inventory.reserve", undo="inventory.release", many=True)])


def test_an_optional_group_of_a_single_step_is_asked_for_as_a_list() -> None:
    with pytest.raises(UsageError, match=r"Optional 'extras': its steps are Step\(.*write a list"):
        Optional("extras", Step("car", "cars.rent"))  # type: ignore[arg-type]
