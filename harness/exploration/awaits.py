"""The coroutines and requests that the code under test makes and nobody awaits.

Python warns of coroutines, on a standard error that a campaign keeps from the terminal. Only a run without a fault is
asked: with one, a process that dies leaves such coroutines as well.
"""

from __future__ import annotations

import sys
import warnings
from asyncio import Future
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..frames import is_own
from ..simulator import Setup, simulate, world
from ..simulator.aio import Answer

_HOOK: Final = "_warn_unawaited_coroutine"
"""The function of the module ``warnings`` that the interpreter calls. `warnings.catch_warnings` would do as well, but
makes Python show other warnings a second time."""


def never_awaited(setup: Setup) -> tuple[str, ...]:
    """A sentence for each coroutine, and each request, that the user's code makes in a run without a fault and nobody
    awaits, in the order of the run. Code that is not async makes none."""
    if not (setup.is_async or setup.adapter.service is not None):
        return ()
    found: list[Coroutine[Any, Any, Any]] = []
    hook, depth = getattr(warnings, _HOOK), sys.get_coroutine_origin_tracking_depth()
    setattr(warnings, _HOOK, found.append)
    sys.set_coroutine_origin_tracking_depth(1)
    setattr(world, Answer.__name__, partial(_Heard, found.append))
    try:
        simulate(setup)
    finally:
        setattr(world, Answer.__name__, Answer)
        sys.set_coroutine_origin_tracking_depth(depth)
        setattr(warnings, _HOOK, hook)
    return tuple(dict.fromkeys(filter(None, map(_told, found))))


class _Heard(Answer):
    """An answer that tells ``hear`` of itself once it is gone, where nobody awaited it. As a coroutine has,
    it has an origin: the file and the line that asked, here with the operation."""

    __slots__ = ("_awaited", "_hear", "cr_origin")

    def __init__(self, hear: Callable[[Any], object], future: Future[Any]) -> None:
        super().__init__(future)
        call = sys._getframe(1)
        caller = call.f_back
        assert caller is not None
        self.cr_origin = ((caller.f_code.co_filename, caller.f_lineno, call.f_locals["operation"]),)
        self._hear = hear
        self._awaited = False

    def __await__(self) -> Generator[Any, None, Any]:
        self._awaited = True
        return super().__await__()

    def __del__(self) -> None:
        if not self._awaited and self._steps is None:
            self._hear(self)


def _told(made: Any) -> str:
    """Where a coroutine or a request was made, and which; "" where that was not the user's code."""
    if not made.cr_origin:
        return ""
    file, line, name = made.cr_origin[0]
    if isinstance(made, _Heard):
        what, lost = f"asks for {name}", "what is answered reaches nobody"
    else:
        what, lost = f"makes the coroutine {made.__qualname__}", "nothing of it is done"
    said = f"{Path(file).name}:{line} {what}, and nobody awaits it, so {lost}; write 'await' before the call"
    return said if is_own(file) else ""
