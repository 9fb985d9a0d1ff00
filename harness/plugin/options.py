"""The plugin's options and ini settings: what there is, and what may be written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest


class Number(NamedTuple):
    """A number that the command line sets, else the test, else the ini file, else the default."""

    default: int
    least: int | None
    most: int | None
    metavar: str
    help: str

    def check(self, value: object, where: str) -> int:
        """``value`` where it is one; ValueError that says what to write otherwise."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{where} is {value!r}; write a whole number{self._range()}")
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            raise ValueError(f"{where} is {value}; write a whole number{self._range()}")
        return value

    def _range(self) -> str:
        if self.least is None:
            return ""
        return f", {self.least} or more" if self.most is None else f" from {self.least} to {self.most}"


class Place(NamedTuple):
    """A file or folder: on the command line from the current folder, in the ini file from the folder of that."""

    metavar: str
    help: str


PAIRS: Final = 300
"""About so many plans with two faults are run where nobody says how many faults there may be."""

NUMBERS: Final[Mapping[str, Number]] = {
    "faults": Number(
        default=2,
        least=0,
        most=6,
        metavar="K",
        help=f"run every plan with at most K faults; where nobody says how many, those with one and about {PAIRS} of "
        "those with two, on real processes those with one",
    ),
    "random": Number(default=100, least=0, most=None, metavar="N", help="then run N examples of the state machine"),
    "seed": Number(default=0, least=None, most=None, metavar="S", help="seed of the random part"),
    "max_time": Number(
        default=0,
        least=0,
        most=None,
        metavar="SECONDS",
        help="end each campaign after so much real time, wherever its search is, and say what share was covered; 0 for "
        "none",
    ),
    "jobs": Number(
        default=0,
        least=0,
        most=256,
        metavar="N",
        help="search in N processes, with the same result; 0 for as many as the machine has cores, where it takes "
        "long, and for one under pytest-xdist",
    ),
}

PLACES: Final[Mapping[str, Place]] = {
    "report-dir": Place(
        metavar="DIR",
        help="write the reports, replay files and histories of each test into a folder of its own in DIR",
    ),
    "baseline": Place(
        metavar="FILE",
        help="known findings, a TOML file of [[known]] tables: a test with no other finding is an expected failure, "
        "one that no longer shows an entry fails",
    ),
}

WRONG_ANSWERS: Final = "search answers that are wrong as well: malformed, empty, another's, success without effect"

REPLAY_HELP: Final = (
    "instead of the tests run the schedule of this finding again: an F-….json, or its id where a folder of reports "
    "here has one; may be given again"
)


def add(parser: pytest.Parser) -> None:
    group = parser.getgroup("sagafuzz", "sagas under test (sagafuzz)")
    for name, number in NUMBERS.items():
        group.addoption(
            f"--saga-{name.replace('_', '-')}",
            type=_option(name.replace("_", "-"), number),
            metavar=number.metavar,
            help=f"{number.help}, whatever the tests say (default: {number.default}).",
        )
        about = f"{number.help}, where neither the command line nor the test says otherwise"
        if pytest.version_tuple >= (8, 4):
            parser.addini(f"saga_{name}", about, type="int", default=None)
        else:
            parser.addini(f"saga_{name}", about, default=None)
    for name, place in PLACES.items():
        group.addoption(f"--saga-{name}", metavar=place.metavar, help=f"{place.help}.")
        parser.addini(_ini(name), f"{place.help}, where the command line does not say otherwise", default="")
    group.addoption("--saga-wrong-answers", action="store_true", help=f"{WRONG_ANSWERS}.")
    parser.addini("saga_wrong_answers", WRONG_ANSWERS, type="bool", default=False)
    group.addoption("--saga-replay", action="append", default=[], metavar="ID|FILE", help=f"{REPLAY_HELP}.")


def _ini(name: str) -> str:
    return f"saga_{name.replace('-', '_')}"


def _option(name: str, number: Number) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            return number.check(int(text) if text.lstrip("+-").isdecimal() else text, f"--saga-{name}")
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def check(config: pytest.Config) -> None:
    """Complain of what the ini file says, before a test runs; make the options whole paths."""
    for name in NUMBERS:
        number_in_ini(config, name)
    for name in PLACES:  # the workers of xdist are given the options as they are now
        option = _ini(name)
        base, given = config.invocation_params.dir, getattr(config.option, option)
        if not given:
            base, given = (config.inipath or config.rootpath / "ini").parent, str(config.getini(option))
        setattr(config.option, option, str(base / given) if given else None)


def number_in_ini(config: pytest.Config, name: str) -> int | None:
    """The number that the ini file says, None where it says none."""
    where = f"saga_{name} in {config.inipath.name if config.inipath else 'the ini file'}"
    try:
        value = config.getini(f"saga_{name}")
        if isinstance(value, str):  # pytest before 8.4 gives text
            value = int(value) if value else None
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise pytest.UsageError(f"{where}: {error}; write a whole number") from None
    if value is None:
        return None
    try:
        return NUMBERS[name].check(value, where)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def wrong_answers(config: pytest.Config) -> bool:
    """True if the command line or the ini file asks for wrong answers."""
    return bool(config.getoption("saga_wrong_answers") or config.getini("saga_wrong_answers"))


def place(config: pytest.Config, name: str) -> Path | None:
    """The file or folder of that option, if there is one."""
    given: str | None = getattr(config.option, _ini(name))
    return Path(given) if given else None
