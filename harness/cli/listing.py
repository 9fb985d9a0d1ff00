"""``sagafuzz adapters``."""

from __future__ import annotations

import click

from ..errors import UsageError
from ..loading import load, names
from ..reports.clean import clean
from ..reports.facts import Table
from ..reports.layout import table
from .console import columns, say


@click.command(short_help="List the adapters that can be named.")
def adapters() -> int:
    """List the adapters that can be named: built-in ones and installed entry points.

    \b
    sagafuzz adapters
    """
    rows = []
    for name in names():
        try:
            found = load(name)
            scenarios = ", ".join(clean(scenario.name, 40) for scenario in found.scenarios)
            rows.append((clean(name, 60), clean(found.about, 200), scenarios))
        except UsageError as error:
            rows.append((clean(name, 60), clean(f"cannot be loaded: {error}", 400), ""))
    say(table(Table(headers=("adapter", "what it is", "scenarios"), rows=tuple(rows)), columns()))
    return 0
