"""The reference says what the code says."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from ..tools import tool_named
from .reading import TOP

TOOL = TOP / "tools" / "make_reference.py"
PAGE = TOP / "docs" / "reference.md"

pytestmark = pytest.mark.skipif(
    not (TOOL.is_file() and PAGE.is_file()), reason="the reference is part of the checkout, and this is not one"
)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return tool_named("make_reference")


@pytest.mark.parametrize("page", ["reference.md", "spared.md"])
def test_no_region_is_stale(tool: ModuleType, page: str) -> None:
    assert page in tool.PAGES
    stale = tool.stale((TOP / "docs" / page).read_text(encoding="utf-8"), tool.PAGES[page])
    assert not stale, f"docs/{page} is stale: {', '.join(stale)}; run python tools/make_reference.py"


def test_a_stale_region_is_named_and_made_anew(tool: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    old = page.replace("| `lost-ack` |", "| `lost-mind` |")
    assert tool.stale(old) == ["faults"]
    assert tool.rewritten(old) == page


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda page: page.replace("<!-- begin faults -->", ""), id="no beginning"),
        pytest.param(lambda page: page.replace("<!-- end faults -->", ""), id="no end"),
        pytest.param(lambda page: page + "<!-- begin weather -->", id="nothing makes it"),
    ],
)
def test_a_page_with_other_regions_is_refused(tool: ModuleType, spoil: Callable[[str], str]) -> None:
    with pytest.raises(SystemExit, match=r"faults|weather"):
        tool.rewritten(spoil(PAGE.read_text(encoding="utf-8")))


def test_what_nobody_described_is_named(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(tool.SCENARIO, "funds")
    with pytest.raises(SystemExit, match="describe funds"):
        tool.scenario()
