"""What the plugin adds to a pytest run that has no saga test.

One empty test is run again and again, alternately with the plugin and with ``-p no:sagafuzz``. Shown are the medians
of wall-clock and of processor time (user and system) of the whole process, and of the differences of neighbouring
runs, so that a machine that is busy for a while is busy for both. The headline is the median difference in processor
time; it is to be below 20.

    python benchmarks/plugin_start.py [--runs N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PLAIN = "def test_nothing():\n    pass\n"
WITHOUT = ("-p", "no:sagafuzz")


class Times(NamedTuple):
    """Of one run, in milliseconds."""

    wall: float
    processor: float


def session(file: Path, *options: str) -> Times:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(Path.cwd() / "compiled")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(file)]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    pid = os.posix_spawn(sys.executable, words, environment, file_actions=quiet)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status:
        sys.exit(f"a session failed with {os.waitstatus_to_exitcode(status)}: {' '.join(words)}")
    return Times(wall * 1000, (used.ru_utime + used.ru_stime) * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=21, help="how many of each [21]")
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        file = Path("test_nothing.py")
        file.write_text(PLAIN, encoding="utf-8")
        pairs = []
        for number in range(runs + 1):
            order = [(), WITHOUT] if number % 2 else [WITHOUT, ()]
            times = {options: session(file, *options) for options in order}
            pairs.append((times[()], times[WITHOUT]))
    pairs = pairs[1:]  # the first compiles what the others only load
    for name in Times._fields:
        with_it = statistics.median(getattr(one, name) for one, _ in pairs)
        without = statistics.median(getattr(other, name) for _, other in pairs)
        added = statistics.median(getattr(one, name) - getattr(other, name) for one, other in pairs)
        print(f"{name:<10} {with_it:8.1f} ms with it {without:8.1f} ms without {added:8.1f} ms added (median of pairs)")
    print(f"added_ms: {statistics.median(one.processor - other.processor for one, other in pairs):.1f}")


if __name__ == "__main__":
    main()
