"""What is written for Mermaid is drawn by Mermaid, and shows the names as they are."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import History
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.reports import SCHEDULES
from sagafuzz.reports.diagram import Diagram
from sagafuzz.reports.line import Line
from sagafuzz.reports.mermaid import draw

pytestmark = pytest.mark.browser

NASTY = ("end", "a;b", "#35;", "<b>x</b>", "%% no", "loop", "->>", "Note over p0: x", "{}", '"', "p0-->>p1: y", "a:b")


@pytest.fixture
def drawn(open_page: Any, mermaid: str) -> Any:
    """Draw by Mermaid; the words that the picture shows."""
    page = open_page("<!doctype html><title>m</title><div id=m></div>").page
    page.add_script_tag(content=mermaid)
    page.evaluate("mermaid.initialize({startOnLoad: false})")

    def draw_it(text: str) -> str:
        svg = page.evaluate("async text => (await mermaid.render('g', text)).svg", text)
        page.evaluate("svg => { document.getElementById('m').innerHTML = svg }", svg)
        shown: str = page.locator("#m").inner_text()
        return " ".join(shown.split())

    return draw_it


def test_a_schedule_is_drawn(drawn: Any) -> None:
    send = (0, "SEND", "orchestrator", "saga-1", "payment", "F", 1, None, 1, ("payment.charge", (("amount", 100),)))
    handled = (1_000, "APPLY", "payment", "saga-1", "payment", "F", 1, None, 1, (True, "saga-1"))
    history = History(saga=CHECKOUT, sagas=("saga-1",), rows=(send, handled))
    words = drawn(SCHEDULES["mermaid"].render(history))
    assert "0 ms: charge" in words
    assert "applied" in words


def test_a_name_is_only_a_name(drawn: Any) -> None:
    def shown(name: str) -> int:
        call = Line(t_us=0, kind="call", text=name, target=name, fate=name)
        note = Line(t_us=5, kind="client", text=name)
        words: str = drawn(draw(Diagram(lanes=("orchestrator", name), lines=(call, note))))
        return words.count(name)

    assert [(name, times) for name in NASTY if (times := shown(name)) < 3] == []
