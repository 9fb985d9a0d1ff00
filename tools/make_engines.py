"""The table of docs/engines.md, from what `sagafuzz compare` wrote.   tools/make_engines.py COMPARISON.json [RUN]

RUN is the command as a reader can repeat it. `make engines` runs every engine that is installed, and then this.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "engines.md"
BEGIN: Final = "<!-- engines: `make engines` writes what follows -->\n"
END: Final = "<!-- engines: end -->\n"


def row(system: dict[str, Any]) -> str:
    """Its line of the table."""
    found = [id for id, status in system["invariants"].items() if status == "violated"]
    verdict = f"**violated**: {', '.join(found)}" if found else system["verdict"]
    whole = "" if system["complete"] else ", not complete"
    return f"| `{system['adapter']}` | {system.get('engine', '')} | {system['plans']} | {verdict}{whole} |"


def table(comparison: dict[str, Any], day: dt.date) -> str:
    """The part of the page."""
    lines = ["| adapter | versions | plans run | verdict |", "|---|---|---|---|", *map(row, comparison["systems"])]
    return "\n".join([*lines, "", f"Run on {day}."]) + "\n"


def main() -> None:
    comparison = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    made = table(comparison, dt.datetime.now(dt.UTC).date())
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
