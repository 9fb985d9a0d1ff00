"""The pytest plugin: the marker and the fixture ``saga`` run a campaign and fail with its report.

pytest loads this package in every session of an environment that has sagafuzz, so what stands here and in the
modules that it imports at once needs pytest and the standard library only. What a campaign needs is imported where
one is run::

    @pytest.mark.saga(ShopCheckout, faults=2)
    def test_checkout(): ...

    def test_two_at_once(saga):
        report = saga.check(ShopCheckout, faults=1, sagas=2)
        assert report.counts.fired > 100
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

from . import hooks, marking, options
from .marking import MARKER

if TYPE_CHECKING:
    from .running import SagaFixture

OF_ITEM: Final = pytest.StashKey["SagaFixture"]()
PREFIX: Final = "saga_"
"""Of the properties of a test that tell of its campaigns."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)
    pytest.mark.__dict__[MARKER] = marking.Marker()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", marking.HELP)
    options.check(config)
    if config.option.saga_replay:
        from .replaying import find

        find(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.saga_replay:
        from .replaying import replace_items

        replace_items(session, config, items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    asked = marking.marked(item)
    if asked is None:
        return
    if "adapter" not in asked:
        marking.refuse(
            f"{item.name}: @pytest.mark.{MARKER} names no adapter; write @pytest.mark.{MARKER}(YourAdapter) with a "
            f"class declared with @sagafuzz.adapter, or a name such as 'module:attr'"
        )
    from .running import SagaFixture

    item.stash[OF_ITEM] = SagaFixture(item, asked)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The campaign of a marked test comes before its body. Other tests find the modules that they imported."""
    try:
        if item.get_closest_marker(MARKER) is not None:
            item.stash[OF_ITEM].check()
        return (yield)
    finally:
        if fresh := sys.modules.get(f"{__package__.rpartition('.')[0]}.fresh"):
            fresh.put_back()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where pytest does not cut its lines (on a CI server), a report stands in the failure, not in the summary too."""
    report = yield
    found = item.stash.get(OF_ITEM, None)
    if found is not None and call.excinfo is not None and getattr(call.excinfo.value, "msg", "") is found.said:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = "Failed: " + found.said.partition("\n")[0]
    return report


@pytest.fixture
def saga(request: pytest.FixtureRequest) -> SagaFixture:
    """Run campaigns in a test: saga.check(Adapter, faults=2) fails it where the saga is violated.

    saga.run(...) only returns the report; saga.report is the last one, in a marked test the marker's.
    """
    from .running import SagaFixture

    found: SagaFixture = request.node.stash.setdefault(OF_ITEM, SagaFixture(request.node, {}))
    return found


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line for each campaign, wherever its test ran; what was found by one that was interrupted."""
    for text in terminalreporter.config.stash.get(marking.ENDED_EARLY, []):
        terminalreporter.section("interrupted")
        terminalreporter.write_line(text)
    if any(_of_sagas(report) for reports in terminalreporter.stats.values() for report in reports):
        from .summary import write

        write(terminalreporter)


def _of_sagas(report: Any) -> bool:
    return any(name.startswith(PREFIX) for name, _ in getattr(report, "user_properties", ()))
