"""Campaigns from within a test: what the fixture ``saga`` gives, and the marker uses."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from ..baseline import Judged, in_words
from ..commands import command_line
from ..errors import InternalError, SagafuzzError, UsageError
from ..exploration.choosing import run_campaign
from ..exploration.events import Listener
from ..exploration.fuzz import end_of_time
from ..exploration.quiet import quiet
from ..exploration.scenarios import choose_scenarios
from ..exploration.settings import Settings
from ..exploration.stopping import AsPlanned
from ..fresh import put_back
from ..interrupt import interruptible
from ..live.manifest import manifest_of
from ..loading import as_adapter, with_spec, with_wrong_answers
from ..reports import text
from ..reports.clean import COLUMNS, clean
from ..reports.facts import replay
from ..reports.layout import command
from ..scenario import Scenario
from ..verdict import CONSISTENT, Report
from ..writing import folder_name, from_here, make_folder, write_report
from . import known, options
from .copying import copied
from .extending import Extended, extended
from .marking import ARGUMENTS, ENDED_EARLY, beside, refuse
from .showing import shown
from .summary import facts

BASELINE_LINES: Final = 6

Scenarios = str | Scenario | Iterable[str | Scenario] | None


class SagaFixture:
    """What the fixture ``saga`` gives: campaigns run from within a test.

    Each argument that is left out is taken from the marker, if the test has one, then from the ini
    file. ``adapter`` is a class declared with ``@sagafuzz.adapter``, an `sagafuzz.Adapter`, or a name
    as on the command line; ``scenarios`` are names of the adapter's, or `sagafuzz.Scenario` values.
    ``baseline`` is a file of known findings, named from the folder of the test's file. ``wrong_answers`` asks for
    answers that are wrong.
    """

    def __init__(self, item: pytest.Item, asked: Mapping[str, Any]) -> None:
        self._item = item
        self._asked = asked
        self._judged: list[Judged] = []
        self._has_baseline = False
        self.said = ""  # what a failed check said, whole

    @property
    def report(self) -> Report:
        """The last report. In a marked test the body finds the marker's here."""
        if not self._judged:
            refuse("saga.report: no campaign was run in this test yet; call saga.check(YourAdapter)")
        return self._judged[-1].report

    def check(
        self,
        adapter: Any = None,
        *,
        faults: int | None = None,
        random: int | None = None,
        seed: int | None = None,
        scenarios: Scenarios = None,
        sagas: int | None = None,
        baseline: str | Path | None = None,
        wrong_answers: bool | None = None,
        max_time: int | None = None,
    ) -> Report:
        """Run a campaign, and fail the test with its report unless the verdict is consistent.

        With a baseline the failure is an expected one where all that was found is known; and the test fails where a
        complete campaign no longer finds what the baseline says."""
        __tracebackhide__ = True
        report = self.run(
            adapter,
            faults=faults,
            random=random,
            seed=seed,
            scenarios=scenarios,
            sagas=sagas,
            baseline=baseline,
            wrong_answers=wrong_answers,
            max_time=max_time,
        )
        judged = self._judged[-1]
        good = report.verdict == CONSISTENT and not report.nondeterministic
        if good and judged.stale:
            pytest.fail("\n".join(f"[XPASS(strict)] {clean(line, 300)}" for line in in_words(judged)), pytrace=False)
        if (reason := known.expected(judged)) and not self._item.config.option.runxfail:
            pytest.xfail(f"known of {clean(report.adapter, 60)}: {clean(reason, 600)}")
        if not good:
            self.said = self._text(judged)
            pytest.fail(self.said, pytrace=False)
        return report

    def run(
        self,
        adapter: Any = None,
        *,
        faults: int | None = None,
        random: int | None = None,
        seed: int | None = None,
        scenarios: Scenarios = None,
        sagas: int | None = None,
        baseline: str | Path | None = None,
        wrong_answers: bool | None = None,
        max_time: int | None = None,
    ) -> Report:
        """Run a campaign and return its report, whatever it says."""
        __tracebackhide__ = True
        said = locals()
        asked = {**self._asked, **{name: said[name] for name in ARGUMENTS if said[name] is not None}}
        if "adapter" not in asked:
            refuse("saga.check names no adapter; write saga.check(YourAdapter), or mark the test with one")
        try:
            return self._campaign(asked)
        except InternalError:
            raise
        except SagafuzzError as error:
            refusal = str(error)
        return refuse(refusal)  # out here, so that no other exception is shown beside it

    def _campaign(self, asked: Mapping[str, Any]) -> Report:
        folder = self._folder(len(self._judged) + 1)
        if folder is not None:
            make_folder(folder, "--saga-report-dir")
        named = with_spec(as_adapter(beside(asked["adapter"], self._item.path.parent)))
        if asked.get("wrong_answers") or options.wrong_answers(self._item.config):
            named = with_wrong_answers(named)
        found = extended(self._item.config, named)
        settings = self._settings(found, asked)
        pairs = options.PAIRS if self._said("faults", asked) is None and settings.max_faults == 2 else None
        seconds = self._number("max_time", asked)
        baseline = self._baseline(asked.get("baseline"))
        entries = known.entries(baseline)  # before the search: what is wrong with them is told at once
        self._has_baseline = baseline is not None
        with shown(self._item.config, found.adapter.name, live=manifest_of(found.adapter) is not None) as watching:
            report, interrupted = _run(found, settings, self._number("jobs", {}), seconds, pairs, watching)
        report = replace(report, command=_command(found, settings, asked, seconds, pairs))
        judged = known.judged(report, entries, self._item.nodeid)
        self._judged.append(judged)
        self._item.user_properties.extend(facts(judged.report))
        if folder is not None:
            write_report(judged.report, folder)
        if interrupted is not None:
            import signal

            self._item.config.stash.setdefault(ENDED_EARLY, []).append(self._text(judged))
            signal.raise_signal(interrupted)  # Ctrl-C was held back, so that it did not strike the code under test
        return judged.report

    def _settings(self, found: Extended, asked: Mapping[str, Any]) -> Settings:
        numbers = {name: self._number(name, asked) for name in options.NUMBERS}
        if self._said("faults", asked) is None and manifest_of(found.adapter) is not None:
            numbers["faults"] = 1
        sagas = asked.get("sagas")
        if sagas is not None and (not isinstance(sagas, int) or isinstance(sagas, bool) or not 1 <= sagas <= 8):
            raise UsageError(f"sagas is {sagas!r}; write a whole number from 1 to 8")
        return Settings(
            max_faults=numbers["faults"],
            examples=numbers["random"],
            seed=numbers["seed"],
            scenarios=choose_scenarios(found.adapter, _scenarios(asked), sagas),
        )

    def _number(self, name: str, asked: Mapping[str, Any]) -> int:
        said = self._said(name, asked)
        return options.NUMBERS[name].default if said is None else said

    def _said(self, name: str, asked: Mapping[str, Any]) -> int | None:
        """The value of the command line, else of the test, else of the ini file; None where all are silent."""
        config = self._item.config
        option: int | None = config.getoption(f"saga_{name}")
        if option is not None or name not in asked:
            return options.number_in_ini(config, name) if option is None else option
        try:
            return options.NUMBERS[name].check(asked[name], name)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def _baseline(self, asked: str | Path | None) -> Path | None:
        """The test's own before that of the session: it says more."""
        if asked is not None:
            return self._item.path.parent / asked
        return options.place(self._item.config, "baseline")

    def _folder(self, number: int) -> Path | None:
        """Where the reports of the test's campaign of that number go, if they go anywhere."""
        top = options.place(self._item.config, "report-dir")
        if top is None:
            return None
        return self._of_test(top, number)

    def _of_test(self, top: Path, number: int) -> Path:
        path, *names = self._item.nodeid.split("::")
        folder = Path(top, *map(_folder_name, [*path.split("/"), *names]))
        return folder if number == 1 else folder.with_name(f"{folder.name}-{number}")

    def _kept(self) -> Path:
        """Where the reports of the last campaign are; into pytest's cache, where nobody says where they go."""
        folder = self._folder(len(self._judged))
        if folder is None:
            cache = getattr(self._item.config, "cache", None)
            top = cache.mkdir("sagafuzz") if cache is not None else Path(tempfile.mkdtemp(prefix="sagafuzz-"))
            folder = self._of_test(Path(top), len(self._judged))
            write_report(self._judged[-1].report, folder)
        return from_here(folder)

    def _text(self, judged: Judged) -> str:
        """The report, brief, what the baseline says, and how to run its findings again, in at most 60 lines."""
        wide = max(60, min(COLUMNS, shutil.get_terminal_size((80, 24)).columns))
        shown = replace(judged.report, findings=tuple(replace(found, replay="") for found in judged.report.findings))
        return text.brief(shown, [*self._of_baseline(judged), *self._again(judged.report, wide)], wide)

    def _of_baseline(self, judged: Judged) -> list[str]:
        said = [clean(line, 300) for line in in_words(judged)] if self._has_baseline else []
        more = [f"baseline: {len(said) - BASELINE_LINES:,} more, in the report"] if len(said) > BASELINE_LINES else []
        return [*said[:BASELINE_LINES], *more]

    def _again(self, report: Report, columns: int) -> list[str]:
        """Where the whole report is, and the commands that run it and its first finding again."""
        folder = self._kept()
        lines = [f"report: {folder / 'report.html'}"]
        findings = [found for found in report.findings if not found.known] or report.findings
        if findings and findings[0].replay:
            again = replay(report, replace(findings[0], replay=str(folder / findings[0].replay)))
            lines.append(command(again, columns))
            if report.command:  # else the command line does not know the adapter
                beside = self._item.path.parent / f"test_{findings[0].id.lower().replace('-', '_')}.py"
                near = os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
                lines.append(f"{command(f'{again} --emit-test', columns)} > {shlex.quote(near)}")
        if report.command:
            lines.append(command(report.command, columns))
        return [part for line in lines for part in line.split("\n")]


