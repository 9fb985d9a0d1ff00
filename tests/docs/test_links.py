"""Links lead somewhere, and every command line that is mentioned is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from .reading import TOP, anchors, commands, fences, links, mentioned, parse

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in TOP.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(TOP).parts)
)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert TOP in target.parents, f"{page.name}: {link} leaves the project"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_each_command_line_can_be_read(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = {
        command.words
        for fence in fences(text)
        if fence.language == "console"
        for command in commands(fence)
        if command.words.startswith("sagafuzz ")
    }
    for line in shown | mentioned(text):
        parse(line)


def test_the_pages_that_there_are() -> None:
    if not PAGES:
        pytest.skip("the pages are part of the checkout, and this is not one")
    assert {"README.md", "docs/guide.md", "docs/reference.md"} <= {p.relative_to(TOP).as_posix() for p in PAGES}
