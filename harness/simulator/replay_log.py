"""The answers that a process had, given once more: so its code comes again to where it stood.

A process whose tasks run one after the other, and which asks nothing but its ports, is a function of
their answers. Without kernel, network and participants it is brought to its next step in a fraction
of the time.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..ports import CallTimeout, Conflict, PortError, Rejected, StoreUnavailable, Unavailable

LIVE: Final = object()
"""The log is over: the port is to answer itself."""

_ERRORS: Final[dict[str, type[PortError]]] = {
    error.__name__: error for error in (CallTimeout, Conflict, Rejected, StoreUnavailable, Unavailable)
}


SLEPT: Final = ("sleep", None)
"""The input of a process that has slept."""

PUBLISHED: Final = ("publish", None)
"""The input of a process that has published a message."""


RECEIVED: Final = "receive"
"""What stands first in the input of a process that was handed a message."""


class ReplayLog:
    """``entries`` are the inputs of a process: (port, answer, for a call what it was about), or for an error
    (port, its type, its text, what it was about), or for a message (RECEIVED, id, topic, saga, key, delivery, payload).
    ``over()`` is called before the first live answer, ``strayed()``, which does not return, where another port is asked
    than before."""

    __slots__ = ("_ahead", "_over", "_strayed")

    def __init__(
        self, entries: Sequence[tuple[Any, ...]], over: Callable[[], object], strayed: Callable[[], object]
    ) -> None:
        self._ahead = list(reversed(entries))
        self._over = over
        self._strayed = strayed

    def received(self) -> tuple[tuple[Any, ...], bool] | None:
        """The message that comes next, and whether it is the last one; None where an answer comes next."""
        if not self._ahead or self._ahead[-1][0] != RECEIVED:
            return None
        entry = self._ahead.pop()
        return entry, all(each[0] != RECEIVED for each in self._ahead)

    def answer(self, port: str) -> Any:
        """What ``port`` answered at this place, a fresh copy, or LIVE. Raises what it raised."""
        if not self._ahead:
            self._over()
            return LIVE
        entry = self._ahead.pop()
        if entry[0] != port:
            self._strayed()
        if len(entry) == 4:
            raise _ERRORS[entry[1]](entry[2])
        return marshal.loads(entry[1]) if port == "call" else entry[1]
