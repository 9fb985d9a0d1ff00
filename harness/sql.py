"""What SQL does to a transaction: enough to know which moment makes something durable, and to name it.

A statement is known by its `Effect`, a connection by its `Transaction`. SQLite tells the effects itself
(`sagafuzz.sqlite`); of a server's statements they are read here, in PostgreSQL's dialect. A change has one name in
every database: its verb and the table without its schema, in small letters, as ``insert orders``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple

Kind = Literal[
    "", "change", "copy", "begin", "commit", "rollback", "savepoint", "release", "rollback to", "prepare", "execute"
]


class Effect(NamedTuple):
    """What one statement does. ``changes`` are what it writes, ``name`` is that of a savepoint or prepared statement;
    ``on_condition`` says that it defines something IF NOT EXISTS, or drops it IF EXISTS.

    A "copy" writes what comes after it; "" is a statement that only reads, or says something else."""

    kind: Kind = ""
    changes: tuple[str, ...] = ()
    name: str = ""
    on_condition: bool = False


class Defined:
    """What is known to be there, or not, in a server's database, from the definitions that were committed: only it can
    tell of the first on condition whether it changes something."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}  # the verb that was last, by the name

    def committed(self, changes: Iterable[str]) -> None:
        """These are durable."""
        for change in changes:
            verb, _, name = change.partition(" ")
            if verb in _OPPOSITES:
                self._last[name] = verb

    def spares(self, effect: Effect) -> bool:
        """True if a statement changes nothing: what it defines or drops on condition is there already, or gone."""
        told = (change.partition(" ") for change in effect.changes)
        return effect.on_condition and all(self._last.get(name) == verb for verb, _, name in told)


class Transaction:
    """What one connection has written and not yet committed. ``defined`` is what is known of its database."""

    def __init__(self, defined: Defined | None = None) -> None:
        self._defined = defined or Defined()
        self.open = False
        self.failed = False  # nothing counts until it is rolled back, all of it or to a savepoint
        self._written: list[str] = []
        self._savepoints: list[tuple[str, int]] = []  # with how much was written before
        self._by_savepoint = False  # the first savepoint has opened it, so its release commits
        self._prepared: dict[str, Effect] = {}

    def run(self, text: str) -> tuple[str, ...]:
        """Let a server execute a text. Returns the changes that it makes durable, each once, () for none."""
        found: list[str] = []
        for said in effects(text):
            effect = self._prepared.get(said.name, said) if said.kind == "execute" else said
            if said.kind == "prepare":
                self._prepared[said.name] = Effect("change", said.changes)
            if self._defined.spares(effect):
                continue
            found += self.durable(effect)
            self.done(effect)
        return tuple(dict.fromkeys(found))

    def durable(self, effect: Effect) -> tuple[str, ...]:
        """The changes that become durable where this effect comes next, each once."""
        if effect.kind == "change":
            return () if self.open else effect.changes
        commits = effect.kind == "commit" or (effect.kind == "release" and self._commits(effect.name))
        return tuple(dict.fromkeys(self._written)) if commits and not self.failed else ()

    def done(self, effect: Effect) -> None:
        """This effect has come."""
        kind, name = effect.kind, effect.name
        if kind in ("change", "copy"):
            if self.open:
                self._written += effect.changes
        elif kind == "begin":
            self.open = True
        elif kind in ("commit", "rollback") or (kind == "release" and self._commits(name)):
            self.settle(is_open=False)
        elif kind == "savepoint":
            self._by_savepoint = self._by_savepoint or not self.open
            self.open = True
            self._savepoints.append((name, len(self._written)))
        elif kind in ("release", "rollback to"):
            self._back_to(name, undo=kind == "rollback to")

    @property
    def has_savepoints(self) -> bool:
        """True if there is a savepoint to go back to."""
        return bool(self._savepoints)

    @property
    def written(self) -> int:
        """How many changes it has, which are not durable yet."""
        return len(self._written)

    def take_back(self, changes: tuple[str, ...]) -> None:
        """The last changes came to nothing: there was no such row."""
        if changes and tuple(self._written[-len(changes) :]) == changes:
            del self._written[-len(changes) :]

    def since(self, written: int) -> tuple[str, ...]:
        """Its changes after the first so many."""
        return tuple(self._written[written:])

    def _commits(self, savepoint: str) -> bool:
        """True if the release of a savepoint ends the transaction."""
        names = [name for name, _ in self._savepoints]
        return self._by_savepoint and savepoint in names and savepoint not in names[1:]

    def _back_to(self, savepoint: str, *, undo: bool) -> None:
        found = [index for index, (name, _) in enumerate(self._savepoints) if name == savepoint]
        if found:
            index = found[-1]
            if undo:
                del self._written[self._savepoints[index][1] :]
                self.failed = False
            del self._savepoints[index + undo :]  # one that was gone back to is still there

    def settle(self, *, is_open: bool, failed: bool = False) -> None:
        """How it stands as the database has it."""
        self.open, self.failed = is_open or failed, failed
        if not self.open:
            self._written, self._savepoints, self._by_savepoint = [], [], False


