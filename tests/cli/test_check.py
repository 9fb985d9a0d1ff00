"""`sagafuzz check` as somebody types it."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from .conftest import Run

LEDGER = "saga,time,step,key\n" + "".join(
    f"{n},{n}.{place},{step},{n}/{step}\n"
    for n in range(3)
    for place, step in enumerate(("order", "inventory", "payment"))
)
TWICE = LEDGER + "1,2,payment,1/again\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.csv"
    file.write_text(TWICE)
    return file


def test_a_double_charge_is_told_with_its_saga_and_its_repair(sagafuzz: Run, ledger: Path, tmp_path: Path) -> None:
    done = sagafuzz("check", str(ledger), "--saga", "seed", "--report-dir", str(tmp_path / "out"))
    assert done.code == 1
    assert "payment.charge for 1 took effect 2 times" in done.out
    assert "repair" in done.out
    assert "needs a fault" not in done.out
    assert not re.search(r"plans? with|state machine", done.out)


def test_a_clean_ledger_is_consistent(sagafuzz: Run, ledger: Path, tmp_path: Path) -> None:
    ledger.write_text(LEDGER)
    done = sagafuzz("check", str(ledger), "--saga", "seed", "--report-dir", str(tmp_path / "out"))
    assert done.code == 0
    assert "no violation in 3 sagas of 9 recorded events" in done.out


def test_a_packed_file_is_read(sagafuzz: Run, tmp_path: Path) -> None:
    file = tmp_path / "ledger.csv.gz"
    file.write_bytes(gzip.compress(TWICE.encode()))
    assert sagafuzz("check", str(file), "--saga", "seed", "--report-dir", str(tmp_path / "out")).code == 1


def test_the_history_beside_a_finding_can_be_checked(sagafuzz: Run, ledger: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sagafuzz("check", str(ledger), "--saga", "seed", "--report-dir", str(out))
    (found,) = out.glob("F-*.ndjson")
    again = sagafuzz("check", str(found), "--report-dir", str(tmp_path / "again"))
    assert again.code == 1
    assert found.stem in again.out


def test_the_report_is_as_its_schema_says_and_shows_no_search(sagafuzz: Run, ledger: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sagafuzz("check", str(ledger), "--saga", "seed", "--report-dir", str(out))
    data = json.loads((out / "report.json").read_text())
    schema = Path(__file__).parents[2] / "reports" / "schema" / "report.schema.json"
    jsonschema.validate(data, json.loads(schema.read_text()))
    assert data["recorded"] == {"files": ["ledger.csv"], "events": 10, "sagas": 3, "open": 3}
    page = (out / "report.html").read_text()
    assert "Faults by kind and place" not in page
    assert "10 events of 3 sagas" in page


def test_what_cannot_be_read_is_one_line(sagafuzz: Run, tmp_path: Path) -> None:
    done = sagafuzz("check", str(tmp_path / "none.csv"), "--saga", "seed", "--report-dir", str(tmp_path / "out"))
    assert done.code == 2
    assert "cannot read" in done.err


@pytest.mark.slow
def test_memory_stays_flat_however_long_the_record_is(tmp_path: Path) -> None:
    peaks = []
    for sagas in (2_000, 60_000):
        file = tmp_path / "rows.csv"
        with file.open("w") as text:
            text.write("saga,time,step,key\n")
            for n in range(sagas):
                text.writelines(f"{n},{n},{step},{n}/{step}\n" for step in ("order", "inventory", "payment"))
        code = (
            "import resource, sys; from sagafuzz.cli.main import main; sys.argv[0] = 'sagafuzz'\n"
            "try: main()\n"
            "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        words = ["check", str(file), "--saga", "seed", "--report-dir", str(tmp_path / "out")]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < peaks[0] + 40_000  # kilobytes
