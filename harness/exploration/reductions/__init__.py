"""What need not be run, and why that loses nothing: a row of `table` each, and beside it what a reduction takes.

Each can be switched off, and each is compared with the unreduced search in the tests: the same outcomes, the same
anomalies.
"""

from .table import (
    ALL,
    CRASH_EQUIVALENCE,
    FORGOTTEN_RETRIES,
    INDEPENDENCE,
    PREFIX_SHARING,
    REDUCTIONS,
    SHAPING,
    STATE_MEMO,
    SYMMETRY,
    UNREAD_CLOCK,
    Reduction,
)

__all__ = [
    "ALL",
    "CRASH_EQUIVALENCE",
    "FORGOTTEN_RETRIES",
    "INDEPENDENCE",
    "PREFIX_SHARING",
    "REDUCTIONS",
    "SHAPING",
    "STATE_MEMO",
    "SYMMETRY",
    "UNREAD_CLOCK",
    "Reduction",
]
