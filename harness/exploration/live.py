"""A campaign on real processes: every plan to k faults, several at once, each finding repeated.

What a seed fixes in the simulator nothing fixes here. So a plan whose fault did not fire is tried again, a
finding is run five times and said to be flaky where it does not come each time, and where the same system can
be simulated, its schedule is run there too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from typing import Any, Final

from ..errors import UsageError
from ..faults import Fault, Plan, Site
from ..history import PAUSE, TIMEOUT, History, Row, rows_digest
from ..invariants import OURS, Catalogue
from ..live.case import LiveRun
from ..live.manifest import manifest_of
from ..live.world import LiveWorld
from ..loading import load
from ..ports import Adapter
from ..simulator import Setup
from ..verdict import Finding, Report, Violation
from .campaign import Campaign, finding_id, replay_file
from .cases import Case, mode_of
from .enumerator import Enumerator
from .judge import Judge, found_in, violates
from .reductions import FEASIBLE
from .replay import Replay, Replayed
from .settings import Settings
from .statistics import ScenarioStatistics, Sighting, Signature

TRIES: Final = 3
"""How often a plan is run until all of its faults strike."""

REPEATS: Final = 5
"""How often a finding is run again."""

SCHEDULES: Final = 3
"""How many schedules of a finding are tried for one that shows it each time."""


@dataclass(frozen=True)
class _Node:
    """A plan whose extensions are still to be run."""

    faults: tuple[Fault, ...]
    sites: tuple[Site, ...]
    impossible: dict[int, tuple[str, ...]]
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A run that showed a violation."""

    setup: Setup
    plan: Plan
    live: LiveRun
    history: History
    violation: Violation


