"""Two-phase commit is atomic and isolated under every fault; what it costs is that rows stay locked."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import Adapter, Outcome, Rejected, Request, Transaction
from sagafuzz.errors import UsageError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import Fault, Plan, Site
from sagafuzz.invariants import blocking
from sagafuzz.invariants.blocking import Hold
from sagafuzz.reference_saga import two_phase_commit as tpc
from sagafuzz.reference_saga.coordinator import Coordinator
from sagafuzz.reference_saga.resource import Resource, settle
from sagafuzz.reference_saga.runtime import Request as Call
from sagafuzz.reference_saga.runtime import Runtime
from sagafuzz.reference_saga.stores.memory import MemoryStore
from sagafuzz.simulator import Setup, simulate
from sagafuzz.simulator.own import ParticipantTransaction
from sagafuzz.verdict import InvariantResult, Report

from .broken_commits import RIGHT, Forgetful, Hasty, Unfenced, with_accounts, with_coordinator


def search(adapter: Adapter, *scenarios: str, faults: int = 1, kinds: tuple[str, ...] = ()) -> Report:
    chosen = tuple(map(adapter.scenario, scenarios))
    with quiet():
        return Campaign(adapter, Settings(max_faults=faults, examples=0, scenarios=chosen, kinds=kinds)).run()


def result(report: Report, id: str) -> InvariantResult:
    return next(entry for entry in report.invariants if entry.id == id)


def signatures(report: Report) -> set[tuple[str, str]]:
    return {(finding.violation.invariant, finding.violation.anomaly) for finding in report.findings}


# -- under faults -----------------------------------------------------------------------------------


def test_consistent_under_every_fault_and_the_price_is_shown() -> None:
    report = search(RIGHT)
    assert report.verdict == "consistent", report.findings
    checked = {entry.id for entry in report.invariants if entry.checked}
    assert {"I2", "I3", "I6", "I8", "I12", "I13", "I14", "I16", "I20", "I25"} <= checked
    blocked = result(report, "I26")
    assert blocked.status == "holds" and blocked.checked > 900
    shown = r"[\d,]+ locks, each over [\d.]+ requests, for .* at most; [\d,]+ in doubt, for 100 ms"
    assert re.search(shown, blocked.note)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["two-on-one-item", "two-at-once"])
def test_consistent_under_two_crashes_or_owners_with_several_at_once(scenario: str) -> None:
    kinds = ("crash-before-send", "crash-after-send", "crash-after-effect", "crash-after-log", "second-orchestrator")
    report = search(RIGHT, scenario, faults=2, kinds=(*kinds, "participant-restart", "timeout", "lost-ack"))
    assert report.verdict == "consistent", report.findings
    assert report.counts.by_faults[2] > 1_000


def test_to_tell_a_decision_before_it_is_durable_is_found() -> None:
    report = search(with_coordinator(Hasty), "succeeds")
    assert ("I12", "outcome not durable") in signatures(report)
    assert result(report, "I2").status == "violated", "a crash in between leaves one committed and the others aborted"


def test_to_forget_a_promise_is_found() -> None:
    (finding,) = search(with_accounts(Forgetful), "succeeds").findings
    assert (finding.violation.invariant, finding.violation.anomaly) == ("I3", "lock left")
    assert str(finding.plan).startswith("participant-restart at saga-1: payment-prepare")


def test_to_take_over_without_a_word_is_found() -> None:
    assert ("I14", "stale write accepted") in signatures(search(with_coordinator(Unfenced), "succeeds"))


# -- what it costs ----------------------------------------------------------------------------------


def holds(adapter: Adapter, scenario: str, *faults: Fault) -> tuple[Hold, ...]:
    setup = Setup(adapter=adapter, scenario=adapter.scenario(scenario))
    plan = Plan(faults=faults)
    return blocking(simulate(setup, plan).history(setup, plan))


DECIDED = Site("saga-1", "payment-prepare", "F", "ack", 1)


@pytest.mark.parametrize("down_ms", [100.0, 5_000.0, 60_000.0])
def test_who_has_voted_stays_locked_for_as_long_as_the_coordinator_is_down(down_ms: float) -> None:
    found = holds(replace(RIGHT, restart_ms=down_ms), "succeeds", Fault(kind="crash-after-ack", site=DECIDED))
    assert {hold.entity for hold in found} == {"saga-1", "item-1", "customer"}
    assert {hold.in_doubt_us for hold in found} == {int(down_ms * 1000)}
    assert all(hold.released for hold in found)


def test_who_has_not_been_asked_is_not_locked_by_it() -> None:
    first = Site("saga-1", "order-prepare", "F", "ack", 1)
    found = holds(replace(RIGHT, restart_ms=60_000.0), "succeeds", Fault(kind="crash-after-ack", site=first))
    assert {hold.entity for hold in found} == {"saga-1"}


def test_the_row_of_one_transaction_keeps_the_other_waiting() -> None:
    first, second = (hold for hold in holds(RIGHT, "two-at-once") if hold.entity == "customer")
    assert first.until_us <= second.since_us


# -- the rules --------------------------------------------------------------------------------------


def begun(votes: int = 0) -> tpc.State:
    state, _ = tpc.advance(tpc.State("t", "me", ("a", "b")), tpc.Begin())
    for name in ("a", "b")[:votes]:
        state, _ = tpc.advance(state, tpc.Agreed(name))
    return state


def test_nothing_is_told_before_every_vote_and_the_decision_are_in() -> None:
    state, commands = tpc.advance(begun(), tpc.Agreed("a"))
    assert commands == (tpc.Send("b"),)
    state, commands = tpc.advance(state, tpc.Agreed("b"))
    assert isinstance(commands[0], tpc.Save) and commands[0].entries[0] == ("decision", "")
    assert commands[1:] == (tpc.Send("a"), tpc.Send("b")) and state.verb == tpc.COMMIT


def test_to_abort_takes_no_write() -> None:
    state, commands = tpc.advance(begun(1), tpc.Refused("b", "no"))
    assert state.verb == tpc.ABORT and commands == (tpc.Send("a"), tpc.Send("b"))


def test_who_comes_back_aborts_what_holds_no_decision_and_commits_the_rest() -> None:
    for votes, verb in ((0, tpc.ABORT), (1, tpc.ABORT), (2, tpc.COMMIT)):
        kept = tpc.State.from_record(begun(votes).record())
        state, commands = tpc.advance(kept._replace(epoch=2), tpc.Begin())
        assert state.verb == verb and isinstance(commands[0], tpc.Save)


def test_a_vote_that_does_not_come_is_an_abort_and_a_decision_is_told_until_it_is_answered() -> None:
    state = begun()
    for _ in range(tpc.VOTES.attempts):
        assert state.verb == tpc.PREPARE
        state, _ = tpc.advance(state, tpc.Silent("a"))
    assert state.verb == tpc.ABORT
    for _ in range(100):
        state, (again,) = tpc.advance(state, tpc.Silent("a"))
        assert isinstance(again, tpc.Send) and again.after_s <= tpc.DECISIONS.longest_backoff_s


def test_a_participant_that_breaks_its_word_is_a_persons_affair() -> None:
    state, _ = tpc.advance(begun(2), tpc.Agreed("a"))
    state, commands = tpc.advance(state, tpc.Refused("b", "gone"))
    assert state.outcome == Outcome.STUCK.value
    assert isinstance(commands[0], tpc.CallPerson) and "would not commit" in commands[0].reason


# -- in one process, where a participant asks --------------------------------------------------------


class Counter(Resource):
    """A number, from which each transaction takes 1."""

    def rows(self, request: Request) -> tuple[str, ...]:
        return ("number",)

    def work(self, request: Request, values: Any) -> dict[str, int]:
        left = (2 if values["number"] is None else values["number"]) - 1
        if left < 0:
            raise Rejected("none left")
        return {"number": left}


class Bench:
    """Two counters and a coordinator; those in ``deaf`` hear nothing."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.data = {name: ParticipantTransaction() for name in ("a", "b")}
        self.deaf: set[str] = set()
        operations = {f"{name}.{verb}": self.handle for name in self.data for verb in ("prepare", "commit", "abort")}
        self.runtime = Runtime(operations, report=lambda *about: None)
        self.coordinator = Coordinator(
            ("a", "b"), ports=self.runtime, store=self.store, payload=lambda name, request: {}, look_s=0.0
        )

    def handle(self, call: Call) -> Any:
        name, _, verb = call.operation.partition(".")
        if verb in self.deaf:
            raise KeyboardInterrupt  # the coordinator's process ends here
        request = Request(operation=call.operation, saga=call.saga, step="", direction="", key=call.key, payload={})
        with self.transaction(name, call.saga) as tx:
            return Counter().handle(request, tx)

    @contextmanager
    def transaction(self, name: str, id: str) -> Iterator[Transaction]:
        """All of it or nothing."""
        mine = copy.deepcopy(self.data[name])
        mine.saga = id
        yield mine
        self.data[name] = mine

    def settle(self, name: str) -> tuple[str, ...]:
        return settle(name, Counter(), lambda id: self.transaction(name, id), self.coordinator.decision)


