"""The contents of a frame: its variables, and what lies on its value stack beneath the operands of what it is doing.

Python shows the variables of a frame, and keeps a copy of them alive from then on, which code under test may notice.
The iterator of a for loop, a value that waits for its operator and an error that is being handled lie on the value
stack, which it does not show. So both are read where the interpreter has them. Where that is, is looked for once; in
an interpreter that has them elsewhere nothing is read.
"""

from __future__ import annotations

import dis
import sys
from ctypes import Array, c_int, c_void_p, py_object
from functools import cache
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

UNSET: Final = ("unset",)
"""In the place of a variable that has no value, and of an empty place of the stack."""

_WORD: Final = 8
_FRAME: Final = 3 * _WORD
"""Where a frame object has the address of the interpreter's frame."""

_REACH: Final = -_WORD
"""Where it says, relative to its first variable, how many variables and values it holds: one that waits for a function
of Python, or is suspended, does; one that waits for anything else says -1."""

_LOOKED_THROUGH: Final = 16
"""So many words of an interpreter's frame are looked through for its first variable."""

_MOST_CODES: Final = 4_096

_OPERANDS: Final = {
    **dict.fromkeys(("RESUME", "FOR_ITER", "WITH_EXCEPT_START", "GET_ANEXT"), 0),
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD", "GET_ITER", "GET_AWAITABLE", "GET_AITER", "SEND", "YIELD_VALUE"), 1),
    **dict.fromkeys(("BEFORE_WITH", "BEFORE_ASYNC_WITH"), 1),
    **dict.fromkeys(("BINARY_OP", "BINARY_SUBSCR", "STORE_ATTR"), 2),
    "RETURN_GENERATOR": 0,
    "STORE_SUBSCR": 3,
}
"""Instructions in the midst of which other code may run, and how many values each takes from the stack for it. What
is not named here is one whose progress is seen nowhere."""

_UNSEEN: Final = 1 << 30
"""More values than any stack has."""

_CALLS: Final = {"CALL": 2, "CALL_KW": 3, "CALL_FUNCTION_EX": 3}
"""Instructions that call something, and how many values each takes from the stack besides the arguments."""

_SUSPENDS: Final = frozenset({"YIELD_VALUE", "RETURN_GENERATOR"})
"""Instructions that leave a frame to be gone on with: the next one takes what it is sent then."""

_ENDS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"})
_RAISES_NOTHING: Final = frozenset({"PUSH_EXC_INFO", "POP_EXCEPT", "COPY", "NOP"})
_JUMPS: Final = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})

_POINTS_ON: Final = sys.version_info >= (3, 13)
"""True where a frame that is suspended stands at what it does next."""

_CALLABLE: Final = 1 if _POINTS_ON else 2
"""Among so many values on the stack is what is called, the first that is there."""


class Spot(NamedTuple):
    """Where a frame stands: ``at`` is the offset of the instruction. ``values`` lie on the stack beneath its operands;
    ``called`` says that something is called; where that is no function of Python, what it is, is found next.
    ``handles`` says that it is in an except clause: the error that is handled there need not lie on its stack."""

    at: int
    values: int
    called: bool = False
    handles: bool = False


def _first_variable() -> int:
    """How many bytes of an interpreter's frame come before its first variable; -1 where that is not found."""

    def look(first: object, second: object) -> int:
        words = (c_void_p * _LOOKED_THROUGH).from_address(_address(sys._getframe()))[:]
        for at in range(_LOOKED_THROUGH - 1):
            if words[at] == id(first) and words[at + 1] == id(second):
                return at * _WORD
        return -1

    usual = sys.implementation.name == "cpython" and object.__basicsize__ == 2 * _WORD  # not so without the GIL
    known = usual and (3, 11) <= sys.version_info < (3, 14)
    return look(object(), object()) if known else -1


def _address(frame: FrameType) -> int:
    return c_void_p.from_address(id(frame) + _FRAME).value or 0


_FIRST: Final = _first_variable()

READABLE: Final = _FIRST >= 0
"""True where the contents of a frame can be read in this interpreter."""


