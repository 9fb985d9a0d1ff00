"""Histories for I25: sagas that work on the same data."""

from __future__ import annotations

from sagafuzz import Saga, Step

from .examples_effects import COMPLETED
from .tables import bad, good, idle

TRANSFER = Saga(
    "transfer",
    [
        Step("first", "account.first", undo="account.undo-first"),
        Step("second", "account.second", undo="account.undo-second"),
    ],
)


def touch(saga: str, operation: str, *touches: str, number: str) -> str:
    """One call, and what it did at the participant; ``<--`` may stand behind a touch."""
    lines = [f"{saga}: send account.{operation} key={saga}-{operation} -> {number}", f"apply {number}"]
    lines += [f"{saga}: {entry}" for entry in touches]
    return "\n".join([*lines, f"ack {number}"]) + "\n"


def scene(names: str, *parts: str) -> str:
    return f"declare isolation={names}\nsubmit\nsaga-2: submit\n" + "".join(parts)


ENDS = "tell completed\nsaga-2: tell completed\n"
A, B = "saga-1", "saga-2"

# -- dirty read ------------------------------------------------------------------------------


def dirty(mark: str = "", again: str = "read n4 x 2", names: str = "dirty-read") -> str:
    return scene(
        names,
        touch(A, "first", "wrote m1 x 1", number="m1"),
        touch(B, "first", f"read n3 x 1 {mark}", number="n3"),
        "refused account.second key=s\n",
        touch(A, "undo-first", "wrote m5 x 2", number="m5"),
        touch(B, "second", again, number="n4"),
        "tell compensated\nsaga-2: tell completed\n",
    )


bad(
    "I25",
    "dirty-read",
    "a saga is completed on a value that another one took back",
    dirty(mark="<--", again="wrote n4 y 1"),
    names="saga-2 completed on a value of account/x that saga-1 wrote and then took back; what is missing is a",
    saga=B,
    at="first F",
    definition=TRANSFER,
)
good("I25", "the value was marked as pending", dirty(mark="pending", again="wrote n4 y 1"), TRANSFER)
good("I25", "the value was read again, and checked, before the end", dirty(), TRANSFER)
good("I25", "that class is not declared", dirty(again="wrote n4 y 1", names="lost-update"), TRANSFER)

# -- intermediate read, fuzzy read -----------------------------------------------------------


def intermediate(mark: str) -> str:
    return scene(
        "intermediate-read",
        touch(A, "first", "wrote m1 x 1", number="m1"),
        touch(B, "first", f"read n2 x 1 {mark}", number="n2"),
        touch(A, "second", "wrote m3 x 2", number="m3"),
        touch(B, "second", "wrote n4 y 1", number="n4"),
        ENDS,
    )


bad(
    "I25",
    "intermediate-read",
    "a saga reads what another one is not done with",
    intermediate("<--"),
    names="saga-2 read a value of account/x that saga-1 had not finished",
    saga=B,
    at="first F",
    definition=TRANSFER,
)
good("I25", "it was marked as not finished", intermediate("pending"), TRANSFER)


def fuzzy(first: str, second: str) -> str:
    return scene(
        "fuzzy-read",
        touch(A, "first", f"read m1 x 0 {first}", number="m1"),
        touch(B, "first", "wrote n2 x 1", number="n2"),
        touch(A, "second", second, number="m3"),
        touch(B, "second", number="n4"),
        ENDS,
    )


bad(
    "I25",
    "fuzzy-read",
    "a saga reads a value twice, and it is not the same",
    fuzzy("", "read m3 x 1  <--"),
    names="saga-1 read account/x twice, and saga-2 had changed it in between",
    at="second F",
    definition=TRANSFER,
)
good("I25", "the first reader locked the value", fuzzy("pending", "read m3 x 1"), TRANSFER)


