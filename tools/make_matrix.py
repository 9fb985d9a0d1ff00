"""The matrix of engines, invariants and workloads: docs/engine-matrix.md.   tools/make_matrix.py REPORT.json…

What the reports say is kept in docs/engines.json, a row for each adapter and workload, so that engines can be run one
by one; the page is made of that and of what the manifests declare. `make engines` calls it.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

TOP: Final = Path(__file__).resolve().parent.parent
DATA: Final = TOP / "docs" / "engines.json"
PAGE: Final = TOP / "docs" / "engine-matrix.md"
MANIFESTS: Final = TOP / "adapters"
PLAIN: Final = "checkout"

CELLS: Final = {"holds": "✓", "not exercised": "·", "gave up": "?"}
HEAD: Final = """# Engines, workloads and invariants

What each [real engine](engines.md) kept under every single fault, of an order that succeeds and of one that is
declined. `make engines` writes this page.

| cell | what it means |
|---|---|
| ✓ | exercised, and it held |
| ✗ | violated; the link leads to the schedule |
| (✗) | violated as a consequence of another one in its row |
| ? | it could not be decided on this machine |
| · | not exercised by any plan |
"""


def kept(report: Mapping[str, Any], day: dt.date) -> dict[str, Any]:
    """What the page needs of a report."""
    words = ("id", "invariant", "anomaly", "sentence", "scenario", "faults", "schedule")
    return {
        "day": str(day),
        "engine": report["engine"],
        "verdict": report["verdict"],
        "complete": report["complete"],
        "plans": report["plans"]["run"],
        "invariants": {id: result["status"] for id, result in report["invariants"].items()},
        "findings": [
            {"again": finding["notes"][0], **{word: finding[word] for word in words}} for finding in report["findings"]
        ],
    }


def declared() -> dict[str, list[str]]:
    """By each adapter of an engine the workloads that its manifest lists."""
    found = {}
    for file in sorted(MANIFESTS.glob("*.toml")):
        found[file.stem] = tomllib.loads(file.read_text(encoding="utf-8")).get("workloads", [])
    return found


def names() -> list[str]:
    """All that there is to run."""
    return [name for adapter, able in declared().items() for name in (adapter, *(f"{adapter}@{each}" for each in able))]


def anchor(name: str, finding: Mapping[str, Any]) -> str:
    """Of the heading of its schedule, as GitHub and Sphinx make it."""
    return f"{name.replace('@', '')}-{finding['id']}".lower()


def cell(name: str, told: Mapping[str, Any], id: str) -> str:
    """What is said of an invariant."""
    own = [finding for finding in told["findings"] if finding["invariant"] == id]
    if own:
        return f"[✗](#{anchor(name, own[0])})"
    return CELLS.get(told["invariants"].get(id, "not exercised"), "(✗)")


def lines(rows: Mapping[str, Mapping[str, Any]], able: Mapping[str, list[str]]) -> Iterator[str]:
    """The page, made of what is kept of each and of what the manifests declare."""
    yield HEAD
    said = {id for told in rows.values() for id, status in told["invariants"].items() if status != "not exercised"}
    columns = sorted(said, key=lambda id: (id[0] == "C", int(id[1:])))
    for workload in (PLAIN, *dict.fromkeys(each for listed in able.values() for each in listed)):
        yield f"## {workload}\n"
        yield f"| adapter | plans | run on | {' | '.join(columns)} |"
        yield "|---" * (3 + len(columns)) + "|"
        unable = []
        for adapter, listed in able.items():
            name = adapter if workload == PLAIN else f"{adapter}@{workload}"
            if workload != PLAIN and workload not in listed:
                unable.append(f"`{adapter}`")
            elif name in rows:
                told = rows[name]
                whole = "" if told["complete"] else ", not complete"
                cells = " | ".join(cell(name, told, id) for id in columns)
                yield f"| `{adapter}` | {told['plans']}{whole} | {told['day']} | {cells} |"
            else:
                yield f"| `{adapter}` | not run | | {' | ' * (len(columns) - 1)} |"
        yield ""
        if unable:
            yield f"Unsupported, since `workloads` of their manifests does not list it: {', '.join(unable)}.\n"
    yield "## Schedules\n"
    for name, told in sorted(rows.items()):
        for finding in told["findings"]:
            yield from section(name, told, finding)


def section(name: str, told: Mapping[str, Any], finding: Mapping[str, Any]) -> Iterator[str]:
    """A finding with its schedule."""
    yield f"### {name} {finding['id']}\n"
    said = f"{finding['invariant']}, {finding['anomaly']}: {finding['sentence']}"
    yield f"{said} ({told['engine']}; {finding['again']}).\n"
    yield "```text"
    for line in finding["schedule"]:
        where = f" → {line['to']}: {line['there']}" if line["to"] else ""
        struck = "".join(f"   ⚡ {kind}" for kind in line["faults"])
        ends = "   ◀ violation" if line["violation"] else ""
        yield f"{line['t_us'] / 1000:9.1f} ms  {line['text']}{where}{struck}{ends}"
    yield "```\n"


def main() -> None:
    if sys.argv[1:] == ["--names"]:
        sys.stdout.write(" ".join(names()) + "\n")
        return
    rows = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    for file in sys.argv[1:]:
        report = json.loads(Path(file).read_text(encoding="utf-8"))
        day = dt.datetime.fromtimestamp(Path(file).stat().st_mtime, dt.UTC).date()
        rows[report["adapter"]] = kept(report, day)
    able = declared()
    rows = {name: told for name, told in sorted(rows.items()) if name.partition("@")[0] in able}
    of_each = [
        f"{json.dumps(name)}: {json.dumps(told, ensure_ascii=False, sort_keys=True)}" for name, told in rows.items()
    ]
    DATA.write_text("{\n" + ",\n".join(of_each) + "\n}\n", encoding="utf-8")
    PAGE.write_text("\n".join(lines(rows, able)), encoding="utf-8")


if __name__ == "__main__":
    main()
