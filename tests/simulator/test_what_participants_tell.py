"""What a participant of one's own tells of itself: whose row it is, what it holds, what it put off, what ran out."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Job, PortError, Rejected, Request, Saga, Scenario, Step, Transaction, check
from sagafuzz.errors import UsageError

from .conftest import Laboratory


def asked(lab: Laboratory, bank: Any, *faults: str, undo: bool = False, **options: Any) -> Any:
    """Charge, and refund where ``undo`` says so: the trial."""

    def run(world: Any, order: Any) -> bool:
        for operation in ("payment.charge", "payment.refund") if undo else ("payment.charge",):
            for _ in range(3):
                try:
                    world.call(operation, saga=order.id, key=operation, amount=5)
                    break
                except PortError:
                    world.sleep(1)
        world.sleep(options.get("then", 0))
        return not undo

    expiring = ("payment",) if options.get("expiring") else ()
    system = lab.system(run, participants={"payment": bank}, expiring=expiring)
    return lab.trial(system, *faults, scenario=options.get("scenario"))


def broken(trial: Any, *ids: str) -> list[tuple[str, str]]:
    """What is broken of the payment."""
    found = check(trial.history, only=ids).violations
    return [(violation.invariant, violation.anomaly) for violation in found if violation.step == "pay"]


class Owning:
    """Pays back from the row of somebody."""

    whose = ""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.state[request.operation] = tx.state.get(request.operation, 0) + 1
        if request.direction == "C":
            tx.owner(self.whose or request.saga)


class FromAnother(Owning):
    whose = "saga-7"


@pytest.mark.parametrize(("bank", "found"), [(Owning, []), (FromAnother, [("I18", "undo of another's")])])
def test_it_says_whose_row_an_undo_changes(lab: Laboratory, bank: Any, found: list[Any]) -> None:
    trial = asked(lab, bank, undo=True)
    assert broken(trial, "I18") == found
    assert "I18" in check(trial.history, only=("I18",)).exercised


class Till:
    """Keeps what it has captured on an account."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.balance("captured", request.saga, 5 if request.direction == "F" else self.back)

    back = -5


class Generous(Till):
    back = -6


@pytest.mark.parametrize(("bank", "found"), [(Till, []), (Generous, [("I17", "less than nothing")])])
def test_an_account_never_holds_less_than_nothing(lab: Laboratory, bank: Any, found: list[Any]) -> None:
    trial = asked(lab, bank, undo=True)
    assert broken(trial, "I17") == found
    held = [event.data for event in trial.of("ENTRY")]
    assert held == [("captured", 5, 5), ("captured", bank.back, 5 + bank.back)]
    assert [event.get("effective") for event in trial.of("APPLY")] == [True, True]


class Limited:
    """Refuses what is more than the scenario gives."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if tx.balance("taken", "all", 5) > tx.funds or tx.stock < 1:
            raise Rejected("too much")


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [(Scenario(funds=5), ["APPLY"]), (Scenario(funds=4), ["REJECT"] * 3), (Scenario(stock=0), ["REJECT"] * 3)],
)
def test_it_sees_the_stock_and_the_funds_of_the_scenario(lab: Laboratory, scenario: Scenario, kinds: list[str]) -> None:
    assert [event.kind for event in asked(lab, Limited, scenario=scenario).of("APPLY", "REJECT")] == kinds


class Later:
    """Accepts, and does it a second later."""

    volatile = False

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.key not in tx.memory:
            tx.memory[str(request.key)] = True
            tx.later("settle", delay_ms=1000, volatile=self.volatile, amount=request.payload["amount"])

    def work(self, job: Job, tx: Transaction) -> None:
        tx.state[job.saga] = job.payload["amount"]
        tx.effect(job.saga, job.step)


class InMemory(Later):
    volatile = True


class InTwoGoes:
    """Reads a tariff when it accepts, and writes by it in a transaction of its own."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "F":
            tx.read("tariff")
        tx.later("book")

    def work(self, job: Job, tx: Transaction) -> None:
        tx.read("tariff")
        tx.write("tariff", job.saga)
        tx.lock("tariff")


