"""``sagafuzz doctor``: what is wrong with an adapter before a campaign says something on its behalf."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagafuzz.cli import console
from sagafuzz.cli.main import main

from .conftest import Run

ADAPTERS = '''
import itertools
import sagafuzz

SAGA = sagafuzz.Saga("one", [sagafuzz.Step("a", "svc.do", undo="svc.undo")])
COUNT = itertools.count()
LEFT = {}

@sagafuzz.adapter(saga=SAGA)
class Fickle:
    def boot(self, world):
        self.world = world
    def run(self, order):
        self.world.call("svc.do", saga=order.id, key=str(next(COUNT)))
        return True

@sagafuzz.adapter(saga=SAGA)
class Idle:
    def boot(self, world):
        pass
    def run(self, order):
        return True

@sagafuzz.adapter(saga=SAGA)
class Remembers:
    """What it noted outside of its store tells its next process what to do."""
    def boot(self, world):
        self.world = world
    def run(self, order):
        LEFT["n"] = 0
        self.world.call("svc.do", saga=order.id, key=order.id)
        LEFT["n"] = 1
        self.world.store.put(order.id, "done", record="terminal")
        return True
    def recover(self):
        if LEFT["n"]:
            self.world.call("svc.undo", saga="saga-1", key="saga-1")
'''

RETRYING = """
import sagafuzz

SAGA = sagafuzz.Saga("two", [sagafuzz.Step("a", "svc.do", undo="svc.undo"), sagafuzz.Step("b", "other.do")])

@sagafuzz.adapter(saga=SAGA, forgets_retries=True)
class Retrying:
    def boot(self, world):
        self.world, self.left = world, 2
    def ask(self, order, operation):
        LEFT = 2
        while left:
            left -= 1
            try:
                return self.world.call(operation, saga=order.id, key=f"{order.id} {operation}")
            except (sagafuzz.CallTimeout, sagafuzz.Unavailable):
                self.left -= 1
        raise sagafuzz.Unavailable(operation)
    def run(self, order):
        try:
            self.ask(order, "svc.do")
            self.ask(order, "other.do")
        except sagafuzz.Unavailable:
            return False
        return True
