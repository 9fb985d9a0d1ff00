"""Whose line it is: the user's own code among the frames of a stack."""

from __future__ import annotations

import functools
import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, NamedTuple

Frame = tuple[CodeType, int]
"""The code of a frame, and the line in it."""

_OURS: Final = Path(__file__).resolve().parent
_SYSTEMS: Final = tuple((Path(__file__).parent / name).resolve() for name in ("adapters", "reference_saga"))
"""Where the harness lies, and the systems under test that come with it; in development they are reached by links."""

_LIBRARY: Final = (Path(os.__file__).resolve().parent, Path(sysconfig.get_path("platstdlib")).resolve())
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


@functools.cache
def is_own(filename: str) -> bool:
    """True if a frame of that file is the user's own: not ours, the standard library's or an installed package's."""
    if filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    return not (_INSTALLED & set(path.parts)) and not any(map(path.is_relative_to, (*_LIBRARY, _OURS, *_SYSTEMS)))


@functools.cache
def is_ours(filename: str) -> bool:
    """True if a frame of that file is the harness's: of no system under test, its own or one that comes with it."""
    path = Path(filename).resolve()
    return path.is_relative_to(_OURS) and not any(map(path.is_relative_to, _SYSTEMS))


@functools.cache
def may_keep_state(filename: str) -> bool:
    """False for files of the harness and of the standard library, whose modules keep nothing of a run."""
    path = Path(filename).resolve()
    if any(map(path.is_relative_to, _LIBRARY)):
        return bool(_INSTALLED & set(path.parts))
    return not is_ours(filename)


@functools.cache
def _is_installed(filename: str) -> bool:
    """True if it is an installed package's, or a built-in adapter's: a system under test may ship as one."""
    path = Path(filename).resolve()
    if any(map(path.is_relative_to, _SYSTEMS)):
        return True
    return bool(_INSTALLED & set(path.parts)) and not path.is_relative_to(_OURS)


def running(frame: FrameType | None) -> Iterator[Frame]:
    """``frame`` and its callers, the innermost first."""
    while frame is not None:
        yield frame.f_code, frame.f_lineno
        frame = frame.f_back


def passed(error: BaseException) -> Iterator[Frame]:
    """The frames that ``error`` passed, the innermost first."""
    yield from reversed([(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)])


def users(frames: Iterable[Frame]) -> Frame | None:
    """The first frame that is the user's own; else the first of an installed package, since a saga may ship as one."""
    installed = None
    for frame in frames:
        filename = frame[0].co_filename
        if is_own(filename):
            return frame
        if installed is None and _is_installed(filename):
            installed = frame
    return installed


def place(frame: Frame | None) -> str:
    """``file.py:12``; "" for None."""
    return "" if frame is None else f"{Path(frame[0].co_filename).name}:{frame[1]}"


def line(frame: Frame | None) -> str:
    """``file.py:12 in function``; "" for None. A lambda has no name to tell."""
    if frame is None or frame[0].co_name.startswith("<"):
        return place(frame)
    return f"{place(frame)} in {frame[0].co_name}"


CALLERS: Final = 2
"""How many of the callers of a line are told beside it: what asks is often a helper that all requests pass."""


SOURCE_LINES: Final = 3
"""How many lines of source are shown of where something is done."""


class Source(NamedTuple):
    """Some ``lines`` of a file, of which number ``first`` is the first and ``line`` is meant. ``file`` is from the
    current folder where it is the user's own and below that, ``src/orders/clients.py``; else from the folder of its
    topmost package, ``orders/clients.py``."""

    file: str
    line: int
    first: int
    lines: tuple[str, ...]


class Caller(NamedTuple):
    """Where the user's code does something. ``words`` name the line, and what called it: ``shop.py:12 in call, from
    shop.py:40 in charge``; ``source`` shows it, None where it cannot be read."""

    words: str = ""
    source: Source | None = None


def caller(frames: Sequence[Frame]) -> Caller:
    """Where the user's code is, by frames of which the innermost comes first."""
    innermost = users(frames)
    if innermost is None:
        return Caller()
    whose = is_own if is_own(innermost[0].co_filename) else _is_installed
    callers = [frame for frame in frames[frames.index(innermost) + 1 :] if whose(frame[0].co_filename)][:CALLERS]
    words = ", from ".join([line(innermost), *([", ".join(map(line, callers))] if callers else [])])
    return Caller(words=words, source=_source(innermost))


def _source(frame: Frame) -> Source | None:
    code, number = frame
    lines = linecache.getlines(code.co_filename)
    if not 0 < number <= len(lines):
        return None
    first = max(1, min(number - SOURCE_LINES // 2, len(lines) - SOURCE_LINES + 1))
    shown = tuple(text.rstrip() for text in lines[first - 1 : first - 1 + SOURCE_LINES])
    return Source(file=_named(Path(code.co_filename)), line=number, first=first, lines=shown)


def _named(path: Path) -> str:
    """The name of a file from the current folder, where it is the user's own there; else with the packages in which it
    lies, and no folder beyond."""
    here = Path.cwd()
    if is_own(str(path)) and path.is_relative_to(here):
        return path.relative_to(here).as_posix()
    top = path.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    return path.relative_to(top).as_posix()
