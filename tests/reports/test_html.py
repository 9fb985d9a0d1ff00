"""The HTML report as text: what it holds, how large it is, that nothing from elsewhere is markup in it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from sagafuzz import Plan, Report, Saga, Step
from sagafuzz.faults import FAULT_KINDS, Site
from sagafuzz.reports import COMPARISONS, REPORTS
from sagafuzz.reports.pictures import graph
from sagafuzz.verdict import Coverage, Discovery, Explanation, RandomPlans, SiteCell, Unreachable

HTML = REPORTS["html"].render
COMPARE = COMPARISONS["html"].render


class Page(HTMLParser):
    """What a page is made of: elements, attributes, text; fails where one closes that is not open."""

    VOID = frozenset({"meta", "link", "br", "input", "path", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def explained(make: SimpleNamespace) -> Any:
    """A finding with the nearest schedule that passes."""
    return make.finding(
        explanation=Explanation(passing="without lost-ack", parting="after 4 events", passing_history=make.crash())
    )


def test_the_verdict_comes_first_and_what_was_not_tested_after_the_findings(make: SimpleNamespace) -> None:
    words = " ".join(" ".join(Page(HTML(make.report(explained(make)))).words).split())
    order = [
        "checkout on seed: VIOLATED",
        "sagafuzz run seed --faults 2",
        "took effect 2 times",
        "What was not exercised",
    ]
    assert sorted(order, key=words.rindex) == order
    assert "the adapter names no records" in words.partition("What was not exercised")[2]


def test_a_finding_stands_beside_the_nearest_schedule_that_passes(make: SimpleNamespace) -> None:
    text = HTML(make.report(explained(make)))
    assert text.count('<svg class="st"') == 2
    assert "passes: without lost-ack" in text
    assert "⚡ fault: lost-ack" in text and "◀ violation" in text
    assert "applied again +100" in text and "in effect 2 times" in text  # in the picture, and among its events
    assert "<dt>noted</dt><dd>it came again 5 times</dd>" in HTML(
        make.report(make.finding(notes=("it came again 5 times",)))
    )
    assert HTML(make.report(make.finding())).count('<svg class="st"') == 1


def test_each_picture_has_a_title_a_description_and_a_table(make: SimpleNamespace) -> None:
    points = tuple(Discovery(plans=n, histories=n, violations=n // 5) for n in range(1, 12))
    text = HTML(make.report(explained(make), definition=make.SAGA, discovery=points))
    pictures = re.findall(r"<svg.*?</svg>", text)
    assert len(pictures) == 4
    for picture in pictures:
        assert 'role="img"' in picture and "<title " in picture and "<desc " in picture
    assert text.count("<summary>As a table</summary>") == 3 and text.count("<summary>Every event</summary>") == 1
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    named = {id for name, value in page.attributes if name == "aria-labelledby" for id in value.split()}
    assert named <= set(page.ids)


def harmful(make: SimpleNamespace, *found: Any) -> Report:
    """A report whose invariants say what they ask, and what harm it does where they are broken."""
    given = make.report(*found)
    told = {"I1": "{what} can take effect more than once", "I13": "a crash can leave a saga half done"}
    return replace(
        given,
        invariants=tuple(
            replace(result, rule=f"the rule of {result.name}", harm=told.get(result.id, ""))
            for result in given.invariants
        ),
    )


def test_the_first_words_say_what_can_happen(make: SimpleNamespace) -> None:
    other = replace(make.DOUBLE, step="inventory", direction="C")
    found = (make.finding(), make.finding("F-2", other), make.finding("F-3", make.ZOMBIE))
    head = HTML(harmful(make, *found)).partition("</header>")[0]
    assert re.findall(r"<li>([^<]*)</li>", head.partition("</ul>")[0]) == [
        "payment.charge and inventory.release can take effect more than once",
        "a crash can leave a saga half done",
    ]
    assert "What can happen" not in HTML(make.report()).partition("</header>")[0]


def test_a_rule_without_words_for_its_harm_is_named(make: SimpleNamespace) -> None:
    own = replace(make.DOUBLE, invariant="I17")
    assert "<li>the rule conservation can be broken</li>" in HTML(make.report(make.finding(violation=own)))


def test_each_code_leads_to_its_rule(make: SimpleNamespace) -> None:
    text = HTML(harmful(make, make.finding(explains=("I13", "I17"))))
    assert '<a href="#I1" title="at most once: the rule of at most once">I1</a>' in text.partition("</header>")[0]
    card = text.partition('<article class="card"')[2].partition("</article>")[0]
    assert 'href="#I13"' in card and "the rule of at most once" in card
    page = Page(text)
    links = {value[1:] for name, value in page.attributes if name == "href"}
    assert links <= set(page.ids)
    assert {"I1", "I12", "I13", "I17"} <= set(page.ids)


def test_each_kind_of_fault_of_a_finding_says_what_it_is(make: SimpleNamespace) -> None:
    assert f"lost-ack: {FAULT_KINDS['lost-ack'].meaning}" in " ".join(Page(HTML(make.report(make.finding()))).words)


def test_the_link_of_a_finding_is_shown_to_copy(make: SimpleNamespace) -> None:
    assert '<a href="#F-3k9q"><code>report.html#F-3k9q</code></a>' in HTML(make.report(make.finding()))


def test_an_interrupted_campaign_says_so_on_the_first_screen(make: SimpleNamespace) -> None:
    head = HTML(make.report(complete=False)).partition("</header>")[0]
    assert "CONSISTENT, INCOMPLETE" in head
    assert "<dt>Status</dt><dd>INCOMPLETE</dd>" in head


def test_random_plans_stand_beside_the_verdict(make: SimpleNamespace) -> None:
    drawn = RandomPlans(asked=1200, run=1200, fired=1200, max_faults=5)
    assert "<dt>Random plans</dt><dd>1,200, up to 5 faults</dd>" in HTML(make.report(random_plans=drawn))
    assert "<dt>Random plans</dt>" not in HTML(make.report())


def test_a_command_breaks_between_its_words_and_lines_of_one_kind_have_one_label(make: SimpleNamespace) -> None:
    head = HTML(make.report(command="sagafuzz run seed --seed 0"))
    assert "<span>seed</span> <span>--seed</span> <span>0</span></code>" in head
    rules = make.finding(plan=None, actions=(("submit", 0), ("crash", 0)), shown=("submit saga-1", "crash"))
    assert "<dt>rules</dt><dd>submit saga-1</dd><dd>crash</dd>" in HTML(make.report(rules))


def test_nothing_is_loaded_and_one_script_runs_by_its_hash(make: SimpleNamespace) -> None:
    for text in (HTML(make.report(explained(make))), COMPARE([make.report(explained(make))])):
        page = Page(text)
        assert not {"link", "img", "iframe", "object", "form", "base"} & set(page.tags)
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert re.findall(r"script-src ([^;]*);", text) == [f"'sha256-{digest}'"]
        assert not [name for name, _ in page.attributes if name == "src" or name.startswith("on")]
        assert [value for name, value in page.attributes if name == "href" and not value.startswith("#")] == []
        assert "default-src 'none'" in text
        assert "url(" not in text and "@import" not in text


def test_hostile_names_are_text(hostile: Report) -> None:
    given = replace(
        hostile,
        definition=hostile.findings[0].history.saga,
        discovery=(Discovery(plans=1, histories=1, violations=0), Discovery(plans=2, histories=1, violations=1)),
    )
    for text in (HTML(given), COMPARE([given, given])):
        page = Page(text)
        assert "<b>*x*" not in text and text.count("<script") == 1
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert not {char for char in text if not char.isprintable() and char != "\n"}
        assert "A" * 1_000 not in text
        assert any("<b>" in word for word in page.words)


def test_a_name_cannot_leave_its_attribute(make: SimpleNamespace) -> None:
    name = '"><script>alert(1)</script><p onclick="x" '
    finding = replace(explained(make), id=name)
    text = HTML(make.report(finding, saga=name, adapter=name, command=name))
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "onclick" not in dict(page.attributes)


@pytest.mark.parametrize(("count", "limit"), [(1, 60_000), (20, 300_000), (500, 500_000), (5_000, 500_000)])
def test_the_size_is_bounded(make: SimpleNamespace, count: int, limit: int) -> None:
    found = [replace(explained(make), id=f"F-{n}") for n in range(count)]
    text = HTML(make.report(*found))
    assert len(text.encode()) < limit
    if count <= 20:
        assert text.count('<article class="card"') == count
    shown = text.count('<article class="card"') + len(re.findall(r"<li id=\"[^\"]+\"[^>]*><b>I1</b>", text))
    assert shown == count or "more, in report.json" in text


def test_a_schedule_of_a_thousand_events_is_shortened(make: SimpleNamespace) -> None:
    applied = ("APPLY", (True, "saga-1"))
    rows = [row for n in range(250) for row in make.charge(n * 10, n + 1, make.SEND, make.ARRIVES, applied)]
    rows += [make.row(9_000 + n, "CLIENT_ACK", "client", "completed") for n in range(250)]
    finding = make.finding(history=make.history(rows), violation=replace(make.DOUBLE, position=500))
    text = HTML(make.report(finding))
    assert len(rows) == 1_000
    assert len(text.encode()) < 80_000
    assert "events left out" in text


def _cell(kind: str, phase: str, fired: int, planned: int, direction: str = "F", broken: Any = ()) -> SiteCell:
    site = Site("saga-1", "payment", direction, phase, 1)
    counts = {"planned": planned, "fired": fired, "consequential": 0}
    return SiteCell(scenario="succeeds", site=site, kind=kind, mode="forward", broken=broken, **counts)


def _squares(text: str, kind: str) -> list[str]:
    """The squares of a row of the heatmap, as markup."""
    row = re.search(rf'<tr><th scope="row"><abbr[^>]*>{kind}</abbr></th>(.*?)</tr>', text)
    assert row is not None
    return re.findall(r"<td.*?</td>", row[1])


def test_the_heatmap_leads_from_what_broke_to_its_finding(make: SimpleNamespace) -> None:
    finding = make.finding()
    broken = (finding.violation.signature,)
    other = (("I1", "duplicate effect", "inventory", "F"),)
    sites = (
        _cell("lost-ack", "ack", 2, 2, broken=broken),
        _cell("lost-ack", "ack", 4, 4, "C"),
        _cell("timeout", "send", 5, 6),
        _cell("timeout", "send", 0, 3, "C"),
        _cell("duplicate", "send", 5, 5, broken=other),
    )
    text = HTML(make.report(finding, covered=Coverage(sites=sites), definition=make.SAGA))
    reserve, charge, refund, release = _squares(text, "lost-ack")
    assert charge == '<td class="bad"><a href="#F-3k9q">✗ F-3k9q</a></td>'
    assert refund == '<td class="fine">✓ 4</td>'
    assert 'class="off"' in reserve and 'class="off"' in release
    assert _squares(text, "timeout")[1:3] == ['<td class="fine">✓ 5/6</td>', '<td class="idle">○ 0/3</td>']
    assert 'href="#F-3k9q"' in _squares(text, "duplicate")[1], "no finding of its own: that of the same invariant"


def test_a_fault_that_broke_a_rule_with_another_one_only_says_so(make: SimpleNamespace) -> None:
    plan = Plan(faults=(make.LOST_ACK, make.fault("duplicate", "send", direction="C")))
    sites = (_cell("lost-ack", "ack", 2, 2), _cell("duplicate", "send", 2, 2, "C"), _cell("duplicate", "send", 1, 1))
    text = HTML(make.report(make.finding(plan=plan), covered=Coverage(sites=sites)))
    assert _squares(text, "lost-ack")[1].startswith('<td class="both"><a href="#F-3k9q">')
    assert [square.split('"')[1] for square in _squares(text, "duplicate")] == ["off", "fine", "both", "off"]


def test_a_fault_that_struck_after_others_only_is_not_called_fine(make: SimpleNamespace) -> None:
    sites = (replace(_cell("lost-ack", "ack", 7, 7), alone=False),)
    text = HTML(make.report(make.finding(plan=None), covered=Coverage(sites=sites)))
    assert _squares(text, "lost-ack")[1] == '<td class="after">~ 7</td>'


def test_what_was_not_tried_is_hatched_with_the_reason(make: SimpleNamespace) -> None:
    why = (
        Unreachable(kind="lost-ack", where="inventory forward", reason="nobody waits for it"),
        Unreachable(kind="expiry", where="", reason="it needs that the adapter declares expiring="),
    )
    sites = (_cell("lost-ack", "ack", 1, 1), _cell("reject", "effect", 1, 1))
    text = HTML(make.report(covered=Coverage(sites=sites, unreachable=why), definition=make.SAGA))
    listed = dict(re.findall(r'<li id="(why1-\d)">(.*?)</li>', text))
    numbers = re.findall(r'href="#(why1-\d)"', "".join(_squares(text, "lost-ack")))
    assert listed[numbers[0]] == "nobody waits for it"
    assert listed[re.findall(r'href="#(why1-\d)"', _squares(text, "reject")[2])[0]] == "it strikes forward only"
    assert ">expiry</abbr>" not in text, "what cannot happen has no row"
    folded = text.partition("<summary>What could not be tried")[2].partition("</details>")[0]
    assert "it needs that the adapter declares expiring=" in folded and "expiry" in folded


def test_what_a_map_or_a_table_shows_is_not_listed_again(make: SimpleNamespace) -> None:
    why = (Unreachable(kind="expiry", where="", reason="it needs expiring="),)
    lines = ("expiry anywhere: it needs expiring=", "invariant I12 (write ahead)", "shard 2/3 is missing")
    text = HTML(make.report(not_exercised=lines, covered=Coverage(unreachable=why)))
    untested = text.partition('<h2 id="untested">')[2].partition("</section>")[0]
    assert re.findall(r"<li>(.*?)</li>", untested) == [
        '<a href="#invariants">1 of 4 invariants</a>: <a href="#I12" title="write ahead">I12</a> write ahead',
        '<a href="#never">1 kind of faults</a>: with what each of them needs',
        "shard 2/3 is missing",
        "lost-ack in recovery: 3 plans, none fired",
    ]
    assert text.count("it needs expiring=") == 1


def test_invariants_that_were_not_exercised_come_first(make: SimpleNamespace) -> None:
    table = HTML(make.report(make.finding())).partition('<h2 id="invariants">')[2].partition("</table>")[0]
    assert re.findall(r'<tr><td id="\w+">(\w+)</td>', table) == ["I12", "I1", "I13", "I17"]


def test_the_graph_sets_steps_that_may_run_at_once_below_one_another() -> None:
    saga = Saga(
        "trip",
        [
            Step("flight", "flight.book", undo="flight.cancel", after=()),
            Step("hotel", "hotel.book", undo="hotel.cancel", after=()),
            Step("pay", "bank.pay", pivot=True, after=("flight", "hotel")),
            Step("mail", "mail.send", retriable=True),
        ],
    )
    picture = str(graph(saga))
    boxes = re.findall(r'<rect class="(\w)" x="(\d+)" y="(\d+)"', picture)
    forward = [(kind, int(x), int(y)) for kind, x, y in boxes if kind != "c"]
    assert [kind for kind, _, _ in forward] == ["s", "s", "p", "s"]
    (_, x1, y1), (_, x2, y2), (_, x3, _), (_, x4, _) = forward
    assert x1 == x2 < x3 < x4 and y1 < y2
    assert len([kind for kind, _, _ in boxes if kind == "c"]) == 2
    assert picture.count('class="e"') == 3
    assert "pay · pivot" in picture and "mail · retriable" in picture


def test_the_comparison_is_a_matrix_with_the_findings_below(make: SimpleNamespace) -> None:
    text = COMPARE([make.report(explained(make)), make.report(adapter="reference")])
    page = Page(text)
    words = " ".join(page.words)
    assert "checkout on reference: CONSISTENT" in words
    assert text.count('<td class="bad"><a href="#s0-F-3k9q">✗ 1</a></td>') == 1
    assert text.count('<td class="good">✓ 123</td>') == 5, "of three invariants of two systems all but one hold"
    assert "s0-F-3k9q" in page.ids and "comparison.html#s0-F-3k9q" in words
    assert text.count('<article class="card"') == 1
    assert "Nothing was compared." in COMPARE([])