def queries(second: str) -> str:
    asked = ("send account.balance query -> {0}\napply {0}\nread {0} x {1}\nack {0}\n").format
    return scene(
        "fuzzy-read",
        asked("q1", 0),
        touch(B, "first", "wrote n2 x 1", number="n2"),
        asked("q3", second),
        touch(A, "first", number="m4"),
        touch(A, "second", number="m5"),
        touch(B, "second", number="n6"),
        ENDS,
    )


good("I25", "it asks a second time, as after a conflict, and the value is another", queries("1"), TRANSFER)

# -- lost update, undo-clobber ---------------------------------------------------------------


def update(mine: str, other: str = "wrote n2 x 1", again: str = "") -> str:
    return scene(
        "lost-update",
        touch(A, "first", "read m1 x 0", number="m1"),
        touch(B, "first", other, number="n2"),
        touch(A, "second", *filter(None, (again, mine)), number="m3"),
        touch(B, "second", number="n4"),
        ENDS,
    )


bad(
    "I25",
    "lost-update",
    "a saga writes what it computed from an old value",
    update("wrote m3 x 2  <--"),
    names="saga-1 wrote account/x from a value that was read before saga-2 changed it; what is missing is a commuting",
    at="second F",
    definition=TRANSFER,
)
good("I25", "adds commute", update("wrote m3 x 2 add"), TRANSFER)
good("I25", "the value was read again before it was replaced", update("wrote m3 x 2", again="read m3 x 1"), TRANSFER)


def clobber(undo: str, again: str = "") -> str:
    return scene(
        "undo-clobber",
        touch(A, "first", "wrote m1 x 1", number="m1"),
        touch(B, "first", "wrote n2 x 2", number="n2"),
        "refused account.second key=s\n",
        touch(A, "undo-first", *filter(None, (again, undo)), number="m4"),
        touch(B, "second", number="n5"),
        "tell compensated\nsaga-2: tell completed\n",
    )


bad(
    "I25",
    "undo-clobber",
    "an undo puts back what was there before, over another saga's write",
    clobber("wrote m4 x 3  <--"),
    names="the undo of saga-1 put account/x back over what saga-2 had written",
    at="first C",
    definition=TRANSFER,
)
good("I25", "the undo takes the difference away", clobber("wrote m4 x 3 add"), TRANSFER)
good("I25", "the undo is computed from what is there", clobber("wrote m4 x 3", again="read m4 x 2"), TRANSFER)

# -- write skew ------------------------------------------------------------------------------


def skew(mark: str, mine: str = "x") -> str:
    return scene(
        "write-skew",
        touch(A, "first", "read m1 y 0", number="m1"),
        touch(B, "first", f"read n2 {mine} 0 {mark}", number="n2"),
        touch(A, "second", "wrote m3 x 1", number="m3"),
        touch(B, "second", "wrote n4 y 1", number="n4"),
        ENDS,
    )


bad(
    "I25",
    "write-skew",
    "each saga reads what the other one then writes",
    skew("<--"),
    names="saga-1 and saga-2 each completed on a value that the other replaced (account/x, account/y)",
    saga=B,
    at="first F",
    definition=TRANSFER,
)
good("I25", "one of the two saw that the value was not final", skew("pending"), TRANSFER)
good("I25", "they are done one after the other", skew("", mine="z"), TRANSFER)

idle("I25", "nothing is declared", dirty().split("\n", 1)[1], TRANSFER)
idle("I25", "no participant shows what it reads and writes", "declare isolation=dirty-read" + COMPLETED)
idle(
    "I25",
    "no two sagas touch the same",
    scene(
        "dirty-read,write-skew",
        touch(A, "first", "read m1 x 0", "wrote m1 x 1", number="m1"),
        touch(B, "first", "read n2 y 0", "wrote n2 y 1", number="n2"),
        touch(A, "second", number="m3"),
        touch(B, "second", number="n4"),
        ENDS,
    ),
    TRANSFER,
)
