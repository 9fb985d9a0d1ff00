"""A look at dicts that finds them unchanged may be spared; one that finds a change may not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz.simulator.dict_changes import NUMBERED, Changes


class Shop:
    rate = 1


def _of_a_class(change: Callable[[Any], object]) -> bool:
    """Return True if a change of a class is seen."""

    class Other(Shop):
        rate = 2

    changes = Changes([vars(Other)])
    changes.seen()
    change(Other)
    return not changes.none_since()


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another value": lambda names: names.update(rate=3),
    "an equal value": lambda names: names.update(rate=1.0),
    "a new name": lambda names: names.setdefault("fee", 1),
    "a name less": lambda names: names.pop("rate"),
    "nothing left": lambda names: names.clear(),
    "other code": lambda names: exec("global rate\nrate = 5", names),
}


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this interpreter does not number the changes of dicts")
def test_this_interpreter_numbers_the_changes_of_dicts() -> None:
    assert NUMBERED


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_one_dict_among_several_is_seen(change: Callable[[dict[str, Any]], object]) -> None:
    names: dict[str, Any] = {"rate": 1, "__builtins__": {}}
    changes = Changes([{"beside": 1}, names])
    changes.seen()
    change(names)
    assert not changes.none_since()


def test_a_change_of_a_class_is_seen() -> None:
    assert _of_a_class(lambda each: setattr(each, "rate", 3))
    assert _of_a_class(lambda each: setattr(each, "fee", 3))
    assert _of_a_class(lambda each: delattr(each, "rate"))


@pytest.mark.skipif(not NUMBERED, reason="this interpreter does not number the changes of dicts")
def test_dicts_that_were_only_read_have_not_changed() -> None:
    names = {"rate": 1}
    changes = Changes([names, vars(Shop)])
    changes.seen()
    assert (names["rate"], names.get("fee"), [*names], Shop.rate) == (1, None, ["rate"], 1)
    assert changes.none_since()


def test_nothing_is_known_of_dicts_before_the_first_look() -> None:
    assert not Changes([{"rate": 1}]).none_since()
