from __future__ import annotations

import os
import time
from typing import Final

import pytest
from hypothesis import settings

from .exercised import consistent_means_exercised

__all__ = ["consistent_means_exercised"]

pytest_plugins = ["pytester"]

# What a test says must not depend on how busy the machine is, nor on the day.
settings.register_profile("sagafuzz-tests", deadline=None, derandomize=True, database=None)
settings.load_profile("sagafuzz-tests")

UNTIL_S: Final = float(os.environ.get("SAGAFUZZ_SEARCH_UNTIL", "inf"))
"""When the time for long searches is over, in seconds since the epoch."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a long search of all systems that would begin when its time is over: CI is ended after a while, and what had
    passed by then would count for nothing. The order is drawn anew for each run, so each has its turn."""
    a_search = item.get_closest_marker("slow") and item.path.parent.name in ("exploration", "quality")
    if a_search and time.time() > UNTIL_S:
        pytest.skip("not begun: the time for long searches was over (SAGAFUZZ_SEARCH_UNTIL)")
