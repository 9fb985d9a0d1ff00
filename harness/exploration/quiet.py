"""Keep the code under test from printing and logging thousands of times over."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator


class _Nowhere(io.TextIOBase):
    """A text stream that forgets."""

    def write(self, text: str) -> int:
        return len(text)

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send standard output, standard error and logging nowhere meanwhile."""
    nowhere = _Nowhere()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(before)