def test_without_faults_all_commit_until_one_cannot() -> None:
    bench = Bench()
    outcomes = [bench.coordinator.execute(f"t{n}", {}) for n in range(3)]
    assert outcomes == [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.COMPENSATED]
    assert [data.state["number"] for data in bench.data.values()] == [0, 0]
    assert not any(data.locks for data in bench.data.values())
    assert bench.coordinator.execute("t0", {}) == Outcome.COMPLETED, "asked again it tells what became of it"


def test_who_asks_before_the_decision_stays_locked_and_after_it_does_as_the_others() -> None:
    bench = Bench()
    bench.deaf = {"commit"}
    with pytest.raises(KeyboardInterrupt):
        bench.coordinator.execute("t", {})
    assert bench.coordinator.decision("t") == tpc.COMMIT
    assert bench.settle("a") == () and bench.data["a"].state == {"number": 1}
    assert bench.data["b"].locks == {"number": "t"}, "b has not asked"
    bench.deaf = set()
    again = Coordinator(("a", "b"), ports=bench.runtime, store=bench.store, payload=lambda *_: {}, look_s=0.0)
    again.resume_pending()
    assert bench.data["b"].state == {"number": 1} and not bench.data["b"].locks


def test_who_asks_for_what_is_undecided_stays_in_doubt_until_a_coordinator_comes_back() -> None:
    bench = Bench()
    bench.store.save(begun().record(), [("create", "")])
    with bench.transaction("a", "t") as tx:
        Counter().handle(Request(operation="a.prepare", saga="t", step="", direction="", key=None, payload={}), tx)
    assert bench.settle("a") == ("t",) and bench.data["a"].locks == {"number": "t"}
    bench.coordinator.resume_pending()
    assert not bench.data["a"].locks and bench.coordinator.decision("t") == tpc.ABORT


def test_a_transaction_without_a_record_was_aborted() -> None:
    assert Bench().coordinator.decision("unheard-of") == tpc.ABORT


def test_a_coordinator_without_participants_is_refused() -> None:
    with pytest.raises(UsageError, match="name at least one"):
        Coordinator((), ports=Runtime({}), store=MemoryStore(), payload=lambda *_: {})
