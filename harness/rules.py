"""Rules of a user's own, as an adapter declares them: a function of a view, and how much of a run it reads."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, overload

from .errors import UsageError, nearest

REST: Final = "rest"
MOMENTS: Final = "moments"
HISTORY: Final = "history"

READS: Final = (REST, MOMENTS, HISTORY)
"""How much of a run a rule reads, each more than the one before: what is held, and who was told what, when all is at
rest; the same after each transaction of a participant, in their order, without times; every event with its time. The
less it reads, the fewer runs the search has to make for it."""

Judge = Callable[[Any], "Iterable[Any] | None"]
"""What a rule does: given a `View` it returns, or yields, a sentence for each way in which the run breaks it, or what
`Moment.wrong` makes of one."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule that an adapter declares. ``about`` says when it holds, ``cause`` what usually breaks it, ``repair`` what
    to do then; ``id`` is a capital letter and a number, "" for R and its place in the list."""

    name: str
    judge: Judge
    reads: str = HISTORY
    about: str = ""
    cause: str = ""
    repair: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        if self.reads not in READS:
            raise UsageError(
                f"rule {self.name!r}: reads={self.reads!r}{nearest(self.reads, READS)}; there is {', '.join(READS)}"
            )

    def __call__(self, view: Any) -> Iterable[Any] | None:
        return self.judge(view)


@overload
def rule(judge: Judge, /) -> Rule: ...
@overload
def rule(
    *, reads: str = HISTORY, name: str = "", cause: str = "", repair: str = "", id: str = ""
) -> Callable[[Judge], Rule]: ...
def rule(
    judge: Judge | None = None,
    /,
    *,
    reads: str = HISTORY,
    name: str = "",
    cause: str = "",
    repair: str = "",
    id: str = "",
) -> Rule | Callable[[Judge], Rule]:
    """Declare a function of a view to be a rule, and say how much of a run it reads (READS). Its name and its docstring
    say what it is about; a plain function in ``invariants=[…]`` is a rule that reads the history."""

    def declare(judge: Judge) -> Rule:
        given = name or getattr(judge, "__name__", "")
        return Rule(
            name=re.sub(r"[\W_]+", " ", given).strip() or "rule",
            judge=judge,
            reads=reads,
            about=" ".join((inspect.getdoc(judge) or "").partition("\n\n")[0].split()),
            cause=cause,
            repair=repair,
            id=id,
        )

    return declare if judge is None else declare(judge)


def as_rule(given: object, where: str) -> Rule:
    """``given`` as a rule. UsageError that begins with ``where`` for what is none, and no function of one argument."""
    if isinstance(given, Rule):
        return given
    if inspect.isclass(given) or not callable(given):
        raise UsageError(f"{where}: invariants has {given!r}; write a function, def never_oversold(view): ...")
    try:
        inspect.signature(given).bind(None)
    except TypeError:
        raise UsageError(
            f"{where}: invariants has {getattr(given, '__name__', given)}{inspect.signature(given)}; "
            f"write a function of one argument, the view"
        ) from None
    except ValueError:  # of some callables nothing is known
        pass
    return rule(given)
