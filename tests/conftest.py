from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from sagafuzz.exploration.report_builder import ReportBuilder
from sagafuzz.verdict import CONSISTENT, Report

pytest_plugins = ["pytester"]

# What a test says must not depend on how busy the machine is, nor on the day.
settings.register_profile("sagafuzz-tests", deadline=None, derandomize=True, database=None)
settings.load_profile("sagafuzz-tests")


@pytest.fixture(autouse=True, scope="session")
def _no_empty_praise() -> Iterator[None]:
    """Whatever this process calls consistent has completed without a fault, and was struck by one."""
    plain = ReportBuilder.report

    def report(self: ReportBuilder) -> Report:
        made = plain(self)
        if made.verdict == CONSISTENT:
            idle = [found.scenario.name for found in made.scenarios if not (found.sends and found.completes)]
            assert not idle, f"{made.adapter} is called consistent, and does not complete in {idle}"
            planned = (*made.counts.by_faults[1:], *made.random_plans.by_faults[1:], made.random.faults)
            assert any(planned), f"{made.adapter} is called consistent, and no fault struck it"
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReportBuilder, "report", report)
        yield
