"""A campaign on real processes: every plan to k faults, several at once, each finding repeated.

What a seed fixes in the simulator nothing fixes here. So a plan whose fault did not fire is tried again, a
finding is run five times and said to be flaky where it does not come each time, and where the same system can
be simulated, its schedule is run there too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, Final, TypeVar

from ..errors import UsageError
from ..fault_kinds import Impossible
from ..faults import FAULT_KINDS, Fault, Plan, Site, kind_named
from ..history import BOOT, KIND, PAUSE, TIMEOUT, WAKE, History, Row, rows_digest
from ..invariants import catalogue_of
from ..live.case import LiveRun
from ..live.manifest import manifest_of
from ..live.sources import installed
from ..live.world import LiveWorld
from ..loading import load, with_wrong_answers
from ..ports import Adapter
from ..scenario import LOST_CONTROL, Scenario
from ..simulator import Run, Setup
from ..simulator.patches import Watch
from ..verdict import Finding, Report, Signature, Violation
from .advice import advice
from .cases import Case, mode_of
from .enumerator import Enumerator
from .events import (
    Advised,
    CaseJudged,
    Event,
    FindingShrunk,
    Listener,
    NeverAgain,
    RunEnded,
    ScenarioBegan,
    SinglesCounted,
    Stage,
    StageBegan,
    StageEnded,
)
from .explain import explain_live
from .findings import output_file, shown_by, worth_telling
from .judge import Again, Judge, found_in, promising, seen_again, told_beside, violates, why_undecided
from .keeping import NOTHING_KEPT, Archive, finding_record
from .live_runs import from_text, run_record, to_text
from .parting import NotDeterministic
from .reductions import SHAPING
from .replay import Replay, Replayed, unjudged
from .report_builder import ReportBuilder
from .scenarios import every_scenario
from .settings import Settings
from .statistics import Sighting, Statistics
from .stopping import Over, Stop, Why, never, over_by
from .telling import Telling

TRIES: Final = 3
"""How often a plan is run until all of its faults strike."""

REPEATS: Final = 5
"""How often a finding is run again."""

SCHEDULES: Final = 3
"""How many schedules of a finding are tried for one that shows it each time."""


ASK_S: Final = 0.2
"""How often it is asked whether the campaign is to end, while a case runs."""

_T = TypeVar("_T")


class _Left(Exception):
    """The campaign is to end before a case is over; ``stop`` says why."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.sentence)
        self.stop = stop


