from __future__ import annotations

from hypothesis import settings

from .exercised import consistent_means_exercised

__all__ = ["consistent_means_exercised"]

pytest_plugins = ["pytester"]

# What a test says must not depend on how busy the machine is, nor on the day.
settings.register_profile("sagafuzz-tests", deadline=None, derandomize=True, database=None)
settings.load_profile("sagafuzz-tests")
