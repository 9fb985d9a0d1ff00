"""Wrong answers: malformed, empty, another request's, success without effect. Nobody meets them who does not ask."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import UsageError
from sagafuzz.faults import FAULT_KINDS, chosen_kinds
from sagafuzz.history import GARBLED
from sagafuzz.loading import load, with_wrong_answers
from sagafuzz.simulator import Setup

from .conftest import Laboratory

WRONG = [kind.name for kind in FAULT_KINDS.values() if kind.needs == "wrong"]


@pytest.fixture
def heard() -> list[Any]:
    return []


@pytest.fixture
def asking(lab: Laboratory, heard: list[Any]) -> Any:
    """An adapter that keeps what it is answered."""

    def run(world: Any, order: Any) -> bool:
        heard.extend(world.call(operation, key="k") for operation in ("order.create", "payment.charge"))
        heard.append(world.call("payment.look"))
        return True

    return lab.system(run, wrong_answers=True, operations=["payment.look"])


def test_they_are_a_group_that_is_off_unless_asked_for(lab: Laboratory) -> None:
    assert chosen_kinds("wrong-answers") == tuple(WRONG)
    system = lab.system(lambda world, order: True)
    assert not Setup(adapter=system, scenario=system.scenarios[0]).kinds & set(WRONG)
    asked = with_wrong_answers(system)
    assert Setup(adapter=asked, scenario=asked.scenarios[0]).kinds >= set(WRONG)


def test_a_plan_that_names_one_is_refused_where_nobody_asked(lab: Laboratory) -> None:
    with pytest.raises(UsageError, match="wrong answers are asked for"):
        lab.unchecked(lab.system(lambda world, order: True), "empty-answer pay F")


def test_what_asks_for_them_stands_in_the_name_of_the_adapter() -> None:
    asked = load("wrong-answers:reference")
    assert asked.wrong_answers
    assert asked.spec == "wrong-answers:reference"
    assert with_wrong_answers(load("reference")) == asked
    assert with_wrong_answers(asked) is asked


@pytest.mark.parametrize(("kind", "instead"), [("malformed-answer", GARBLED), ("empty-answer", None)])
def test_the_answer_is_another_and_the_effect_is_there(
    lab: Laboratory, asking: Any, heard: list[Any], kind: str, instead: Any
) -> None:
    trial = lab.trial(asking, f"{kind} pay F")
    assert heard[1] == instead
    assert heard[0] == {"id": "order-1"}
    assert trial.of("APPLY", step="pay")[0].get("effective")


def test_the_answer_to_another_request_of_the_same_participant_comes(
    lab: Laboratory, asking: Any, heard: list[Any]
) -> None:
    lab.trial(asking, "anothers-answer payment.look Q")
    assert heard[2] == heard[1]


def test_there_is_no_answer_of_another_where_the_participant_gave_none(lab: Laboratory, asking: Any) -> None:
    trial = lab.unchecked(asking, "anothers-answer pay F")
    assert not trial.fired
    number = next(n for n, site in enumerate(trial.sites) if (site.subject, site.phase) == ("pay", "ack"))
    assert "answered no other request" in trial.run.impossible[number]["anothers-answer"]


def test_success_without_effect_says_what_success_says(lab: Laboratory, asking: Any, heard: list[Any]) -> None:
    trial = lab.trial(asking, "hollow-success pay F")
    assert heard[1] == {"id": "pay-0", "amount": 100}
    assert not trial.of("APPLY", step="pay")[0].get("effective")


def test_a_refusal_is_not_made_wrong(lab: Laboratory, asking: Any) -> None:
    trial = lab.unchecked(asking, "reject pay F", "malformed-answer pay F")
    assert trial.fired == ["reject"]


def test_a_retry_after_success_without_effect_takes_effect(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        while world.call("payment.charge", key="k")["id"] == "pay-0":
            world.sleep(1)
        return True

    trial = lab.trial(lab.system(run, wrong_answers=True), "hollow-success pay F")
    assert [event.get("effective") for event in trial.of("APPLY", step="pay")] == [False, True]
