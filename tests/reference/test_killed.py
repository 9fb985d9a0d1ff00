"""Real processes are killed with sagas in flight: none is lost, none is doubled. The services' ledger judges."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sagafuzz.reference_saga.services import CHECKOUT, Services

from .stores import open_database, open_store, place

WORKER = Path(__file__).with_name("worker.py")

DONE = Counter(step.operation for step in CHECKOUT.steps)
UNDONE = [
    Counter(),
    *(
        Counter(operation for step in CHECKOUT.steps[:n] for operation in (step.operation, step.undo))
        for n in (1, 2, 3)
    ),
]


def start(kind: str, where: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(WORKER), kind, where, name], stdout=subprocess.PIPE, text=True)


def killed_at_random(kind: str, where: str, moments: int) -> dict[str, str]:
    """Two workers at a time, of which one is killed at each moment. What their clients were told."""
    chance, told = random.Random(f"{kind} {moments}"), dict[str, str]()
    workers = [start(kind, where, "w0"), start(kind, where, "w1")]
    for n in range(moments):
        victim = workers.pop(0)
        assert victim.stdout is not None
        lines = [victim.stdout.readline()]  # it works
        time.sleep(chance.random() / 2)
        victim.kill()
        lines += victim.stdout.read().split("\n")
        victim.stdout.close()
        assert victim.wait() == -9, "it had ended by itself"
        told.update(tuple(line.split()) for line in lines if line.strip().count(" ") == 1)
        workers.append(start(kind, where, f"w{n + 2}"))
    for worker in workers:
        worker.kill()
        worker.communicate()
    last = start(kind, where, "-")
    last.communicate(timeout=120)
    assert last.returncode == 0
    return told


def judge(kind: str, where: str, told: dict[str, str]) -> Counter[str]:
    """Every saga that is durable has an end, and its effects are those of that end, each once."""
    database, store = open_database(kind, where), open_store(kind, where)
    effects: dict[str, Counter[str]] = {}
    for saga, operation in Services(database).ledger():
        effects.setdefault(saga, Counter())[operation] += 1
    assert store.open() == []
    outcomes = Counter[str]()
    for saga in {*effects, *told}:
        record = store.load(saga)
        assert record is not None, f"{saga} is lost"
        outcome = record["outcome"]
        assert told.get(saga, "pending") in ("pending", outcome), f"{saga}: the client was told {told[saga]}"
        found = effects.get(saga, Counter())
        assert found == DONE if outcome == "completed" else found in UNDONE, f"{saga} is {outcome}: {found}"
        outcomes[outcome] += 1
    with database.transaction() as execute:
        assert execute("SELECT sum(available) FROM stock")[0][0] == 10**6 + 20 - outcomes["completed"]
        assert execute("SELECT sum(balance) FROM accounts")[0][0] == 10**9 + 300 - 100 * outcomes["completed"]
        assert execute("SELECT count(*) FROM orders WHERE state = 'PENDING'")[0][0] == 0
    store.close()
    database.close()
    return outcomes


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("moments", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_no_saga_is_lost_or_doubled(kind: str, moments: int, tmp_path: Path) -> None:
    with place(kind, tmp_path) as where:
        outcomes = judge(kind, where, killed_at_random(kind, where, moments))
    assert set(outcomes) == {"completed", "compensated"}
