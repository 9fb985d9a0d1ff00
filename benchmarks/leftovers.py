"""What campaigns on real engines leave behind: no process, port, file or descriptor, after so many cases.

Campaigns of one fault are run on each engine in turn, until so many cases were judged. This process adopts what they
leave as orphans: each leftover of theirs is a child of it, and nothing is that others on the machine run meanwhile.

    python benchmarks/leftovers.py [--cases N] [ENGINE ...]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from sagafuzz.exploration.events import CaseJudged, Event
from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.live.fork_server import children
from sagafuzz.live.manifest import manifest_of
from sagafuzz.loading import load
from sagafuzz.ports import Adapter

ENGINES: Final = ("temporal", "restate", "dbos", "celery")
PR_SET_CHILD_SUBREAPER: Final = 36
WAIT_S: Final = 5.0
"""So long what was killed may take until it is gone."""

LOOK_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class There:
    """What there is at a moment, each as it is shown."""

    processes: Counter[str]
    ports: Counter[str]
    files: Counter[str]
    shared: Counter[str]
    descriptors: Counter[str]

    def beside(self, before: There) -> dict[str, list[str]]:
        """What is there now and was not before, by the name of its kind."""
        grown = {entry.name: getattr(self, entry.name) - getattr(before, entry.name) for entry in fields(There)}
        return {name: sorted(more.elements()) for name, more in grown.items() if more}


def _segments() -> list[list[str]]:
    """The shared memory of System V: its number in the second column, its maker's in the fifth."""
    return [line.split() for line in _read("/proc/sysvipc/shm").splitlines()[1:]]


class Watch:
    """Looks from time to time what shared memory the processes that descend from this one make: it may outlive them."""

    def __init__(self) -> None:
        self._pids: set[str] = set()
        self._mapped: set[str] = set()
        self._before = {row[1] for row in _segments()}  # a number of a process is used again
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            for pid in _descendants(os.getpid()):
                self._pids.add(str(pid))
                self._mapped.update(re.findall(r"/dev/shm/\S+", _read(f"/proc/{pid}/maps")))
            time.sleep(LOOK_S)

    def memory(self) -> list[str]:
        """What there is of it whose maker has ended."""
        new = (row for row in _segments() if row[1] not in self._before and row[4] in self._pids)
        made = [f"shmid {row[1]}" for row in new if not Path(f"/proc/{row[4]}").exists()]
        return made + [name for name in sorted(self._mapped) if Path(name).exists()]


def there(watch: Watch, *folders: Path) -> There:
    """What this process and those that descend from it hold, and what lies in ``folders``."""
    ours = [os.getpid(), *_descendants(os.getpid())]
    return There(
        processes=Counter(_named(pid) for pid in ours[1:]),
        ports=Counter(_listening(ours)),
        files=Counter(str(file) for folder in folders for file in folder.rglob("*") if "__pycache__" not in file.parts),
        shared=Counter(watch.memory()),
        descriptors=Counter(_open()),
    )


def _descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [further for child in found for further in _descendants(child)]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _named(pid: int) -> str:
    return f"{pid} {_read(f'/proc/{pid}/cmdline').replace(chr(0), ' ').strip() or '(ended, not waited for)'}"


def _links(pid: int) -> list[str]:
    """What its descriptors lead to; one that is closed meanwhile, as the one that lists them, is left out."""
    found = []
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(str(entry.readlink()))
    return found


def _open() -> list[str]:
    """What the descriptors of this process lead to."""
    return [link.partition(":")[0] for link in _links(os.getpid()) if not link.startswith("/proc/")]


def _listening(pids: list[int]) -> list[str]:
    """Where these processes listen, as the kernel writes it: address in hexadecimal, and port."""
    held = {link for pid in pids for link in _links(pid)}
    rows = [line.split() for name in ("tcp", "tcp6") for line in _read(f"/proc/net/{name}").splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held]


def run_cases(adapter: Adapter, cases: int) -> int:
    """Run a campaign of one fault until so many of its cases were judged; how many were. RuntimeError where its system
    could not be run."""
    judged = 0

    def count(event: Event) -> None:
        nonlocal judged
        judged += isinstance(event, CaseJudged)

    campaign = LiveCampaign(adapter, Settings(max_faults=1), stopped=lambda: judged >= cases, listeners=(count,))
    report = campaign.run()
    if blocked := [reason for reason in report.reasons if "blocked" in reason]:
        raise RuntimeError(f"{adapter.name}: {blocked[0]}")
    return judged


def left_by(watch: Watch, work: Callable[[], object], *folders: Path) -> Mapping[str, list[str]]:
    """What ``work`` leaves behind, by its kind, when what it killed has had the time to end."""
    before = there(watch, *folders)
    work()
    until = time.monotonic() + WAIT_S
    while (left := there(watch, *folders).beside(before)) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def adopt_orphans() -> None:
    """From now on what the processes of this one leave behind become its children."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=ENGINES, metavar="ENGINE", help="adapters of live systems")
    parser.add_argument("--cases", type=int, default=1000, help="of all engines together")
    options = parser.parse_args()
    adopt_orphans()
    watch = Watch()
    adapters = [load(name) for name in options.engines]
    share, total, failed = -(-options.cases // len(adapters)), 0, False
    with tempfile.TemporaryDirectory(prefix="leftovers-") as name:
        Path(name).chmod(0o711)  # PostgreSQL runs as a user of its own
        os.environ["TMPDIR"] = tempfile.tempdir = name
        for adapter in adapters:
            manifest = manifest_of(adapter)
            assert manifest is not None, f"{adapter.name} is no live system"
            began, done = time.monotonic(), 0

            def until_enough(adapter: Adapter = adapter) -> None:
                nonlocal done
                while done < share:
                    done += run_cases(adapter, share - done)

            run_cases(adapter, 1)  # what this process loads with the first and keeps for good is no leftover
            left = left_by(watch, until_enough, Path(name), manifest.folder, Path.cwd())
            total += done
            print(
                f"{adapter.name}: {done} cases in {time.monotonic() - began:.0f} s, left: {left or 'nothing'}",
                flush=True,
            )
            failed = failed or bool(left)
    print(f"cases: {total}")
    print(f"left_anything: {failed}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
