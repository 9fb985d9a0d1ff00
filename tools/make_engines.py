"""The table of engines in docs/engines.md and, without workloads, README.md.   tools/make_engines.py REPORT.json…

`make engines` runs every engine, and then this; `make engines ENGINES="lra lra@timer"` some. The rows of others stay.
Where a system has several reports the last one is told.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any, Final

TOP: Final = Path(__file__).resolve().parent.parent
PAGES: Final = {TOP / "docs" / "engines.md": True, TOP / "README.md": False}
"""Where it stands, and whether with workloads."""

BEGIN: Final = "<!-- engines: `make engines` writes what follows -->\n"
END: Final = "<!-- engines: end -->\n"


COLUMNS: Final = ("adapter", "versions", "plans run", "verdict", "run on")


def row(report: dict[str, Any], day: dt.date) -> str:
    """Its line of the table."""
    found = dict.fromkeys(finding["invariant"] for finding in report["findings"])
    verdict = f"**violated**: {', '.join(found)}" if found else report["verdict"]
    whole = "" if report["complete"] else ", not complete"
    return f"| `{report['adapter']}` | {report['engine']} | {report['plans']['run']} | {verdict}{whole} | {day} |"


def rows_of(part: str) -> dict[str, str]:
    """The lines of the table that a page has, by the adapter."""
    return {line.split("`")[1]: line for line in part.splitlines() if line.startswith("| `")}


def table(before: str, reports: list[dict[str, Any]], day: dt.date, *, workloads: bool) -> str:
    """The part of a page, which was ``before``, with these reports in it."""
    rows = rows_of(before) | {report["adapter"]: row(report, day) for report in reports}
    told = [line for adapter, line in sorted(rows.items()) if workloads or "@" not in adapter]
    return "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *told]) + "\n"


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]]
    for page, workloads in PAGES.items():
        above, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        part, _, below = rest.partition(END)
        for file in files:
            ran = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC).date()
            part = table(part, [json.loads(file.read_text(encoding="utf-8"))], ran, workloads=workloads)
        page.write_text(f"{above}{BEGIN}\n{part}\n{END}{below}", encoding="utf-8")


if __name__ == "__main__":
    main()
