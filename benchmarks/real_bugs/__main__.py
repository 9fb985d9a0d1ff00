"""Real bugs of engines, found again: each in a version that has it, and absent in one that has not.

The search is the general one of `sagafuzz run`, on a manifest and a worker that know nothing of the bug. Versions are
installed by pip and npm into environments of their own, and kept.

    python -m benchmarks.real_bugs [NAME…] [--folder build/real_bugs]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tabulate import tabulate

from .environments import Unavailable, check_programs, environment
from .table import BUGS, Bug, Versions

HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Result:
    """What came of a bug. None: it was not searched, for the reason in ``why``."""

    bug: Bug
    bad: dict[str, Any] | None
    good: dict[str, Any] | None
    why: str = ""

    @property
    def held(self) -> bool:
        """True if it was found where it is, and not where it is not."""
        found = self.bad is not None and self.bad["again"] is not None
        return found and (self.bug.good is None or (self.good is not None and absent(self.good)))

    @property
    def row(self) -> tuple[str, ...]:
        """Of the table."""
        if self.bad is None:
            return self.bug.name, self.bug.bad.name, f"not searched: {self.why}", "", ""
        good = self.bug.good.name if self.bug.good is not None else "none"
        return self.bug.name, self.bug.bad.name, told(self.bug, self.bad), good, told(self.bug, self.good, self.bug.why)


def absent(said: dict[str, Any]) -> bool:
    """True if the bug was looked for to the end, of the plans or of the time, and not seen."""
    return said["again"] is None and not said["seen"] and (said["complete"] or said["timed_out"])


def told(bug: Bug, said: dict[str, Any] | None, why: str = "") -> str:
    """What a search came to, in words."""
    if said is None:
        return why
    effort = f"{said['plans']} plans, {said['seconds']} s"
    if said["again"] is not None:
        return f"{bug.invariant} after {effort}; again in {said['again']}"
    if absent(said):
        return f"absent: {effort}, {'all' if said['complete'] else 'as far as the time went'}"
    return f"undecided: {effort}; {said['reason']}"


def search(bug: Bug, versions: Versions, folder: Path) -> dict[str, Any]:
    """Search that version for the bug. Raises Unavailable."""
    made = environment(versions)
    asked = {
        "manifest": str(bug.manifest),
        "scenarios": bug.scenarios,
        "faults": bug.faults,
        "kinds": bug.kinds,
        "invariant": bug.invariant,
        "budget_s": bug.budget_s,
        "folder": str(folder / bug.name / versions.name),
    }
    Path(str(asked["folder"])).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [made.python, str(HERE / "search.py")],
        input=json.dumps(asked),
        env={**os.environ, **made.env},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"the search of {versions.name} ended with {done.returncode}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def find(bug: Bug, folder: Path) -> Result:
    """Search both versions of a bug."""
    try:
        check_programs(bug)
        bad = search(bug, bug.bad, folder)
        good = search(bug, bug.good, folder) if bug.good is not None else None
    except Unavailable as error:
        return Result(bug, None, None, str(error))
    return Result(bug, bad, good)


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 where each that was asked for was found, and is absent where it is to be."""
    known = {bug.name: bug for bug in BUGS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--folder", type=Path, default=Path("build/real_bugs"), help="where the reports go")
    asked = parser.parse_args(argv)
    for name in asked.names:
        if name not in known:
            parser.error(f"there is no {name!r}; write one of {', '.join(known)}")
    results = []
    for name in asked.names or known:
        print(f"{name}: {known[name].about}", file=sys.stderr)
        results.append(find(known[name], asked.folder))
    print(tabulate([each.row for each in results], ("bug", "bad", "found by", "good", "there"), tablefmt="github"))
    return 0 if all(each.held for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
