"""``sagafuzz doctor``: what is wrong with an adapter before a campaign says something on its behalf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def test_a_fit_adapter(sagafuzz: Any) -> None:
    result = sagafuzz("doctor", "reference")
    assert result.code == 0
    assert "fit: two runs of each plan were equal" in result.out
    assert "4 log, 4 logged, 3 send" in result.out
    assert "key-expiry: it needs that the adapter declares key_retention_ms=" in result.out


def test_one_that_does_something_else_each_time(sagafuzz: Any) -> None:
    Path("mine.py").write_text(ADAPTERS)
    result = sagafuzz("doctor", "mine.py:Fickle")
    assert result.code == 4
    assert "NOT DETERMINISTIC" in result.out


def test_one_that_touches_nothing(sagafuzz: Any) -> None:
    Path("mine.py").write_text(ADAPTERS)
    result = sagafuzz("doctor", "mine.py:Idle")
    assert result.code == 3
    assert "NOTHING TO STRIKE" in result.out


def test_one_that_recovers_by_more_than_its_store(sagafuzz: Any) -> None:
    Path("mine.py").write_text(ADAPTERS)
    result = sagafuzz("doctor", "mine.py:Remembers")
    assert result.code == 3
    assert "write durable_recovery=False" in result.out
    Path("honest.py").write_text(ADAPTERS.replace("(saga=SAGA)", "(saga=SAGA, durable_recovery=False)"))
    assert "durable_recovery" not in sagafuzz("doctor", "honest.py:Remembers").out


def test_one_that_does_not_load(sagafuzz: Any) -> None:
    assert sagafuzz("doctor", "nothing.py:Here").code == 2
