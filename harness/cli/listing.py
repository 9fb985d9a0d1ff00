"""``sagafuzz adapters``."""

from __future__ import annotations

import click
from tabulate import tabulate

from ..errors import UsageError
from ..loading import load, names
from ..reports.clean import clean, wrap
from .console import say


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
            rows.append((clean(name, 60), wrap(clean(found.about, 200), 50), wrap(scenarios, 30)))
        except UsageError as error:
            rows.append((clean(name, 60), wrap(clean(f"cannot be loaded: {error}", 400), 50), ""))
    say(tabulate(rows, headers=("adapter", "what it is", "scenarios"), tablefmt="simple"))
    return 0
