"""Ctrl-C as a request: a campaign ends at the next plan, and what it found is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Interrupt:
    """Becomes true when the user presses Ctrl-C; a second time ends the process at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        return 128 + (self.signal or 0)


@contextmanager
def interruptible(signals: Sequence[int] = (signal.SIGINT, signal.SIGTERM)) -> Iterator[Interrupt]:
    """Turn ``signals`` into a request to stop. A KeyboardInterrupt would strike in the midst of the code
    under test, and be taken for an exception of its own.

    Outside of the main thread, where no signal arrives, nothing is changed."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def ask(number: int, frame: Any) -> None:
        if interrupt():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        interrupt.signal = number

    previous = {number: signal.signal(number, ask) for number in signals}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