@dataclass(frozen=True)
class _Node:
    """A plan whose extensions are still to be run."""

    faults: tuple[Fault, ...]
    sites: tuple[Site, ...]
    impossible: dict[int, Impossible]
    digest: bytes
    unmarked: bytes


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A run that showed a violation."""

    setup: Setup
    plan: Plan
    live: LiveRun
    history: History
    violation: Violation


@dataclass(frozen=True, kw_only=True)
class _Made:
    """The run of a plan, and the name of its record, in which it was found where it is ``kept``."""

    live: LiveRun
    name: str
    kept: bool


@dataclass(frozen=True)
class LiveCampaign:
    """Searches one live system, with ``jobs`` runs at once (0: as many as suit the machine). See `Campaign`; there is
    no random part. What ``archive`` holds is not run again."""

    adapter: Adapter
    settings: Settings
    _: KW_ONLY
    stopped: Callable[[], bool] = never
    archive: Archive = NOTHING_KEPT
    listeners: tuple[Listener, ...] = ()
    jobs: int = 0

    @cached_property
    def settled(self) -> Settings:
        """The settings with the scenarios that are searched, and without a random part: where crashes are to strike
        certain components, each scenario once more for each of these, and for all of them; and once more for each
        signal that they are to send."""
        scenarios = every_scenario(self.adapter, self.settings)
        manifest = manifest_of(self.adapter)
        struck, signals = (manifest.crash, manifest.crash_by) if manifest is not None and self._crashes else ((), ())
        together = [(name,) for name in struck] + ([struck] if len(struck) > 1 else [])
        heard = tuple(hearing(scenario, signal) for signal in signals for scenario in scenarios)
        scenarios += tuple(striking(scenario, names) for names in together for scenario in scenarios) + heard
        return replace(self.settings, scenarios=scenarios, examples=0, random_plans=0)

    @property
    def _crashes(self) -> bool:
        """True if there is a kind of crash among those that are tried."""
        kinds = self.settings.kinds or tuple(FAULT_KINDS)
        return self.settings.max_faults > 0 and any(FAULT_KINDS[kind].kills for kind in kinds)

    def run(self) -> Report:
        """Search to the end, or until stopped."""
        known = Statistics(self.settled, catalogue_of(self.adapter))
        builder = ReportBuilder(self.adapter, self.settled, known)
        search = _LiveSearch(self.adapter, self.settled, over_by(self.stopped, Watch()), known, self.archive)

        listeners: tuple[Listener, ...] = (known, builder, *self.listeners)

        async def hear() -> None:
            async with LiveWorld(jobs=self.jobs) as world, aclosing(search.events(world)) as events:
                async for event in events:
                    for listen in listeners:
                        listen(event)

        asyncio.run(hear())
        return replace(builder.report(), live=True, engine=search.engine, packages=installed())


class _LiveSearch:
    """A campaign under way. ``over`` is asked before each plan, ``known`` are the statistics of what has happened."""

    def __init__(self, adapter: Adapter, settings: Settings, over: Over, known: Statistics, archive: Archive) -> None:
        self._adapter = adapter
        self._settings = settings
        self._over = over
        self._known = known
        self._archive = archive
        self._kept_engine = ""
        self.engine = ""
        self._shown: dict[Signature, list[_Shown]] = {}

    async def events(self, world: LiveWorld) -> AsyncGenerator[Event, None]:
        """All that happens; in the end each violation that was seen is told."""
        told: set[Signature] = set()
        async for event in self._searched(world):
            if isinstance(event, FindingShrunk):
                told.add(event.signature)
            yield event
        for signature, sighting in worth_telling(self._known.sightings):
            if signature not in told:
                seen_once = ("seen once; the campaign was stopped before it ran again",)
                finding = self._finding(signature, sighting, self._shown[signature][0])
                yield FindingShrunk(signature, replace(finding, notes=seen_once), whole=False)

    async def _searched(self, world: LiveWorld) -> AsyncIterator[Event]:
        """Stage by stage, to the last one or to what ends the campaign."""
        stage = Stage.EVERY_PLAN
        try:
            for scenario in self._settings.scenarios:
                async for event in self._all_plans(world, Setup(adapter=self._adapter, scenario=scenario)):
                    yield event
                    if isinstance(event, StageEnded) and event.stop is not None:
                        return
                yield Advised(tuple(self._advice(scenario)))
            stage = Stage.REPEATING
            async for event in self._repeat_all(world):
                yield event
        except _Left as left:
            yield StageEnded(stage, left.stop)

    async def _unless_over(self, work: Coroutine[Any, Any, _T] | asyncio.Task[_T]) -> _T:
        """What it gives. Raises _Left where the campaign is to end before, when nothing is left of it."""
        task = asyncio.ensure_future(work)
        while not (await asyncio.wait({task}, timeout=ASK_S))[0]:
            if stop := self._over():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise _Left(stop)
        return task.result()

    def _advice(self, scenario: Scenario) -> Iterator[str]:
        """What is said of the system that the simulator runs in its place, where there is one."""
        manifest = manifest_of(self._adapter)
        if manifest is None or not manifest.simulated:
            return
        try:
            setup = Setup(adapter=load(manifest.simulated), scenario=scenario)
            _, *singles = Enumerator(setup, 1, reductions=SHAPING).cases()
            said = list(advice(setup, singles))
        except (UsageError, NotDeterministic):
            return  # that is told of a finding, which is run there too
        yield from (f"in the simulator ({manifest.simulated}), {line}" for line in said)

    # -- every plan --------------------------------------------------------------------------

    async def _all_plans(self, world: LiveWorld, setup: Setup) -> AsyncIterator[Event]:
        most, only = self._settings.max_faults, self._settings.kinds or None
        yield StageBegan(Stage.EVERY_PLAN, f"{setup.scenario.name}: the plan without faults", 1)
        first = await self._unless_over(self._made(world, setup, Plan(), gentle=True))
        run = first.live.run
        setup = promising(setup, run)
        judge, telling = Judge(setup), Telling(setup)
        enumerator = Enumerator(setup, most, only, reductions=SHAPING)
        yield ScenarioBegan(setup)
        for event in self._judged(judge, telling, Plan(), first, None):
            yield event
        if first.live.blocked:
            return
        yield SinglesCounted(sum(1 for _ in enumerator.extensions(run.sites, run.impossible)) if most else 0)
        level = [_Node((), run.sites, dict(run.impossible), digest(run.rows), unmarked(run.rows))]
        for depth in range(1, most + 1):
            following: list[_Node] = []
            plans = [(node, fault) for node in level for fault in enumerator.extensions(node.sites, node.impossible)]
            words = f"{setup.scenario.name}: plans with {depth} fault{'s' if depth > 1 else ''}"
            yield StageBegan(Stage.EVERY_PLAN, words, len(plans))
            async for node, plan, made in self._run_all(world, setup, plans):
                for event in self._judged(judge, telling, plan, made, node):
                    yield event
                if made.live.blocked:
                    return
                if depth < most and (child := _child(plan, made.live)) is not None:
                    following.append(child)
            if stop := self._over():
                yield StageEnded(Stage.EVERY_PLAN, stop)
                return
            level = following
        yield StageEnded(Stage.EVERY_PLAN)

    async def _run_all(
        self, world: LiveWorld, setup: Setup, plans: Sequence[tuple[_Node, Fault]]
    ) -> AsyncIterator[tuple[_Node, Plan, _Made]]:
        """The runs in the order of the plans, some at one time."""
        ahead: list[tuple[_Node, Plan, asyncio.Task[_Made]]] = []
        waiting = iter(plans)
        try:
            while self._over() is None:
                while len(ahead) < 2 * world.jobs and (entry := next(waiting, None)) is not None:
                    node, fault = entry
                    plan = Plan(faults=(*node.faults, fault))
                    ahead.append((node, plan, asyncio.create_task(self._made(world, setup, plan))))
                if not ahead:
                    return
                node, plan, task = ahead.pop(0)
                yield node, plan, await self._unless_over(task)
        finally:
            for _, _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, _, task in ahead), return_exceptions=True)

    async def _made(self, world: LiveWorld, setup: Setup, plan: Plan, *, gentle: bool = False) -> _Made:
        """The run of a plan: the one that is kept, or else a new one."""
        name = run_record(setup.scenario, plan)
        text = self._archive.get(name)
        if text is not None:
            return _Made(live=from_text(text), name=name, kept=True)
        return _Made(live=await until_fired(world, setup, plan, gentle=gentle), name=name, kept=False)

    def _same_engine(self, live: LiveRun, *, kept: bool = False) -> None:
        """Raise UsageError where a run is of another engine than those that were kept."""
        if kept:
            self._kept_engine = live.engine or self._kept_engine
        elif self._kept_engine and live.engine not in ("", self._kept_engine):
            raise UsageError(
                f"--resume: the runs that are kept are of the engine {self._kept_engine!r}, which now calls itself "
                f"{live.engine!r}; leave out --resume to start a new campaign"
            )

    def _judged(self, judge: Judge, telling: Telling, plan: Plan, made: _Made, node: _Node | None) -> Iterator[Event]:
        """One run, judged, and what is to be kept of it; the end of the campaign where it could not be made."""
        live = made.live
        self._same_engine(live, kept=made.kept)
        self.engine = live.engine or self.engine
        setup = judge.setup
        if live.blocked:
            stop = Why.BLOCKED.stop(detail=f"{setup.scenario.name}, {plan}: {live.blocked}")
            yield StageEnded(Stage.EVERY_PLAN, stop)
            return
        run, key = _without_idle(plan, live.run, node), digest(live.run.rows)
        last = plan.faults[-1].site if plan.faults else None
        case = Case(
            plan=plan,
            run=run,
            digest=key,
            fired=len(run.fired) == len(plan),
            consequential=node is not None and key != node.digest,
            mode=mode_of(run, run.sites.index(last)) if last in run.sites else "",
            told=telling.tell(plan, run, key),
        )
        verdict, new = judge.judge(plan, run, key)
        for violation in verdict.violations:
            self._remember(setup, plan, live, violation)
        yield CaseJudged(setup, case, verdict, new)
        if not made.kept and (text := to_text(live if verdict.violations else replace(live, wrote=(), output=()))):
            yield RunEnded(made.name, text)

    def _remember(self, setup: Setup, plan: Plan, live: LiveRun, violation: Violation) -> None:
        """Keep the first runs that show a violation, of those with the fewest faults."""
        known = self._shown.setdefault(violation.signature, [])
        if known and len(plan) < len(known[0].plan):
            known.clear()
        if len(known) == SCHEDULES or (known and len(plan) > len(known[0].plan)):
            return
        history = live.run.history(setup, plan)
        found = found_in(setup, history, violation.signature) or violation
        known.append(_Shown(setup=setup, plan=plan, live=live, history=history, violation=found))

    # -- findings ----------------------------------------------------------------------------

    async def _repeat_all(self, world: LiveWorld) -> AsyncIterator[Event]:
        worth = worth_telling(self._known.sightings)
        yield StageBegan(Stage.REPEATING, "repeating findings", len(worth))
        for signature, sighting in worth:
            if stop := self._over():
                yield StageEnded(Stage.REPEATING, stop)
                return
            name = finding_record(signature, sighting)
            if known := self._archive.finding(name, sighting.hits):
                yield FindingShrunk(signature, known, name, kept=True)
                continue
            shown, again = await self._unless_over(self._surest(world, signature))
            if again:
                repeated = self._repeated(world, signature, sighting, shown, again)
                yield FindingShrunk(signature, await self._unless_over(repeated), name)
            else:
                yield NeverAgain(signature, _never_again(shown))
        yield StageEnded(Stage.REPEATING)

    async def _repeated(
        self, world: LiveWorld, signature: Signature, sighting: Sighting, shown: _Shown, again: int
    ) -> Finding:
        """The finding, with what ``again`` so many runs of the schedule that is ``shown`` tell of it."""
        fewer = [shown.plan.without(number) for number in range(len(shown.plan))]
        others = await asyncio.gather(*(world.run(shown.setup, plan) for plan in fewer))
        tried = zip(fewer, others, strict=True)
        near = {
            number: live.run.history(shown.setup, plan)
            for number, (plan, live) in enumerate(tried)
            if not live.blocked and len(live.run.fired) == len(plan)
        }
        needed = not any(found_in(shown.setup, history, signature) for history in near.values())
        flaky = "" if again == REPEATS else ": flaky"
        notes = [f"real processes; it came again in {again} of {REPEATS} runs{flaky}"]
        notes += [*self._simulated(shown, signature), *_output(shown)]
        said = explain_live(shown.setup, shown.plan, shown.violation, shown.history, near)
        finding = self._finding(signature, sighting, shown)
        notes += (
            [f"all that its processes wrote: {output_file(finding.id)}"] if any(dict(finding.wrote).values()) else []
        )
        return replace(finding, necessary=needed, notes=tuple(notes), explanation=said)

    def _shows(self, setup: Setup, plan: Plan, live: LiveRun, signature: Signature) -> bool:
        return found_in(setup, live.run.history(setup, plan), signature) is not None

    async def _surest(self, world: LiveWorld, signature: Signature) -> tuple[_Shown, int]:
        """The schedule that shows it most often, and how often: processes may race in one and not in another."""
        best = self._shown[signature][0], -1
        for shown in self._shown[signature]:
            runs = await _several(world, shown.setup, shown.plan)
            for live in runs:
                self._same_engine(live)
            again = sum(self._shows(shown.setup, shown.plan, live, signature) for live in runs)
            best = max(best, (shown, again), key=lambda tried: tried[1])  # the first of equals
            if again == REPEATS:
                break
        return best

    def _finding(self, signature: Signature, sighting: Sighting, shown: _Shown) -> Finding:
        found = shown_by(sighting, signature, shown.violation, shown.history, shown.setup, shown.plan)
        return replace(found, wrote=shown.live.wrote)

    def _simulated(self, shown: _Shown, signature: Signature) -> Iterable[str]:
        """What the simulator says of the same schedule, where it has the system too."""
        manifest = manifest_of(self._adapter)
        if manifest is None or not manifest.simulated:
            return
        try:
            twin = load(manifest.simulated)
            twin = with_wrong_answers(twin) if self._adapter.wrong_answers else twin
            same = violates(Setup(adapter=twin, scenario=shown.setup.scenario), shown.plan, signature)
        except UsageError as error:
            yield f"not run in the simulator: {error}"
            return
        where = f"in the simulator ({manifest.simulated})"
        yield f"{where} the same schedule shows the same" if same else f"{where} the same schedule does not show it"


def striking(scenario: Scenario, names: tuple[str, ...]) -> Scenario:
    """The same, in which a crash strikes these components."""
    return replace(scenario, name=f"{scenario.name}, {' and '.join(names)} killed", strikes=names)


def hearing(scenario: Scenario, signal: str) -> Scenario:
    """The same, in which a crash sends that signal, or takes the control channel away."""
    how = "control lost" if signal == LOST_CONTROL else f"by SIG{signal}"
    return replace(scenario, name=f"{scenario.name}, {how}", signal=signal)


async def until_fired(world: LiveWorld, setup: Setup, plan: Plan, *, gentle: bool = False) -> LiveRun:
    """Run a plan, again where two sagas came by each other so that a fault did not strike; and once more, alone, where
    it may be that the machine was too slow."""
    live = await _fired(world, setup, plan, gentle=gentle)
    hurried = (live.disturbed or live.late) and not live.blocked
    return await world.run(setup, plan, gentle=gentle, alone=True) if hurried else live


async def _fired(world: LiveWorld, setup: Setup, plan: Plan, *, gentle: bool = False) -> LiveRun:
    live = await world.run(setup, plan, gentle=gentle)
    for _ in range(TRIES - 1):
        if live.blocked or live.run.struck == len(plan):
            break
        live = await world.run(setup, plan, gentle=gentle)
    return live


async def _several(world: LiveWorld, setup: Setup, plan: Plan) -> list[LiveRun]:
    """Run a plan `REPEATS` times at once. Those for which the machine was too slow then are made again, one by one: a
    saga that was late is late by itself where it is late in a run alone, too."""
    runs = await asyncio.gather(*(_fired(world, setup, plan) for _ in range(REPEATS)))
    slow = any(live.late for live in runs) and not (await world.run(setup, plan, alone=True)).late
    return [
        await world.run(setup, plan, alone=True) if live.disturbed or (slow and live.late) else live for live in runs
    ]


def _never_again(shown: _Shown) -> str:
    """What is said of a violation that one run showed, and no other of the same schedule."""
    plan, violation = shown.plan, shown.violation
    return (
        f"{violation.sentence} ({shown.setup.scenario.name}, {plan}), once, and in none of {REPEATS} runs of the same "
        f"schedule: look for a race, or run it again on a machine that has less to do"
    )


def _output(shown: _Shown) -> Iterable[str]:
    """The last lines of each process of a run, but for stores: they say how they started."""
    manifest = manifest_of(shown.setup.adapter)
    stores = {each.name for each in manifest.components if each.role == "store"} if manifest is not None else set()
    for name, lines in shown.live.output:
        if lines and name not in stores:
            yield f"{name} wrote: {' | '.join(lines)}"


def _child(plan: Plan, live: LiveRun) -> _Node | None:
    """Where a plan whose faults all struck can be extended: at the sites after the last of them."""
    run = live.run
    if len(run.fired) < len(plan):
        return None
    start = run.sites.index(plan.faults[-1].site) + 1
    rest = {index - start: kinds for index, kinds in run.impossible.items() if index >= start}
    return _Node(plan.faults, run.sites[start:], rest, digest(run.rows), unmarked(run.rows))


def _without_idle(plan: Plan, run: Run, node: _Node | None) -> Run:
    """The run, with its last fault told apart where it is one that may change nothing, and did not: nobody took over
    from a process that stood still, and nobody noticed."""
    last = len(plan) - 1
    if node is None or not kind_named(plan.faults[last].kind).may_be_idle or unmarked(run.rows) != node.unmarked:
        return run
    return run._replace(idle=(*run.idle, last), fired=tuple(entry for entry in run.fired if entry[1] != last))


def digest(rows: Iterable[Row]) -> bytes:
    """What happened, without the times."""
    return rows_digest([(0, *row[1:9], () if row[1] in (TIMEOUT, PAUSE) else row[9]) for row in rows])


def unmarked(rows: Iterable[Row]) -> bytes:
    """The same, without what the harness does to processes."""
    return digest(row for row in rows if row[KIND] not in (PAUSE, WAKE, BOOT))


def replay(recorded: Replay, adapter: Adapter) -> Replayed:
    """Run a recorded schedule five times on real processes, and say what became of its violation."""
    return asyncio.run(_replay(recorded, adapter))


async def _replay(recorded: Replay, adapter: Adapter) -> Replayed:
    if recorded.plan is None:
        return Replayed(result="CANNOT RUN", reason="it is a program of the state machine, which is simulated only")
    setup = Setup(adapter=adapter, scenario=recorded.scenario)
    refused = (fault.kind for fault in recorded.plan.faults if fault.kind not in setup.kinds)
    reasons = (unjudged(recorded, setup), *(f"{kind}: {setup.refusal(kind)}" for kind in refused))
    if reason := next(filter(None, reasons), ""):
        return Replayed(result="CANNOT RUN", reason=reason)
    async with LiveWorld() as world:
        if (manifest := manifest_of(adapter)) is not None and manifest.durable_execution:
            setup = promising(setup, (await until_fired(world, setup, Plan(), gentle=True)).run)
        runs = await _several(world, setup, recorded.plan)
    blocked = next((live.blocked for live in runs if live.blocked), "")
    if blocked:
        return Replayed(result="CANNOT RUN", reason=f"blocked: {blocked}")
    found: list[tuple[History, Again]] = []
    for live in runs:
        history = live.run.history(setup, recorded.plan)
        if len(live.run.fired) < len(recorded.plan):
            return Replayed(result="CANNOT RUN", reason="a fault never fired", history=history)
        found.append((history, seen_again(setup, history, recorded.signature)))
    failing = [(history, again.violation) for history, again in found if again.violation is not None]
    if not failing:
        undecided = (why_undecided(setup, history, recorded.signature[0]) for history, _ in found)
        why = next(filter(None, undecided), "")
        beside = next(filter(None, (told_beside(again) for _, again in found)), "")
        return Replayed(result="CANNOT RUN" if why else "FIXED", reason=why or beside, history=found[-1][0])
    result: Any = "STILL FAILS" if len(failing) == REPEATS else "FLAKY"
    history, violation = failing[0]
    return Replayed(result=result, reason=f"{len(failing)} of {REPEATS} runs", violation=violation, history=history)
