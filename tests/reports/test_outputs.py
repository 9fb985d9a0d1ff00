"""Every output: what it says, that it keeps its size, that nothing from elsewhere acts in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from sagafuzz import Report
from sagafuzz.detection import Acquittal, Detection, ZooReport
from sagafuzz.reports import COMPARISONS, REPORTS, SCHEDULES, ZOOS
from sagafuzz.reports.markdown import MAX_BYTES, escape, fence
from sagafuzz.verdict import RandomResult

TEXT = REPORTS["text"].render
MARKDOWN = REPORTS["markdown"].render
JSON = REPORTS["json"].render

LIMITS = {"json": 1_000_000, "html": 2_000_000}

KEYS = {
    "version",
    "sagafuzz",
    "adapter",
    "saga",
    "verdict",
    "complete",
    "plans",
    "scenarios",
    "random",
    "invariants",
    "findings",
    "coverage",
    "not_exercised",
    "reasons",
    "digest",
    "seed",
    "max_faults",
}


def all_outputs(report: Report) -> dict[str, str]:
    outputs = {name: output.render(report) for name, output in REPORTS.items()}
    outputs.update({f"compare {name}": output.render([report, report]) for name, output in COMPARISONS.items()})
    for name, schedule in SCHEDULES.items():
        outputs |= {f"{name} {number}": schedule.render(f.history) for number, f in enumerate(report.findings[:2])}
    return outputs


def test_the_registry_says_where_each_output_goes() -> None:
    assert {name: output.file for name, output in REPORTS.items()} == {
        "text": "",
        "markdown": "report.md",
        "html": "report.html",
        "json": "report.json",
        "junit": "report.junit.xml",
        "gitlab": "report.codequality.json",
        "github": "",
    }
    assert {name: output.file for name, output in COMPARISONS.items()} == {
        "text": "",
        "markdown": "comparison.md",
        "json": "comparison.json",
        "html": "comparison.html",
        "junit": "comparison.junit.xml",
    }
    assert all([output.title for output in REPORTS.values()] + [output.title for output in COMPARISONS.values()])


GOLDEN = """\
checkout on seed: VIOLATED
  1 of 4 invariants violated (I1): 1 distinct finding

F-3k9q  I1 at most once: duplicate effect
  payment.charge for saga-1 took effect 2 times; at most 1 is allowed
  shrunk from 31 to 12 events, from 2 to 1 fault; scenario succeeds; shown by 14 schedules
         t   orchestrator      payment
       0ms   the client asks: 1 × item-1, amount 100
       1ms   charge ─────────▶ applied +100, answer lost   ⚡ lost-ack
    1001ms   TIMEOUT charge after 1000 ms, outcome unknown
  1001.5ms   charge #2 ──────▶ applied again +100          ◀── violation
    1005ms   tells the client: completed
    1005ms   end, all at rest
  faults:            lost-ack at saga-1: payment forward, ack
  needs this fault:  yes
  expected:          at most 1 effect
  got:               2 effects
  also explains:     I17 conservation
  reproduce:         sagafuzz replay sagafuzz-report/F-3k9q.json

What was run
  scenario  planned  run  fired  consequential  histories  outcomes
  --------- -------- ---- ------ -------------- ---------- --------
  succeeds      123  123    120             40         17         1
  plans by faults: 1 with 0 faults, 22 with 1 fault, 100 with 2 faults
  outcomes of succeeds: completed: 123
  state machine: 200 of 200 examples, 4,211 rules executed, found a violation

Invariants
  id   invariant     status           checked  violated  note
  ---- ------------- ---------------- -------- --------- ----------------------------
  I1   at most once  ✗ violated           123         1
  I12  write ahead   ○ not exercised        0         0  the adapter names no records
  I13  no zombie     ✓ holds              123         0
  I17  conservation  ✓ holds              123         0

Faults
"""


def test_a_small_report_as_text(make: SimpleNamespace) -> None:
    text = TEXT(make.report(make.finding(explains=("I17 conservation",))))
    head, _, tail = text.partition("Faults\n")
    assert head + "Faults\n" == GOLDEN
    assert re.search(r"^  lost-ack +60/60 +– +0/3$", tail, re.MULTILINE)
    assert not re.search(r"^  \S+( +–)+$", tail, re.MULTILINE)  # a kind that has no site is told below
    assert tail.endswith(
        """\
What was not exercised
  - I12 write ahead: the adapter names no records
  - lost-ack in recovery: 3 plans, none fired