def test_what_it_reads_and_writes_when_it_works_is_shown_as_of_the_request_that_put_it_off(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        for operation in ("payment.charge", "payment.refund"):
            world.call(operation, saga=order.id, key=operation)
        world.sleep(1)
        return True

    system = lab.system(run, participants={"payment": InTwoGoes}, isolation=["lost-update"])
    trial = lab.trial(system)
    shown = trial.of("READ", "WRITE", "HOLD")
    assert [(event.kind, event.direction) for event in shown] == [
        ("READ", "F"),
        *[(kind, direction) for direction in "FC" for kind in ("READ", "WRITE", "HOLD")],
    ]
    assert len({event.msg for event in shown}) == 3, "each transaction has a number of its own"
    assert {(event.step, event.saga) for event in shown} == {("pay", "saga-1")}


class Overwrites:
    """Reads the stock when it is asked, and writes what it computed of that half a second later."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "F":
            tx.later("write", delay_ms=500, left=tx.read("stock", 10) - 1)

    def work(self, job: Job, tx: Transaction) -> None:
        tx.write("stock", job.payload["left"])
        tx.effect(job.saga, job.step)


class LooksAgain(Overwrites):
    def work(self, job: Job, tx: Transaction) -> None:
        tx.write("stock", tx.read("stock", 10) - 1)
        tx.effect(job.saga, job.step)


@pytest.mark.parametrize(("stock", "found"), [(Overwrites, ["lost-update"]), (LooksAgain, [])])
def test_an_update_that_its_work_loses_is_told(lab: Laboratory, stock: Any, found: list[str]) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id, key=order.id)
        world.sleep(2)
        return True

    system = lab.system(run, participants={"payment": stock}, isolation=["lost-update"])
    verdict = check(lab.trial(system, scenario=Scenario(sagas=2, gap_ms=100)).history, only=("I25",))
    assert [violation.anomaly for violation in verdict.violations] == found
    assert "I25" in verdict.exercised


@pytest.mark.parametrize("bank", [Later, InMemory])
def test_what_was_put_off_takes_effect_later(lab: Laboratory, bank: Any) -> None:
    trial = asked(lab, bank, then=3)
    accepted, done = trial.of("APPLY")
    assert (accepted.get("effective"), done.get("effective"), done.step) == (False, True, "pay")
    assert done.t_us - accepted.t_us == 1_000_000
    assert broken(trial, "I23") == []


@pytest.mark.parametrize(("bank", "effects"), [(Later, 1), (InMemory, 0)])
def test_a_restart_takes_what_is_held_in_memory_with_it(lab: Laboratory, bank: Any, effects: int) -> None:
    trial = asked(lab, bank, "participant-restart pay F", then=5)
    assert sum(event.get("effective") for event in trial.of("APPLY")) == effects
    assert bool(broken(trial, "I23")) == (effects == 0)


class FailsTwice(Later):
    def work(self, job: Job, tx: Transaction) -> None:
        if FailsTwice.tries < 2:
            FailsTwice.tries += 1
            raise OSError("disk full")
        super().work(job, tx)

    tries = 0


def test_what_fails_is_tried_again(lab: Laboratory) -> None:
    FailsTwice.tries = 0
    trial = asked(lab, FailsTwice, then=10)
    assert [event.data[0] for event in trial.of("ERROR")] == ["settle: OSError: disk full"] * 2
    assert sum(event.get("effective") for event in trial.of("APPLY")) == 1


class Hold:
    """Holds, for the harness to let run out, or for half a second."""

    own = False

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.state[request.saga] = True
        if self.own:
            tx.later("expire", delay_ms=500)

    def expire(self, request: Request, tx: Transaction) -> None:
        tx.state.pop(request.saga, None)

    def work(self, job: Job, tx: Transaction) -> None:
        if tx.state.pop(job.saga, None):
            tx.expire(job.saga, job.step)


class ForHalfASecond(Hold):
    own = True


def test_the_harness_lets_its_reservation_run_out(lab: Laboratory) -> None:
    trial = asked(lab, Hold, "expiry pay F", expiring=True, then=1)
    assert [event.step for event in trial.of("EXPIRE")] == ["pay"]


class ShowsWhatRanOut(Hold):
    """Shows what it wrote and what it holds, when it holds and when that runs out."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.write("seat", request.saga)
        tx.balance("held", request.saga, 1)

    def expire(self, request: Request, tx: Transaction) -> None:
        tx.write("seat", "")
        tx.balance("held", request.saga, -1)
        tx.expire(request.saga, request.step)


def test_what_it_does_when_its_reservation_runs_out_is_shown_as_an_undo(lab: Laboratory) -> None:
    trial = asked(lab, ShowsWhatRanOut, "expiry pay F", expiring=True, then=1)
    assert len(trial.of("EXPIRE")) == 1
    assert [event.data for event in trial.of("ENTRY")] == [("held", 1, 1), ("held", -1, 0)]
    taken, given_back = trial.of("WRITE")
    assert (taken.direction, taken.get("version")) == ("F", 1)
    assert (given_back.direction, given_back.get("version")) == ("C", 2)
    assert given_back.msg not in (0, taken.msg), "a transaction of its own"


def test_it_lets_a_reservation_run_out_by_itself(lab: Laboratory) -> None:
    (gone,) = asked(lab, ForHalfASecond, then=1).of("EXPIRE")
    assert (gone.step, gone.saga) == ("pay", "saga-1")


class FindsItRunOut(Hold):
    """Looks at the next request whether what it held has run out, and then does nothing for who asks."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if not tx.state:
            return super().handle(request, tx)
        tx.state.clear()
        tx.expire(request.saga, request.step)
        if request.payload.get("anew"):
            tx.state[request.saga] = True
        return {}


@pytest.mark.parametrize("anew", [False, True])
def test_what_a_request_finds_run_out_is_no_effect_of_it(lab: Laboratory, anew: bool) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", key="p")
        world.call("payment.charge", key="q", anew=anew)
        return True

    trial = lab.trial(lab.system(run, participants={"payment": FindsItRunOut}))
    assert [event.get("effective") for event in trial.of("APPLY")] == [True, anew]
    assert [event.step for event in trial.of("EXPIRE")] == ["pay"]


class RefusesWhatRanOut(FindsItRunOut):
    """Looks at the next request whether what it held has run out, and refuses it then."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.key == "look":
            return {"state": tx.state, "memory": tx.memory}
        held = bool(tx.state)
        super().handle(request, tx)
        if held:
            tx.state["lost"] = tx.memory["kept"] = True
            raise Rejected("it has run out")
        return {}


def test_a_refusal_keeps_that_something_ran_out_and_what_is_noted_and_nothing_else(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", key="p")
        with pytest.raises(Rejected):
            world.call("payment.charge", key="q")
        seen.update(world.call("payment.charge", key="look"))
        return True

    seen: dict[str, Any] = {}
    trial = lab.trial(lab.system(run, participants={"payment": RefusesWhatRanOut}))
    assert [event.step for event in trial.of("EXPIRE")] == ["pay"]
    assert seen == {"state": {}, "memory": {"kept": True}}


class Remembers:
    """Notes that it was refused, and goes on refusing."""

    def refuse(self, request: Request, tx: Transaction) -> None:
        tx.memory["no"] = True

    def handle(self, request: Request, tx: Transaction) -> Any:
        if "no" in tx.memory:
            raise Rejected("refused before")
        tx.state["paid"] = True


class Forgets(Remembers):
    def refuse(self, request: Request, tx: Transaction) -> None:
        pass


@pytest.mark.parametrize(("bank", "kinds"), [(Remembers, ["REJECT"] * 3), (Forgets, ["REJECT", "APPLY"])])
def test_what_it_remembers_of_a_refusal_is_its_own_affair(lab: Laboratory, bank: Any, kinds: list[str]) -> None:
    assert [event.kind for event in asked(lab, bank, "reject pay F").of("APPLY", "REJECT")] == kinds


class PutsOff:
    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.later("more")


class Wrong:
    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.balance("captured", request.saga, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bank", "complaint"), [(PutsOff, "add 'def work\\(self, job, tx\\): ...' to PutsOff"), (Wrong, "a whole number")]
)
def test_what_cannot_be_used_is_named(lab: Laboratory, bank: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        asked(lab, bank)


HELD = Saga(
    "held",
    [
        Step("hold", "bank.hold", undo="bank.void", amount="amount"),
        Step("capture", "bank.capture", amount="amount", consumes="hold", many=True),
    ],
)


class ReleasesTheRest:
    """Releases what is left of a hold in the transaction of its last capture; a hold that comes again is known."""

    tells = True

    def handle(self, request: Request, tx: Transaction) -> Any:
        left = tx.state.get("left", 0)
        if request.operation == "bank.hold":
            tx.state.setdefault("left", request.payload["amount"])
            return
        tx.state["left"] = 0 if request.payload["last"] else left - request.payload["amount"]
        if request.payload["last"] and self.tells:
            tx.effect(request.saga, "hold", undo=True)


class KeepsSilent(ReleasesTheRest):
    tells = False


@pytest.mark.parametrize(("bank", "found"), [(ReleasesTheRest, []), (KeepsSilent, [("I3", "not used up")])])
def test_it_says_that_the_rest_of_a_hold_is_released_with_the_last_capture(
    lab: Laboratory, bank: Any, found: list[Any]
) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("bank.hold", saga=order.id, key="h", amount=100)
        for part in ("bolt", "nut"):
            world.call("bank.capture", saga=order.id, key=part, part=part, amount=40, last=part == "nut")
        world.call("bank.hold", saga=order.id, key="h", amount=100)
        return True

    trial = lab.trial(lab.system(run, saga=HELD, participants={"bank": bank}))
    assert [(each.invariant, each.anomaly) for each in check(trial.history).violations] == found
