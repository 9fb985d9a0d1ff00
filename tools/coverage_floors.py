"""Says how much of each code folder `make coverage` ran, and fails where that is less than its floor.

A floor is a little below what some of the quick tests cover. Whoever covers more raises it; whoever falls below it
writes a test.
"""

from __future__ import annotations

import io
import sys

from coverage import Coverage

FLOORS = {"harness": 65, "reference_saga": 85, "adapters": 85, "reports": 92}
"""Percent of lines and branches."""


def main() -> str:
    """Print a line for each folder. Returns what is to be done, "" where nothing is."""
    coverage = Coverage()
    coverage.load()
    below = []
    for folder, floor in FLOORS.items():
        share = coverage.report(include=[f"{folder}/*"], file=io.StringIO())
        sys.stdout.write(f"{folder:<16}{share:6.1f} %   (at least {floor} %)\n")
        if share < floor:
            below.append(folder)
    return f"{' and '.join(below)}: add tests of what `.venv/bin/coverage report` names" if below else ""


if __name__ == "__main__":
    sys.exit(main() or 0)
