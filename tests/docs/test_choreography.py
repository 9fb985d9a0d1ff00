"""The page on choreography: its table is the flow, its program is one."""

from __future__ import annotations

import re

import pytest

from sagafuzz.reference_saga.choreography import CHECKOUT_FLOW

from .reading import TOP, fences

PAGE = TOP / "docs" / "choreography.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the page is part of the checkout, and this is not one")


def test_the_table_is_the_flow() -> None:
    rows = re.findall(r"^\| (.+) \| (\w+\.\w+) \| (\S+) \| *(\S*) *\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {(cause, does, then, refused) for causes, does, then, refused in rows for cause in causes.split(", ")}
    assert shown == {(r.on, r.operation, r.then, r.refused) for r in CHECKOUT_FLOW.reactions}


def test_the_program_knows_its_names() -> None:
    (program,) = (fence.text for fence in fences(PAGE.read_text(encoding="utf-8")) if fence.language == "python")
    known: dict[str, object] = {}
    exec(compile(program, PAGE.name, "exec"), known)
    serve = known["serve_inventory"]
    assert set(serve.__code__.co_names) <= {*known, "work"}  # type: ignore[attr-defined]
