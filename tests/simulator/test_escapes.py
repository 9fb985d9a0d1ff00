"""An exception that leaves the code under test is told by what let it pass: only ``run`` has an answer to give."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Adapter, PortError, Rejected
from sagafuzz.exploration.explain import explain
from sagafuzz.invariants import check

from .conftest import Laboratory, Trial

PLACES = ("run", "boot", "recover", "spawned task")


def raising(lab: Laboratory, where: str, error: Exception) -> Adapter:
    """Raises the error in one place, and does one step beside."""

    def fails(at: str) -> None:
        if at == where:
            raise error

    def run(world: Any, order: Any) -> bool:
        world.spawn(fails, "spawned task")
        world.call("order.create", saga=order.id, key="o")
        fails("run")
        return True

    return lab.system(run, boot=lambda world: fails("boot"), recover=lambda world: fails("recover"))


def stray(lab: Laboratory, where: str, error: Exception) -> tuple[Trial, Any]:
    faults = ("crash-after-send order F",) if where == "recover" else ()
    trial = lab.trial(raising(lab, where, error), *faults)
    return trial, next(found for found in check(trial.history).violations if found.invariant == "C1")


@pytest.mark.parametrize("where", PLACES)
def test_an_answer_is_expected_of_run_only(lab: Laboratory, where: str) -> None:
    _, violation = stray(lab, where, KeyError("a bug"))
    assert violation.sentence.startswith(f"{where}: ")
    assert violation.expected == ("True, False or an Outcome" if where == "run" else "no exception")


@pytest.mark.parametrize("where", ["run", "boot", "spawned task"])
def test_a_refusal_that_passes_is_to_be_answered_where_somebody_hears_the_answer(lab: Laboratory, where: str) -> None:
    _, violation = stray(lab, where, Rejected("no"))
    assert violation.sentence.endswith(
        "return False where the saga was refused" if where == "run" else "catch it there, since nobody else does"
    )


def test_what_needs_no_fault_is_said_to_happen_without_one(lab: Laboratory) -> None:
    trial, violation = stray(lab, "run", KeyError("a bug"))
    told = explain(trial.setup, trial.plan, violation, trial.history)
    assert told.cause.startswith("it happens without a fault, in saga-1; the usual cause: ")


class EngineError(Exception):
    """What an engine makes of an error of a port."""


def names_what_is_not_there(world: Any) -> None:
    world.log.info("failed")  # the world has no log


def calls_wrongly(world: Any) -> None:
    world.alert("help", saga="saga-1")


def looks_up_what_is_not_there(world: Any) -> None:
    world.alert({}["saga"])


def names_it_by_its_own(world: Any) -> None:
    raise EngineError


@pytest.mark.parametrize(
    ("handles", "named"),
    [
        (names_what_is_not_there, ["AttributeError escapes"]),
        (calls_wrongly, ["TypeError escapes"]),
        (looks_up_what_is_not_there, ["KeyError escapes"]),
        (names_it_by_its_own, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("fault", ["timeout order F", "partition order F"])
def test_a_mistake_where_an_error_of_a_port_is_handled_is_none_of_the_port(
    lab: Laboratory, handles: Any, named: list[str], fault: str
) -> None:
    def run(world: Any, order: Any) -> bool:
        try:
            world.call("order.create", saga=order.id, key="o")
        except PortError:
            handles(world)
        return True

    found = check(lab.unchecked(lab.system(run), fault).history).violations
    assert [each.anomaly for each in found if each.invariant == "C1"] == named


def test_a_mistake_that_names_an_error_of_a_port_as_its_cause_is_of_the_port(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        try:
            world.call("order.create", saga=order.id, key="o")
        except PortError as error:
            raise LookupError("no such order") from error
        return True

    found = check(lab.unchecked(lab.system(run), "partition order F").history).violations
    assert not [each for each in found if each.invariant == "C1"]