class _Layout:
    """Where the frames of ``code`` can stand, and how many variables they have."""

    def __init__(self, code: CodeType) -> None:
        self.code = code  # kept, so that no other comes to have its id
        self.variables = len({*code.co_varnames, *code.co_cellvars}) + len(code.co_freevars)
        self._instructions = [*dis.get_instructions(code)]
        self._depths = _depths(code, self._instructions)
        self.spots: dict[int, Spot | None] = {}

    def spot(self, at: int) -> Spot | None:
        """Where a frame stands that says it is ``at``; None where what it is doing cannot be told."""
        if at not in self.spots:
            self.spots[at] = self._found(at)
        return self.spots[at]

    def _found(self, at: int) -> Spot | None:
        number = max((n for n, each in enumerate(self._instructions) if each.offset <= at), default=-1)
        if number < 0:
            return Spot(-1, 0)
        each = self._instructions[number]
        if each.opname == "PRECALL":  # the first half of a call may do the whole of it
            number += 1
            each = self._instructions[number]
        halved = each.opname == "CALL" and self._instructions[number - 1].opname == "PRECALL"
        depth, handled = self._depths.get(self._instructions[number - halved].offset, (-1, 0))
        called, argument = each.opname in _CALLS, each.arg or 0
        if called:
            operands = _CALLS[each.opname] + (argument & 1 if each.opname == "CALL_FUNCTION_EX" else argument)
        elif _POINTS_ON and number and self._instructions[number - 1].opname in _SUSPENDS:
            operands = 1  # what it will be sent
        else:
            operands = _OPERANDS.get(each.opname, _UNSEEN)
        return None if depth < operands else Spot(each.offset, depth - operands, called, handled > 0)


def _depths(code: CodeType, instructions: list[dis.Instruction]) -> dict[int, tuple[int, int]]:
    """By the offset of each instruction, how many values lie on the stack before it, and how many errors are being
    handled; empty where that is not clear."""
    numbers = {each.offset: number for number, each in enumerate(instructions)}
    handlers = [*getattr(dis.Bytecode(code), "exception_entries", ())]
    found: dict[int, tuple[int, int]] = {}
    to_do = [(0, 0, 0)]
    while to_do:
        at, depth, handled = to_do.pop()
        while at not in found:
            found[at] = depth, handled
            each = instructions[numbers[at]]
            argument = each.arg if each.opcode >= dis.HAVE_ARGUMENT else None
            if each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
                to_do.append((each.argval, depth + dis.stack_effect(each.opcode, argument, jump=True), handled))
            if each.opname not in _RAISES_NOTHING:
                around = [entry for entry in handlers if entry.start <= at < entry.end and entry.target not in found]
                to_do += [(entry.target, entry.depth + entry.lasti + 1, handled) for entry in around]
            if each.opname in _ENDS or each.opname in _JUMPS:
                break
            depth += dis.stack_effect(each.opcode, argument, jump=False)
            handled += (each.opname == "PUSH_EXC_INFO") - (each.opname == "POP_EXCEPT")
            if each.opname == "RETURN_GENERATOR" and dis.stack_effect(each.opcode, None) == 0:
                depth += 1  # what it is sent when it begins
            at = instructions[numbers[at] + 1].offset
        else:
            if found[at] != (depth, handled):
                return {}
    depths = [depth for depth, _ in found.values()]
    return found if min(depths) >= 0 and max(depths) <= code.co_stacksize else {}


_layouts: Final[dict[int, _Layout]] = {}


def held(frame: FrameType) -> tuple[Spot, list[Any], list[Any]] | None:
    """Where a frame stands; its variables, and after them the values on its stack; and what it called, where that is
    no function of Python. None where it cannot be told."""
    code = frame.f_code
    layout = _layouts.get(id(code))
    if layout is None:
        if len(_layouts) >= _MOST_CODES:
            _layouts.clear()
        layout = _layouts[id(code)] = _Layout(code)
    spot = layout.spot(frame.f_lasti)
    if spot is None:
        return None
    count = layout.variables + spot.values
    address = _address(frame) + _FIRST
    reach = c_int.from_address(address + _REACH).value
    if reach not in (count, -1):
        return None  # it holds more, or less, than is known of
    called = spot.called and reach < 0  # else what was on the stack for it is a function's by now
    words, objects = _places(count + _CALLABLE * called)
    there = words.from_address(address)[:]
    found = objects.from_address(address)
    values = [UNSET if word is None else found[n] for n, word in enumerate(there)]
    if not called:
        return spot, values, []
    callables = [each for each in values[count:] if each is not UNSET]
    return (spot, values[:count], callables[:1]) if callables else None


@cache
def _places(count: int) -> tuple[type[Array[Any]], type[Array[Any]]]:
    return c_void_p * count, py_object * count
