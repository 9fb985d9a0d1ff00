"""The pytest plugin: the marker and the fixture ``saga`` run a campaign and fail with its report.

pytest loads this module in every session of an environment that has sagafuzz, so it imports pytest
and the standard library only. What a campaign needs is imported where one is run::

    @pytest.mark.saga(ShopCheckout, faults=2)
    def test_checkout(): ...

    def test_two_at_once(saga):
        report = saga.check(ShopCheckout, faults=1, sagas=2)
        assert report.counts.fired > 100
"""

from __future__ import annotations

import argparse
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    from .exploration.campaign import Settings
    from .ports import Adapter
    from .scenario import Scenario
    from .verdict import Report

MARKER: Final = "saga"
ARGUMENTS: Final = ("adapter", "faults", "random", "seed", "scenarios", "sagas")
MARKER_HELP: Final = (
    "saga(adapter, *, faults=2, random=100, seed=0, scenarios=None, sagas=None): before the test, run every plan "
    "with at most that many faults and then random examples on the adapter (a class declared with "
    "@sagafuzz.adapter, or a name as on sagafuzz's command line); a violation fails the test."
)


@dataclass(frozen=True, kw_only=True)
class Number:
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


NUMBERS: Final[Mapping[str, Number]] = {
    "faults": Number(default=2, least=0, most=6, metavar="K", help="run every plan with at most K faults"),
    "random": Number(default=100, least=0, most=None, metavar="N", help="then run N examples of the state machine"),
    "seed": Number(default=0, least=None, most=None, metavar="S", help="seed of the random part"),
}

# -- what pytest is told -----------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sagafuzz", "sagas under test (sagafuzz)")
    for name, number in NUMBERS.items():
        group.addoption(
            f"--saga-{name}",
            type=_option(name, number),
            metavar=number.metavar,
            help=f"{number.help}, whatever the tests say (default: {number.default}).",
        )
        about = f"{number.help}, where neither the command line nor the test says otherwise"
        if pytest.version_tuple >= (8, 4):
            parser.addini(f"saga_{name}", about, type="int", default=None)
        else:
            parser.addini(f"saga_{name}", about, default=None)
    group.addoption(
        "--saga-report-dir",
        metavar="DIR",
        help="write the reports, replay files and histories of each test into a folder of its own in DIR.",
    )
    pytest.mark.__dict__[MARKER] = _Marker()


def _option(name: str, number: Number) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            return number.check(int(text) if text.lstrip("+-").isdecimal() else text, f"--saga-{name}")
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


