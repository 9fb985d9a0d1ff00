"""Happened-before by bit masks is the reachability of a graph that says each rule as an edge."""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from sagafuzz import History
from sagafuzz.history import Row
from sagafuzz.invariants.knowledge import knowledge

from .language import CHECKOUT, history

SERVICES = ("order", "payment")
HANDLED = ("APPLY", "REJECT", "ERROR")


@dataclass
class World:
    """Makes rows out of drawn numbers, and only such as can happen."""

    rows: list[Row] = field(default_factory=list)
    incarnations: list[int] = field(default_factory=lambda: [1, 1])  # of two orchestrators on one store
    alive: list[bool] = field(default_factory=lambda: [True, True])
    sent: list[tuple[str, str]] = field(default_factory=list)  # sender, service; a message is its place from 1
    delivered: list[int] = field(default_factory=list)
    handled: list[int] = field(default_factory=list)

    def label(self, which: int) -> str:
        return f"{'ab'[which]}#{self.incarnations[which]}"

    def add(self, kind: str, process: str, message: int = 0) -> None:
        self.rows.append((len(self.rows), kind, process, "saga-1", "", "", 0, None, message, ()))

    def act(self, kind: str, choice: int) -> None:
        """Do it, where it is possible as things stand."""
        which, rest = choice % 2, choice // 2
        if kind in ("DELIVER", *HANDLED, "ACK"):
            self._move(kind, choice)
        elif kind == "BOOT" and not self.alive[which]:
            self.incarnations[which] += 1
            self.alive[which] = True
            self.add("BOOT", self.label(which))
        elif self.alive[which] and kind == "CRASH":
            self.alive[which] = False
            self.add("CRASH", self.label(which))
        elif self.alive[which] and kind == "SEND":
            self.sent.append((self.label(which), SERVICES[rest % len(SERVICES)]))
            self.add("SEND", self.label(which), len(self.sent))
        elif self.alive[which] and kind in ("LOG", "LOGACK"):
            self.add(kind, self.label(which))

    def _move(self, kind: str, choice: int) -> None:
        if kind == "DELIVER":
            possible = list(range(1, len(self.sent) + 1))  # again and again, too: duplicates
        elif kind == "ACK":
            living = {self.label(which) for which in (0, 1) if self.alive[which]}
            possible = [m for m in self.handled if self.sent[m - 1][0] in living]
        else:
            possible = self.delivered
        if not possible:
            return
        message = possible[choice % len(possible)]
        sender, service = self.sent[message - 1]
        self.add(kind, sender if kind == "ACK" else service, message)
        if kind == "DELIVER":
            self.delivered.append(message)
        elif kind in HANDLED:
            self.handled.append(message)


ACTIONS = st.tuples(
    st.sampled_from(("SEND", "DELIVER", "APPLY", "REJECT", "ERROR", "ACK", "LOG", "LOGACK", "CRASH", "BOOT")),
    st.integers(min_value=0, max_value=5),
)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Row, ...]:
    world = World()
    for kind, choice in draw(st.lists(ACTIONS, max_size=40)):
        world.act(kind, choice)
    return tuple(world.rows)


def happened_before(rows: tuple[Row, ...]) -> nx.DiGraph:
    """An edge for each rule: program order, a request, an answer, what is durable when a process starts,
    writes or asks."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(rows)))
    for later, (_, kind, process, _, _, _, _, _, message, _) in enumerate(rows):
        for earlier, (_, other, place, _, _, _, _, _, number, _) in enumerate(rows[:later]):
            if (
                place == process
                or (kind == "DELIVER" and other == "SEND" and number == message)
                or (kind == "ACK" and other in HANDLED and number == message)
                or (kind in ("BOOT", "LOGACK", "SEND") and other == "LOGACK")
            ):
                graph.add_edge(earlier, later)
    return graph


@given(rows(), st.data())
def test_knowledge_is_reachability(rows: tuple[Row, ...], data: st.DataObject) -> None:
    positions = data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=12)) if rows else set()
    marks = {position: 1 << n for n, position in enumerate(sorted(positions))}
    found = knowledge(History(saga=CHECKOUT, sagas=("saga-1",), rows=rows), marks)
    graph = happened_before(rows)
    assert set(found) == positions
    for later in positions:
        before = nx.ancestors(graph, later)
        assert {earlier for earlier in positions if found[later] & marks[earlier]} == before & positions


@given(rows())
def test_an_event_knows_neither_itself_nor_what_comes_later(rows: tuple[Row, ...]) -> None:
    marks = {position: 1 << position for position in range(len(rows))}
    found = knowledge(History(saga=CHECKOUT, sagas=("saga-1",), rows=rows), marks)
    for position, known in found.items():
        assert known < marks[position]


def knows(text: str, later: int, earlier: int) -> bool:
    return bool(knowledge(history(text), {later: 1, earlier: 2})[later] & 2)


def test_an_answer_that_was_lost_tells_nothing() -> None:
    lost = "send order.create -> m1\napply m1\nlost m1 answer\nsend payment.charge -> m2\napply m2"
    assert not knows(lost, 6, 2)
    assert knows(lost.replace("lost m1 answer", "ack m1"), 6, 2)


def test_an_error_tells_what_its_sender_knew() -> None:
    text = """
        send order.cancel key=o -> m1
        apply m1
        lost m1 answer
        send order.cancel key=o -> m2
        error m2
        ack m2
        call payment.charge
    """
    assert knows(text, 10, 2)


def test_a_new_incarnation_knows_what_is_durable_and_no_more() -> None:
    asked = "call order.create\nlog outcome\ncrash\nboot\ncall payment.charge"
    assert not knows(asked, 9, 2)
    assert knows(asked.replace("log", "durable"), 9, 2)
