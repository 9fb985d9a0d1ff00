"""Files: what is synced is durable, whoever else writes to the same file meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz import Scenario

from .conftest import Laboratory

TWO = Scenario(name="two", sagas=2)


def own(world: Any) -> Any:
    return world.file()


class Shared:
    """One opened file for all that a process does."""

    def __init__(self) -> None:
        self.file: Any = None

    def __call__(self, world: Any) -> Any:
        self.file = self.file or world.file()
        return self.file


def written(lab: Laboratory, opened: Callable[[Any], Any], *faults: str) -> list[bytes]:
    """What is in the file in the end, where a saga appends and syncs a line while another one's is being written."""
    found: list[bytes] = []

    def run(world: Any, order: Any) -> bool:
        if order.id == "saga-1":
            world.sleep(0.0001)
        file = opened(world)
        file.append(order.id.encode() + b"\n")
        file.sync(record="create", saga=order.id)
        return True

    def look(world: Any) -> None:
        world.sleep(1)
        found[:] = world.file().read().split()

    lab.trial(lab.system(run, boot=lambda world: world.spawn(look, world)), *faults, scenario=TWO)
    return found


@pytest.mark.parametrize("opened", [lambda: own, Shared], ids=["each its own", "one for all"])
def test_two_that_sync_at_the_same_moment_both_write(lab: Laboratory, opened: Any) -> None:
    assert sorted(written(lab, opened())) == [b"saga-1", b"saga-2"]


@pytest.mark.parametrize("opened", [lambda: own, Shared], ids=["each its own", "one for all"])
def test_a_lost_write_is_the_only_one_that_is_gone(lab: Laboratory, opened: Any) -> None:
    assert written(lab, opened(), "lost-write 'create'") == [b"saga-2"]


def test_who_reads_finds_what_it_appended_and_not_what_another_did_not_sync(lab: Laboratory) -> None:
    found: list[bytes] = []

    def run(world: Any, order: Any) -> bool:
        mine, other = world.file(), world.file()
        mine.append(b"a")
        found.append(mine.read())
        found.append(other.read())
        mine.sync()
        found.append(other.read())
        return True

    lab.trial(lab.system(run))
    assert found == [b"a", b"", b"a"]
