"""Every system that the tests know, broken and correct, each with each of its scenarios once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagafuzz import Adapter
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .broken_systems import BROKEN, CLASSICS, SOUND
from .lone_systems import FIGURES, LONE


def _named() -> Iterator[tuple[str, Adapter, tuple[str, ...]]]:
    """Each with a name, and the kinds of the faults that it is known to fall for."""
    for name in ("reference", "seed", "simple-saga", "choreography"):
        yield name, load(name), ()
    for kind, broken in BROKEN.items():
        yield f"broken for {kind}", broken.adapter, (kind, broken.after) if broken.after else (kind,)
    for kind, adapters in SOUND.items():
        for number, adapter in enumerate(adapters, 1):
            yield f"sound for {kind} {number}", adapter, (kind,)
    for name, adapter in CLASSICS.items():
        yield name, adapter, ("duplicate",)
    for id, lone in {**LONE, **FIGURES}.items():
        yield f"alone for {id}", lone.adapter, tuple(fault.kind for fault in lone.plan.faults)
    for name, mutant in ZOO.items():
        kinds = tuple(part.split(" at ")[0] for part in mutant.schedule.split(" + ")) if mutant.faults else ()
        yield f"zoo {name}", mutant.adapter, kinds
        yield f"twin of {name}", mutant.twin, kinds


def _setups() -> tuple[dict[str, Setup], dict[str, tuple[str, ...]]]:
    setups: dict[str, Setup] = {}
    exposing: dict[str, tuple[str, ...]] = {}
    seen: set[int] = set()
    for name, adapter, kinds in _named():
        if id(adapter) not in seen:
            seen.add(id(adapter))
            for scenario in adapter.scenarios:
                setups[f"{name}, {scenario.name}"] = Setup(adapter=adapter, scenario=scenario)
                exposing[f"{name}, {scenario.name}"] = kinds
    return setups, exposing


EVERY_SETUP: Mapping[str, Setup]
EXPOSING: Mapping[str, tuple[str, ...]]
EVERY_SETUP, EXPOSING = _setups()
