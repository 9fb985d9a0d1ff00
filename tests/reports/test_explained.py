"""How outputs show explanations and coverage: below the diagram, on one screen, inert."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from textwrap import indent
from types import SimpleNamespace

import pytest
from markupsafe import escape

from sagafuzz import Report
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.frames import Source
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS
from sagafuzz.verdict import (
    Coverage,
    Explanation,
    OrderCell,
    PairCell,
    PlanCounts,
    RandomPlans,
    Removed,
    SiteCell,
    StateRow,
    Unreachable,
    Unseen,
)

TEXT = REPORTS["text"].render
MARKDOWN = REPORTS["markdown"].render
JSON = REPORTS["json"].render

SCREEN = 45

EXPLAINED = Explanation(
    removed=(Removed(what="lost-ack at saga-1: payment forward, ack", then="all invariants hold"),),
    passing="without lost-ack at saga-1: payment forward, ack",
    shared=3,
    parting="after 3 equal events: here the answer of payment.charge is lost at 3 ms; there it arrives: ok at 3 ms",
    steps=("inventory", "payment"),
    states=(StateRow(saga="saga-1", expected=("0/1", "0/1"), found=("0", "2")),),
    cause="lost-ack at payment.charge brings it out; the usual cause: a retry without a key",
    repair="send the same key with every attempt",
)


def first_finding(report: Report) -> str:
    return TEXT(report).split("\n\n")[1]


def test_an_explanation_stands_below_the_diagram(make: SimpleNamespace) -> None:
    text = first_finding(make.report(make.finding(explanation=EXPLAINED)))
    assert text.endswith(
        """\
  faults:            lost-ack at saga-1: payment forward, ack
  needs this fault:  yes; without it all invariants hold
  expected:          at most 1 effect
  got:               2 effects
  passes:            without lost-ack at saga-1: payment forward, ack
  they part:         after 3 equal events: here the answer of payment.charge is lost at 3 ms; there
                     it arrives: ok at 3 ms
  cause:             lost-ack at payment.charge brings it out; the usual cause: a retry without a
                     key
  repair:            send the same key with every attempt
  net effects (0/1: all alike)  inventory  payment
  saga-1 expected               0/1        0/1
  saga-1 found                  0          2
  reproduce:         sagafuzz replay sagafuzz-report/F-3k9q.json"""
    )


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (("all invariants hold",) * 2, "yes; without either of them all invariants hold"),
        (("all invariants hold", "I1 holds, but I5"), "without the first all invariants hold; without the second I1"),
    ],
)
def test_what_holds_without_each_of_two_faults(make: SimpleNamespace, then: tuple[str, ...], said: str) -> None:
    removed = tuple(Removed(what="a fault", then=words) for words in then)
    plan = replace(make.finding().plan, faults=(make.LOST_ACK, make.CRASH))
    text = first_finding(make.report(make.finding(plan=plan, explanation=replace(EXPLAINED, removed=removed))))
    assert said in " ".join(text.split())


def test_markdown_and_json_have_it_too(make: SimpleNamespace) -> None:
    report = make.report(make.finding(explanation=EXPLAINED))
    text = MARKDOWN(report)
    assert "- needs this fault: **yes**; without it all invariants hold" in text
    assert "- repair: send the same key with every attempt" in text
    assert "| saga-1 found" in text
    (finding,) = json.loads(JSON(report))["findings"]
    assert finding["explanation"]["net_effects"] == [
        {
            "saga": "saga-1",
            "expected": {"inventory": "0/1", "payment": "0/1"},
            "found": {"inventory": "0", "payment": "2"},
        }
    ]
    assert finding["explanation"]["shared_events"] == 3
    assert json.loads(JSON(make.report(make.finding())))["findings"][0]["explanation"] is None


SHOWN = Source(
    file="shop/orders.py",
    line=12,
    first=11,
    lines=("def pay(order):", "    ask('<b>payment</b>', \x1b[31morder)", "    return True"),
)


def test_the_lines_that_a_finding_points_at_are_shown_in_every_report(make: SimpleNamespace) -> None:
    report = make.report(make.finding(explanation=replace(EXPLAINED, code="orders.py:12 in pay", source=SHOWN)))
    shown = """\
