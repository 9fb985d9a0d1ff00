"""Processes beside the campaign: when they are started, and that they change nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.exploration import pool
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.cases import Case
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.keeping import Archive
from sagafuzz.exploration.part_worker import is_connected
from sagafuzz.exploration.pool import Later, Pool, Rooted, Shelf, copies, cores
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.verdict import Report


def test_a_process_with_a_connection_to_another_is_not_copied() -> None:
    """Copies of it would speak through the same one."""
    before = is_connected()
    with socket.create_server(("127.0.0.1", 0)) as server, closing(asyncio.new_event_loop()):
        assert is_connected() is before
        with socket.create_connection(server.getsockname()):
            assert is_connected()
    assert is_connected() is before


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


def test_copies_are_made_once_the_parts_are_there_from_which_they_go_on() -> None:
    begin = Made()
    parts = Later({"0/0": "kept"}.get, begin, at_once=True, after_roots=True)
    assert [parts.get("0/0"), parts.get("1/0")] == ["kept", None] and begin.times == 0
    assert parts.get("0/1") == "brought 0/1" and begin.times == 1
    assert Later({}.get, begin, at_once=True, after_roots=True).get("drawn/0/0") == "brought drawn/0/0"


def test_a_worker_of_xdist_has_one_core_and_a_process_alone_those_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert cores() == 1
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda path: "250000 100000")
    assert cores() == 2
    monkeypatch.setattr(Path, "read_text", lambda path: "max 100000")
    assert cores() == 4


SEED = load("seed")
KINDS = ("lost-ack", "lost-request", "crash-after-effect")
SETTINGS = Settings(
    examples=0, random_plans=30, kinds=KINDS, scenarios=(SEED.scenario("declined"), SEED.scenario("succeeds"))
)


@pytest.fixture(scope="module")
def alone() -> Report:
    """What one process finds."""
    return Campaign(SEED, SETTINGS).run()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # a worker of xdist has threads
@pytest.mark.parametrize("rooted", [True, False], ids=["which go on from its parts 0", "which run them again"])
@pytest.mark.parametrize("count", [1, 3])
def test_copies_of_the_process_find_what_it_finds_itself(
    alone: Report, count: int, rooted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, roots, lost = Shelf(), Rooted(), list[str]()

    def roots_again(enumerator: Enumerator) -> Iterator[Case]:
        raise AssertionError

    with ExitStack() as started:

        def begin() -> Pool:
            if rooted:  # no worker needs to run them, or it dies
                monkeypatch.setattr(Enumerator, "roots", roots_again)
            crew = started.enter_context(copies(count, SEED, SETTINGS, roots))
            return Pool(SETTINGS, crew, kept=shelf.get, keep=shelf.keep, stopped=lambda: False, complain=lost.append)

        parts = Later(shelf.get, begin, at_once=True, after_roots=rooted)
        archive = Archive(parts.get, parts.expect)
        report = Campaign(SEED, SETTINGS, archive=archive, listeners=(shelf, roots)).run()
    assert (report, lost, sorted(roots)) == (alone, [], [0, 1])
