"""PostgreSQL's protocol, as far as a commit and its answer go: both worlds stand between a client and a server by it.

PostgreSQL documentation, "Frontend/Backend Protocol": a message is a letter, its length, and its content; what
the server does with a Query or a Sync it ends with ReadyForQuery, which tells how the transaction stands. What a COPY
outside of a transaction, or a function that a SELECT calls, makes durable is not seen as a commit.
"""

from __future__ import annotations

import struct
from typing import Final

from .sql import Defined, Transaction

SSL, GSS, CANCEL, VERSION_3 = 80877103, 80877104, 80877102, 196608
"""What the first message of a client asks for, which has no letter."""

ENDS: Final = b"QSF"
"""After these the server answers with ReadyForQuery."""

GATHERED: Final = b"PBDEC"
"""These are done when a Sync or a Flush follows."""

_SINGLE: Final = {ord("P"): b"1", ord("B"): b"2", ord("C"): b"3", ord("D"): b"Tn", ord("E"): b"CsI"}
"""The letters of the messages that end the answer to each of them."""


class Dialogue:
    """What a client says on one connection, after its start, and how the transaction stands. ``said`` is the SQL of
    the last message that had some, ``text`` what was written since the last commit; ``explicit`` says that what was
    made durable last was so by a COMMIT, which does it at once: other changes wait for a Sync. ``defined`` is what is
    known of the database."""

    def __init__(self, defined: Defined | None = None) -> None:
        self.transaction = Transaction(defined)
        self.said = ""
        self.explicit = False
        self.text = bytearray()
        self._prepared: dict[bytes, str] = {}  # statement -> SQL
        self._portals: dict[bytes, str] = {}

    def hear(self, letter: bytes, content: bytes) -> tuple[str, ...]:
        """What a message of the client makes durable."""
        if letter == b"Q":
            self.said = string(content)[0].decode("utf-8", "replace")
            return self._run(self.said, content)
        if letter == b"P":
            name, rest = string(content)
            self.said = self._prepared[name] = string(rest)[0].decode("utf-8", "replace")
        elif letter == b"B":
            portal, rest = string(content)
            self._portals[portal] = self._prepared.get(string(rest)[0], "")
            self.text += rest
        elif letter == b"E":
            return self._run(self._portals.get(string(content)[0], ""), b"")
        return ()

    def _run(self, sql: str, content: bytes) -> tuple[str, ...]:
        self.text += content
        was_open = self.transaction.open
        changes = self.transaction.run(sql)
        if changes:
            self.explicit = was_open
        return changes

    def settle(self, status: bytes) -> None:
        """The server is ready, and has told how the transaction stands."""
        self.transaction.settle(is_open=status == b"T", failed=status == b"E")

    def taken(self) -> bytes:
        """What was written since the last commit, which is none from here on."""
        text, self.text = bytes(self.text), bytearray()
        return text


class Turn:
    """Whose turn it is: what a server has still to say to what it was sent."""

    def __init__(self) -> None:
        self.ready = 0  # how many times it is still to be ready
        self.copying = False  # whether it waits for rows
        self.failed = False  # whether something failed since it was asked last
        self._skips = False  # it passes over what comes until a Sync
        self._single: list[bytes] = []  # what ends the answers before a Flush

    @property
    def over(self) -> bool:
        """True if it has said all."""
        return self.copying or not (self.ready or self._single)

    def ask(self, letters: bytes) -> None:
        """It was sent messages of these letters, the last of which it does not wait behind."""
        self.failed = self.copying = False
        self.ready += sum(letter in ENDS for letter in letters)
        self._single = []
        if letters[-1:] == b"H" and not self._skips:
            after = max(letters.rfind(end) for end in ENDS) + 1
            self._single = [_SINGLE[letter] for letter in letters[after:] if letter in _SINGLE]

    def hear(self, letter: bytes) -> None:
        """It has said a message."""
        if letter == b"Z":
            self.ready -= 1
            self._skips = False
        elif letter == b"E":
            self.failed, self._skips, self._single = True, True, []
        elif letter in (b"G", b"W"):
            self.copying = True
        elif self._single and letter in self._single[0]:
            del self._single[0]


def string(content: bytes) -> tuple[bytes, bytes]:
    """A string that ends with a zero, and what follows it."""
    text, _, rest = content.partition(b"\0")
    return text, rest


def message(letter: bytes, content: bytes) -> bytes:
    """A message as it is sent."""
    return letter + struct.pack("!i", len(content) + 4) + content


def first_of(buffer: bytearray) -> tuple[bytes, bytes] | None:
    """The letter and the content of the first message, taken out of what has come; None where it is not all there."""
    if len(buffer) < 5:
        return None
    end = 1 + int(struct.unpack_from("!i", buffer, 1)[0])
    if len(buffer) < end:
        return None
    letter, content = bytes(buffer[:1]), bytes(buffer[5:end])
    del buffer[:end]
    return letter, content


def startup(content: bytes) -> dict[str, str]:
    """The parameters of a client's StartupMessage, after its version."""
    words = [word.decode("utf-8", "replace") for word in content.split(b"\0")]
    return {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}
