"""The marker ``saga``: how it is written, and what a test's markers say together."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

MARKER: Final = "saga"
ARGUMENTS: Final = (
    "adapter",
    "faults",
    "random",
    "seed",
    "scenarios",
    "sagas",
    "baseline",
    "wrong_answers",
    "max_time",
)
ENDED_EARLY: Final = pytest.StashKey[list[str]]()
"""Of a session: what is to be told of campaigns that were interrupted, whose tests have no report."""

HELP: Final = (
    "saga(adapter, *, faults=None, random=100, seed=0, scenarios=None, sagas=None, baseline=None, wrong_answers=False, "
    "max_time=0): "
    "before the test, run "
    "every plan with at most that many faults (None: one, and some with two) and then random examples on the adapter "
    "(a class declared with @sagafuzz.adapter, or a name as on sagafuzz's command line); a violation fails the test."
)


class Marker:
    """``pytest.mark.saga``. pytest takes a mark whose only argument is a class for a decoration of that
    class; a class that is an adapter is an argument here. All else is as with every mark."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        only = args[0] if len(args) == 1 and not kwargs else None
        if inspect.isclass(only) and hasattr(only, "boot"):
            return self._plain.with_args(only)
        return self._plain(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    @property
    def _plain(self) -> pytest.MarkDecorator:
        return type(pytest.mark).__getattr__(pytest.mark, MARKER)


def marked(item: pytest.Item) -> dict[str, Any] | None:
    """What the markers of a test say together, the closest first; None where there is none."""
    markers = list(item.iter_markers(MARKER))
    asked: dict[str, Any] = {}
    for marker in markers:
        if len(marker.args) > 1:
            refuse(f"{item.name}: @pytest.mark.{MARKER} takes one adapter by position; write the rest by name")
        for name in marker.kwargs:
            if name not in ARGUMENTS:
                from ..errors import nearest

                hint = nearest(name, ARGUMENTS)
                known = ", ".join(ARGUMENTS)
                refuse(f"{item.name}: @pytest.mark.{MARKER} has no argument {name!r}{hint}; it has {known}")
        given = {**dict(zip(ARGUMENTS, marker.args, strict=False)), **marker.kwargs}
        asked = {**given, **asked}
    return asked if markers else None


def beside(adapter: Any, folder: Path) -> Any:
    """What names an adapter; a file that is not where it says from the current folder is looked for in ``folder``, that
    of the test."""
    if not isinstance(adapter, str):
        return adapter
    file = adapter if adapter.endswith(".toml") else adapter.rpartition(":")[0]
    if not file.endswith((".py", ".toml")) or Path(file).is_file() or not (folder / file).is_file():
        return adapter
    return os.path.relpath(folder / file) + adapter.removeprefix(file)


def refuse(message: str) -> NoReturn:
    """Fail the test with this line alone."""
    from ..reports.clean import clean

    pytest.fail(f"sagafuzz: {clean(message, 2_000)}", pytrace=False)
