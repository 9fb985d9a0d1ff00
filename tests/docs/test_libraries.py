"""Libraries for sagas, on `world.proxy`: what is right is not blamed, and what is taken away from it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz.effects import Cancel, StoreError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.loading import load
from sagafuzz.simulator import Setup
from sagafuzz.verdict import Report

from .reading import TOP, Shell, visiting
from .test_examples import assert_happens

ADAPTERS = ("larzstate_adapter.py:Larz", "transitions_adapter.py:Sales", "safeact_adapter.py:Agent")
CQRS = "cqrs_adapter.py:Sales"


BESIDE = (Cancel, StoreError)
"""What python-cqrs does not survive: it does not undo the step at which it is cancelled, or which it cannot note."""


def search(folder: Path, spec: str, scenario: str) -> Report:
    with visiting(folder), quiet():
        adapter = load(spec)
        chosen = adapter.scenario(scenario)
        kinds = [FAULT_KINDS[kind] for kind in Setup(adapter=adapter, scenario=chosen).kinds]
        barred = BESIDE if spec == CQRS else ()
        left = tuple(kind.name for kind in kinds if not any(isinstance(each, barred) for each in kind.effects))
        return Campaign(adapter, Settings(max_faults=1, examples=0, scenarios=(chosen,), kinds=left)).run()


@pytest.mark.parametrize("spec", [*ADAPTERS, CQRS])
@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_a_library_is_right_on_the_world(examples: Path, spec: str, scenario: str) -> None:
    report = search(examples / "libraries", spec, scenario)
    assert (report.verdict, report.findings) == ("consistent", ())
    assert report.counts.fired == report.counts.run > 40


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        (ADAPTERS[0], 'world.proxy({}, name="open")'),
        (ADAPTERS[1], 'world.proxy({}, name="states")'),
        (ADAPTERS[2], 'world.proxy([], name="orders")'),
        (CQRS, "world.proxy(MemorySagaStorage())"),
    ],
)
def test_what_is_not_put_on_the_world_is_forgotten_and_that_is_found(examples: Path, spec: str, kept: str) -> None:
    folder = examples / "libraries"
    file = folder / spec.partition(":")[0]
    text = file.read_text(encoding="utf-8")
    assert text.count(kept) == 1
    thing = kept.removeprefix("world.proxy(").removesuffix(")").partition(", ")[0]
    file.write_text(text.replace(kept, thing), encoding="utf-8")
    assert "I13" in search(folder, spec, "succeeds").distinct_invariants


def test_the_page_of_the_libraries_shows_what_happens(examples: Path, shell: Shell) -> None:
    shell.folder = examples / "libraries"
    assert_happens(TOP / "examples" / "libraries" / "README.md", shell)
