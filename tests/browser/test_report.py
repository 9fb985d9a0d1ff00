"""The HTML report of real campaigns in a real browser: quiet, legible, and open to everyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import Report
from sagafuzz.detection import Acquittal, Detection, ZooReport
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.reports import COMPARISONS, REPORTS, zoo

pytestmark = pytest.mark.browser

Pages = Mapping[str, str]

OVERLAPS = """() => {
  const found = [];
  for (const picture of document.querySelectorAll('svg')) {
    const frame = picture.viewBox.baseVal;
    const boxes = [...picture.querySelectorAll('text')].map(text => [text.getBBox(), text.textContent]);
    boxes.forEach(([box, words], index) => {
      if (box.x < -1 || box.y < -1 || box.x + box.width > frame.width + 1 || box.y + box.height > frame.height + 1)
        found.push('cut off: ' + words);
      for (const [other, there] of boxes.slice(index + 1))
        if (box.x + 1 < other.x + other.width && other.x + 1 < box.x + box.width
            && box.y + 3 < other.y + other.height && other.y + 3 < box.y + box.height)
          found.push(words + ' lies over ' + there);
    });
  }
  return found;
}"""

HIDDEN = """() => [...document.querySelectorAll('body *')].filter(element => {
  const style = getComputedStyle(element);
  return !element.closest('svg') && !element.matches('.skip') && element.clientWidth > 0
    && !['auto', 'scroll'].includes(style.overflowX) && !element.parentElement.closest('.wide')
    && element.scrollWidth > element.clientWidth + 1 && style.display !== 'inline';
}).map(element => element.outerHTML.slice(0, 120))"""

SMALLEST = """() => Math.min(...[...document.querySelectorAll('svg text')]
  .filter(text => text.getBoundingClientRect().width)
  .map(text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))"""


@pytest.fixture(scope="module")
def reports() -> Sequence[Report]:
    """Of a broken system, and of a correct one."""
    reports = []
    for name in ("seed", "reference"):
        adapter = load(name)
        with quiet():
            some = adapter.scenarios[:1]
            report = Campaign(adapter, Settings(max_faults=1, examples=5, scenarios=some)).run()
            reports.append(replace(report, command=f"sagafuzz run {name}"))
    return reports


@pytest.fixture(scope="module")
def pages(reports: Sequence[Report]) -> Pages:
    """The reports, the two compared, and a table of the zoo."""
    html = REPORTS["html"].render
    return {
        "violated": html(reports[0]),
        "consistent": html(reports[1]),
        "compared": COMPARISONS["html"].render(reports),
        "zoo": zoo.render_html(detected(reports[0])),
    }


def detected(report: Report) -> ZooReport:
    """A table with a bug for each finding, the first of them missed."""
    late, about = 1, "charges again when the answer of the gateway is lost, without the key that it had sent before"
    detections = [
        Detection(
            name=f"a-mutant-with-a-name-of-usual-length-{number}",
            about=about,
            source="somebody/some-engine#1234",
            expected=(finding.violation.invariant,),
            max_faults=2,
            schedules=1234,
            seconds=1.5,
            late=number == late,
            found=number > 0,
            invariant=finding.violation.invariant if number else "",
            sentence=finding.violation.sentence,
            schedule=str(finding.plan),
            size=1,
        )
        for number, finding in enumerate(report.findings)
    ]
    twin = Acquittal(
        about="a durable checkout that keys each request",
        mutants=tuple(found.name for found in detections),
        max_faults=2,
        plans=12_345,
        flagged=(),
        seconds=2.5,
    )
    return ZooReport(version="1", detections=tuple(detections), acquittals=(twin,), complete=True)


@pytest.mark.parametrize("name", ["violated", "consistent", "compared", "zoo"])
def test_nothing_is_logged_and_nothing_is_asked_for(open_page: Any, pages: Pages, name: str) -> None:
    opened = open_page(pages[name])
    assert (opened.console, opened.requests) == ([], [])


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["violated", "compared", "zoo"])
def test_nothing_overlaps_and_nothing_is_cut_off(open_page: Any, pages: Pages, name: str, width: int) -> None:
    page = open_page(pages[name], width=width).page
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(HIDDEN) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(SMALLEST) >= 9.5  # of no picture: Infinity


def test_it_reads_with_scripts_off(open_page: Any, pages: Pages) -> None:
    page = open_page(pages["violated"], scripts=False).page
    assert "VIOLATED" in page.locator("h1").inner_text()
    assert page.locator("article.card svg").first.is_visible()
    assert page.locator(".steps").count() == 0 and not page.locator("#filter").is_visible()
    first = page.locator("figure details").first
    assert not first.locator("table").is_visible()
    first.locator("summary").click()
    assert "payment.charge is sent" in first.locator("table").inner_text()
    assert "> 81 |" in first.locator(".code").inner_text()


def test_the_verdict_is_on_the_first_screen(open_page: Any, pages: Pages) -> None:
    for width in (1280, 390):
        page = open_page(pages["violated"], width=width).page
        for words in ("h1", "header dl", "header code"):
            box = page.locator(words).first.bounding_box()
            assert box["y"] + box["height"] < 900


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_each_link_of_the_index_opens_its_finding(open_page: Any, pages: Pages, *, scripts: bool) -> None:
    page = open_page(pages["violated"], scripts=scripts).page
    cards, links = page.locator("article.card"), page.locator(".index a")
    assert links.count() >= cards.count() > 1
    assert cards.first.locator("svg").first.is_visible()
    last = links.nth(cards.count() - 1)
    anchor = str(last.get_attribute("href"))
    finding = page.locator("article.card", has=page.locator(anchor))
    assert not finding.locator("svg").first.is_visible()
    last.click()
    assert finding.locator("svg").first.is_visible()


def test_keys_step_through_the_events(open_page: Any, pages: Pages) -> None:
    opened = open_page(pages["violated"], policy=True)
    card = opened.page.locator("article.card").first
    panel, rows = card.locator(".steps"), card.locator(".events tbody tr")
    panel.focus()
    panel.press("ArrowRight")
    assert f"Event 1 of {rows.count()}" in panel.inner_text()
    sends = [row for row in range(rows.count()) if "is sent" in (rows.nth(row).text_content() or "")]
    for _ in range(sends[-1]):
        panel.press("ArrowDown")
    said = panel.inner_text()
    assert f"Event {sends[-1] + 1} of" in said
    assert "payment.charge is sent" in said and "attempt 1; payload amount=100" in said
    assert "saga-1: asked for" in said and "inventory: in effect" in said and "9 of 10 left" in said
    assert "> 81 |" in said, "the line that acted, among those around it"
    assert "charge" in (card.locator("svg .stop.on").text_content() or "")
    panel.press("ArrowLeft")
    panel.press("End")
    assert f"Event {rows.count()} of {rows.count()}" in panel.inner_text()
    panel.press("Home")
    assert "Event 1 of" in panel.inner_text()
    assert opened.console == []


def test_buttons_and_clicks_in_the_picture_step_as_well(open_page: Any, pages: Pages) -> None:
    card = open_page(pages["violated"], policy=True).page.locator("article.card").first
    panel = card.locator(".steps")
    panel.get_by_role("button", name="Next event").click()
    panel.get_by_role("button", name="Next event").click()
    assert "Event 2 of" in panel.inner_text()
    card.locator("svg.st").first.locator(".stop.deliver text").last.click()
    assert "reaches payment" in panel.inner_text()
    panel.press("ArrowRight")  # the click gave it the focus
    assert "payment applies" in panel.inner_text()


def test_findings_are_filtered_by_words_and_by_invariant(open_page: Any, pages: Pages) -> None:
    page = open_page(pages["violated"], policy=True).page
    cards, search = page.locator("article.card"), page.get_by_label("Search the findings")
    all_of_them = cards.count()

    def shown() -> int:
        return sum(cards.nth(number).is_visible() for number in range(all_of_them))

    assert shown() == all_of_them > 3
    search.fill(str(cards.nth(1).get_attribute("data-id")))
    assert shown() == 1 and cards.nth(1).is_visible()
    assert page.locator("#filter output").inner_text().startswith("1 of ")
    search.fill("")
    page.locator("#filter select").select_option("I1")
    assert 1 < shown() < all_of_them
    page.locator(".index a").last.click()  # of another invariant: it is shown all the same
    assert shown() == all_of_them


def test_a_count_in_the_comparison_opens_its_finding(open_page: Any, pages: Pages) -> None:
    page = open_page(pages["compared"]).page
    link = page.locator("td.bad a").last
    finding = page.locator("article.card", has=page.locator(str(link.get_attribute("href"))))
    assert not finding.locator("svg").first.is_visible()
    link.click()
    assert finding.locator("svg").first.is_visible()


def test_hostile_names_start_nothing(open_page: Any, reports: Sequence[Report]) -> None:
    name = '"><script>document.title="taken"</script><img src=x onerror=alert(1)><style>*{display:none}</style>'
    finding = reports[0].findings[0]
    violation = replace(finding.violation, sentence=name, expected=name, got=name, anomaly=name)
    hostile = replace(
        reports[0], adapter=name, command=name, findings=(replace(finding, id=name, violation=violation),)
    )
    opened = open_page(REPORTS["html"].render(hostile))
    opened.page.locator(".steps").press("End")
    assert (opened.console, opened.requests) == ([], [])
    assert opened.page.title().startswith("checkout on")
    assert (opened.page.locator("script").count(), opened.page.locator("img").count()) == (1, 0)
    assert opened.page.locator("h1").is_visible()


def test_every_part_of_the_report_is_there_and_can_be_reached(open_page: Any, pages: Pages) -> None:
    page = open_page(pages["violated"]).page
    parts = {"findings", "untested", "invariants", "saga", "heat", "discovery", "run"}
    links = page.locator("nav[aria-label='Parts of the report'] a")
    assert {links.nth(number).get_attribute("href") for number in range(links.count())} == {f"#{id}" for id in parts}
    for id in parts:
        assert page.locator(f"#{id}").is_visible()
    for picture in ("svg.st", "svg.g", "svg.d"):
        assert page.locator(picture).first.is_visible()
    assert page.locator("table.heat td.fine").count() > 5
    broken = page.locator("table.heat td.bad a").last
    anchor = str(broken.get_attribute("href"))
    broken.click()
    assert page.locator("article.card", has=page.locator(anchor)).locator("svg").first.is_visible()
    assert page.locator("#discovery ~ .wide path.v").count() > 0  # where a violation was first seen


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["violated", "consistent", "compared", "zoo"])
def test_it_is_accessible(open_page: Any, pages: Pages, axe: str, name: str, scheme: str) -> None:
    page = open_page(pages[name], scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    for panel in page.locator(".steps").all()[:3]:
        panel.press("End")
    page.evaluate(axe)
    result = page.evaluate("axe.run()")
    assert [(broken["id"], broken["nodes"][0]["html"]) for broken in result["violations"]] == []
    assert len(result["passes"]) > 10
