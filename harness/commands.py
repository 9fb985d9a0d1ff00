"""The command that makes a report again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from .ports import Adapter
from .scenario import Scenario


def command_line(
    adapter: Adapter,
    *,
    scenarios: Iterable[str | Scenario],
    sagas: int | None,
    kinds: str = "all",
    command: str = "run",
    without: Iterable[str] = (),
    max_time: str | None = None,
    pairs: int | None = None,
    **numbers: int,
) -> str:
    """The command that makes the same report again, with ``numbers`` as its options; "" where it cannot be written:
    the adapter has no name, or a scenario is not one of its own. Without the folder of the reports, which does not
    matter."""
    named = [scenario if isinstance(scenario, str) else scenario.name for scenario in scenarios]
    foreign = any(not isinstance(scenario, str) and scenario not in adapter.scenarios for scenario in scenarios)
    if not adapter.spec or foreign:
        return ""
    words = ["sagafuzz", command, adapter.spec]
    for option, number in numbers.items():
        words += ["--" + option.replace("_", "-"), str(number)]
    if kinds != "all":
        words += ["--kinds", kinds]
    for name in named:
        words += ["--scenario", name]
    if sagas is not None:
        words += ["--sagas", str(sagas)]
    if pairs is not None:
        words += ["--pairs", str(pairs)]
    if max_time is not None:
        words += ["--max-time", max_time]
    for name in without:
        words += ["--without", name]
    return shlex.join(words)
