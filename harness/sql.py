"""What SQL does to a transaction: enough to know which moment makes something durable, and to name it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_OPAQUE: Final = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
"""Comments and strings: what stands in them is no SQL."""

_NAME: Final = r"(?:ONLY\s+)?((?:\"[^\"]+\"|[\w$]+)(?:\s*\.\s*(?:\"[^\"]+\"|[\w$]+))*)"
_CHANGES: Final = tuple(
    (verb, re.compile(pattern, re.IGNORECASE))
    for verb, pattern in (
        ("INSERT", rf"(?:INSERT|REPLACE)\s+(?:OR\s+\w+\s+)?INTO\s+{_NAME}"),
        ("UPDATE", rf"UPDATE\s+(?:OR\s+\w+\s+)?{_NAME}(?:\s+(?:AS\s+)?\w+)?\s+SET\b"),
        ("DELETE", rf"DELETE\s+FROM\s+{_NAME}"),
        ("MERGE", rf"MERGE\s+INTO\s+{_NAME}"),
        ("COPY", rf"COPY\s+{_NAME}[^;]*\sFROM\b"),
        ("TRUNCATE", rf"TRUNCATE\s+(?:TABLE\s+)?{_NAME}"),
    )
)
_DEFINES: Final = re.compile(r"(CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?(\w+)", re.IGNORECASE)
_FIRST: Final = re.compile(r"\s*\(?\s*(\w+)")

_OPENS: Final = ("BEGIN", "START")
_COMMITS: Final = ("COMMIT", "END")
_ABORTS: Final = ("ROLLBACK", "ABORT")


def statements(text: str) -> list[str]:
    """The statements of a text, without comments, and with empty strings."""
    return [part.strip() for part in _OPAQUE.sub("''", text).split(";") if part.strip()]


def change(statement: str) -> str:
    """What a statement changes, as ``INSERT table``; "" for one that changes nothing. A function that a SELECT calls
    is not looked into."""
    first = _FIRST.match(statement)
    verb = first.group(1).upper() if first else ""
    if verb in ("CREATE", "ALTER", "DROP"):
        found = _DEFINES.match(statement)
        return f"{verb} {found.group(2).upper()}" if found else verb
    for name, pattern in _CHANGES:
        if verb in ("WITH", name) or (verb, name) == ("REPLACE", "INSERT"):
            found = pattern.search(statement) if verb == "WITH" else pattern.match(statement)
            if found:
                return f"{name} {_plain(found.group(1))}"
    return ""


def _plain(name: str) -> str:
    """``"dbos"."workflow_status"`` → ``workflow_status``."""
    return name.rsplit(".", 1)[-1].strip().strip('"')


class SqlTransaction:
    """What one connection has written and not yet committed."""

    def __init__(self) -> None:
        self.open = False
        self._written: list[str] = []

    def run(self, text: str) -> tuple[str, ...]:
        """A text is about to be executed: the changes that it makes durable, each once, () for none."""
        return tuple(dict.fromkeys(self._durable(text)))

    def _durable(self, text: str) -> Iterator[str]:
        for statement in statements(text):
            words = statement.upper().split()
            if words[0] in _OPENS:
                self.open = True
            elif words[:2] == ["PREPARE", "TRANSACTION"] or (words[0] in _COMMITS and words[1:2] != ["PREPARED"]):
                yield from self.commit()
            elif words[0] in _ABORTS and "TO" not in words:
                self.ended()
            elif found := change(statement):
                if self.open:
                    self._written.append(found)
                elif words[0] != "COPY":  # what it copies comes later
                    yield found

    def commit(self) -> tuple[str, ...]:
        """It is about to be committed: what becomes durable by it."""
        written = tuple(dict.fromkeys(self._written))
        self.ended()
        return written

    def settle(self, *, is_open: bool, failed: bool = False) -> None:
        """How it stands as the database has it. What one that ``failed`` wrote is lost."""
        if failed or not is_open:
            self._written = []
        self.open = is_open or failed

    def ended(self) -> None:
        """It was committed, or rolled back."""
        self.settle(is_open=False)
