"""A library that is imported while a run goes on: as if it had been before, so that the first run is as all others."""

from __future__ import annotations

import importlib._bootstrap
from collections.abc import Callable
from typing import Any, Final

from ..fresh import ANEW
from .host import Host
from .inside import enter
from .replacing import Served


def _find_and_load(sim: Host, original: Callable[..., Any], name: str, *args: Any) -> Any:
    if name in ANEW:
        return original(name, *args)
    running = enter(None)
    try:
        return original(name, *args)
    finally:
        enter(running)


LIBRARIES: Final = (Served(importlib._bootstrap, "_find_and_load", _find_and_load),)
"""What of importing is another thing in the code of a service."""
