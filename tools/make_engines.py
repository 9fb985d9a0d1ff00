"""The table of engines in docs/engines.md and, without workloads, README.md.   tools/make_engines.py REPORT.json…

`make engines` runs every engine, and then this. Where a system has several reports the last one is told.
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


def row(report: dict[str, Any]) -> str:
    """Its line of the table."""
    found = dict.fromkeys(finding["invariant"] for finding in report["findings"])
    verdict = f"**violated**: {', '.join(found)}" if found else report["verdict"]
    whole = "" if report["complete"] else ", not complete"
    return f"| `{report['adapter']}` | {report['engine']} | {report['plans']['run']} | {verdict}{whole} |"


def table(reports: list[dict[str, Any]], day: dt.date, *, workloads: bool) -> str:
    """The part of a page."""
    last = {report["adapter"]: report for report in reports if workloads or "@" not in report["adapter"]}
    rows = [row(report) for _, report in sorted(last.items())]
    return (
        "\n".join(["| adapter | versions | plans run | verdict |", "|---|---|---|---|", *rows, "", f"Run on {day}."])
        + "\n"
    )


def main() -> None:
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    for page, workloads in PAGES.items():
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        made = table(reports, dt.datetime.now(dt.UTC).date(), workloads=workloads)
        page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
