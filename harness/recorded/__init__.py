"""Histories from elsewhere: what happened in staging or production, read from records and judged as runs are.

A reader for each form gives entries; they are sorted by saga on disk, so that memory stays flat; each saga becomes a
history, which the invariants judge as far as the record shows what they ask for.
"""

from .judging import check_record
from .reading import FORMS, Sources

__all__ = ["FORMS", "Sources", "check_record"]
