"""What a campaign has to say, in one module for each form of it.

Every output is a pure function from values to a string; only the command line and the pytest plugin write files. The
tables of them are loaded on first use, so that a message of one line costs no renderer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .outputs import COMPARISONS as COMPARISONS
    from .outputs import REPORTS as REPORTS
    from .outputs import SCHEDULES as SCHEDULES
    from .outputs import ZOOS as ZOOS
    from .outputs import ComparisonOutput as ComparisonOutput
    from .outputs import Output as Output
    from .outputs import ScheduleOutput as ScheduleOutput
    from .outputs import ZooOutput as ZooOutput

__all__ = ["COMPARISONS", "REPORTS", "SCHEDULES", "ZOOS", "ComparisonOutput", "Output", "ScheduleOutput", "ZooOutput"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        value = globals()[name] = getattr(import_module(".outputs", __name__), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
