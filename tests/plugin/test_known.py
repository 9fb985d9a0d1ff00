"""A baseline of known findings in tests: an expected failure, and strict."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

Session = Callable[..., pytest.RunResult]

CARELESS = "@pytest.mark.saga(Careless, faults=0, random=0)\ndef test_it(): ...\n"
CALM = "@pytest.mark.saga(Calm, faults=1, random=0)\ndef test_it(): ...\n"


@pytest.fixture
def ids(session: Session) -> list[str]:
    """Of the findings of Careless without a fault."""
    found = re.findall(r"(?m)^(F-\w+)  I", session(test=CARELESS).stdout.str())
    assert found and len(set(found)) == len(found)
    return found


def write(ids: list[str], more: str = "", name: str = "known.toml") -> str:
    entries = [f'[[known]]\nid = "{id}"\nreason = "PAY-12: it waits"\n{more}\n' for id in ids]
    Path(name).write_text("\n".join(entries))
    return name


@pytest.mark.parametrize("processes", [0, 1], ids=["plain", "-n1"])
def test_what_is_known_is_an_expected_failure_with_its_reason(session: Session, ids: list[str], processes: int) -> None:
    write(ids, "expires = 9999-12-31")
    options = ("-rx", "--saga-baseline=known.toml", "--junit-xml=junit.xml")
    result = session(*options, test=CARELESS, processes=processes)
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines([f"*test_it - *known of Careless: {ids[0]} I*: PAY-12: it waits (until 9999-12-31)*"])
    result.stdout.fnmatch_lines([f"*Careless *violated * {len(ids)}: * {len(ids)} known"])
    properties = {entry.get("name"): entry.get("value") or "" for entry in ET.parse("junit.xml").iter("property")}
    assert properties["saga_known"].startswith(f"{ids[0]}: PAY-12: it waits (until 9999-12-31)")


def test_the_failure_is_shown_where_expected_failures_are_run(session: Session, ids: list[str]) -> None:
    write(ids)
    result = session("--runxfail", "--saga-baseline=known.toml", test=CARELESS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"baseline: {len(ids)} of the findings known, 0 new"])


def test_a_finding_that_is_not_known_fails(session: Session, ids: list[str]) -> None:
    write(["F-other"], 'adapter = "Calm"')
    result = session("--saga-baseline=known.toml", test=CARELESS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"baseline: 0 of the findings known, {len(ids)} new"])
    result.stdout.no_fnmatch_line("*is stale*")


def test_without_a_baseline_none_is_spoken_of(session: Session) -> None:
    result = session(test=CARELESS)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("baseline: *")


def test_what_has_expired_fails_and_says_so(session: Session, ids: list[str]) -> None:
    write(ids, "expires = 2000-01-31")
    result = session("--saga-baseline=known.toml", test=CARELESS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"baseline: {ids[0]} expired on 2000-01-31: PAY-12: it waits"])


def test_what_is_no_longer_found_fails_strictly(session: Session) -> None:
    write(["F-gone1"])
    result = session("--saga-baseline=known.toml", test=CALM)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["[[]XPASS(strict)[]] baseline: F-gone1 is stale: a complete search no longer finds it; take it out (PAY-12*"]
    )


def test_an_entry_beside_those_that_are_found_is_stale_too(session: Session, ids: list[str]) -> None:
    write([*ids, "F-gone1"])
    result = session("--saga-baseline=known.toml", test=CARELESS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["baseline: F-gone1 is stale*"])


@pytest.mark.parametrize(
    ("entry", "applies"),
    [
        ('adapter = "Calm"', True),
        ('adapter = "Other"', False),
        ('test = "test_shop.py::test_it"', True),
        ('test = "test_shop.py"', True),
        ('test = "test_shop.py::test_i"', False),
    ],
)
def test_an_entry_speaks_of_an_adapter_or_a_test(session: Session, entry: str, applies: bool) -> None:
    write(["F-gone1"], entry)
    result = session("--saga-baseline=known.toml", test=CALM)
    result.assert_outcomes(failed=int(applies), passed=int(not applies))


def test_the_ini_file_and_a_test_name_theirs(pytester: pytest.Pytester, session: Session, ids: list[str]) -> None:
    Path("sub").mkdir()
    write(ids, name="sub/known.toml")
    write(["F-gone1"], name="own.toml")
    pytester.makeini("[pytest]\nsaga_baseline = sub/known.toml\n")
    own = CALM.replace("random=0", "random=0, baseline='own.toml'").replace("test_it", "test_own")
    result = session(test=CARELESS + "\n" + own)
    result.assert_outcomes(xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_shop.py::test_own - Failed: [[]XPASS(strict)[]] baseline: F-gone1*"])


def test_a_baseline_that_cannot_be_read_is_told(session: Session) -> None:
    result = session("--saga-baseline=absent.toml", test=CALM)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["sagafuzz: the baseline: cannot read '*absent.toml': No such file *; name a TOML file"]
    )


def test_a_baseline_is_read_before_the_search(session: Session) -> None:
    test = """
class Never(Calm):
    def boot(self, world):
        open("begun", "w").close()

@pytest.mark.saga(Never, random=0, baseline="absent.toml")
def test_it(): ...
"""
    session(test=test).assert_outcomes(failed=1)
    assert not Path("begun").exists()


def test_a_report_that_is_only_asked_for_says_what_is_known(session: Session, ids: list[str]) -> None:
    write(ids)
    test = """
def test_it(saga):
    report = saga.run(Careless, faults=0, random=0, baseline="known.toml")
    assert {finding.known for finding in report.findings} == {"PAY-12: it waits"}
"""
    session(test=test).assert_outcomes(passed=1)