def _scenarios(asked: Mapping[str, Any]) -> tuple[str | Scenario, ...]:
    """Those that a test asks for; none for all."""
    given = asked.get("scenarios") or ()
    return (given,) if isinstance(given, str | Scenario) else tuple(given)


def _command(found: Extended, settings: Settings, asked: Mapping[str, Any], seconds: int, pairs: int | None) -> str:
    """The command that makes the report again; "" where the hooks bring what the command line does not know."""
    if found.by_hooks:
        return ""
    return command_line(
        found.adapter,
        faults=settings.max_faults,
        random=settings.examples,
        seed=settings.seed,
        scenarios=_scenarios(asked),
        sagas=asked.get("sagas"),
        max_time=f"{seconds}s" if seconds else None,
        pairs=pairs,
    )


def _folder_name(name: str) -> str:
    """A part of a node id as the name of a folder; what had to be changed is told apart by a digest."""
    plain = folder_name(name)
    if plain == name:
        return plain
    import hashlib

    return f"{plain}-{hashlib.blake2b(name.encode(errors='replace'), digest_size=3).hexdigest()}"


def _run(
    found: Extended,
    settings: Settings,
    jobs: int,
    seconds: int,
    pairs: int | None,
    watching: tuple[Listener, ...],
) -> tuple[Report, int | None]:
    """The campaign, to which ``watching`` listen, and the signal that ended it early, if one did."""
    import signal

    ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
    with (
        interruptible(() if ignored else (signal.SIGINT,)) as interrupt,
        quiet(),
        warnings.catch_warnings(),
    ):
        # Once each: neither thousands of them, nor raised into the code under test, which would change the verdict.
        warnings.simplefilter("default")
        timed = end_of_time(seconds, settings.random_plans, pairs) if seconds else None
        few = AsPlanned(settings.random_plans, pairs) if pairs is not None else None

        def stopped() -> bool:
            return interrupt() or (timed is not None and timed.late())

        few_jobs = 1 if pairs is not None else 0  # some pairs take less time than processes to begin
        with copied(found.adapter, settings, jobs or few_jobs, stopped) as others:
            try:
                report = run_campaign(
                    found.adapter,
                    settings,
                    stopped=interrupt,
                    listeners=(*others.listeners, *watching),
                    archive=others.archive,
                    limits=timed or few,
                )
            finally:
                put_back()
        return report, interrupt.signal
