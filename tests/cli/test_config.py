"""Where options come from: the command line, the environment, pyproject.toml, the default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import Run

QUICK = ("run", "reference", "--scenario", "declined")


def configure(text: str, folder: str = ".") -> None:
    Path(folder, "pyproject.toml").write_text(f'[project]\nname = "shop"\n\n{text}', encoding="utf-8")


def shown(out: str) -> dict[str, tuple[str, str]]:
    """option: (value, where from), of the only command."""
    rows = re.findall(r"(?m)^(--\S+) +(\S.*?)  +(\S.*)$", out)
    return {option: (value, source) for option, value, source in rows}


def test_each_value_is_shown_with_where_it_comes_from(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        '[tool.sagafuzz]\nfaults = 1\nreport_dir = "build/sagas"\n\n[tool.sagafuzz.run]\nrandom = 5\nfaults = 3\n'
    )
    monkeypatch.setenv("SAGAFUZZ_SEED", "7")
    result = sagafuzz("config", "show", "run", "--jobs", 2, "-k", 4)
    assert result.code == 0
    found = shown(result.out)
    assert found["--faults"] == ("4", "command line")
    assert found["--jobs"] == ("2", "command line")
    assert found["--seed"] == ("7", "SAGAFUZZ_SEED")
    assert found["--random"] == ("5", "pyproject.toml:9")
    assert found["--report-dir"] == ("build/sagas", "pyproject.toml:6")
    assert found["--kinds"] == ("all", "default")
    assert shown(sagafuzz("config", "show", "run").out)["--faults"] == ("3", "pyproject.toml:10")
    assert shown(sagafuzz("config", "show", "compare").out)["--faults"] == ("1", "pyproject.toml:5")
    assert f"read: [tool.sagafuzz] of {Path.cwd() / 'pyproject.toml'}" in result.out


def test_all_commands_with_options_are_shown(sagafuzz: Run) -> None:
    out = sagafuzz("config", "show").out
    headings = re.findall(r"(?m)^sagafuzz (\S+)$", out)
    assert {"run", "compare", "replay"} <= set(headings)
    assert "read: no pyproject.toml with a table [tool.sagafuzz]" in out


def test_what_is_shown_is_what_runs(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    configure('[tool.sagafuzz]\nfaults = 0\nrandom = 0\nreport-dir = "here"\nscenario = "declined"\n')
    assert sagafuzz("run", "reference").code == 3, "no fault is injected"
    report = json.loads(Path("here/report.json").read_text())
    assert (report["max_faults"], [entry["name"] for entry in report["scenarios"]]) == (0, ["declined"])
    monkeypatch.setenv("SAGAFUZZ_FAULTS", "1")
    monkeypatch.setenv("SAGAFUZZ_SCENARIO", "succeeds")
    assert sagafuzz("run", "reference", "--report-dir", "there").code == 0
    report = json.loads(Path("there/report.json").read_text())
    assert (report["max_faults"], [entry["name"] for entry in report["scenarios"]]) == (1, ["succeeds"])


def test_a_file_further_up_counts_and_its_paths_are_from_there(
    sagafuzz: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure('[tool.sagafuzz]\nfaults = 0\nrandom = 0\nreport-dir = "top"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert sagafuzz(*QUICK).code == 3, "no fault is injected"
    assert (tmp_path / "top" / "report.json").is_file()
    assert shown(sagafuzz("config", "show", "run").out)["--faults"] == ("0", "../../pyproject.toml:5")


def test_what_is_configured_for_campaigns_is_not_written_over_by_report(sagafuzz: Run) -> None:
    configure('[tool.sagafuzz]\nfaults = 0\nrandom = 0\nreport-dir = "top"\n')
    assert sagafuzz(*QUICK, "--report-dir", "kept").code == 3, "no fault is injected"
    assert sagafuzz("report", "kept").code == 3
    assert not Path("top").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.sagafuzz]\nfautls = 1\n", "pyproject.toml:5: unknown key 'fautls' (did you mean 'faults'?); it is no "),
        (
            "[tool.sagafuzz.run]\nsedd = 1\n",
            "pyproject.toml:5: unknown key 'sedd' (did you mean 'seed'?); 'sagafuzz run' has no such option",
        ),
        ("[tool.sagafuzz.rnu]\nseed = 1\n", "pyproject.toml: unknown key 'rnu' (did you mean 'run'?)"),
        ("[tool.sagafuzz]\n\nfaults = 9\n", "pyproject.toml:6: faults is 9: 9 is not in the range 0<=x<=6."),
        ("[tool.sagafuzz]\nfaults = true\n", "pyproject.toml:5: faults is True; write a string or a number"),
        ("[tool.sagafuzz]\nfaults = 2026-11-23\n", "faults is datetime.date(2026, 11, 23); write a string or a number"),
        ("[tool.sagafuzz]\nresume = 1\n", "pyproject.toml:5: resume is 1; write true or false"),
        ("[tool]\nsagafuzz = 1\n", "pyproject.toml: tool.sagafuzz is 1; write a table, [tool.sagafuzz]"),
        ("[tool.sagafuzz\n", "pyproject.toml is no TOML: "),
    ],
)
@pytest.mark.parametrize("command", [QUICK, ("config", "show")], ids=["run", "config show"])
def test_what_no_command_knows_is_named_with_its_line(
    sagafuzz: Run, text: str, expected: str, command: tuple[str, ...]
) -> None:
    configure(text)
    result = sagafuzz(*command)
    assert result.code == 2
    assert expected in result.complaint


def test_a_wrong_variable_is_named(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAFUZZ_FAULTS", "many")
    result = sagafuzz(*QUICK)
    assert result.code == 2
    assert "'many' is not a valid integer range. (it is in SAGAFUZZ_FAULTS)" in result.complaint


def test_an_unknown_command_is_told(sagafuzz: Run) -> None:
    result = sagafuzz("config", "show", "rnu")
    assert result.code == 2
    assert "config show: there is no command 'rnu' with options (did you mean 'run'?)" in result.complaint


def test_lists_are_taken_where_an_option_takes_several(sagafuzz: Run) -> None:
    configure('[tool.sagafuzz]\nkinds = ["lost-ack", "timeout"]\nscenario = ["succeeds", "declined"]\n')
    found = shown(sagafuzz("config", "show", "run").out)
    assert found["--kinds"][0] == "lost-ack,timeout"
    assert found["--scenario"][0] == "succeeds, declined"