sagafuzz 0.1.0 · seed 0 · digest 9f86d081
again: sagafuzz run seed --faults 2
"""
    )


def test_consistent_says_what_was_searched_and_what_that_means(make: SimpleNamespace) -> None:
    text = " ".join(TEXT(make.report()).split())
    assert text.startswith("checkout on seed: CONSISTENT no violation in any of the 123 plans with at most 2 faults")
    assert "a statement about this model, not a probability" in text


def test_incomplete_is_said_loudly_and_claims_nothing(make: SimpleNamespace) -> None:
    for output in (TEXT, MARKDOWN):
        text = output(make.report(complete=False))
        assert "checkout on seed: CONSISTENT, INCOMPLETE" in text
        assert "INCOMPLETE: ended after 123 plans and 200 of 200 examples" in text
        assert "no violation in any" not in text


def test_inconclusive_says_why(make: SimpleNamespace) -> None:
    reasons = ("a planned fault never fired", "I3 gave up")
    text = TEXT(make.report(verdict="inconclusive", reasons=reasons))
    assert text.startswith("checkout on seed: INCONCLUSIVE: a planned fault never fired\n  note: I3 gave up\n")
    assert "no violation in any" not in text


def test_the_first_finding_of_each_invariant_is_shown_whole(make: SimpleNamespace) -> None:
    found = [make.finding(f"F-{n}", make.DOUBLE if n < 15 else make.ZOMBIE) for n in range(20)]
    text = TEXT(make.report(*found))
    assert text.count("reproduce:") == 2
    assert "I1 at most once: 14 more\n    F-1  payment.charge for saga-1" in text
    assert "    … and 4 more findings, in report.json" in text
    assert "I13 no zombie: 4 more\n    F-16  saga-1 was begun" in text


def test_at_most_six_are_shown_whole(make: SimpleNamespace) -> None:
    found = [make.finding(f"F-{n}", replace(make.DOUBLE, invariant=f"X{n}")) for n in range(9)]
    text = TEXT(make.report(*found))
    assert text.count("reproduce:") == 6
    assert all(f"F-{n}" in text for n in range(9))


@pytest.mark.parametrize("found", [True, False])
def test_a_machine_that_passes_over_what_plans_show_does_not_say_that_there_is_no_violation(
    make: SimpleNamespace, found: bool
) -> None:
    quiet = RandomResult(asked=200, run=200, steps=4211)
    text = TEXT(make.report(*([make.finding()] if found else []), random=quiet))
    assert ("rules executed, no further violation: it passes over those" in " ".join(text.split())) == found
    assert ("rules executed, no violation" in text) != found


def test_a_finding_of_the_state_machine_lists_its_rules(make: SimpleNamespace) -> None:
    actions = (("submit", 0), ("deliver", 0), ("lose_ack", 0))
    shown = ("submit", "deliver: payment.charge of saga-1", "lose ack: payment.charge of saga-1")
    report = make.report(make.finding(plan=None, actions=actions, shown=shown))
    for output in (TEXT, MARKDOWN):
        text = output(report)
        assert "found by the state machine and shrunk to 3 rules, 12 events" in text
        assert "lose ack: payment.charge of saga-1" in text
        assert "needs" not in text.partition("What was run")[0]
    assert json.loads(JSON(report))["findings"][0]["actions"] == [list(action) for action in actions]


def test_json_has_what_machines_rely_on(make: SimpleNamespace) -> None:
    text = JSON(make.report(make.finding(explains=("I17",))))
    assert text.endswith("}\n")
    data = json.loads(text)
    assert set(data) >= KEYS
    assert data["version"] == 1
    assert data["plans"] == {
        "planned": 123,
        "run": 123,
        "fired": 120,
        "consequential": 40,
        "histories": 17,
        "by_faults": [1, 22, 100],
    }
    assert data["invariants"]["I1"] == {
        "name": "at most once",
        "status": "violated",
        "checked": 123,
        "violated": 1,
        "note": "",
    }
    (finding,) = data["findings"]
    site = {"saga": "saga-1", "subject": "payment", "direction": "F", "phase": "ack", "occurrence": 1}
    assert finding["faults"] == [{"kind": "lost-ack", "site": site}]
    assert (finding["id"], finding["replay"]) == ("F-3k9q", "F-3k9q.json")  # beside the report
    assert (finding["necessary"], finding["hits"], finding["explains"]) == (True, 14, ["I17"])


def test_json_has_neither_the_command_nor_the_path_of_the_adapter(make: SimpleNamespace) -> None:
    text = JSON(
        make.report(make.finding(), spec="over/there/shop.py:Shop", command="sagafuzz run over/there/shop.py:Shop")
    )
    assert "over/there" not in text


def test_markdown_shows_diagrams_in_fences_and_tables_of_github(make: SimpleNamespace) -> None:
    text = MARKDOWN(make.report(make.finding()))
    assert text.startswith("# checkout on seed: VIOLATED\n")
    assert "\n```text\n         t   orchestrator      payment\n" in text
    assert re.search(r"^\| I1 +\| at most once +\| ✗ violated +\| +123 \| +1 \|", text, re.MULTILINE)


def test_markdown_keeps_its_size_for_2000_findings(make: SimpleNamespace) -> None:
    found = [make.finding(f"F-{n}", replace(make.DOUBLE, sentence=f"{n} " + "@me <&> " * 100)) for n in range(2000)]
    text = MARKDOWN(make.report(*found))
    assert len(text.encode()) <= MAX_BYTES
    assert re.search(r"… [\d,]+ more findings left out here; report\.json has all", text)
    assert "## What was not exercised" in text


def test_the_same_value_gives_the_same_bytes(make: SimpleNamespace) -> None:
    def once() -> dict[str, str]:
        return all_outputs(make.report(make.finding(), make.finding("F-2", make.ZOMBIE)))

    assert once() == once()


def test_hostile_names_are_inert_in_every_output(hostile: Report) -> None:
    for name, text in all_outputs(hostile).items():
        assert text.encode(), name
        acting = {char for char in text if not char.isprintable() and char != "\n"}
        assert not acting, name
        if name.startswith("ndjson"):
            continue  # a history is kept whole
        assert "A" * 2_000 not in text, name
        assert len(text.encode()) < LIMITS.get(name.split()[-1], MAX_BYTES), name


@pytest.mark.parametrize("form", ZOOS)
def test_what_the_zoo_missed_and_flagged_is_told_in_every_form(form: str) -> None:
    missed = Detection(
        name="tame", about="it forgets ::error::", source="a blog", expected=("I1", "I5"), max_faults=2, schedules=7
    )
    found = replace(missed, name="wild", found=True, invariant="I1", schedule="lost-ack", size=1)
    guilty = Acquittal(about="right\x1b[2J and\nlong", mutants=("wild",), max_faults=2, plans=9, flagged=("I2: no",))
    told = ZooReport(version="1", detections=(missed, found), acquittals=(guilty,), complete=False)
    assert not told.passed
    text = ZOOS[form].render(told)
    assert "tame" in text and "I2: no" in text
    assert "INCOMPLETE" in text or '"complete": false' in text
    assert not [char for char in text if not char.isprintable() and char not in "\n\N{NO-BREAK SPACE}"]
    match form:
        case "junit":
            (suite,) = ET.fromstring(text)
            failed = [case.get("name") for case in suite if case.find("failure") is not None]
            assert failed == ["tame", r"right\x1b[2J and long", "the zoo was measured"]
        case "github":
            assert [line.partition("title=")[0] for line in text.splitlines()] == ["::error "] * 3


def test_hostile_names_do_not_widen_the_text(hostile: Report) -> None:
    assert max(map(len, TEXT(hostile).splitlines())) <= 100


def test_hostile_names_start_nothing_in_markdown(hostile: Report) -> None:
    for text in (MARKDOWN(hostile), COMPARISONS["markdown"].render([hostile])):
        prose = "".join(re.split(r"^(`{3,})text\n.*?\n\1$", text, flags=re.MULTILINE | re.DOTALL)[::2])
        assert "<b>" not in prose
        assert "@me" not in prose
        assert not re.search(
            r"(?<!\\)[*|`]", re.sub(r"\*\*(.*)\*\*", r"\1", re.sub(r"^\|.*\|$", "", prose, flags=re.MULTILINE))
        )
        assert not re.search(r"^# evil", prose, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("- item", "<!-- -->- item"),
        ("1. item", "<!-- -->1. item"),
        ("see #12 by @me", "see #<!-- -->12 by @<!-- -->me"),
        ("https://example.org", "https:<!-- -->//example.org"),
        ("[a](b)", "\\[a\\](b)"),
    ],
)
def test_markdown_escapes(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert fence("a ```` b") == "`````text\na ```` b\n`````"


def test_the_comparison_has_a_column_for_each_system(make: SimpleNamespace) -> None:
    bad = make.report(make.finding(), make.finding("F-2"), make.finding("F-3", make.ZOMBIE))
    good = make.report(adapter="reference")
    text = COMPARISONS["text"].render([bad, good])
    assert re.search(r"^id +invariant +seed +reference$", text, re.MULTILINE)
    assert re.search(r"^I1 +at most once +✗ +✓$", text, re.MULTILINE)
    assert re.search(r"^I12 +write ahead +○ +○$", text, re.MULTILINE)
    assert re.search(r"^ +plans run +123 +123$", text, re.MULTILINE)
    assert re.search(r"^ +verdict +violated +consistent$", text, re.MULTILINE)
    assert "  I1 F-3k9q duplicate effect: payment.charge for saga-1 took effect 2 times" in text
    assert "  I13 F-3 nobody goes on: " in text
    assert "F-2" not in text
    markdown = COMPARISONS["markdown"].render([bad, good])
    assert re.search(r"^\| I1 +\| at most once +\| ✗ +\| ✓ +\|$", markdown, re.MULTILINE)
    assert "- I13 F-3 nobody goes on: " in markdown


def test_nothing_compared_and_nothing_run_still_render(make: SimpleNamespace) -> None:
    empty = make.report(scenarios=(), invariants=(), coverage=(), not_exercised=())
    for text in (*all_outputs(empty).values(), *(output.render([]) for output in COMPARISONS.values())):
        assert text == "" or text.endswith("\n")
    assert "nothing that was planned" in TEXT(empty)