class LiveCampaign(Campaign):
    """Searches one live system. See `Campaign`; it has no random part."""

    def __init__(self, adapter: Adapter, settings: Settings, *, jobs: int = 0, **listeners: Any) -> None:
        super().__init__(adapter, replace(settings, examples=0, random_plans=0), **listeners)
        self._jobs = jobs
        self._blocked = ""
        self._engine = ""
        self._shown: dict[Signature, list[_Shown]] = {}

    def run(self) -> Report:
        """Search to the end, or until stopped."""
        asyncio.run(self._searched())
        return replace(self.report(), live=True)

    async def _searched(self) -> None:
        async with LiveWorld(jobs=self._jobs) as world:
            for scenario in self.scenarios:
                setup = Setup(adapter=self.adapter, scenario=scenario)
                if not await self._all_plans(world, setup):
                    return
            self._finished = await self._repeat_all(world)

    # -- every plan --------------------------------------------------------------------------

    async def _all_plans(self, world: LiveWorld, setup: Setup) -> bool:
        statistics = ScenarioStatistics(setup.scenario)
        self._statistics.scenarios.append(statistics)
        judge = Judge(setup, self._catalogue)
        most, only = self.settings.max_faults, self.settings.kinds or None
        enumerator = Enumerator(setup, most, only, reductions=FEASIBLE)
        self._statistics.coverage.begin(setup, most, only)
        first = await world.run(setup, gentle=True)
        if not self._count(statistics, judge, setup, Plan(), first, None):
            return False
        run = first.run
        statistics.singles = sum(1 for _ in enumerator.extensions(run.sites, run.impossible)) if most else 0
        level = [_Node((), run.sites, dict(run.impossible), digest(run.rows))]
        for depth in range(1, most + 1):
            following: list[_Node] = []
            plans = [(node, fault) for node in level for fault in enumerator.extensions(node.sites, node.impossible)]
            stage = f"{setup.scenario.name}: plans with {depth} fault{'s' if depth > 1 else ''}"
            async for node, plan, live in self._run_all(world, setup, plans):
                if not self._count(statistics, judge, setup, plan, live, node):
                    return False
                if depth < most and (child := _child(plan, live)) is not None:
                    following.append(child)
                self._tell(stage, statistics.run, len(plans) + 1)
            if self._over():
                return False
            level = following
        return True

    async def _run_all(
        self, world: LiveWorld, setup: Setup, plans: Sequence[tuple[_Node, Fault]]
    ) -> AsyncIterator[tuple[_Node, Plan, LiveRun]]:
        """The runs in the order of the plans, some at one time."""
        ahead: list[tuple[_Node, Plan, asyncio.Task[LiveRun]]] = []
        waiting = iter(plans)
        try:
            while not self._over():
                while len(ahead) < 2 * world.jobs and (entry := next(waiting, None)) is not None:
                    node, fault = entry
                    plan = Plan(faults=(*node.faults, fault))
                    ahead.append((node, plan, asyncio.create_task(until_fired(world, setup, plan))))
                if not ahead:
                    return
                node, plan, task = ahead.pop(0)
                yield node, plan, await task
        finally:
            for _, _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, _, task in ahead), return_exceptions=True)

    def _count(
        self, statistics: ScenarioStatistics, judge: Judge, setup: Setup, plan: Plan, live: LiveRun, node: _Node | None
    ) -> bool:
        """Judge and count one run; False where it could not be made."""
        self._engine = live.engine or self._engine
        if live.blocked:
            self._blocked = f"{setup.scenario.name}, {plan}: {live.blocked}"
            return False
        run, key = live.run, digest(live.run.rows)
        last = plan.faults[-1].site if plan.faults else None
        case = Case(
            plan=plan,
            run=run,
            digest=key,
            fired=len(run.fired) == len(plan),
            consequential=node is not None and key != node.digest,
            mode=mode_of(run, run.sites.index(last)) if last in run.sites else "",
        )
        verdict, new = judge.judge(plan, run, key)
        self._digest.update(key)
        self._statistics.add(statistics, setup, case, verdict, new=new)
        for violation in verdict.violations:
            self._remember(setup, plan, live, violation)
        return True

    def _remember(self, setup: Setup, plan: Plan, live: LiveRun, violation: Violation) -> None:
        """Keep the first runs that show a violation, of those with the fewest faults."""
        known = self._shown.setdefault(violation.signature, [])
        if known and len(plan) < len(known[0].plan):
            known.clear()
        if len(known) == SCHEDULES or (known and len(plan) > len(known[0].plan)):
            return
        history = live.run.history(setup, plan)
        found = found_in(history, violation.signature, self._catalogue) or violation
        known.append(_Shown(setup=setup, plan=plan, live=live, history=history, violation=found))

    # -- findings ----------------------------------------------------------------------------

    async def _repeat_all(self, world: LiveWorld) -> bool:
        worth = self._worth_telling()
        for number, (signature, sighting) in enumerate(worth):
            if self._over():
                return False
            self._tell("repeating findings", number, len(worth))
            self._findings[signature] = await self._repeated(world, signature, sighting)
        return True

    async def _repeated(self, world: LiveWorld, signature: Signature, sighting: Sighting) -> Finding:
        shown, again = await self._surest(world, signature)
        fewer = [shown.plan.without(number) for number in range(len(shown.plan))]
        others = await asyncio.gather(*(world.run(shown.setup, plan) for plan in fewer))
        tried = zip(fewer, others, strict=True)
        needed = not any(self._shows(shown.setup, plan, live, signature) for plan, live in tried)
        flaky = "" if again == REPEATS else ": flaky"
        notes = [f"real processes; it came again in {again} of {REPEATS} runs{flaky}"]
        notes += [*self._simulated(shown, signature), *_output(shown.live)]
        return replace(self._finding(signature, sighting, shown), necessary=needed, notes=tuple(notes))

    def _shows(self, setup: Setup, plan: Plan, live: LiveRun, signature: Signature) -> bool:
        return found_in(live.run.history(setup, plan), signature, self._catalogue) is not None

    async def _surest(self, world: LiveWorld, signature: Signature) -> tuple[_Shown, int]:
        """The schedule that shows it most often, and how often: processes may race in one and not in another."""
        best = self._shown[signature][0], -1
        for shown in self._shown[signature]:
            runs = await _several(world, shown.setup, shown.plan)
            again = sum(self._shows(shown.setup, shown.plan, live, signature) for live in runs)
            best = max(best, (shown, again), key=lambda tried: tried[1])  # the first of equals
            if again == REPEATS:
                break
        return best

    def _finding(self, signature: Signature, sighting: Sighting, shown: _Shown) -> Finding:
        id = finding_id(self.adapter.name, signature)
        return Finding(
            id=id,
            violation=shown.violation,
            scenario=shown.setup.scenario,
            history=shown.history,
            plan=shown.plan,
            hits=sighting.hits,
            explains=sighting.explains,
            necessary=False,
            first_events=sighting.events,
            first_faults=len(sighting.plan),
            replay=replay_file(id),
        )

    def _simulated(self, shown: _Shown, signature: Signature) -> Iterable[str]:
        """What the simulator says of the same schedule, where it has the system too."""
        manifest = manifest_of(self.adapter)
        if manifest is None or not manifest.simulated:
            return
        try:
            twin = load(manifest.simulated)
            same = violates(Setup(adapter=twin, scenario=shown.setup.scenario), shown.plan, signature, self._catalogue)
        except UsageError as error:
            yield f"not run in the simulator: {error}"
            return
        where = f"in the simulator ({manifest.simulated})"
        yield f"{where} the same schedule shows the same" if same else f"{where} the same schedule does not show it"

    # -- what is known -------------------------------------------------------------------------

    def report(self) -> Report:
        """Everything known by now."""
        for signature, sighting in self._worth_telling():
            if signature not in self._findings:
                seen_once = ("seen once; the campaign was stopped before it ran again",)
                finding = self._finding(signature, sighting, self._shown[signature][0])
                self._findings[signature] = replace(finding, notes=seen_once)
        return replace(super().report(), engine=self._engine, packages=installed())

    def _reasons(self) -> Iterable[str]:
        if self._blocked:
            yield f"blocked: {self._blocked}"
            return
        yield from super()._reasons()