"""


def test_one_that_does_something_else_each_time(sagafuzz: Run) -> None:
    Path("mine.py").write_text(ADAPTERS)
    result = sagafuzz("doctor", "mine.py:Fickle")
    assert result.code == 4
    assert "NOT DETERMINISTIC" in result.out


def test_one_that_touches_nothing(sagafuzz: Run) -> None:
    Path("mine.py").write_text(ADAPTERS)
    result = sagafuzz("doctor", "mine.py:Idle")
    assert result.code == 3
    assert "NOTHING TO STRIKE" in result.out


def test_one_that_recovers_by_more_than_its_store(sagafuzz: Run) -> None:
    Path("mine.py").write_text(ADAPTERS)
    result = sagafuzz("doctor", "mine.py:Remembers")
    assert result.code == 3
    assert "write durable_recovery=False" in result.out
    Path("honest.py").write_text(ADAPTERS.replace("(saga=SAGA)", "(saga=SAGA, durable_recovery=False)"))
    assert "durable_recovery" not in sagafuzz("doctor", "honest.py:Remembers").out


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_one_that_forgets_an_await(sagafuzz: Run) -> None:
    Path("mine.py").write_text(
        ADAPTERS + "@sagafuzz.adapter(saga=SAGA)\nclass Forgets:\n"
        "    def boot(self, world):\n        self.world = world\n"
        "    async def run(self, order):\n        self.do(order)\n        return True\n"
        "    async def do(self, order):\n        await self.world.call('svc.do', saga=order.id)\n"
    )
    line = ADAPTERS.count("\n") + 6
    result = sagafuzz("doctor", "mine.py:Forgets")
    assert result.code == 3
    said = f"mine.py:{line} makes the coroutine Forgets.do, and nobody awaits it"
    assert " ".join(result.out.split()).count(said) == 1


@pytest.mark.parametrize("doc", ["", "Sells seats."])
def test_a_service_is_shown_as_what_the_user_wrote(sagafuzz: Run, doc: str) -> None:
    Path("doctored_sales.py").write_text(
        "import requests\nfrom flask import Flask\napp = Flask(__name__)\n"
        "@app.post('/sales')\n"
        "def sell():\n"
        "    requests.post('http://seats/hold', json={'sale': 'saga-1'}, timeout=1)\n"
        "    return {}, 201\n"
    )
    Path("doctored_adapter.py").write_text(
        "import sagafuzz\nSALE = sagafuzz.Saga('sale', [sagafuzz.Step('seats', 'seats.hold')])\n"
        "@sagafuzz.service(saga=SALE, http={'POST seats/hold': 'seats.hold'}, scenarios=[sagafuzz.Scenario()])\n"
        f"class Sales:\n    {doc!r}\n"
        "    app = 'doctored_sales:app'\n    def submit(self, order): return 'POST', '/sales', {}\n"
    )
    said = sagafuzz("doctor", "doctored_adapter.py:Sales").out
    assert said.startswith(f"Sales: {doc or 'a service, doctored_sales:app'}\n")
    assert "an order is a request to the app" in said and "run is async" not in said


def test_one_that_makes_its_tables_when_it_boots(sagafuzz: Run) -> None:
    Path("mine.py").write_text(
        "import sagafuzz\n"
        "from sagafuzz.adapters.reference import OPTIONS, ReferenceOnSQLite\n"
        "@sagafuzz.adapter(**{**OPTIONS, 'scenarios': [sagafuzz.Scenario()]})\n"
        "class MakesTables(ReferenceOnSQLite): ...\n"
    )
    result = sagafuzz("doctor", "mine.py:MakesTables")
    assert result.code == 0
    assert "durable_recovery" not in result.out


@pytest.mark.parametrize("counts", [False, True])
def test_one_that_says_that_it_forgets_retries(sagafuzz: Run, counts: bool) -> None:
    Path("mine.py").write_text(RETRYING.replace("LEFT = 2", "left = self.left" if counts else "left = 2"))
    result = sagafuzz("doctor", "mine.py:Retrying")
    assert result.code == (3 if counts else 0)
    assert ("leave forgets_retries out" in result.out) is counts


def test_one_that_does_not_load(sagafuzz: Run) -> None:
    assert sagafuzz("doctor", "nothing.py:Here").code == 2


def test_a_scenario_that_never_completes_is_named(sagafuzz: Run) -> None:
    Path("mine.py").write_text(
        "import sagafuzz\n"
        "SAGA = sagafuzz.Saga('one', [sagafuzz.Step('a', 'svc.do', undo='svc.undo')])\n"
        "@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()])\n"
        "class Unwired:\n"
        "    def boot(self, world):\n"
        "        self.world = world\n"
        "    def run(self, order):\n"
        "        for operation in ('svc.do', 'svc.undo'):\n"
        "            self.world.call(operation, saga=order.id, key=order.id + operation)\n"
        "        return False\n"
    )
    result = sagafuzz("doctor", "mine.py:Unwired")
    assert result.code == 3
    assert "scenario succeeds: NEVER COMPLETES: nothing refuses its orders" in result.out


def test_of_a_fit_adapter_it_says_what_there_is_and_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "PLAIN_LINE_EVERY_S", 0.0)
    with pytest.raises(SystemExit) as left:
        main(["doctor", "reference"])
    said, told = capsys.readouterr()
    assert left.value.code == 0
    assert "fit: two runs of each plan were equal" in said
    assert "4 log, 4" in said
    assert "key-expiry: it needs that the adapter declares key_retention_ms=" in said
    assert re.search(r"(?m)^reference: succeeds: plans with at most one fault, \d+ done, [\d,.]+/s$", told)
    assert re.search(r"(?m)^reference: succeeds: the same again, \d+%, \d+ done, ", told)


@pytest.mark.slow
def test_a_manifest_is_run_on_its_real_processes_without_a_fault(sagafuzz: Run) -> None:
    manifest = Path(__file__).resolve().parents[2] / "examples" / "live" / "python" / "correct.toml"
    result = sagafuzz("doctor", manifest)
    assert result.code == 0, result.err
    assert "on real processes" in result.out and "fit: each scenario ran without a fault" in result.out
    assert "crash-after-log" in result.out and "compensated" in result.out


def test_a_manifest_whose_worker_does_not_start_is_not_fit(sagafuzz: Run) -> None:
    manifest = Path(__file__).resolve().parents[2] / "examples" / "live" / "python" / "correct.toml"
    text, changed = re.subn(r"(?m)^argv = .*$", 'argv = ["false"]', manifest.read_text())
    assert changed
    Path("manifest.toml").write_text(text)
    result = sagafuzz("doctor", "manifest.toml")
    assert result.code in (2, 3)
    assert "fit: " not in result.out
