"""What is imported while a run goes on: a library as if it had been before, so that the first run is as all others, a
module of the code under test by each process that imports it.

A library that is not there is looked for once: see `absent`."""

from __future__ import annotations

import importlib._bootstrap
import sys
from collections.abc import Callable
from typing import Any, Final

from ..fresh import comes_late, is_anew, load_late
from .host import Host
from .inside import enter
from .locks import threaded
from .replacing import Served

ONCE_THERE: Final[list[Callable[[], object]]] = []
"""What is to be called when some libraries have been imported."""


def _find_and_load(sim: Host, original: Callable[..., Any], name: str, *args: Any) -> Any:
    if is_anew(name):
        return original(name, *args)
    if comes_late(name):
        return load_late(name, lambda: original(name, *args))
    kernel = threaded()
    absent = {} if kernel is None else kernel.absent
    if absent.get(name) == sys.path:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    running = enter(None)
    try:
        found = original(name, *args)
        for call in ONCE_THERE:
            call()
        return found
    except ModuleNotFoundError as error:
        if error.name == name and "." not in name:
            absent[name] = sys.path[:]
        raise
    finally:
        enter(running)


LIBRARIES: Final = (Served(importlib._bootstrap, "_find_and_load", _find_and_load),)
"""What of importing is another thing in the code of a service."""
