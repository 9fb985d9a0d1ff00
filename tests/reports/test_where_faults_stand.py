"""The ⚡ stands on the line that was struck: for each kind of fault, in each form of a report."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from sagafuzz import Fault, Finding, History, Plan, Site
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.quiet import quiet
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import Fired
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS, SCHEDULES
from sagafuzz.reports.diagram import diagram, to_text
from sagafuzz.reports.strikes import struck_rows
from sagafuzz.saga import MESSAGE
from sagafuzz.simulator import Setup

from ..quality.broken_messages import BROKEN as OF_MESSAGES
from ..quality.broken_systems import BROKEN
from ..quality.test_fault_kinds_matter import OF_SERVICES, runs, setups
from ..simulator.http_clients import by_requests
from ..simulator.test_client_faults import asking

SERVICES = Path(__file__).parents[2] / "examples" / "service"
LIVE_ONLY = tuple(kind.name for kind in FAULT_KINDS.values() if not kind.simulated)


@cache
def struck(kind: str) -> History:
    """A run in which a fault of that kind strikes last, of a system that is known to fall for it. A start, or a request
    that is made again, comes after another fault."""
    if kind in LIVE_ONLY:
        return by_hand(kind)
    if FAULT_KINDS[kind].needs in OF_SERVICES:
        return struck_service(kind)
    if MESSAGE in FAULT_KINDS[kind].directions:
        return struck_message(kind)
    broken = BROKEN[kind]
    for setup in setups(broken.adapter):
        with quiet():
            for last, plan, run in runs(setup, broken.after, {kind}):
                if last == kind and len(run.fired) == len(plan):
                    return run.history(setup, plan)
    raise AssertionError(f"no system of the tests suffers {kind}")


def struck_message(kind: str) -> History:
    """The first run in which a fault of that kind strikes a message."""
    (setup,) = setups(OF_MESSAGES[kind].adapter)
    return struck_first(setup, kind)


def struck_service(kind: str) -> History:
    """The first run in which a fault of that kind strikes a service, or the app of a participant."""
    if FAULT_KINDS[kind].needs == "apps":
        adapter = load(f"{SERVICES / 'tours_adapter.py'}:ToursAndCards")
    else:
        adapter = asking(by_requests, "http", [])
    return struck_first(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")), kind)


def struck_first(setup: Setup, kind: str) -> History:
    """The first run in which a fault of that kind strikes."""
    with quiet():
        for case in Enumerator(setup, 1, only={kind}, reductions=()).cases():
            if case.plan.faults and case.run.fired:
                return case.run.history(setup, case.plan)
    raise AssertionError(f"no system of the tests suffers {kind}")


def at_rest(kind: str) -> History:
    """A request in a live system, after which the worker waits and is killed."""
    from .conftest import ORCHESTRATOR, history, row

    rows = [
        row(0, "SUBMIT", "client", "item-1", 1, 100),
        row(1, "SEND", ORCHESTRATOR, "payment.charge", (), step="payment", direction="F", attempt=1, msg=1),
        row(2, "ACK", ORCHESTRATOR, "ok", step="payment", direction="F", attempt=1, msg=1),
        row(3, "CRASH", ORCHESTRATOR, kind, saga=""),
        row(4, "BOOT", f"{ORCHESTRATOR}#2", 2, "crash", saga=""),
        row(5, "END", "harness", "quiescent", saga=""),
    ]
    site = Site("saga-1", "payment", "F", FAULT_KINDS[kind].phase, 1)
    return history(rows, Fired(position=3, fault=Fault(kind=kind, site=site)))


def by_hand(kind: str) -> History:
    """What a fault of that kind does to a live system: it strikes a write, or who waits."""
    from .conftest import ORCHESTRATOR, history, row

    if FAULT_KINDS[kind].at_rest:
        return at_rest(kind)
    site = Site("saga-1", "outcome payment", "", FAULT_KINDS[kind].phase, 1)
    rows = [
        row(0, "SUBMIT", "client", "item-1", 1, 100),
        row(1, "LOG", ORCHESTRATOR, "outcome", 1, step="payment"),
        row(2, "LOGACK", ORCHESTRATOR, "outcome", 1, step="payment"),
        row(3, "END", "harness", "quiescent", saga=""),
    ]
    position = 2 if site.phase == "log" else 3
    return history(rows, Fired(position=position, fault=Fault(kind=kind, site=site)))


def words(history: History, fault: Fault) -> tuple[str, ...]:
    """What the line that was struck says, by the site and by what a fault of that kind does there."""
    kind, site = FAULT_KINDS[fault.kind], fault.site
    verb = history.saga.operation(site.subject, site.direction).rpartition(".")[2] if site.direction else ""
    if site.direction == MESSAGE:
        verb = site.subject
    special = {"apps": ("cards goes down",), "resubmit": ("the client asks again",)}
    if kind.crash or kind.needs in special:
        return special.get(kind.needs, ("CRASH", verb or site.subject))
    if kind.name in ("clock-forward", "clock-back", "pause", "cancel"):
        what = {"pause": "stands still", "cancel": "the client cancels"}.get(kind.name, "the wall clock jumps")
        return (what, f"before {verb} is sent" if len(history.sagas) == 1 else f"{verb} is sent")
    if site.phase == "boot":
        return ("restart", kind.meaning)
    if site.phase == "log":
        return (f'"{site.subject}"',) if kind.name in LIVE_ONLY else (f'asks for "{site.subject}": never durable',)
    if site.phase == "logged":
        return ("durable: ", f'"{site.subject}"') if not site.subject.startswith("terminal") else ("declares",)
    return (verb if site.occurrence == 1 else f"{verb} #{site.occurrence}",)


def finding(make: SimpleNamespace, history: History) -> Finding:
    plan = Plan(faults=tuple(fired.fault for fired in history.fired))
    made: Finding = make.finding(history=history, plan=plan)
    return made


def in_text(text: str) -> Iterator[tuple[str, str]]:
    """Each mark of a printed diagram, with the words of its line: the one above where the mark has an arrow to it."""
    above = ""
    for line in text.splitlines():
        if "⚡" in line:
            before, _, kind = line.partition("⚡ ")
            if before.strip() == "↑":
                before = above
            yield before.split("  ◀──")[0], re.split(r"  |$", kind)[0]
        above = line


def unescaped(mermaid: str) -> str:
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), mermaid)


@pytest.mark.parametrize("name", FAULT_KINDS)
def test_it_stands_on_the_line_that_was_struck(name: str, make: SimpleNamespace) -> None:
    history = struck(name)
    expected = words(history, history.fired[-1].fault)

    def right(line: str) -> bool:
        return all(word in line for word in expected)

    report = make.report(finding(make, history))
    for text in (to_text(diagram(history)), REPORTS["text"].render(report), REPORTS["markdown"].render(report)):
        (line,) = [line for line, kind in in_text(text) if kind == name]
        assert right(line), text
    schedule = json.loads(REPORTS["json"].render(report))["findings"][0]["schedule"]
    (entry,) = [line for line in schedule if name in line["faults"]]
    assert right(entry["text"])
    page = REPORTS["html"].render(report)
    drawn = [html.unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", page)]
    mark = f"⚡ fault: {name}"  # a long name goes on in the next line
    at = next(n for n, text in enumerate(drawn) if text.startswith("⚡ fault:") and mark.startswith(text.strip()))
    assert right(" ".join(drawn[max(at - 5, 0) : at])), drawn
    events = re.findall(r'<tr data-row="(\d+)"[^>]*>(.*?)</tr>', page)
    assert [int(row) for row, cells in events if f"<b>⚡ {name}</b>" in cells] == [struck_rows(history)[-1]]
    sequence = unescaped(SCHEDULES["mermaid"].render(history)).splitlines()
    at = next(number for number, line in enumerate(sequence) if f"⚡ fault {name}" in line)
    assert right("\n".join(sequence[at - 2 : at])), sequence
    lane = re.match(r"\s*Note over (\w+):", sequence[at])
    assert lane is not None and re.search(rf"\b{lane[1]}\b", sequence[at - 1])
