"""Text from elsewhere is inert and short."""

from __future__ import annotations

import pytest

from sagafuzz.reports.clean import clean, cut, plural, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("reversed \u202e order", "reversed \\u202e order"),
        ("half a \ud800 pair", "half a \\ud800 pair"),
        ("  spaces   around ", "spaces around"),
        ("größer ✓ 日本", "größer ✓ 日本"),
        (None, "None"),
    ],
)
def test_what_does_not_print_is_spelt_out(text: object, shown: str) -> None:
    assert clean(text, 60) == shown


@pytest.mark.parametrize("text", ["A" * 10_000, "\x1b" * 10_000, "日" * 10_000, " " * 10_000 + "x", "word " * 5_000])
def test_it_is_never_wider_than_its_limit(text: str) -> None:
    assert width(clean(text, 20)) <= 20
    assert clean(text, 20).endswith("…")


def test_what_fits_is_left_alone() -> None:
    assert clean("a" * 20, 20) == "a" * 20
    assert cut("a  b", 4) == "a  b"
    assert cut("a  bc", 4) == "a  …"


def test_numbers_agree_with_their_noun() -> None:
    assert plural(1, "fault") == "1 fault"
    assert plural(0, "history") == "0 histories"
    assert plural(1234, "plan") == "1,234 plans"
