"""What a campaign leaves undisturbed: the terminal, the folder that it runs in, the collector of garbage."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any


class _Nowhere(io.TextIOBase):
    """A text stream that forgets."""

    def write(self, text: str) -> int:
        return len(text)

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send standard output, standard error and logging, also loguru's, nowhere meanwhile."""
    nowhere = _Nowhere()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    loguru: Any = sys.modules.get("loguru")  # it writes to what standard error was when it was imported
    if loguru is not None:
        loguru.logger.disable("")
    try:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(before)
        if loguru is not None:
            loguru.logger.enable("")


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Let Hypothesis keep its caches in a folder that is gone afterwards, not in ``.hypothesis`` here. Where the
    user says where (HYPOTHESIS_STORAGE_DIRECTORY), it is there. Changes this for the whole process."""
    if "HYPOTHESIS_STORAGE_DIRECTORY" in os.environ:
        yield
        return
    from hypothesis.configuration import set_hypothesis_home_dir

    with tempfile.TemporaryDirectory(prefix="sagafuzz-", ignore_cleanup_errors=True) as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


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
