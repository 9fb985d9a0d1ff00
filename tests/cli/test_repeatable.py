"""The same seed gives the same files, byte for byte, whatever the process hashes by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, reports


@pytest.mark.parametrize("adapter", ["seed", "reference"])
def test_every_file_is_the_same(process: Any, adapter: str) -> None:
    started = [
        process("run", adapter, "--faults", 1, "--random", 5, "--report-dir", f"hash-{seed}", PYTHONHASHSEED=seed)
        for seed in ("0", "1")
    ]
    results = [campaign.result() for campaign in started]
    folders = [reports(path) for path in sorted(Path().glob("hash-*"))]
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert {"report.json", "report.md"} <= set(folders[0])
    assert any(name.endswith(".ndjson") for name in folders[0]) is (adapter == "seed")
    assert {(result.code, result.err) for result in results} == {(int(adapter == "seed"), "")}


def test_another_seed_gives_other_examples(sagafuzz: Run) -> None:
    for seed in (0, 1):
        sagafuzz("run", "reference", "--faults", 0, "--random", 3, "--seed", seed, "--report-dir", f"seed-{seed}")
    assert reports("seed-0")["report.json"] != reports("seed-1")["report.json"]
