from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["pytester"]

# What a test says must not depend on how busy the machine is, nor on the day.
settings.register_profile("sagafuzz-tests", deadline=None, derandomize=True, database=None)
settings.load_profile("sagafuzz-tests")
