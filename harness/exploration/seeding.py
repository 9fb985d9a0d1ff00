"""Makes what Hypothesis draws follow from the seed alone."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def by_the_seed_alone() -> Iterator[None]:
    """Let Hypothesis draw as if no module of the project's were imported. It takes numbers and texts from the source of
    those that are, for which rules an example leaves out too, so that one seed would draw otherwise in pytest, on the
    command line and after each change of any of them. Versions without these names do not, and need nothing."""
    try:
        providers: Any = importlib.import_module("hypothesis.internal.conjecture.providers")
        before, nothing = (providers._get_local_constants, providers.CONSTANTS_CACHE), providers.Constants()
    except (ImportError, AttributeError):
        yield
        return
    providers._get_local_constants, providers.CONSTANTS_CACHE = lambda: nothing, {}
    try:
        yield
    finally:
        providers._get_local_constants, providers.CONSTANTS_CACHE = before