shop/orders.py:12
  11 | def pay(order):
> 12 |     ask('<b>payment</b>', \\x1b[31morder)
  13 |     return True"""
    assert indent(shown, "  ") in TEXT(report)
    assert f"```text\n{shown}\n```" in MARKDOWN(report)
    assert f"<pre>{escape(shown)}</pre>" in REPORTS["html"].render(report)
    (finding,) = json.loads(JSON(report))["findings"]
    assert finding["explanation"]["source"] == {**SHOWN._asdict(), "lines": [*SHOWN.lines]}
    assert "<pre>" not in REPORTS["html"].render(make.report(make.finding(explanation=EXPLAINED)))


@pytest.mark.parametrize(("adapter", "faults", "examples"), [("seed", 1, 0), ("seed", 0, 60), ("simple-saga", 1, 0)])
def test_every_finding_fits_on_a_screen(adapter: str, faults: int, examples: int, make: SimpleNamespace) -> None:
    report = Campaign(load(adapter), Settings(max_faults=faults, examples=examples)).run()
    assert report.findings
    for finding in report.findings:
        lines = first_finding(replace(report, findings=(finding,))).split("\n")
        assert len(lines) <= SCREEN and max(map(len, lines)) <= 100, finding.id


def test_a_long_schedule_gives_way(make: SimpleNamespace) -> None:
    busy = []
    for number in range(1, 60):
        busy += make.charge(1000.0 * number, number, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", ())))
    finding = make.finding(explanation=EXPLAINED, history=make.history(busy))
    text = first_finding(make.report(finding))
    assert text.count("\n") < SCREEN
    assert "events left out" in text and "◀── violation" in text


# -- coverage ----------------------------------------------------------------------------------


def covered(make: SimpleNamespace) -> Report:
    site = make.LOST_ACK.site
    cell = {"planned": 3, "fired": 3, "consequential": 2}
    order = {"scenario": "two", "participant": "payment"}
    charge, refund = "saga-1 payment.charge", "saga-2 payment.refund"
    return make.report(
        counts=PlanCounts(planned=7, run=7, fired=7, by_faults=(1, 6), pruned={"state memo": 5}),
        covered=Coverage(
            sites=(
                SiteCell(scenario="two", site=site, kind="lost-ack", mode="forward", **cell),
                SiteCell(scenario="two", site=site, kind="lost-ack", mode="recovery", **cell),
            ),
            kinds=(PairCell(first="lost-ack", second="reject", **cell),),
            modes=(PairCell(first="forward", second="recovery", **cell),),
            orders=(
                OrderCell(first=charge, second=refund, seen=4, **order),
                OrderCell(first=refund, second=charge, seen=0, why="both were handled, never in this order", **order),
            ),
            unreachable=(Unreachable(kind="pause", where="", reason="no recover"),),
        ),
        random_plans=RandomPlans(
            asked=40, run=40, fired=40, max_faults=4, unseen=Unseen(runs=40, classes=9, singletons=2)
        ),
    )


def test_coverage_in_text(make: SimpleNamespace) -> None:
    text = TEXT(covered(make))
    assert (
        """\
Coverage
  site × kind: 1 cell at 1 site; 1 fired, 1 consequential
  ordered pairs of kinds: 1 planned, 1 fired, 1 consequential
  ordered pairs of phases: 1 planned, 1 fired, 1 consequential
  orders of conflicting operations: 1 of 2 seen; both orders of 0 of 1 pair
  plans spared by reductions: 5 (state memo 5)
"""
        in text
    )
    assert re.search(r"^  forward +– +– +3/3$", text, re.MULTILINE)
    assert "0 failures in 40 independent runs bound the rate of failures" in " ".join(text.split())
    assert "at 0.05 (f1/N)" in " ".join(text.split())


def test_coverage_in_markdown(make: SimpleNamespace) -> None:
    text = MARKDOWN(covered(make))
    assert "| saga-2 payment.refund | saga-1 payment.charge | none: both were handled, never in this order |" in text
    assert "### Not reached" in text and "no recover" in text


def test_coverage_in_json(make: SimpleNamespace) -> None:
    data = json.loads(JSON(covered(make)))
    said = data["covered"]
    assert said["cells"] == "planned/fired/consequential"
    assert said["sites"] == {
        "two": {"saga-1: payment forward, ack": {"lost-ack, forward": "3/3/2", "lost-ack, recovery": "3/3/2"}}
    }
    assert said["kinds"] == {"lost-ack": {"reject": "3/3/2"}}
    assert said["phases"] == {"forward": {"recovery": "3/3/2"}}
    assert [order["seen"] for order in said["orders"]] == [4, 0]
    assert said["unreachable"] == [{"kind": "pause", "where": "", "reason": "no recover", "sites": 0}]
    assert data["random_plans"]["unseen"] == {"runs": 40, "classes": 9, "singletons": 2, "next_new": 0.05}
    assert data["random"]["unseen"]["next_new"] is None


def test_nothing_from_elsewhere_acts_in_them(make: SimpleNamespace) -> None:
    evil = "\x1b[31mred\x1b[0m\n# evil | <b>@me" + "A" * 5_000
    words = dict.fromkeys(("passing", "parting", "cause", "repair"), evil)
    bad = replace(
        EXPLAINED,
        removed=(Removed(what=evil, then=evil),),
        steps=(evil,) * 30,
        states=(StateRow(saga=evil, expected=(evil,) * 30, found=(evil,) * 30),) * 9,
        **words,  # type: ignore[arg-type]
    )
    orders = (OrderCell(scenario=evil, participant=evil, first=evil, second=evil, seen=0, why=evil),) * 50
    unreachable = (Unreachable(kind=evil, where=evil, reason=evil, sites=1),) * 50
    report = make.report(
        make.finding(explanation=bad),
        counts=PlanCounts(pruned={evil: 1}),
        covered=Coverage(orders=orders, unreachable=unreachable),
    )
    for render in (TEXT, MARKDOWN, JSON):
        text = render(report)
        assert not {char for char in text if not char.isprintable() and char != "\n"}
        assert "A" * 2_000 not in text
    assert max(map(len, TEXT(report).splitlines())) <= 100
    assert first_finding(report).count("\n") < SCREEN
    assert "<b>" not in MARKDOWN(report).replace("```", "")


def states_of(make: SimpleNamespace, steps: tuple[str, ...], expected: tuple[str, ...], found: tuple[str, ...]) -> str:
    row = StateRow(saga="saga-1", expected=expected, found=found)
    said = replace(EXPLAINED, steps=steps, states=(row,))
    return first_finding(make.report(make.finding(explanation=said)))


@pytest.mark.parametrize(
    ("expected", "found"),
    [(("1", "1"), ("1", "1")), (("0", "any"), ("0", "1")), (("0/1", "0/1"), ("1", "1"))],
)
def test_effects_are_not_compared_where_nothing_differs(
    make: SimpleNamespace, expected: tuple[str, ...], found: tuple[str, ...]
) -> None:
    """An order, a record or an answer was wrong then, and the table would say that all is well."""
    assert "net effects" not in states_of(make, ("inventory", "payment"), expected, found)


def test_effects_are_compared_where_steps_are_not_alike(make: SimpleNamespace) -> None:
    assert "net effects (0/1: all alike)" in states_of(make, ("inventory", "payment"), ("0/1", "0/1"), ("1", "0"))


def test_columns_of_parts_are_told_apart(make: SimpleNamespace) -> None:
    parts = ("reserve[line-1]", "reserve[line-2]", "shipping-by-parcel")
    text = states_of(make, parts, ("1", "1", "1"), ("1", "0", "1"))
    assert "net effects      reserve[line-1]  reserve[line-2]  shipping-…\n" in text
