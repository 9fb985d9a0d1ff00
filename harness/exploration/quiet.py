"""Keep the code under test from printing and logging thousands of times over."""

from __future__ import annotations

import contextlib
import gc
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


@contextlib.contextmanager
def fewer_collections() -> Iterator[None]:
    """Let Python look for garbage in cycles less often: a run leaves much of it, all at once, and the
    young generation's usual threshold finds it many times while it is still in use."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
