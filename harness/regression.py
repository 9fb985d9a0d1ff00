"""A finding as a test of its own: it fails as long as the recorded schedule breaks the invariant."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from .errors import UsageError
from .exploration.certificate import Verified
from .exploration.quiet import quiet
from .exploration.replay import Replay, Replayed, from_text, replay
from .live.manifest import manifest_of
from .loading import found_from, load
from .ports import Adapter
from .reports.clean import COLUMNS, clean
from .reports.diagram import diagram, to_text
from .simulator.patches import watchdog

REPORT_FOLDERS: Final = ("sagafuzz-report", "demo-report")
"""Where reports usually lie, from the current folder."""

_ID: Final = re.compile(r"F-\w+")


def recorded_file(named: str, folders: Sequence[Path] = ()) -> Path:
    """The replay file of that name, or of the finding of that id in a report in ``folders`` or the usual ones.
    UsageError where there is none."""
    if not _ID.fullmatch(named):
        return Path(named)
    searched = [*folders, *map(Path, REPORT_FOLDERS)]
    places = sorted(path for folder in searched for path in folder.glob(f"**/{named}.json"))
    if not places:
        raise UsageError(
            f"there is no {named}.json in {' or '.join(map(str, searched))} here; name the file with its folder"
        )
    return places[-1]


def run_again(recorded: Replay, adapter: Adapter, *, show_output: bool = False) -> Replayed:
    """Run a recorded schedule in the simulator, or on real processes where the adapter is a manifest of them."""
    if manifest_of(adapter) is not None:
        from .exploration.live import replay as run_live  # its HTTP server is an extra

        return run_live(recorded, adapter)
    with watchdog(), nullcontext() if show_output else quiet():
        return replay(recorded, adapter)


def assert_fixed(schedule: Mapping[str, Any] | str, adapter: str | None = None) -> None:
    """Run the recorded ``schedule`` (what an F-….json of a report holds, as text or as data) again.

    AssertionError where it still breaks its invariant, with the schedule as a picture; and also where it cannot be
    run any more or does not repeat, since it then shows nothing. ``adapter`` names another one to run it on.
    UsageError where the schedule or the adapter cannot be read. The file of the adapter is looked for from the current
    folder, and from those above the file of the caller.
    """
    __tracebackhide__ = True
    caller = Path(sys._getframe(1).f_code.co_filename)
    recorded = from_text(schedule if isinstance(schedule, str) else json.dumps(schedule), "the schedule")
    expect_fixed(recorded, load(found_from(adapter or recorded.adapter, caller)))


def expect_fixed(recorded: Replay, adapter: Adapter) -> None:
    """AssertionError unless the violation of ``recorded`` is gone from ``adapter``."""
    __tracebackhide__ = True
    outcome = run_again(recorded, adapter)
    if outcome.result == "FIXED":
        return
    raise AssertionError("\n".join([headline(recorded, adapter, outcome), *shown(outcome)]))


def headline(recorded: Replay, adapter: Adapter, outcome: Replayed) -> str:
    """``F-7uevv on Shop: STILL FAILS``, with the reason where there is one."""
    reason = f" ({clean(outcome.reason, 600)})" if outcome.reason else ""
    return f"{clean(recorded.id, 24)} on {clean(adapter.name, 60)}: {outcome.result}{reason}"


def shown(outcome: Replayed | Verified, columns: int = COLUMNS) -> list[str]:
    """The violation that was seen and its schedule, in so many columns; empty where there was none."""
    if outcome.violation is None or outcome.history is None:
        return []
    sentence = f"{clean(outcome.violation.invariant, 12)}: {clean(outcome.violation.sentence, 600)}"
    return [sentence, to_text(diagram(outcome.history, outcome.violation), columns)]
