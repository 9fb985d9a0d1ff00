"""Values as plain data: what is written is read again, and what cannot be read is told by its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import pytest

from sagafuzz.errors import UsageError
from sagafuzz.faults import Fault, Site
from sagafuzz.history import History
from sagafuzz.plain import Malformed, from_plain, to_brief, to_plain
from sagafuzz.saga import Saga, Step
from sagafuzz.scenario import Scenario
from sagafuzz.verdict import Verdict, Violation

SAGA = Saga("checkout", [Step("order", "order.create", undo="order.cancel"), Step("pay", "payment.charge", after=())])
SITE = Site(saga="saga-1", subject="order", direction="F", phase="ack", occurrence=1)
VIOLATION = Violation(invariant="I1", anomaly="leaked effect", sentence="It leaks.", expected="0", got="1")


class Pair(NamedTuple):
    left: int
    right: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sample:
    name: str
    size: int = 0
    share: float = 1.0
    on: bool = False
    kind: Literal["", "small", "large"] = ""
    words: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    inner: Sample | None = None
    anything: dict[str, object] = field(default_factory=dict)
    whatever: Mapping[str, Any] = field(default_factory=dict)
    more: tuple[Any, ...] = ()
    other: object = None


VALUES = {
    "a sample": Sample(name="a", size=3, kind="small", words=("x", "y"), pairs=(Pair(1, ("z",)),), share=2.0),
    "a nested one": Sample(name="a", inner=Sample(name="b", anything={"list": (1, (2,)), "none": None})),
    "anything": Sample(name="a", whatever={"x": ((1,), {"y": (2,)})}, more=((), ("z", (None,))), other=((1,), 2.0)),
    "a fault": Fault(kind="lost-ack", site=SITE),
    "a saga": SAGA,
    "a scenario": Scenario(name="odd", limit=3, rejections=((1, "payment.charge"),), data={"a": ("b", 1)}),
    "a verdict": Verdict(violations=(VIOLATION,), exercised=frozenset({"I1", "C1"}), gave_up={"C2": "too long"}),
    "a history": History(saga=SAGA, sagas=("saga-1",), rows=((5, "HEAL", "harness", "", "", "", 0, None, 0, ()),)),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
def test_what_is_written_is_read_again(value: Any) -> None:
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


@pytest.mark.parametrize("name", ["a sample", "a nested one", "a fault", "a saga", "a scenario"])
def test_what_is_written_for_people_is_read_again(name: str) -> None:
    value = VALUES[name]
    assert from_plain(type(value), json.loads(json.dumps(to_brief(value)))) == value


def test_for_people_a_value_has_its_name_what_is_not_as_by_default_and_names_for_what_is_in_a_tuple() -> None:
    assert to_brief(Scenario(sagas=2)) == {"name": "succeeds", "sagas": 2}
    assert to_brief(Fault(kind="lost-ack", site=SITE)) == {"kind": "lost-ack", "site": SITE._asdict()}


def test_sets_are_written_in_order_and_what_is_unknown_as_its_repr() -> None:
    assert to_plain(Verdict(exercised=frozenset({"I2", "C1", "I1"})))["exercised"] == ["C1", "I1", "I2"]
    thing = object()
    given = {"set": {3, 1, "x"}, "thing": thing, "raw": b"x", 1: None, "range": range(2)}
    assert to_plain(Scenario(data=given))["data"] == {  # type: ignore[arg-type]
        "set": [1, 3, "x"],
        "thing": repr(thing),
        "raw": "b'x'",
        "1": None,
        "range": "range(0, 2)",
    }


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "name is missing; write a string"),
        ({"nam": "a"}, "unknown key 'nam' (did you mean 'name'?); known are name, size, share, on, kind, words,"),
        ({"name": 3}, "name = 3; write a string"),
        ({"name": "a", "size": "3"}, "size = '3'; write a whole number"),
        ({"name": "a", "size": True}, "size = True; write a whole number"),
        ({"name": "a", "size": 1.5}, "size = 1.5; write a whole number"),
        ({"name": "a", "share": "half"}, "share = 'half'; write a number"),
        ({"name": "a", "on": 1}, "on = 1; write true or false"),
        ({"name": "a", "kind": "huge"}, "kind = 'huge'; write one of small, large"),
        ({"name": "a", "words": "xyz"}, "words = 'xyz'; write a list of strings"),
        ({"name": "a", "words": ["x", 1]}, "words[1] = 1; write a string"),
        ({"name": "a", "pairs": [[1, [], 3]]}, "pairs[0] = [1, [], 3]; write a list of left, right"),
        ({"name": "a", "pairs": [{"lft": 1}]}, "pairs[0]: unknown key 'lft' (did you mean 'left'?); known are left"),
        ({"name": "a", "pairs": [[1, ["x", None]]]}, "pairs[0]: right[1] = None; write a string"),
        ({"name": "a", "inner": {"name": "b", "size": None}}, "inner: size = None; write a whole number"),
        ({"name": "a", "anything": []}, "anything = []; write a table"),
        ([], "[]; write a table"),
        ({"name": list(range(99))}, "name = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_place_and_what_to_write(data: Any, told: str) -> None:
    with pytest.raises(Malformed) as error:
        from_plain(Sample, data)
    assert str(error.value).startswith(told)
    assert len(str(error.value)) < 200


def test_where_it_stands_is_told_to_programs_too() -> None:
    with pytest.raises(Malformed) as error:
        from_plain(Sample, {"name": "a", "inner": {"name": "b", "pairs": [[1], ["2"]]}})
    assert (error.value.path, error.value.problem) == (("inner", "pairs", 1), "left = '2'; write a whole number")


def test_what_a_constructor_refuses_is_told_in_its_own_words() -> None:
    with pytest.raises(UsageError, match=r"unknown fault kind 'lost-akc' \(did you mean 'lost-ack'\?\)"):
        from_plain(Fault, {"kind": "lost-akc", "site": list(SITE)})
