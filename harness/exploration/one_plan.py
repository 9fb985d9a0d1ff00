"""One plan, named in words and run: to look at a moment without a search."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import UsageError, nearest
from ..faults import Fault, Plan, Site, feasible_kinds, kind_named
from ..history import History
from ..invariants import check
from ..live.manifest import manifest_of
from ..simulator import Run, Setup, simulate
from ..verdict import Verdict
from .judge import promising

TOGETHER: Final = " + "
_SHOWN: Final = 12
"""So many sites are named where none is the one that was meant."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A plan that was run: what happened and what the invariants say. ``idle`` are the faults that changed nothing or
    did not strike, in words."""

    plan: Plan
    history: History
    verdict: Verdict
    idle: tuple[str, ...] = ()


def try_plan(setup: Setup, text: str) -> Tried:
    """Run the plan that ``text`` names, in the simulator, or on real processes where the adapter is a manifest of them.

    A plan is faults joined by `` + ``, each as reports name it (``pause at saga-1: payment forward, send``) or in short
    (``pause@payment forward``): the first site that has these words. "no fault" is the plan without one. Raises
    UsageError where a fault cannot be what is meant."""
    run_of = _live_run if manifest_of(setup.adapter) is not None else simulate
    plan, run = Plan(), run_of(setup, Plan())
    setup = promising(setup, run)
    for part in text.split(TOGETHER) if text.strip() not in ("", str(Plan())) else ():
        plan = Plan(faults=(*plan.faults, _fault(setup, part.strip(), plan, run)))
        run = run_of(setup, plan)
    history = run.history(setup, plan)
    fired = {index for _, index in run.fired}
    idle = tuple(str(fault) for number, fault in enumerate(plan.faults) if number not in fired)
    return Tried(plan=plan, history=history, verdict=check(history, catalogue=setup.catalogue), idle=idle)


def _live_run(setup: Setup, plan: Plan) -> Run:
    """The run of a plan on real processes. Raises UsageError where they cannot be run."""
    from ..live.world import LiveWorld  # its HTTP server is an extra
    from .live import until_fired

    async def once() -> Run:
        async with LiveWorld() as world:
            live = await until_fired(world, setup, plan)
        if live.blocked:
            raise UsageError(f"--plan: {setup.adapter.name} cannot be run: {live.blocked}")
        return live.run

    return asyncio.run(once())


def _fault(setup: Setup, text: str, plan: Plan, run: Run) -> Fault:
    """The fault that ``text`` names, at a site that ``run``, the run of ``plan``, reaches after the last that was
    struck."""
    short = "@" in text
    name, _, where = text.partition("@" if short else " at ")
    if not where.strip():
        raise UsageError(
            f"--plan: {text!r} says no site; write KIND@WORDS, as lost-ack@payment forward, or as a report has it"
        )
    kind = kind_named(name.strip())
    if kind.name not in setup.kinds:
        raise UsageError(f"--plan: {kind.name} cannot strike {setup.adapter.name}: {setup.refusal(kind.name)}")
    first = run.sites.index(plan.faults[-1].site) + 1 if plan.faults else 0
    sites = [Site._make(site) for site in run.sites[first:]]
    struck = [site for site in sites if kind.name in feasible_kinds(setup.adapter.known, site, setup.capabilities)]
    fits = _has_words(where) if short else lambda site: str(site) == where.strip()
    for site in struck:
        if fits(site):
            return Fault(kind=kind.name, site=site)
    shown = list(dict.fromkeys(map(str, struck)))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    there = f"it can strike {'; '.join(shown[:_SHOWN])}{more}" if shown else "it can strike nowhere in this run"
    raise UsageError(f"--plan: {kind.name} has no site {where.strip()!r}{nearest(where.strip(), shown)}; {there}")


def _has_words(text: str) -> Callable[[Site], bool]:
    """A test that is true of a site which, as reports name it, has all words of ``text``."""
    wanted = set(_words(text))
    return lambda site: wanted <= set(_words(str(site)))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\s,:']+", text)
