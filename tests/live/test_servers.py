"""Servers are systems too: one that makes the requests is struck as a worker is, and lives again in rows of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sagafuzz import Scenario, adapter
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.adapters.seed import Seed
from sagafuzz.errors import UsageError
from sagafuzz.exploration.live import LiveCampaign, striking
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import Plan
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.live.held_ports import hold_port
from sagafuzz.loading import load
from sagafuzz.reports.lines import narrate
from sagafuzz.simulator import Setup

from .conftest import STEPS, fault, run

SYSTEMS = Path(__file__).parent / "systems"
MANIFEST = f"""
[saga]
name = "checkout"
{STEPS}
[[component]]
role = "server"
name = "engine"
argv = ["{{python}}", "{SYSTEMS / "engine.py"}", "{{port}}", %r]
prefork = true
ready = "ready"

[[component]]
role = "worker"
argv = ["{{python}}", "{SYSTEMS / "relay.py"}", "{{engine.port}}"]
prefork = true

[capabilities]
call_timeout_ms = 300
max_recovery_ms = 1000
restart_ms = %d
records = %s
"""


CRASHES = [fault("crash-after-effect", "order", "F", "effect"), fault("crash-after-ack", "order", "F", "ack")]


def engine(folder: Path, way: str = "", restart_ms: int = 0, more: str = "") -> Setup:
    file = folder / "engine.toml"
    file.write_text(MANIFEST % (way, restart_ms, str(way == "migrates").lower()) + more, encoding="utf-8")
    adapter = load(str(file))
    return Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))


def told(live: LiveRun, *kinds: str) -> list[tuple[str, str]]:
    assert not live.blocked, live.blocked
    return [(row[1], row[2]) for row in live.run.rows if row[1] in kinds]


@pytest.mark.parametrize(
    "plan",
    [
        fault("crash-before-send", "order", "F", "send"),
        fault("crash-after-effect", "order", "F", "effect"),
        fault("crash-after-ack", "order", "F", "ack"),
    ],
    ids=str,
)
def test_a_server_that_makes_the_requests_is_killed_and_lives_again(tmp_path: Path, plan: Plan) -> None:
    setup = engine(tmp_path)
    live = run(setup, plan)
    assert ("CRASH", "engine") in told(live, "CRASH") and ("BOOT", "engine#2") in told(live, "BOOT")
    senders = [process for _, process in told(live, "SEND")]
    assert senders == sorted(senders) and senders[-1] == "engine#2"
    assert live.run.recovery > 0 and live.run.fired and not live.disturbed
    assert check(live.run.history(setup, plan)).violations == ()
    assert live.run.rows[-1][9] == ("quiescent",)


def test_a_report_calls_it_by_its_name(tmp_path: Path) -> None:
    setup, plan = engine(tmp_path), CRASHES[0]
    told = [line.text for line in narrate(run(setup, plan).run.history(setup, plan))]
    assert "CRASH engine before the answer of create" in told
    assert "engine#2 starts, beside [1]" in told


def test_one_that_forgets_what_was_open_is_found(tmp_path: Path) -> None:
    setup, plan = engine(tmp_path, "forgets"), fault("crash-after-ack", "order", "F", "ack")
    live = run(setup, plan)
    assert not live.blocked and live.run.fired
    verdict = check(live.run.history(setup, plan))
    assert "I13" in {violation.invariant for violation in (*verdict.violations, *verdict.explained)}


def test_what_it_is_about_to_do_with_an_answer_is_not_done_where_it_is_stopped_at_the_ack(tmp_path: Path) -> None:
    live = run(engine(tmp_path), fault("crash-after-ack", "order", "F", "ack"))
    before = live.run.rows[: next(n for n, row in enumerate(live.run.rows) if row[1] == "CRASH")]
    assert [row[4] for row in before if row[1] == "SEND"] == ["order"]


def test_it_stands_still_and_goes_on(tmp_path: Path) -> None:
    setup, plan = engine(tmp_path), fault("pause", "payment", "F", "send")
    live = run(setup, plan)
    assert told(live, "PAUSE", "CRASH") == [("PAUSE", "engine")]
    at = {row[1]: row[0] for row in live.run.rows if row[1] in ("PAUSE", "DELIVER")}
    assert at["DELIVER"] - at["PAUSE"] > 300_000
    assert check(live.run.history(setup, plan)).violations == ()


def test_it_starts_again_when_the_time_of_a_restart_is_over(tmp_path: Path) -> None:
    live = run(engine(tmp_path, restart_ms=400), fault("crash-after-effect", "order", "F", "effect"))
    (crash,) = [row[0] for row in live.run.rows if row[1] == "CRASH"]
    (boot,) = [row[0] for row in live.run.rows if row[1:3] == ("BOOT", "engine#2")]
    assert boot - crash >= 400_000


@pytest.mark.parametrize(("kind", "phase"), [("crash-before-log", "log"), ("crash-after-log", "logged")])
def test_one_that_writes_while_it_starts_can_be_struck_there(tmp_path: Path, kind: str, phase: str) -> None:
    setup, plan = engine(tmp_path, "migrates"), fault(kind, "migrate", "", phase, saga="")
    live = run(setup, plan)
    assert told(live, "CRASH", "BOOT")[:2] == [("CRASH", "engine"), ("BOOT", "engine#2")]
    assert live.run.fired and check(live.run.history(setup, plan)).violations == ()
    assert ("CLIENT_ACK", "client") in told(live, "CLIENT_ACK")


ALONE_AND_TOGETHER = [("engine",), ("worker",), ("engine", "worker")]


@pytest.mark.parametrize("plan", CRASHES, ids=str)
@pytest.mark.parametrize("names", ALONE_AND_TOGETHER, ids=" and ".join)
def test_a_crash_strikes_the_components_that_are_named(tmp_path: Path, names: tuple[str, ...], plan: Plan) -> None:
    setup = engine(tmp_path)
    setup = replace(setup, scenario=striking(setup.scenario, names))
    live = run(setup, plan)
    labels = {"engine": "engine", "worker": "orchestrator"}
    assert {process for _, process in told(live, "CRASH")} == {labels[name] for name in names}
    answered = [row[2] for row in live.run.rows if row[1] == "ACK" and row[4] == "order"]
    spared = "engine" not in names or "ack" in str(plan)
    assert (answered[0] == "engine") == spared, "who is not struck hears its answer"
    assert live.run.fired and check(live.run.history(setup, plan)).violations == ()


def test_each_component_that_a_manifest_names_is_struck_alone_and_all_together(tmp_path: Path) -> None:
    setup = engine(tmp_path, more='crash = ["engine", "worker"]')
    settings = Settings(max_faults=1, scenarios=(setup.scenario,), kinds=("crash-after-effect", "lost-ack"))
    report = LiveCampaign(setup.adapter, settings).run()
    runs = {result.scenario.name: result.counts.by_faults for result in report.scenarios}
    assert runs == {
        "succeeds": (1, 4),
        "succeeds, engine killed": (1, 2),
        "succeeds, worker killed": (1, 2),
        "succeeds, engine and worker killed": (1, 2),
    }
    assert report.verdict == "consistent"


def test_a_worker_that_cannot_live_without_its_server_starts_again_when_that_is_up(tmp_path: Path) -> None:
    setup = engine(tmp_path, "slow")
    relay = (SYSTEMS / "relay.py").read_text(encoding="utf-8")
    fragile = relay.replace("time.sleep(0.02)\n\n\ndef drive", "os._exit(1)\n\n\ndef drive").replace(
        "import json", "import json\nimport os"
    )
    (tmp_path / "fragile.py").write_text(
        fragile.replace("worker.serve", "ask('nobody')\nworker.serve"), encoding="utf-8"
    )
    file = tmp_path / "engine.toml"
    file.write_text(file.read_text().replace(str(SYSTEMS / "relay.py"), "fragile.py"), encoding="utf-8")
    live = run(replace(setup, adapter=load(str(file))), CRASHES[0])
    assert not live.blocked, live.blocked
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("completed",)]


def test_a_component_that_cannot_be_killed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"crash has 'engin', which is no component .*did you mean 'engine'"):
        engine(tmp_path, more='crash = ["engin"]')
    with pytest.raises(UsageError, match=r"\[\[scenario\]\] number 1: strikes has 'db'"):
        engine(tmp_path, more='\n[[scenario]]\nname = "succeeds"\nstrikes = ["db"]')
    with pytest.raises(UsageError, match="only a live system has components"):
        adapter(saga=CHECKOUT, scenarios=[Scenario(strikes=("db",))])(Seed)


def test_a_port_is_held_until_it_is_given_back() -> None:
    first, second = hold_port(), hold_port()
    assert first.number != second.number
    for port in (first, second):
        port.close()
