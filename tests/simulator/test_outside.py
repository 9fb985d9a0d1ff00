"""What code under test does on a real server has the crash points of a durable write, and ends with the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sagafuzz import StoreUnavailable, UsageError

from .conftest import Laboratory


class Server:
    """Rows that outlive every process; how often it was opened and closed."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.log: list[str] = []

    @contextmanager
    def opened(self) -> Iterator[list[str]]:
        self.log.append("opened")
        self.rows.clear()
        yield self.rows
        self.log.append("closed")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def system(lab: Laboratory, server: Server) -> Any:
    def write(world: Any, row: str) -> None:
        rows = world.resource("rows", server.opened)
        world.outside(lambda: rows.append(row), saga="saga-1", records=(("outcome", "pay"), ("terminal", "")))

    def run(world: Any, order: Any) -> bool:
        write(world, "run")
        return True

    return lab.system(run, recover=lambda world: write(world, "recover"))


def test_a_write_is_a_durable_write_of_the_world(lab: Laboratory, system: Any, server: Server) -> None:
    trial = lab.trial(system)
    assert [(event.saga, event.step, event.data[0]) for event in trial.of("LOGACK")] == [
        ("saga-1", "pay", "outcome"),
        ("saga-1", "", "terminal"),
    ]
    assert server.log == ["opened", "closed"]


@pytest.mark.parametrize(("kind", "rows"), [("crash-before-log", ["recover"]), ("crash-after-log", ["run", "recover"])])
def test_a_crash_comes_before_or_after_it(
    lab: Laboratory, system: Any, server: Server, kind: str, rows: list[str]
) -> None:
    lab.trial(system, f"{kind} 'outcome pay + terminal'")
    assert server.rows == rows
    assert server.log == ["opened", "closed"], "the processes of a run share it"


def test_a_read_is_no_crash_point_and_gives_its_answer(lab: Laboratory) -> None:
    answers: list[int] = []
    trial = lab.trial(lab.system(lambda world, order: bool(answers.append(world.outside(lambda: 7))) or True))
    assert answers == [7]
    assert trial.sites == []


def test_a_real_failure_ends_the_run_and_says_so(lab: Laboratory) -> None:
    def fail() -> None:
        raise StoreUnavailable("it is on fire")

    def run(world: Any, order: Any) -> bool:
        try:
            world.outside(fail, records=(("write", ""),))
        except BaseException:
            return True  # it cannot be swallowed
        return True

    with pytest.raises(UsageError, match=r"outside of the world failed.*it is on fire"):
        lab.trial(lab.system(run))
