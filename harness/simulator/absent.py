"""Modules that are not there: a library asks for one again at each request, and a search of all folders takes longer
than what it asks for. None comes to be there while a run lasts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any, Final

from .host import Host
from .locks import threaded
from .replacing import Served


def _find_spec(
    sim: Host, original: Callable[..., Any], of: Any, name: str, path: Any = None, target: Any = None
) -> Any:
    if path is not None:  # in a package
        return original(of, name, path, target)
    kernel = threaded()
    absent = {} if kernel is None else kernel.absent
    if absent.get(name) == sys.path:
        return None
    found = original(of, name, path, target)
    if found is None:
        absent[name] = sys.path[:]
    return found


ABSENT: Final = (Served(PathFinder, "find_spec", _find_spec),)
"""What of imports is another thing in the code of a service."""
