"""Who acts beside real processes: scripts at the participants' door, orders that are sent again, wrong answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz import UsageError
from sagafuzz.faults import AT_ACK, AT_SEND, Plan
from sagafuzz.history import ACK, APPLY, BOOT, PROCESS, SEND, STEP, SUBMIT, T_US
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.live.manifest_file import read
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import NOTHING, fault, run

MANIFEST = """
[saga]
name = "order"
[[saga.step]]
id = "pay"
do = "payment.charge"
[[component]]
role = "worker"
argv = ["{python}", "worker.py"]
[[scenario]]
name = "beside"
actors = ["clerk"]
[actors]
clerk = "clerk.py:clerk"
"""


def setup(name: str) -> Setup:
    adapter = load(name)
    return Setup(adapter=adapter, scenario=adapter.scenarios[0])


def causes(setup: Setup, live: LiveRun, plan: Plan = NOTHING) -> set[str]:
    assert not live.blocked
    return {violation.invariant for violation in check(live.run.history(setup, plan)).violations}


def test_a_script_asks_in_its_own_name_and_its_day_passes_at_once() -> None:
    system = setup("live:zoo:capture-after-cancel")
    live = run(system)
    (sent,) = [row for row in live.run.rows if row[1] == SEND and row[STEP] == "capture"]
    assert sent[PROCESS] == "clerk"
    assert live.run.rows[-1][T_US] < 60_000_000
    assert causes(system, live) == {"I5"}
    told = check(live.run.history(system, NOTHING)).explained
    assert any("(by the clerk) took effect after the saga was called compensated" in one.sentence for one in told)


def test_a_fault_strikes_what_an_actor_asks() -> None:
    system = setup("live:zoo:capture-after-cancel")
    live = run(system, fault("lost-ack", "capture", "F", AT_ACK))
    assert len(live.run.fired) == 1
    assert not [row for row in live.run.rows if row[1] == ACK and row[STEP] == "capture"]


def test_no_crash_strikes_an_actor() -> None:
    live = run(setup("live:zoo:capture-after-cancel"))
    number = next(n for n, site in enumerate(live.run.sites) if (site[1], site[3]) == ("capture", AT_SEND))
    assert live.run.impossible[number]["crash-after-send"] == "an actor asks, who is no process"


@pytest.mark.parametrize("kind", ["resubmit", "resubmit-late"])
def test_an_order_is_sent_again(kind: str) -> None:
    system = setup("live:zoo:order-each-click")
    plan = fault(kind, "order", "F", AT_SEND)
    live = run(system, plan)
    assert len([row for row in live.run.rows if row[1] == SUBMIT]) == 2
    assert "I1" in causes(system, live, plan)


def test_who_knows_an_order_again_makes_one_of_it() -> None:
    adapter = load("live:zoo:resubmitted-elsewhere")  # it is right as long as one process is asked
    system = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    plan = fault("resubmit", "payment", "F", AT_SEND)
    live = run(system, plan)
    assert len(live.run.fired) == 1
    assert causes(system, live, plan) == set()


@pytest.mark.parametrize(
    ("name", "broken"),
    [("zoo:resubmitted-elsewhere", {"I1"}), ("sagafuzz.adapters.zoo.beside:ONE_ORDER", set())],
)
def test_an_order_is_sent_to_another_process(name: str, broken: set[str]) -> None:
    """The one knows in memory what it was asked for, the other in its store."""
    system = setup(f"live:{name}")
    plan = fault("resubmit-elsewhere", "order", "F", AT_SEND)
    live = run(system, plan)
    assert len(live.run.fired) == 1
    assert [row[PROCESS] for row in live.run.rows if row[1] == BOOT] == ["orchestrator", "orchestrator#2"]
    assert len([row for row in live.run.rows if row[1] == SUBMIT]) == 2
    assert causes(system, live, plan) == broken


def test_a_malformed_answer_tells_a_worker_nothing_and_is_asked_for_again() -> None:
    system = setup("wrong-answers:live:reference")
    plan = fault("malformed-answer", "payment", "F", AT_ACK)
    live = run(system, plan)
    assert len(live.run.fired) == 1
    assert len([row for row in live.run.rows if row[1] == APPLY and row[STEP] == "payment"]) == 2
    assert causes(system, live, plan) == set()


def test_a_manifest_names_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("")
    (tmp_path / "clerk.py").write_text("def clerk(actor):\n    actor.sleep(1)\n")
    file = tmp_path / "shop.toml"
    file.write_text(MANIFEST)
    assert read(str(file)).actors["clerk"].__name__ == "clerk"
    assert load(str(file)).scenarios[0].actors == ("clerk",)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("clerk", "write 'file.py:function'"),
        ("none.py:clerk", "write 'file.py:function'"),
        ("clerk.py:bank", "no function 'bank'"),
    ],
)
def test_a_script_that_there_is_not_is_refused(tmp_path: Path, where: str, says: str) -> None:
    (tmp_path / "clerk.py").write_text("def clerk(actor):\n    pass\n")
    file = tmp_path / "shop.toml"
    file.write_text(MANIFEST.replace("clerk.py:clerk", where))
    with pytest.raises(UsageError, match=says):
        read(str(file))