def installed() -> tuple[tuple[str, str], ...]:
    """Each distribution of this interpreter with its version."""
    return tuple(sorted({(found.name, found.version) for found in distributions()}))


async def until_fired(world: LiveWorld, setup: Setup, plan: Plan) -> LiveRun:
    """Run a plan, again where two sagas came by each other so that a fault did not strike, or a caller gave up
    that should not have."""
    live = await world.run(setup, plan)
    for _ in range(TRIES - 1):
        if live.blocked or (len(live.run.fired) == len(plan) and not live.disturbed):
            break
        live = await world.run(setup, plan)
    return live


async def _several(world: LiveWorld, setup: Setup, plan: Plan) -> list[LiveRun]:
    """Run a plan `REPEATS` times at once. Those for which the machine was too slow then are made again, one by one."""
    runs = await asyncio.gather(*(until_fired(world, setup, plan) for _ in range(REPEATS)))
    return [await until_fired(world, setup, plan) if live.disturbed else live for live in runs]


def _output(live: LiveRun) -> Iterable[str]:
    """The last lines of each process of a run."""
    for name, lines in live.output:
        if lines:
            yield f"{name} wrote: {' | '.join(lines)}"


def _child(plan: Plan, live: LiveRun) -> _Node | None:
    """Where a plan whose faults all struck can be extended: at the sites after the last of them."""
    run = live.run
    if len(run.fired) < len(plan):
        return None
    start = run.sites.index(plan.faults[-1].site) + 1
    rest = {index - start: kinds for index, kinds in run.impossible.items() if index >= start}
    return _Node(plan.faults, run.sites[start:], rest, digest(run.rows))


def digest(rows: Iterable[Row]) -> bytes:
    """What happened, without the times."""
    return rows_digest([(0, *row[1:9], () if row[1] in (TIMEOUT, PAUSE) else row[9]) for row in rows])


def replay(recorded: Replay, adapter: Adapter, catalogue: Catalogue = OURS) -> Replayed:
    """Run a recorded schedule five times on real processes, and say what became of its violation."""
    return asyncio.run(_replay(recorded, adapter, catalogue))


async def _replay(recorded: Replay, adapter: Adapter, catalogue: Catalogue) -> Replayed:
    if recorded.plan is None:
        return Replayed(result="CANNOT RUN", reason="it is a program of the state machine, which is simulated only")
    setup = Setup(adapter=adapter, scenario=recorded.scenario)
    refused = [fault.kind for fault in recorded.plan.faults if fault.kind not in setup.kinds]
    if refused:
        return Replayed(result="CANNOT RUN", reason=f"{refused[0]}: {setup.refusal(refused[0])}")
    async with LiveWorld() as world:
        runs = await _several(world, setup, recorded.plan)
    blocked = next((live.blocked for live in runs if live.blocked), "")
    if blocked:
        return Replayed(result="CANNOT RUN", reason=f"blocked: {blocked}")
    found: list[tuple[History, Violation | None]] = []
    for live in runs:
        history = live.run.history(setup, recorded.plan)
        if len(live.run.fired) < len(recorded.plan):
            return Replayed(result="CANNOT RUN", reason="a fault never fired", history=history)
        found.append((history, found_in(history, recorded.signature, catalogue)))
    failing = [(history, violation) for history, violation in found if violation is not None]
    if not failing:
        return Replayed(result="FIXED", history=found[-1][0])
    result: Any = "STILL FAILS" if len(failing) == REPEATS else "FLAKY"
    history, violation = failing[0]
    return Replayed(result=result, reason=f"{len(failing)} of {REPEATS} runs", violation=violation, history=history)
