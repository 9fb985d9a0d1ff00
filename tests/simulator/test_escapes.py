"""An exception that leaves the code under test is told by what let it pass: only ``run`` has an answer to give."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Adapter, Rejected
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