class _Marker:
    """``pytest.mark.saga``. pytest takes a mark whose only argument is a class for a decoration of that
    class; a class that is an adapter is an argument here. All else is as with every mark."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        only = args[0] if len(args) == 1 and not kwargs else None
        if inspect.isclass(only) and hasattr(only, "boot"):
            return self._plain.with_args(only)
        return self._plain(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    @property
    def _plain(self) -> pytest.MarkDecorator:
        return type(pytest.mark).__getattr__(pytest.mark, MARKER)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER_HELP)
    for name in NUMBERS:
        _from_ini(config, name)
    if config.option.saga_report_dir:  # the workers of xdist are given the options as they are now
        config.option.saga_report_dir = str(config.invocation_params.dir / config.option.saga_report_dir)


def _from_ini(config: pytest.Config, name: str) -> int:
    """The number that the ini file says, or the default."""
    where = f"saga_{name} in {config.inipath.name if config.inipath else 'the ini file'}"
    try:
        value = config.getini(f"saga_{name}")
        if isinstance(value, str):  # pytest before 8.4 gives text
            value = int(value) if value else None
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise pytest.UsageError(f"{where}: {error}; write a whole number") from None
    if value is None:
        return NUMBERS[name].default
    try:
        return NUMBERS[name].check(value, where)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


# -- marked tests and the fixture --------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    asked = _marked(item)
    if asked is not None and "adapter" not in asked:
        _refuse(
            f"{item.name}: @pytest.mark.{MARKER} names no adapter; write @pytest.mark.{MARKER}(YourAdapter) with a "
            f"class declared with @sagafuzz.adapter, or a name such as 'module:attr'"
        )
    item.stash[_OF_ITEM] = Saga(item, asked or {})


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """The campaign of a marked test comes before its body."""
    if item.get_closest_marker(MARKER) is not None:
        item.stash[_OF_ITEM].check()


@pytest.fixture
def saga(request: pytest.FixtureRequest) -> Saga:
    """Run campaigns in a test: saga.check(Adapter, faults=2) fails it where the saga is violated.

    saga.run(...) only returns the report; saga.report is the last one, in a marked test the marker's.
    """
    found: Saga = request.node.stash[_OF_ITEM]
    return found


def _marked(item: pytest.Item) -> dict[str, Any] | None:
    """What the markers of a test say together, the closest first; None where there is none."""
    markers = list(item.iter_markers(MARKER))
    asked: dict[str, Any] = {}
    for marker in markers:
        if len(marker.args) > 1:
            _refuse(f"{item.name}: @pytest.mark.{MARKER} takes one adapter by position; write the rest by name")
        for name in marker.kwargs:
            if name not in ARGUMENTS:
                from .errors import nearest

                hint = nearest(name, ARGUMENTS)
                known = ", ".join(ARGUMENTS)
                _refuse(f"{item.name}: @pytest.mark.{MARKER} has no argument {name!r}{hint}; it has {known}")
        given = {**dict(zip(ARGUMENTS, marker.args, strict=False)), **marker.kwargs}
        asked = {**given, **asked}
    return asked if markers else None


def _refuse(message: str) -> NoReturn:
    pytest.fail(f"sagafuzz: {message}", pytrace=False)


class Saga:
    """What the fixture ``saga`` gives: campaigns run from within a test.

    Each argument that is left out is taken from the marker, if the test has one, then from the ini
    file. ``adapter`` is a class declared with ``@sagafuzz.adapter``, an `sagafuzz.Adapter`, or a name
    as on the command line; ``scenarios`` are names of the adapter's, or `sagafuzz.Scenario` values.
    """

    def __init__(self, item: pytest.Item, asked: Mapping[str, Any]) -> None:
        self._item = item
        self._asked = asked
        self._reports: list[Report] = []

    @property
    def report(self) -> Report:
        """The last report. In a marked test the body finds the marker's here."""
        if not self._reports:
            _refuse("saga.report: no campaign was run in this test yet; call saga.check(YourAdapter)")
        return self._reports[-1]

    def check(
        self,
        adapter: Any = None,
        *,
        faults: int | None = None,
        random: int | None = None,
        seed: int | None = None,
        scenarios: str | Scenario | Iterable[str | Scenario] | None = None,
        sagas: int | None = None,
    ) -> Report:
        """Run a campaign, and fail the test with its report unless the verdict is consistent."""
        __tracebackhide__ = True
        report = self.run(adapter, faults=faults, random=random, seed=seed, scenarios=scenarios, sagas=sagas)
        if report.verdict != "consistent" or report.nondeterministic:
            pytest.fail(_text(report, self._folder(len(self._reports))), pytrace=False)
        return report

    def run(
        self,
        adapter: Any = None,
        *,
        faults: int | None = None,
        random: int | None = None,
        seed: int | None = None,
        scenarios: str | Scenario | Iterable[str | Scenario] | None = None,
        sagas: int | None = None,
    ) -> Report:
        """Run a campaign and return its report, whatever it says."""
        __tracebackhide__ = True
        from .errors import InternalError, SagafuzzError

        said = locals()
        asked = {**self._asked, **{name: said[name] for name in ARGUMENTS if said[name] is not None}}
        if "adapter" not in asked:
            _refuse("saga.check names no adapter; write saga.check(YourAdapter), or mark the test with one")
        try:
            return self._campaign(asked)
        except InternalError:
            raise
        except SagafuzzError as error:
            refusal = str(error)
        _refuse(refusal)  # out here, so that no other exception is shown beside it

    def _campaign(self, asked: Mapping[str, Any]) -> Report:
        from .loading import as_adapter, with_spec

        folder = self._folder(len(self._reports) + 1)
        if folder is not None:
            from .writing import make_folder

            make_folder(folder, "--saga-report-dir")
        adapter = with_spec(as_adapter(asked["adapter"]))
        report, interrupted = _run(adapter, self._settings(adapter, asked))
        self._reports.append(report)
        self._item.user_properties.extend(_facts(report))
        if folder is not None:
            from .writing import write_report

            write_report(report, folder)
        if interrupted is not None:
            import signal

            signal.raise_signal(interrupted)  # Ctrl-C was held back, so that it did not strike the code under test
        return report

    def _settings(self, adapter: Adapter, asked: Mapping[str, Any]) -> Settings:
        from .errors import UsageError
        from .exploration.campaign import Settings, choose_scenarios, command_line
        from .scenario import Scenario

        numbers = {name: self._number(name, asked.get(name)) for name in NUMBERS}
        sagas = asked.get("sagas")
        if sagas is not None and (not isinstance(sagas, int) or isinstance(sagas, bool) or not 1 <= sagas <= 8):
            raise UsageError(f"sagas is {sagas!r}; write a whole number from 1 to 8")
        given = asked.get("scenarios") or ()
        names = (given,) if isinstance(given, str | Scenario) else tuple(given)
        return Settings(
            max_faults=numbers["faults"],
            examples=numbers["random"],
            seed=numbers["seed"],
            scenarios=choose_scenarios(adapter, names, sagas),
            command=command_line(
                adapter,
                faults=numbers["faults"],
                random=numbers["random"],
                seed=numbers["seed"],
                scenarios=names,
                sagas=sagas,
            ),
        )

    def _number(self, name: str, asked: object) -> int:
        from .errors import UsageError

        config = self._item.config
        option: int | None = config.getoption(f"saga_{name}")
        if option is not None:
            return option
        if asked is None:
            return _from_ini(config, name)
        try:
            return NUMBERS[name].check(asked, name)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def _folder(self, number: int) -> Path | None:
        """Where the reports of the test's campaign of that number go, if they go anywhere."""
        top = self._item.config.getoption("saga_report_dir")
        if not top:
            return None
        path, *names = self._item.nodeid.split("::")
        folder = Path(top, *map(_folder_name, [*path.split("/"), *names]))
        return folder if number == 1 else folder.with_name(f"{folder.name}-{number}")


