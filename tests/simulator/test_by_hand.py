"""The simulator driven by hand, as the state machine drives it: messages wait until somebody moves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sagafuzz import Adapter, Order, Saga, Scenario, Step, World, adapter
from sagafuzz.loading import as_adapter
from sagafuzz.simulator import Setup, Simulation
from sagafuzz.simulator.patches import virtual

from .conftest import Laboratory


class Hand:
    """A simulation whose actions are methods."""

    def __init__(self, system: Adapter, scenario: Scenario) -> None:
        self.sim = Simulation(Setup(adapter=system, scenario=scenario), manual=True)
        self.orders = list(self.sim.setup.scenario.orders)
        self.do(lambda: self.sim.start("start"))

    def do(self, action: Any) -> Any:
        with virtual(self.sim):
            result = action()
            self.sim.kernel.run()
        return result

    @property
    def network(self) -> Any:
        return self.sim.network

    @property
    def pending(self) -> list[str]:
        return [message.operation for message in self.network.pending]

    def kinds(self, *wanted: str) -> list[str]:
        return [row[1] for row in self.sim.trace.rows if not wanted or row[1] in wanted]

    def submit(self) -> None:
        self.do(lambda: self.sim.submit(self.orders.pop(0)))

    def crash(self) -> None:
        self.do(lambda: self.sim.crash(self.sim.process, "killed"))  # type: ignore[arg-type]

    def deliver(self, index: int = 0) -> None:
        self.do(lambda: self.network.deliver(self.network.take(index)))

    def advance(self, seconds: float) -> None:
        self.do(lambda: self.sim.kernel.advance_to(self.sim.kernel.now_us + round(seconds * 1e6)))

    def finish(self) -> None:
        with virtual(self.sim):
            self.network.release_all()
            self.sim.finish()


@pytest.fixture
def hand(careful: Adapter) -> Iterator[Hand]:
    hand = Hand(careful, Scenario(sagas=2))
    yield hand
    hand.do(hand.sim.close)


def test_nothing_travels_by_itself(hand: Hand) -> None:
    hand.submit()
    assert hand.pending == ["order.create"]
    assert hand.kinds("SEND", "DELIVER") == ["SEND"]
    hand.deliver()
    assert hand.pending == ["payment.charge"]
    hand.deliver()
    assert hand.kinds("CLIENT_ACK", "DELIVER") == ["DELIVER", "DELIVER", "CLIENT_ACK"]


def test_messages_are_delivered_in_any_order(hand: Hand) -> None:
    hand.submit()
    hand.submit()
    hand.deliver(1)
    hand.deliver(1)
    assert [row[3] for row in hand.sim.trace.rows if row[1] == "CLIENT_ACK"] == ["saga-2"]
    assert hand.pending == ["order.create"]


def test_what_is_not_answered_in_time_is_a_timeout_when_the_clock_gets_there(hand: Hand) -> None:
    hand.submit()
    hand.advance(0.999)
    assert hand.kinds("TIMEOUT") == []
    hand.advance(0.001)
    assert hand.kinds("TIMEOUT") == ["TIMEOUT"]
    assert hand.sim.kernel.now_us == 1_000_000
    hand.deliver()
    assert hand.kinds("APPLY", "ACK") == ["APPLY"]
    hand.advance(60)
    assert hand.pending == ["order.create"]
    assert hand.sim.network.pending[0].attempt == 2


def test_a_dropped_message_is_lost(hand: Hand) -> None:
    hand.submit()
    hand.do(lambda: hand.network.drop(hand.network.take(0)))
    hand.advance(2)
    assert hand.kinds("SEND", "LOST", "TIMEOUT", "DELIVER") == ["SEND", "LOST", "TIMEOUT"]


def test_a_lost_answer_leaves_the_effect(hand: Hand) -> None:
    hand.submit()
    hand.do(lambda: hand.network.lose_answer(hand.network.take(0)))
    hand.advance(2)
    assert hand.kinds("APPLY", "LOST", "ACK", "TIMEOUT") == ["APPLY", "LOST", "TIMEOUT"]


def test_a_message_can_be_delivered_and_left_in_the_network(hand: Hand) -> None:
    hand.submit()
    hand.do(lambda: hand.network.deliver(hand.network.pending[0]))
    assert hand.pending == ["order.create", "payment.charge"]
    hand.deliver(0)
    assert [row[9][0] for row in hand.sim.trace.rows if row[1] == "APPLY"] == [True, False]
    assert hand.kinds("ACK") == ["ACK"]


def test_a_refusal_is_for_good_and_only_where_nothing_was_decided(hand: Hand) -> None:
    hand.submit()
    first = hand.network.pending[0]
    hand.do(lambda: hand.network.deliver(first))
    assert hand.do(lambda: hand.network.reject(first)) is False
    refused = hand.network.take(1)
    assert refused.operation == "payment.charge"
    assert hand.do(lambda: hand.network.reject(refused)) is True
    assert hand.pending == ["order.create", "order.cancel"]
    assert hand.do(lambda: hand.network.reject(hand.network.pending[1])) is False


def test_a_step_that_is_never_refused_is_not_refused_by_hand_either() -> None:
    saga = Saga("ship", [Step("shipping", "shipping.send", retriable=True)])

    @adapter(saga=saga)
    class Shipping:
        def boot(self, world: World) -> None:
            self.world = world

        def run(self, order: Order) -> bool:
            self.world.call("shipping.send", saga=order.id)
            return True

    hand = Hand(as_adapter(Shipping), Scenario())
    hand.submit()
    message = hand.network.take(0)
    assert hand.do(lambda: hand.network.reject(message)) is False
    assert hand.kinds("REJECT") == []


def test_a_crash_loses_what_is_volatile_and_a_restart_takes_it_up(hand: Hand) -> None:
    hand.submit()
    hand.deliver()
    hand.crash()
    assert hand.sim.process is None
    hand.submit()
    hand.do(lambda: hand.sim.start("restart"))
    assert hand.pending == ["payment.charge", "payment.charge", "order.create"]
    assert [message.attempt for message in hand.network.pending] == [1, 2, 1]
    hand.deliver(0)
    assert hand.kinds("ACK") == ["ACK"]  # nobody hears the answer to the dead
    hand.deliver(0)
    assert hand.kinds("TERMINAL", "APPLY") == ["APPLY", "APPLY", "APPLY", "TERMINAL"]


def test_a_crash_while_booting_is_a_crash_like_any_other(lab: Laboratory) -> None:
    def boot(world: Any) -> None:
        world.call("order.create", saga="saga-1")

    hand = Hand(lab.system(lambda world, order: True, boot=boot), Scenario())
    hand.crash()
    hand.submit()
    hand.do(lambda: hand.sim.start("restart"))
    assert hand.pending == ["order.create", "order.create"]
    hand.deliver(1)
    hand.finish()
    assert hand.kinds("CLIENT_ACK", "END") == ["CLIENT_ACK", "END"]


def test_finishing_delivers_starts_and_heals_all(hand: Hand) -> None:
    hand.submit()
    hand.submit()
    hand.deliver()
    hand.crash()
    hand.finish()
    assert hand.pending == []
    assert sorted(row[3] for row in hand.sim.trace.rows if row[1] == "TERMINAL") == ["saga-1", "saga-2"]
    assert hand.sim.trace.rows[-1][1] == "END"


def test_what_is_left_in_the_middle_is_unwound(lab: Laboratory) -> None:
    said: list[str] = []

    def run(world: Any, order: Any) -> bool:
        try:
            world.call("order.create")
        finally:
            said.append("unwound")
        return True

    hand = Hand(lab.system(run), Scenario())
    hand.submit()
    hand.do(hand.sim.close)
    assert said == ["unwound"]
    assert hand.kinds() == ["BOOT", "SUBMIT", "SEND"]


def test_coroutines_are_driven_the_same_way(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        await world.call("order.create")
        await world.sleep(5)
        await world.call("payment.charge")
        return True

    hand = Hand(lab.system(run), Scenario())
    hand.submit()
    hand.deliver()
    assert hand.pending == []
    hand.advance(5)
    assert hand.pending == ["payment.charge"]
    hand.crash()
    hand.do(lambda: hand.sim.start("restart"))
    hand.finish()
    assert hand.kinds("CLIENT_ACK", "END") == ["END"]


def test_databases_are_driven_the_same_way(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        with world.sqlite() as db:
            db.execute("CREATE TABLE t (k)")
            db.execute("INSERT INTO t VALUES (1)")
            world.call("order.create")
        return True

    hand = Hand(lab.system(run), Scenario())
    hand.submit()
    hand.deliver()
    assert hand.kinds("CLIENT_ACK") == ["CLIENT_ACK"]
    hand.finish()
