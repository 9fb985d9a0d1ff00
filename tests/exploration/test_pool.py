"""Processes beside the campaign: when they are started, and that they change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.exploration import pool
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.keeping import Archive
from sagafuzz.exploration.pool import Later, Pool, Shelf, copies, cores
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.verdict import Report


class Made:
    """A pool that counts how often it was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Any:
        self.times += 1
        return self

    def get(self, part: str) -> str:
        return f"brought {part}"

    def expect(self, parts: Iterable[str]) -> None:
        self.expected = list(parts)


def test_a_short_campaign_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Made()
    parts = Later({"0/0": "kept"}.get, begin)
    assert [parts.get("0/0"), parts.get("0/1")] == ["kept", None] and begin.times == 0
    monkeypatch.setattr(pool, "AFTER_S", 0.0)
    late = Later({}.get, begin)
    late.expect(["0/2", "0/1"])
    assert [late.get("0/1"), late.get("0/2")] == ["brought 0/1", "brought 0/2"] and begin.times == 1
    assert begin.expected == ["0/2", "0/1"]


def test_a_worker_of_xdist_has_one_core_and_a_process_alone_those_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert cores() == 1
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda path: "250000 100000")
    assert cores() == 2
    monkeypatch.setattr(Path, "read_text", lambda path: "max 100000")
    assert cores() == 4


def searched(*, copied: bool) -> Report:
    seed = load("seed")
    kinds = ("lost-ack", "lost-request", "crash-after-effect")
    settings = Settings(examples=0, random_plans=30, kinds=kinds, scenarios=(seed.scenario("declined"),))
    if not copied:
        return Campaign(seed, settings).run()
    shelf, lost = Shelf(), list[str]()
    with copies(2, seed, settings) as crew:
        parts = Pool(settings, crew, kept=shelf.get, keep=shelf.keep, stopped=lambda: False, complain=lost.append)
        report = Campaign(seed, settings, archive=Archive(parts.get), listeners=(shelf,)).run()
    assert not lost
    return report


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # a worker of xdist has threads
def test_copies_of_the_process_find_what_it_finds_itself() -> None:
    assert searched(copied=True) == searched(copied=False)
