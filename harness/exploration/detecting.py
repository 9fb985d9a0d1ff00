"""The tester tested: is a broken system found out, and a correct one left alone?"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..ports import Adapter
from ..simulator import Setup
from ..verdict import Violation
from .enumerator import Enumerator
from .judge import Judge
from .quiet import fewer_collections
from .shrink import Shrunk, shrink


@dataclass(frozen=True, kw_only=True)
class Search:
    """``schedules`` that were run until ``shrunk`` was found, None if nothing was, in ``seconds`` of processor time."""

    schedules: int
    shrunk: Shrunk | None
    seconds: float


def find_out(adapter: Adapter, invariants: Collection[str], max_faults: int) -> Search:
    """Run the plans of at most ``max_faults`` faults on the scenarios of ``adapter``, in the order of the search, until
    one shows a violation of one of ``invariants`` among the causes; and shrink it."""
    start, count = time.process_time(), 0
    with fewer_collections():
        for scenario in adapter.scenarios:
            setup = Setup(adapter=adapter, scenario=scenario)
            judge = Judge(setup)
            for case in Enumerator(setup, max_faults).cases():
                count += 1
                if case.known:
                    continue
                verdict, _ = judge.judge(case.plan, case.run, case.digest, case.projection)
                named = next((found for found in verdict.violations if found.invariant in invariants), None)
                if named is not None:
                    shrunk = shrink(setup, case.plan, named.signature)
                    return Search(schedules=count, shrunk=shrunk, seconds=time.process_time() - start)
    return Search(schedules=count, shrunk=None, seconds=time.process_time() - start)


def acquit(adapter: Adapter, max_faults: int) -> tuple[int, tuple[str, ...], float]:
    """Run all plans of at most ``max_faults`` faults on a correct system: how many, what it was blamed for (a
    violation as "I5: sentence (plan)", an invariant that gave up likewise), and the seconds of processor time."""
    start, count = time.process_time(), 0
    blamed: dict[Any, str] = {}
    with fewer_collections():
        for scenario in adapter.scenarios:
            setup = Setup(adapter=adapter, scenario=scenario)
            judge = Judge(setup)
            for case in Enumerator(setup, max_faults).cases():
                count += 1
                if case.known:
                    continue
                verdict, _ = judge.judge(case.plan, case.run, case.digest, case.projection)
                for found in verdict.violations:
                    blamed.setdefault(found.signature, _blame(found, case.plan))
                for id, reason in verdict.gave_up.items():
                    blamed.setdefault(id, f"{id} gave up: {reason} ({case.plan})")
    return count, tuple(blamed.values()), time.process_time() - start


def _blame(found: Violation, plan: object) -> str:
    return f"{found.invariant}: {found.sentence} ({plan})"
