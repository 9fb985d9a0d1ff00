"""How much faster a campaign is with more processes: on this machine, and on a Dask cluster of it.

One campaign (every plan of at most K faults on one scenario of the seed, and random plans) runs with 1, 2 and 4
processes, then with a cluster of as many real worker processes as there are cores; each ``--rounds`` times, in turn,
and the quickest counts. All must give the same digest. The campaign's own process counts what the workers bring, so
`-j N` is N+1 processes; a core less than that, and they share.

The speed-up is the time of one process by the time of several, the efficiency that by the cores that they can use:
the smaller of their number and the machine's. The headline is the efficiency of as many processes as there are cores.
The plans with at most one fault are run by one process in each way, and the workers of a cluster take a second or so to
start, so a smaller search than the usual one shows less.

    python benchmarks/scale_out.py [--faults K] [--plans N] [--rounds N] [--without-cluster]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tabulate import tabulate

CAMPAIGN = ("run", "seed", "--scenario", "declined", "--random", "0")
PROCESSES = (1, 2, 4)
PATIENCE_S = 60
"""How long the cluster may take to come up."""


def timed(folder: Path, *options: str) -> tuple[float, str]:
    """Seconds, and the digest."""
    words = (*CAMPAIGN, "--report-dir", str(folder), *options)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "sagafuzz", *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    told = [line for line in done.stderr.splitlines() if " done, " not in line]  # not how far it is: a worker's death
    print(*told, sep="\n", end="\n" * bool(told), file=sys.stderr)
    if done.returncode != 1:
        raise SystemExit(f"sagafuzz {' '.join(words)} exited with {done.returncode}")
    return seconds, str(json.loads((folder / "report.json").read_text())["digest"])


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler and workers that listen on this machine only; its address."""
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    kinds = [["scheduler", "--port", "0", "--no-show"], *[["worker", "--no-nanny", "--nthreads", "1"]] * workers]
    started = []
    try:
        for kind, *options in kinds:
            words = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *common, *options]
            started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        end = time.monotonic() + PATIENCE_S
        while not (file.exists() and file.read_text()):
            if time.monotonic() > end:
                raise SystemExit("the Dask scheduler did not come up")
            time.sleep(0.1)
        yield str(json.loads(file.read_text())["address"])
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(ways: dict[str, Callable[[], tuple[float, str]]], rounds: int) -> dict[str, float]:
    """The quickest of each, in seconds."""
    best: dict[str, float] = {}
    digests: set[str] = set()
    for _ in range(rounds):
        for name, way in ways.items():
            seconds, digest = way()
            digests.add(digest)
            best[name] = min(seconds, best.get(name, seconds))
    if len(digests) != 1:
        raise SystemExit(f"the ways differ in their digests: {', '.join(sorted(digests))}")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--plans", type=int, default=20_000, help="random plans beside the enumerated ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-cluster", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the cluster is ended too
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)

        def way(*options: str) -> Callable[[], tuple[float, str]]:
            size = ("--faults", str(arguments.faults), "--random-plans", str(arguments.plans))
            return lambda: timed(folder / "report", *size, *options)

        ways = {f"-j {count}": way("-j", str(count)) for count in dict.fromkeys((*PROCESSES, cores))}
        workers = {f"-j {count}": count for count in (*PROCESSES, cores)}
        if arguments.without_cluster:
            seconds = measure(ways, arguments.rounds)
        else:
            with cluster(folder, cores) as address:
                name = f"cluster of {cores}"
                workers[name] = cores
                seconds = measure({**ways, name: way("--cluster", address)}, arguments.rounds)
    rows = []
    for name, took in seconds.items():
        gain = seconds["-j 1"] / took
        rows.append((name, took, gain, gain / min(workers[name], cores)))
    print(f"{cores} cores, quickest of {arguments.rounds}, the same digest each time\n")
    print(tabulate(rows, headers=("way", "seconds", "speed-up", "efficiency"), floatfmt=("", ".1f", ".2f", ".2f")))
    print(f"\nefficiency: {seconds['-j 1'] / seconds[f'-j {cores}'] / cores:.2f}")


if __name__ == "__main__":
    main()