@lru_cache(maxsize=512)
def effects(text: str) -> tuple[Effect, ...]:
    """The effects of the statements of a text, in order."""
    return tuple(map(_effect, statements(text)))


# -- words ----------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(
    r"""
      (?P<nothing>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[^\W\d][\w$]*)
    | \d[\w.]*|\$\d+|.
    """,
    re.DOTALL | re.VERBOSE,
)
_EITHER_END: Final = re.compile(r"/\*|\*/")
_QUOTE: Final = '"'  # begins a quoted name among the words, so that it is no keyword


def _words(text: str) -> Iterator[str]:
    """The words and signs of a text, in small letters; a string is ``''``, a comment nothing."""
    position = 0
    while found := _TOKEN.match(text, position):
        kind, word, position = found.lastgroup, found.group(), found.end()
        if kind == "comment":
            position = _after_comment(text, position)
        elif kind == "dollar":
            end = text.find(word, position)
            position = len(text) if end < 0 else end + len(word)
            yield "''"
        elif kind == "string":
            yield "''"
        elif kind == "quoted":
            yield _QUOTE + word[1:-1].replace('""', '"').lower()
        elif kind != "nothing":
            yield word.lower()


def _after_comment(text: str, position: int) -> int:
    """Where a comment ends that has begun; there may be others in it."""
    depth = 1
    for found in _EITHER_END.finditer(text, position):
        depth += 1 if found.group() == "/*" else -1
        if not depth:
            return found.end()
    return len(text)


def statements(text: str) -> Iterator[list[str]]:
    """The words of each statement. Semicolons between BEGIN ATOMIC and its END are inside of one."""
    words: list[str] = []
    depth = 0
    for word in _words(text):
        if word == ";" and not depth:
            if words:
                yield words
            words = []
            continue
        if word == "atomic" and words[-1:] == ["begin"]:
            depth = 1
        elif depth and word in ("case", "end"):
            depth += 1 if word == "case" else -1
        words.append(word)
    if words:
        yield words


# -- statements -----------------------------------------------------------------------------------

_WRITES: Final = ("insert", "replace", "update", "delete", "merge")
_CONTROL: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("begin", "start"), "begin"),
    **dict.fromkeys(("commit", "end"), "commit"),
    **dict.fromkeys(("rollback", "abort"), "rollback"),
    "savepoint": "savepoint",
    "release": "release",
}
_OPPOSITES: Final = ("create", "drop")
_CONDITIONS: Final = (["if", "not"], ["if", "exists"])
_BEFORE_CONDITION: Final = 5  # create unique index concurrently if
_BEFORE_A_NAME: Final = frozenset({"into", "from", "only", "table", "concurrently", "if", "not", "exists"})
_KINDS_OF_THINGS: Final = frozenset({"or", "replace", "unlogged", "unique", "materialized", "foreign", "recursive"})
_PASSING: Final = ("temp", "temporary", "local", "global")  # it goes with the connection


