"""Explanations: what each fault does, the nearest plan that passes, where the two part, and why."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sagafuzz import Fault, Order, Plan, Scenario, Site, StoreUnavailable, World, adapter
from sagafuzz.event_words import event_in_words
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.causes import culprits_of
from sagafuzz.exploration.driver import perform
from sagafuzz.exploration.explain import explain, explain_program
from sagafuzz.exploration.judge import violates
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.history import DATA_FIELDS, Event
from sagafuzz.invariants import INVARIANTS, check
from sagafuzz.loading import as_adapter, load
from sagafuzz.saga import Saga, Step
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import Explanation, Finding

from ..quality.lone_systems import LONE

SEED = load("seed")
SETUP = Setup(adapter=SEED, scenario=SEED.scenario("succeeds"))


def fault(kind: str, phase: str, subject: str = "payment") -> Fault:
    return Fault(kind=kind, site=Site("saga-1", subject, "F", phase, 1))


def explained(plan: Plan, *signature: str) -> Explanation:
    found = violates(SETUP, plan, signature)
    assert found is not None
    return explain(SETUP, plan, *found)


DUPLICATE = fault("duplicate", "send")
DOUBLE = ("I1", "duplicate effect", "payment", "F")


def test_a_double_charge() -> None:
    said = explained(Plan(faults=(DUPLICATE,)), *DOUBLE)
    assert [(entry.what, entry.then) for entry in said.removed] == [
        ("duplicate at saga-1: payment forward, send", "all invariants hold")
    ]
    assert said.passing == "without duplicate at saga-1: payment forward, send"
    assert said.passing_plan == Plan()
    assert said.parting == (
        "after 13 equal events: here payment.charge reaches payment (copy 2) at 5 ms; "
        "there the answer of payment.charge arrives: ok at 6 ms"
    )
    assert said.steps == ("order", "inventory", "payment")
    assert [(row.saga, row.expected, row.found) for row in said.states] == [
        ("saga-1", ("1", "1", "1"), ("1", "1", "2"))
    ]
    assert said.cause.startswith("duplicate at payment.charge brings it out, where the requests carry no key; ")
    assert said.cause.endswith(INVARIANTS["I1"].cause)
    assert said.repair == INVARIANTS["I1"].repair


@pytest.mark.parametrize("name", ["seed", "simple-saga"])
def test_the_line_that_sent_the_request_is_named(name: str) -> None:
    """Also on an event loop, and in a lambda, which has no name."""
    adapter = load(name)
    with quiet():
        report = Campaign(adapter, Settings(max_faults=1, examples=0, scenarios=adapter.scenarios[:1])).run()
    said = [finding.explanation.code for finding in report.findings if finding.explanation and finding.violation.step]
    source = Path(inspect.getfile(adapter.factory))
    assert said
    for code in said:
        innermost, _, callers = code.partition(", from ")
        assert callers
        place, _, function = innermost.partition(" in ")
        file, _, line = place.partition(":")
        assert file == source.name and (not function or function == "execute")
        assert "call" in source.read_text().splitlines()[int(line) - 1]


def test_what_each_of_two_faults_does() -> None:
    plan = Plan(faults=(DUPLICATE, fault("reject", "effect")))
    said = explained(plan, "I2", "partial", "payment", "F")
    assert [entry.then for entry in said.removed] == ["all invariants hold", "I2 holds, but I1 duplicate effect"]


def test_a_fault_that_is_not_needed_is_told_as_such() -> None:
    plan = Plan(faults=(fault("slow-answer", "ack", "order"), DUPLICATE))
    said = explained(plan, *DOUBLE)
    assert [entry.then for entry in said.removed] == ["the violation stays", "all invariants hold"]


def test_the_nearest_plan_passes_and_shares_the_longest_beginning() -> None:
    plan = Plan(faults=(fault("slow-answer", "ack", "order"), DUPLICATE))
    said = explained(plan, *DOUBLE)
    assert said.passing_plan is not None and said.passing_plan.faults[:1] == plan.faults[:1]
    run = simulate(SETUP, said.passing_plan)
    assert check(run.history(SETUP, said.passing_plan)).conclusion == "consistent"
    failing = simulate(SETUP, plan)
    assert run.rows[: said.shared] == failing.rows[: said.shared]
    assert run.rows[said.shared] != failing.rows[said.shared]


def test_without_a_claim_all_steps_are_expected_to_be_alike() -> None:
    said = explained(Plan(faults=(fault("crash-after-ack", "ack", "order"),)), "I13", "zombie", "order", "F")
    assert [(row.expected, row.found) for row in said.states] == [(("0/1",) * 3, ("1", "0", "0"))]


@pytest.mark.parametrize("faults", [0, 1])
def test_every_finding_of_a_campaign_is_explained(faults: int) -> None:
    report = Campaign(SEED, Settings(max_faults=faults, examples=30, scenarios=SEED.scenarios[-1:])).run()
    assert report.findings
    for finding in report.findings:
        said = finding.explanation
        assert said is not None and said.cause and said.repair and said.states
        if finding.plan is not None:
            assert len(said.removed) == len(finding.plan)
            assert all(entry.then != "the violation stays" for entry in said.removed)
            assert said.passing and said.parting
            assert _passes(finding)


def _passes(finding: Finding) -> bool:
    assert finding.explanation is not None and finding.explanation.passing_plan is not None
    setup, plan = Setup(adapter=SEED, scenario=finding.scenario), finding.explanation.passing_plan
    return check(simulate(setup, plan).history(setup, plan)).conclusion == "consistent"


def test_a_program_of_the_state_machine() -> None:
    actions = (("submit", 0), ("duplicate", 0))
    shown, history = perform(SETUP, actions)
    (violation,) = check(history).violations
    said = explain_program(SETUP, actions, shown, violation, history)
    assert [(entry.what, entry.then) for entry in said.removed] == [
        ("duplicate: order.create of saga-1", "all invariants hold")
    ]
    assert said.passing == "delivered plainly instead of 'duplicate: order.create of saga-1'"
    assert said.passing_plan is None
    assert "here order.create reaches order (copy 2)" in said.parting
    assert said.cause.startswith("duplicate brings it out in order.create")


def test_a_slow_answer_is_taken_for_a_fault_of_a_program() -> None:
    actions = (("submit", 0), ("advance", 1000))
    shown, history = perform(SETUP, actions)
    (violation,) = check(history).violations
    said = explain_program(SETUP, actions, shown, violation, history)
    assert said.passing == "without 'advance 1000 ms'"
    assert said.cause.startswith("a slow answer brings it out")


def test_each_request_has_the_lines_of_code_that_sent_it() -> None:
    plan = Plan(faults=(Fault(kind="duplicate", site=Site("saga-1", "payment", "F", "send", 1)),))
    shown = violates(SETUP, plan, ("I1", "duplicate effect", "payment", "F"))
    assert shown is not None
    violation, history = shown
    said = explain(SETUP, plan, violation, history)
    sent = [position for position, row in enumerate(history.rows) if row[1] == "SEND"]
    assert [position for position, _ in said.lines] == sent
    for _, source in said.lines:
        assert (source.file, len(source.lines)) == ("sagafuzz/adapters/seed.py", 3)
        assert "self.world.call(" in source.lines[source.line - source.first]


def test_every_kind_of_event_has_words() -> None:
    saga = Saga("shop", [Step("payment", "payment.charge", undo="payment.refund")])
    for kind, fields in DATA_FIELDS.items():
        event = Event(0, kind, "payment", "saga-1", "payment", "F", 2, data=(1,) * len(fields))
        words = event_in_words(event, saga, several=True)
        assert words and "None" not in words
    sent = Event(0, "SEND", "orchestrator", "saga-1", "payment", "F", 2, data=("payment.charge", ()))
    assert event_in_words(sent, saga) == "payment.charge #2 is sent"
    assert event_in_words(sent, saga, several=True) == "payment.charge #2 of saga-1 is sent"


def test_a_write_for_no_saga_is_named_as_a_write() -> None:
    """A start is for no saga either."""
    write, start = Site("", "create open_orders", "", "log", 2), Site("", "orchestrator", "", "boot", 2)
    told = culprits_of(SEED.saga, ("crash-before-log", "stale-read"), (write, start))
    assert told == 'crash-before-log at the write "create open_orders" and stale-read at start 2'


def test_two_ends_have_another_cause_than_an_effect_after_the_end() -> None:
    lone = LONE["I15"]
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    found = violates(setup, lone.plan, ("I15", "two ends", "", ""))
    assert found is not None
    said = explain(setup, lone.plan, *found)
    assert said.cause.endswith(INVARIANTS["I15"].apart["two ends"].cause)
    assert said.repair == INVARIANTS["I15"].apart["two ends"].repair


def test_an_undo_of_what_was_never_begun_is_not_told_as_one_that_was_left_out() -> None:
    usual = INVARIANTS["I5"].usual("undo of a step never begun")
    assert "left out" not in usual.cause
    assert INVARIANTS["I5"].usual("leaked effect").cause == INVARIANTS["I5"].cause


def finding_of(spec: str, *signature: str) -> Explanation:
    """The explanation of the first finding of a system that breaks an invariant in one way."""
    adapter = load(spec)
    with quiet():
        report = Campaign(adapter, Settings(max_faults=1, examples=0)).run()
    found = next(found for found in report.findings if found.violation.signature[: len(signature)] == signature)
    assert found.explanation is not None
    return found.explanation


def test_a_stale_write_is_told_with_the_line_that_wrote() -> None:
    said = finding_of("zoo:unfenced-lease", "I14")
    assert " in _log" in said.code or " in _save" in said.code, said.code


def test_a_loop_without_an_end_is_told_with_the_line_that_asks() -> None:
    assert " in _call, from " in finding_of("zoo:null-rollback-deadlock", "C3", "livelock").code


def test_what_only_a_restart_freed_is_shown_as_it_stood_before() -> None:
    said = finding_of("zoo:outbox-skips-a-late-commit", "I3", "stuck until a restart")
    assert [(row.expected, row.found) for row in said.states] == [(("0/1", "0/1", "any"), ("1", "1", "0"))]


def test_of_alternatives_the_one_that_was_not_taken_is_expected_undone() -> None:
    said = finding_of("zoo:alternative-booked-twice", "I2", "two alternatives")
    (row,) = said.states
    expected = dict(zip(said.steps, row.expected, strict=True))
    assert {name: expected[name] for name in ("train", "flight", "car")} == {"train": "1", "flight": "0", "car": "any"}


def test_two_requests_that_read_alike_part_in_what_they_say() -> None:
    said = finding_of("zoo:anothers-receipt", "I19", "undo of other data", "inventory")
    assert said.parting == (
        "after 59 equal events: here inventory.release of saga-2 is sent at 507.4 ms (id inventory-1); "
        "there inventory.release of saga-2 is sent at 507.4 ms (id inventory-2)"
    )


@adapter(
    saga=Saga("mail", [Step("mail", "mail.send", undo="mail.recall")]),
    scenarios=[Scenario(name="two", sagas=2)],
)
class NotesAndMails:
    """Two sagas write at once, under keys of their own and records without names. One that writes again mails twice."""

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> bool:
        mails = 1
        while True:
            try:
                self.world.store.put(f"note/{order.id}", True)
                break
            except StoreUnavailable:
                mails += 1
                self.world.sleep(1)
        for _ in range(mails):
            self.world.call("mail.send")
        return True


def test_two_writes_that_read_alike_part_in_whose_they_are() -> None:
    mails = as_adapter(NotesAndMails)
    setup = Setup(adapter=mails, scenario=mails.scenario("two"))
    again = Fault(kind="store-error-before-commit", site=Site("saga-1", "write", "", "log", 1))
    found = violates(setup, Plan(faults=(again,)), ("I1", "duplicate effect", "mail", "F"))
    assert found is not None
    assert explain(setup, Plan(faults=(again,)), *found).parting == (
        'after 5 equal events: here the write "write" is durable at 0.2 ms (saga-2); '
        'there the write "write" is durable at 0.2 ms (saga-1)'
    )


def test_times_are_told_in_full() -> None:
    said = finding_of("zoo:approval-after-timeout", "I15")
    assert "receives time.is.up at 86400007.2 ms" in said.parting


def test_a_write_is_named_with_its_step() -> None:
    event = Event(0, "LOG", "orchestrator", "saga-1", "payment", data=("intent", 1, 0))
    assert event_in_words(event, SEED.saga) == 'the write "intent payment" is asked for'


def test_a_call_of_no_step_is_named_by_what_it_asks() -> None:
    lost = Event(0, "LOST", "network", "saga-1", "", "", msg=3, data=("request",))
    assert event_in_words(lost, SEED.saga, asked="inventory.look") == "the request of inventory.look is lost"
