"""Hears the exceptions that an app tells its log while it fails a request: many answer with a page, which says nothing
of them."""

from __future__ import annotations

import logging
import sys
from asyncio.log import logger as of_loops
from typing import Any, Final

from ..asgi import failure, logged
from .host import Host
from .replacing import Check


def _heard(sim: Host, logger: logging.Logger, *_: Any, exc_info: Any = None, **__: Any) -> None:
    """Note an exception as text: its frames would keep alive what the code has dropped. A loop complains of what is
    collected, at moments that no plan determines."""
    heard = logged.get()
    if heard is None or not exc_info or logger is of_loops:
        return
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    error = error if isinstance(error, BaseException) else sys.exc_info()[1]
    if isinstance(error, Exception):
        heard.append(failure(error))


LOGS: Final = (Check(logging.Logger, "error", _heard), Check(logging.Logger, "critical", _heard))
"""By which calls an app tells its log that it failed; `Logger.exception` is one of the first."""