def _effect(words: list[str]) -> Effect:
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in ("commit", "rollback") and second == "prepared":  # what an earlier PREPARE TRANSACTION has kept
        return Effect()
    if (first, second) == ("prepare", "transaction"):
        return Effect("commit")
    if first in _CONTROL:
        kind = _CONTROL[first]
        if kind == "rollback" and "to" in words:
            kind = "rollback to"
        return Effect(kind, name=words[-1] if kind in ("savepoint", "release", "rollback to") else "")
    if first == "prepare":
        return Effect("prepare", _changes(words[words.index("as") + 1 :] if "as" in words else []), second)
    if first == "execute":
        return Effect("execute", name=second)
    changes = _changes(words)
    on_condition = first in _OPPOSITES and any(words[at : at + 2] in _CONDITIONS for at in range(1, _BEFORE_CONDITION))
    return Effect(
        "copy" if first == "copy" and changes else "change" if changes else "", changes, on_condition=on_condition
    )


def _changes(words: list[str]) -> tuple[str, ...]:
    """What a statement changes; () for one that changes nothing. A function that a SELECT calls is not looked into."""
    find = _CHANGES.get(words[0]) if words else None
    return find(words) if find else ()


def _copy(words: list[str]) -> tuple[str, ...]:
    return (f"copy {_name(words[1:])}",) if "from" in words and words[1] != "(" else ()


def _with(words: list[str]) -> tuple[str, ...]:
    return tuple(_change(words[index:]) for index in _parts_that_write(words))


def _select_into(words: list[str]) -> tuple[str, ...]:
    """What SELECT … INTO makes, which is not one in parentheses."""
    depth = 0
    for index, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "into" and not depth:
            return (f"create {_name(words[index:])}",)
    return ()


def _change(words: list[str]) -> str:
    """What INSERT, REPLACE, UPDATE, DELETE or MERGE changes; ``words`` begin with it."""
    verb = "insert" if words[0] == "replace" else words[0]
    start = words.index("into") if verb == "insert" and "into" in words[:4] else 1
    return f"{verb} {_name(words[start:])}"


def _definition(words: list[str]) -> tuple[str, ...]:
    """What CREATE, ALTER or DROP changes; a temporary thing is nothing that lasts."""
    rest = list(words[1:])
    while rest and rest[0] in (*_KINDS_OF_THINGS, *_PASSING):
        if rest[0] in _PASSING:
            return ()
        rest.pop(0)
    name = _name(rest[1:])
    return (f"{words[0]} {_name(rest[2:]) if name == 'on' else name}",)  # an index without a name goes by its table


def _parts_that_write(words: list[str]) -> Iterator[int]:
    """Where the parts of a statement with WITH begin that change something: in its list, and after it."""
    depth = 0
    for index, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        before = words[index - 1]
        if depth == 1 and before == "(" and words[index - 2] in ("as", "materialized") and word in _WRITES:
            yield index
        elif not depth and before not in ("with", "recursive", ",") and word in (*_WRITES, "select", "values"):
            if word in _WRITES:
                yield index
            return


def _name(words: list[str]) -> str:
    """The name that a statement goes on with: ``only "dbos"."workflow_status"`` → ``workflow_status``."""
    index = next((index for index, word in enumerate(words) if word not in _BEFORE_A_NAME), len(words))
    while words[index + 1 : index + 2] == ["."]:
        index += 2
    return words[index].removeprefix(_QUOTE) if index < len(words) else ""


_CHANGES: Final[Mapping[str, Callable[[list[str]], tuple[str, ...]]]] = {
    **dict.fromkeys(_WRITES, lambda words: (_change(words),)),
    **dict.fromkeys(("create", "alter", "drop"), _definition),
    **dict.fromkeys(("truncate", "call"), lambda words: (f"{words[0]} {_name(words[1:])}",)),
    "with": _with,
    "copy": _copy,
    "select": _select_into,
}
"""What a statement changes, by its first word."""
