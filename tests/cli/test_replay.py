"""``sagafuzz replay`` and the files that it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run


@pytest.fixture
def found(sagafuzz: Run) -> Path:
    """The folder of a campaign on the seed."""
    sagafuzz("run", "seed", "--faults", 1, "--random", 0, "--scenario", "declined", "--report-dir", "found")
    return Path("found")


def file_of(folder: Path, invariant: str) -> Path:
    for file in sorted(folder.glob("F-*.json")):
        if json.loads(file.read_text())["violation"]["invariant"] == invariant:
            return file
    raise LookupError(invariant)


@pytest.mark.parametrize("invariant", ["I1", "I5", "I13"])
def test_what_was_found_still_fails(sagafuzz: Run, found: Path, invariant: str) -> None:
    file = file_of(found, invariant)
    result = sagafuzz("replay", file)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(f"{file.stem} on seed: STILL FAILS\n  {invariant}: ")
    assert "◀── violation" in result.out


def test_it_is_fixed_where_another_adapter_does_it_right(sagafuzz: Run, found: Path) -> None:
    file = file_of(found, "I1")
    result = sagafuzz("replay", file, "--adapter", "reference")
    assert result.code == 0
    assert result.out.startswith(f"{file.stem} on reference: FIXED\n  it was: ")


def change(file: Path, edit: Callable[[Any], object]) -> None:
    data = json.loads(file.read_text())
    edit(data)
    file.write_text(json.dumps(data))


def test_it_still_fails_where_the_invariant_is_broken_in_another_way(sagafuzz: Run, found: Path) -> None:
    file = file_of(found, "I11")
    change(file, lambda data: data["violation"].update(anomaly="undone twice", step="payment"))
    result = sagafuzz("replay", file)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(f"{file.stem} on seed: STILL FAILS\n  I11: ")


def test_a_fixed_schedule_that_breaks_another_invariant_says_so(sagafuzz: Run, found: Path) -> None:
    file = file_of(found, "I11")
    change(file, lambda data: data["violation"].update(invariant="I1"))
    result = sagafuzz("replay", file)
    assert (result.code, result.err) == (0, "")
    said = " ".join(result.out.split())
    assert said.startswith(f"{file.stem} on seed: FIXED (it breaks I11: ") and "it was: " in said


def test_it_cannot_run_where_a_fault_never_fires(sagafuzz: Run, found: Path) -> None:
    file = file_of(found, "I1")
    change(file, lambda data: data["faults"][0]["site"].update(occurrence=5))
    result = sagafuzz("replay", file)
    assert result.code == 3
    assert "CANNOT RUN (never fired: " in result.out


def test_it_cannot_run_without_the_saga_of_a_fault(sagafuzz: Run, found: Path) -> None:
    file = file_of(found, "I1")
    change(file, lambda data: data["faults"][0]["site"].update(saga="saga-9"))
    result = sagafuzz("replay", file)
    assert (result.code, "CANNOT RUN (the scenario has no saga-9)" in result.out) == (3, True)


def test_it_is_flaky_where_the_adapter_is_not_deterministic(sagafuzz: Run, found: Path) -> None:
    Path("shop.py").write_text(
        "import itertools\nimport sagafuzz\nfrom sagafuzz.adapters.checkout import CHECKOUT\n\n"
        "NUMBERS = itertools.count()\n\n\n@sagafuzz.adapter(saga=CHECKOUT)\nclass Shop:\n"
        "    def boot(self, world):\n        self.world = world\n\n    def run(self, order):\n"
        "        for step in CHECKOUT.steps:\n            self.world.call(step.operation, number=next(NUMBERS))\n"
        "        return True\n"
    )
    result = sagafuzz("replay", file_of(found, "I1"), "--adapter", "shop.py:Shop")
    assert result.code == 4
    assert "FLAKY (3 different histories in 3 runs: event 2 is SEND of " in result.out


def of_the_state_machine(*actions: tuple[str, int]) -> Path:
    """A replay file as a finding of the state machine leaves it."""
    violation = {"invariant": "I1", "anomaly": "duplicate effect", "step": "order", "direction": "F", "sentence": "two"}
    data: dict[str, Any] = {
        "sagafuzz_replay": 1,
        "sagafuzz": "0.1.0",
        "id": "F-machine",
        "adapter": "seed",
        "scenario": {"name": "succeeds"},
        "history_digest": "",
    }
    file = Path("F-machine.json")
    file.write_text(json.dumps({**data, "faults": None, "actions": actions, "violation": violation}))
    return file


@pytest.mark.parametrize(
    ("actions", "code", "said"),
    [
        ([("submit", 0), ("duplicate", 0)], 1, "F-machine on seed: STILL FAILS\n  I1: order.create for saga-1 took"),
        ([("submit", 0), ("deliver", 0)], 0, "F-machine on seed: FIXED\n  it was: two"),
        ([("deliver", 7)], 3, "CANNOT RUN (action 'deliver' names message 7, but 0 are in flight)"),
        ([("restart", 0)], 3, "CANNOT RUN (action 'restart' cannot be done now)"),
    ],
)
def test_a_finding_of_the_state_machine_is_replayed_by_its_actions(
    sagafuzz: Run, actions: list[tuple[str, int]], code: int, said: str
) -> None:
    result = sagafuzz("replay", of_the_state_machine(*actions))
    assert (result.code, result.err) == (code, "")
    assert said in result.out


@pytest.mark.slow
def test_what_the_state_machine_found_can_be_replayed(sagafuzz: Run) -> None:
    sagafuzz("run", "seed", "--faults", 0, "--random", 50)
    files = sorted(Path("sagafuzz-report").glob("F-*.json"))
    assert files
    for file in files:
        data = json.loads(file.read_text())
        assert (data["faults"], bool(data["actions"])) == (None, True)
        assert sagafuzz("replay", file).code == 1


def test_the_adapter_is_named_as_it_was_given(sagafuzz: Run, shop: Callable[..., str]) -> None:
    name = shop('self.world.call("order.create")\nreturn True')
    sagafuzz("run", name, "--faults", 1, "--random", 0)
    file = min(Path("sagafuzz-report").glob("F-*.json"))
    assert json.loads(file.read_text())["adapter"] == "shop.py:Shop"
    assert sagafuzz("replay", file).code == 1


@pytest.mark.parametrize("form", ["mermaid", "chrome-trace", "otlp", "ndjson", "text"])
def test_it_prints_what_happened_in_another_form(sagafuzz: Run, form: str) -> None:
    sagafuzz("run", "seed", "--faults", 1, "--random", 0, "--scenario", "succeeds")
    (file, *_) = sorted(Path("sagafuzz-report").glob("F-*.json"))
    result = sagafuzz("replay", file, "--as", form)
    assert (result.code, result.err) == (1, "")
    if form in ("chrome-trace", "otlp"):
        assert json.loads(result.out)
    elif form == "ndjson":
        assert result.out == file.with_suffix(".ndjson").read_text(encoding="utf-8")
    else:
        assert "orchestrator" in result.out and "STILL FAILS" not in result.out
