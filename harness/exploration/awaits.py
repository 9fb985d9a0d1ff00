"""The coroutines that the code under test makes and nobody awaits.

Python warns of them, on a standard error that a campaign keeps from the terminal. Only a run without a fault is asked:
with one, a process that dies leaves such coroutines as well.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from ..frames import is_own
from ..simulator import Setup, simulate

_HOOK: Final = "_warn_unawaited_coroutine"
"""The function of the module ``warnings`` that the interpreter calls. `warnings.catch_warnings` would do as well, but
makes Python show other warnings a second time."""


def never_awaited(setup: Setup) -> tuple[str, ...]:
    """``shop.py:14 makes the coroutine Shop.charge`` for each that the user's code makes in a run without a fault and
    nobody awaits, in the order of the run. Code that is not async makes none."""
    if not (setup.is_async or setup.adapter.service is not None):
        return ()
    found: list[Coroutine[Any, Any, Any]] = []
    hook, depth = getattr(warnings, _HOOK), sys.get_coroutine_origin_tracking_depth()
    setattr(warnings, _HOOK, found.append)
    sys.set_coroutine_origin_tracking_depth(1)
    try:
        simulate(setup)
    finally:
        sys.set_coroutine_origin_tracking_depth(depth)
        setattr(warnings, _HOOK, hook)
    return tuple(dict.fromkeys(filter(None, map(_made, found))))


def _made(coroutine: Any) -> str:
    """Where a coroutine was made, and which; "" where that was not the user's code."""
    if not coroutine.cr_origin:
        return ""
    file, line, _ = coroutine.cr_origin[0]
    return f"{Path(file).name}:{line} makes the coroutine {coroutine.__qualname__}" if is_own(file) else ""