_OF_ITEM: Final = pytest.StashKey[Saga]()


def _folder_name(name: str) -> str:
    """A part of a node id as the name of a folder; what had to be changed is told apart by a digest."""
    from .writing import folder_name

    plain = folder_name(name)
    if plain == name:
        return plain
    import hashlib

    return f"{plain}-{hashlib.blake2b(name.encode(errors='replace'), digest_size=3).hexdigest()}"


def _run(adapter: Adapter, settings: Settings) -> tuple[Report, int | None]:
    """The campaign, and the signal that ended it early, if one did."""
    import signal

    from .exploration.campaign import Campaign
    from .exploration.quiet import quiet
    from .interrupt import interruptible

    ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
    with interruptible(() if ignored else (signal.SIGINT,)) as interrupt, quiet(), warnings.catch_warnings():
        # Once each: neither thousands of them, nor raised into the code under test, which would change the verdict.
        warnings.simplefilter("default")
        return Campaign(adapter, settings, stopped=interrupt).run(), interrupt.signal


# -- what is said ------------------------------------------------------------------------------


def _text(report: Report, folder: Path | None) -> str:
    """The report as the command line prints it, and how to run its findings again."""
    from .reports import REPORTS

    if folder is None:
        shown = replace(report, findings=tuple(replace(finding, replay="") for finding in report.findings))
        last = "to run a finding again: pytest --saga-report-dir DIR writes a replay file of each"
    else:
        from .writing import with_paths

        near = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
        shown = with_paths(report, near)
        last = f"written: {near}"
        if shown.findings:
            import shlex

            last += f"\nsagafuzz replay {shlex.quote(shown.findings[0].replay)}"
    return f"{REPORTS['text'].render(shown)}\n{last}"


_FACTS: Final = ("saga_adapter", "saga_verdict", "saga_plans", "saga_findings")


def _facts(report: Report) -> list[tuple[str, object]]:
    """Plain text, so that it goes from xdist's workers to the controller, and into a JUnit file."""
    verdict = "not deterministic" if report.nondeterministic else report.verdict
    found = ", ".join(f"{finding.violation.invariant} {finding.id}" for finding in report.findings)
    values = (report.adapter, verdict, str(report.counts.run), found or "none")
    return list(zip(_FACTS, values, strict=True))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line for each campaign, wherever its test ran."""
    properties: dict[str, list[tuple[str, object]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = [entry for entry in getattr(report, "user_properties", ()) if entry[0] in _FACTS]
            if told and len(told) >= len(properties.get(report.nodeid, ())):
                properties[report.nodeid] = told
    if not properties:
        return
    rows = [("test", "adapter", "verdict", "plans", "findings")]
    for nodeid, told in sorted(properties.items()):
        for start in range(0, len(told), len(_FACTS)):
            adapter, verdict, plans, found = (str(value) for _, value in told[start : start + len(_FACTS)])
            rows.append((nodeid, adapter, verdict, plans, _brief(found)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    terminalreporter.section("sagas")
    for row in rows:
        cells = (
            cell.rjust(width) if cell.isdecimal() else cell.ljust(width)
            for cell, width in zip(row[:4], widths, strict=True)
        )
        terminalreporter.write_line("  ".join([*cells, row[4]]))


def _brief(found: str) -> str:
    """``12: I1 I5 I13`` of the findings of a campaign."""
    if found == "none":
        return "none"
    entries = found.split(", ")
    return f"{len(entries)}: {' '.join(dict.fromkeys(entry.split()[0] for entry in entries))}"
