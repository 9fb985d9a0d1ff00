"""Errors that sagafuzz raises about its own input.

Each message names the input, what is wrong with it, and what to write in its
place; the command line prints it as one line and exits with 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SagafuzzError(Exception):
    """Base of every error that sagafuzz raises on purpose."""


class UsageError(SagafuzzError):
    """The caller's input cannot be used: a definition, an option, a file, an adapter."""


class InternalError(SagafuzzError):
    """A defect of sagafuzz itself (exit code 70), never of the system under test."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint `` (did you mean 'x'?)`` for a misspelt ``word``, or an empty string."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
