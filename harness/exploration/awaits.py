"""Which coroutines the code under test makes and nobody awaits.

Python tells that by a warning, on a standard error that a campaign keeps from the terminal. Only a run without a fault
is asked: with one, a process that dies leaves such coroutines as well.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path

from ..frames import is_own
from ..simulator import Setup, simulate


def never_awaited(setup: Setup) -> tuple[str, ...]:
    """``shop.py:14 makes the coroutine Shop.charge`` for each that the user's code makes in a run without a fault and
    nobody awaits, in the order of the run."""
    depth = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            simulate(setup)
    finally:
        sys.set_coroutine_origin_tracking_depth(depth)
    return tuple(dict.fromkeys(filter(None, map(_made, caught))))


def _made(warned: warnings.WarningMessage) -> str:
    """Where the coroutine that a warning is about was made; "" where it is about something else, or not the user's."""
    coroutine = warned.source
    if not inspect.iscoroutine(coroutine) or not coroutine.cr_origin:
        return ""
    file, line, _ = coroutine.cr_origin[0]
    return f"{Path(file).name}:{line} makes the coroutine {coroutine.__qualname__}" if is_own(file) else ""
