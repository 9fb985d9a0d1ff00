"""Sessions of their own with the adapters of a small shop at hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest import pytester as inner_sessions

from ..warm import warm

ADAPTERS = """
import sagafuzz
from sagafuzz.faults import FAULT_KINDS

SAGA = sagafuzz.Saga("shop", [
    sagafuzz.Step("order", "order.create", undo="order.cancel"),
    sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
])
ONE = [sagafuzz.Scenario()]
OTHERS = [kind for kind in FAULT_KINDS if kind != "duplicate"]


@sagafuzz.adapter(saga=SAGA, scenarios=ONE, cannot_suffer=OTHERS)
class Calm:
    '''Asks for each step once; all that ever happens to it is that a request comes twice.'''

    def boot(self, world):
        self.world = world

    def run(self, order):
        try:
            for operation in ("order.create", "payment.charge"):
                self.world.call(operation, key=order.id)
        except sagafuzz.Rejected:
            return False
        return True


@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Careless(Calm):
    '''Never undoes and has no key.'''

    def run(self, order):
        self.world.call("order.create")
        return True
"""

Session = Callable[..., pytest.RunResult]


@pytest.fixture
def _one_of_each_class(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A session within this process forgets the modules that it was the first to import. Only those of its own files
    are to go: of ours, and of the libraries that we import late, there would be two of each class."""
    snapshot, files = inner_sessions.SysModulesSnapshot, tmp_path_factory.getbasetemp()

    def stays(name: str) -> bool:
        return not Path(getattr(sys.modules[name], "__file__", None) or "").is_relative_to(files)

    monkeypatch.setattr(inner_sessions, "SysModulesSnapshot", lambda preserve: snapshot(stays))


@pytest.fixture(autouse=True)
def _files(_one_of_each_class: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(adapters_of_shop=ADAPTERS)
    pytester.syspathinsert()
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


@pytest.fixture
def session(pytester: pytest.Pytester) -> Session:
    """A session on ``test``, with the adapters at hand; in a process of its own, where there are several."""

    def run(*arguments: str, test: str = "", processes: int = 0) -> pytest.RunResult:
        if test:
            pytester.makepyfile(test_shop="import pytest\nfrom adapters_of_shop import *\n\n" + test)
        options = ["--strict-markers", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments]
        if processes:
            return pytester.run(*warm("pytest", "-n", str(processes), *options))
        return pytester.runpytest_inprocess("-p", "no:xdist", *options)

    return run
