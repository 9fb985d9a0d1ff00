"""``--saga-replay``: recorded schedules as tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Session = Callable[..., pytest.RunResult]

OWN = """
@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Own(Calm):
    def run(self, order):
        self.world.call("order.create")
        return CAREFUL or True

@pytest.mark.saga(Own, faults=0, random=0)
def test_own(): ...

def test_other():
    raise RuntimeError("not run")
"""


@pytest.fixture
def recorded(session: Session) -> Path:
    """A replay file of an adapter that a test module declares."""
    session("--saga-report-dir=kept", test="CAREFUL = False\n" + OWN)
    return min(Path("kept").rglob("F-*.json"))


@pytest.mark.parametrize("processes", [0, 1], ids=["plain", "-n1"])
def test_it_is_the_only_test_and_fails_as_long_as_it_did(session: Session, recorded: Path, processes: int) -> None:
    result = session("--saga-replay", str(recorded), processes=processes)
    result.assert_outcomes(failed=1, deselected=0 if processes else 2)
    result.stdout.fnmatch_lines(
        ["_* replay F-* _*", "F-* on Own: STILL FAILS", "I*: *", "*◀── violation", f"FAILED {recorded.stem}*"]
    )
    assert "Traceback" not in result.stdout.str()


def test_it_passes_when_the_violation_is_gone(session: Session, recorded: Path) -> None:
    fixed = OWN.replace('self.world.call("order.create")', "").replace("CAREFUL or True", "False")
    session("--saga-replay", str(recorded), test=fixed).assert_outcomes(passed=1, deselected=2)


def test_it_is_found_by_its_id_and_several_may_be_asked_for(session: Session, recorded: Path) -> None:
    files = sorted(path.stem for path in Path("kept").rglob("F-*.json"))
    words = [word for id in files for word in ("--saga-replay", id)]
    session("--saga-report-dir=kept", *words).assert_outcomes(failed=len(files), deselected=2)


def test_an_adapter_that_no_test_names_is_loaded_by_its_name(session: Session, pytester: pytest.Pytester) -> None:
    test = "def test_it(saga):\n    saga.run('seed', faults=1, random=0, scenarios='succeeds')\n"
    session("--saga-report-dir=sagafuzz-report", test=test)
    id = min(path.stem for path in Path("sagafuzz-report").rglob("F-*.json"))
    Path("test_shop.py").unlink()
    result = session("--saga-replay", id)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{id} on seed: STILL FAILS"])


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("F-nowhere", "there is no F-nowhere.json in sagafuzz-report or demo-report here; name the file with its *"),
        ("absent.json", "cannot read '*absent.json': *; name an F-….json"),
        ("adapters_of_shop.py", "*adapters_of_shop.py is no replay file: it is not JSON *"),
    ],
)
def test_what_is_no_recorded_schedule_ends_the_session(session: Session, named: str, expected: str) -> None:
    result = session("--saga-replay", named, test="def test_it(): ...\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [*result.errlines, *result.outlines]
    assert any(line.startswith("ERROR: --saga-replay: ") for line in lines), lines
    result_of = pytest.LineMatcher(lines)
    result_of.fnmatch_lines([f"ERROR: --saga-replay: {expected}"])
