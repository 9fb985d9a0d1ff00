"""Text in as many columns as there are: commands that can be copied, tables that keep to the width."""

from __future__ import annotations

import subprocess

import pytest

from sagafuzz.reports.facts import Table
from sagafuzz.reports.layout import command, table

WORDS = [
    ["run", "tests/saga_adapter.py:Shop", "--faults", "2", "--random", "100", "--seed", "0"],
    ["run", "a folder/of one's own/adapter.py:Shop", "--plan", "lost-ack@payment forward + duplicate@order"],
    ["replay", "/a/" + "very-long-folder/" * 12 + "F-wmx2y.json"],
    ["replay", "it's " * 40],
]


@pytest.mark.parametrize("columns", [60, 80, 100])
@pytest.mark.parametrize("words", WORDS, ids=["short", "quoted", "long word", "long and quoted"])
def test_a_command_keeps_to_the_width_and_means_the_same_to_the_shell(words: list[str], columns: int) -> None:
    import shlex

    text = command(shlex.join(["printf", "%s\\n", *words]), columns, start="", hanging="    ")
    assert max(map(len, text.split("\n"))) <= columns
    ran = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == words


def test_a_command_that_fits_stays_on_its_line() -> None:
    assert command("sagafuzz run seed", 40, start="again: ") == "again: sagafuzz run seed"
    assert command("sagafuzz run seed --faults 2", 25, start="again: ") == "again: sagafuzz run \\\n  seed --faults 2"


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_table_wraps_words_and_keeps_numbers_whole(columns: int) -> None:
    rows = (("two-on-one-item", "1,234", "words " * 20), ("of 二 columns each", "5", "[bold]no markup[/bold]"))
    text = table(Table(headers=("scenario", "plans", "note"), rows=rows, numbers=frozenset({1})), columns)
    assert max(map(len, text.split("\n"))) <= columns
    assert "1,234" in text and "[bold]no" in text
    assert set(text.split("\n")[1]) == {"-", " "}
