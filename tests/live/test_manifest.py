"""Each word of a manifest, with a small worker that keeps it and one that does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagafuzz import OneOf, Optional, Saga, Step, UsageError
from sagafuzz.faults import AT_EFFECT, Plan
from sagafuzz.history import CLIENT_ACK, HANDLED, NACK, PARKED, RAISED, RECEIVE, REDRIVE
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.live.manifest_file import read
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import NOTHING, fault, run

COMPONENT = """
[[component]]
role = "worker"
argv = ["{python}", "worker.py"]
prefork = true
"""
CAPABILITIES = """
[capabilities]
resume = "none"
call_timeout_ms = 5000
max_recovery_ms = 10000
"""
ONE_STEP = """
[saga]
name = "order"
[[saga.step]]
id = "pay"
do = "payment.charge"
undo = "payment.refund"
"""


class Shop:
    """Manifests and workers in the test's folder, run without a fault or with one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, saga: str, worker: str = "", more: str = "", capabilities: str = "", **files: str) -> str:
        """The name of the manifest."""
        for name, text in {"worker": f"from sagafuzz import worker\n{worker}", **files}.items():
            (self.folder / f"{name}.py").write_text(text, encoding="utf-8")
        file = self.folder / "shop.toml"
        file.write_text(f"{saga}{COMPONENT}{CAPABILITIES}{capabilities}\n{more}", encoding="utf-8")
        return str(file)

    def run(self, file: str, plan: Plan = NOTHING) -> tuple[LiveRun, list[str]]:
        """The run, and the anomalies in it."""
        adapter = load(file)
        setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
        live = run(setup, plan)
        assert not live.blocked, live.blocked
        assert len(live.run.fired) == len(plan)
        verdict = check(live.run.history(setup, plan), catalogue=setup.catalogue)
        return live, [violation.anomaly for violation in verdict.violations]

    def refuses(self, file: str, complaint: str) -> None:
        """Fail unless one line names the manifest and has that complaint."""
        with pytest.raises(UsageError) as raised:
            read(file)
        said = str(raised.value)
        assert complaint in said and Path(file).name in said and "\n" not in said


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def told(live: LiveRun) -> list[str]:
    return [row[9][0] for row in live.run.rows if row[1] == CLIENT_ACK]


# -- groups ------------------------------------------------------------------------------------

TRIP = """
[saga]
name = "trip"

[[saga.step]]
id = "hotel"
do = "hotel.book"
undo = "hotel.cancel"

[[saga.step]]
optional = "extras"

[[saga.step.step]]
id = "car"
do = "cars.rent"
undo = "cars.return"

[[saga.step]]
one_of = "journey"

[[saga.step.alternative]]
id = "train"
do = "rail.book"
undo = "rail.cancel"

[[saga.step.alternative]]
[[saga.step.alternative.step]]
id = "taxi"
do = "taxi.order"
undo = "taxi.cancel"

[[saga.step.alternative.step]]
id = "flight"
do = "air.book"
undo = "air.cancel"

[[saga.step]]
id = "payment"
do = "payment.charge"
undo = "payment.refund"
"""

NO_CAR = '[[scenario]]\nname = "no-car"\nrejections = [[1, "cars.rent"]]\n'


def test_a_trip_in_toml_is_the_trip_in_python(shop: Shop) -> None:
    assert read(shop.write(TRIP)).saga == Saga(
        "trip",
        [
            Step("hotel", "hotel.book", undo="hotel.cancel"),
            Optional("extras", [Step("car", "cars.rent", undo="cars.return")]),
            OneOf(
                "journey",
                [
                    Step("train", "rail.book", undo="rail.cancel"),
                    [Step("taxi", "taxi.order", undo="taxi.cancel"), Step("flight", "air.book", undo="air.cancel")],
                ],
            ),
            Step("payment", "payment.charge", undo="payment.refund"),
        ],
    )


@pytest.mark.parametrize(
    ("legs", "broken"),
    [
        (("hotel", "car", "train", "payment"), []),
        (("hotel", "taxi", "flight", "payment"), []),
        (("hotel", "train", "flight", "payment"), ["two alternatives"]),
        (("hotel", "payment"), ["hollow success"]),
    ],
)
def test_a_worker_may_leave_a_group_out_and_takes_one_of_several(
    shop: Shop, legs: tuple[str, ...], broken: list[str]
) -> None:
    worker = f"""
def trip(saga):
    for step in {legs}:
        try:
            worker.call(saga, step, "do", key=step)
        except worker.Rejected:
            assert step == "car"
    return True

worker.serve(trip)
"""
    live, found = shop.run(shop.write(TRIP, worker, NO_CAR))
    assert told(live) == ["completed"]
    assert found[: len(broken) or 1] == broken


def test_a_worker_is_told_of_each_step_what_it_belongs_to(shop: Shop) -> None:
    worker = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["op"] == "start":
        with open(%r, "w") as file:
            json.dump(asked["steps"], file)
    print(json.dumps({"id": asked["id"], "protocol": 1, "status": "completed"}), flush=True)
"""
    shop.run(shop.write(TRIP, worker % str(shop.folder / "told.json")))
    steps = {step["id"]: step.get("groups") for step in json.loads((shop.folder / "told.json").read_text())}
    assert steps["car"] == ["extras"]
    assert steps["flight"] == ["journey"]
    assert steps["hotel"] is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('id = "car"\n', "", "[[saga.step.step]] number 1: id is missing; write a string"),
        ('optional = "extras"', "", "[[saga.step]] number 2: step is no word of a step; a group has optional = 'NAME'"),
        ('one_of = "journey"', 'one_of = "journey"\nundo = "x.y"', "undo is no word of one_of = 'journey'"),
        ('one_of = "journey"', 'one_off = "journey"', "unknown key 'one_off' (did you mean 'one_of'?)"),
        ('optional = "extras"', 'optional = "extras"\none_of = "x"', "optional is no word of one_of = 'x'"),
        (
            '[[saga.step.step]]\nid = "car"\ndo = "cars.rent"\nundo = "cars.return"\n',
            "",
            "step is missing; write [[sag",
        ),
        ('do = "rail.book"\n', "", "[[saga.step.alternative]] number 1: do is missing; write a string"),
        ('id = "train"', 'id = "car"', "saga 'trip': two steps are called 'car'"),
    ],
)
def test_a_group_that_is_none(shop: Shop, old: str, new: str, complaint: str) -> None:
    assert old in TRIP
    shop.refuses(shop.write(TRIP.replace(old, new)), complaint)


# -- a step that is a saga of its own, and several definitions ---------------------------------

SHIPPED = """
[saga]
name = "order"
[[saga.step]]
id = "pay"
do = "payment.charge"
undo = "payment.refund"
[[saga.step]]
id = "ship"
child = "shipment"
[[definition]]
name = "shipment"
[[definition.step]]
id = "parcel"
do = "warehouse.pack"
undo = "warehouse.unpack"
[[definition]]
name = "gift"
[[definition.step]]
id = "pay"
do = "payment.charge"
undo = "payment.refund"
"""
BOTH = """
[[scenario]]
name = "both"
sagas = 2
of = ["order", "gift"]
"""
SHIPS = """
def order(saga):
    worker.call(saga, "pay", "do", key=saga.id)
    for child in saga.children.values():
        worker.call(child, child.steps[0], "do", key=child.id)
        {after}
    return True

worker.serve(order)
"""


def test_a_child_is_asked_for_under_its_own_id_and_each_order_is_of_its_definition(shop: Shop) -> None:
    live, found = shop.run(shop.write(SHIPPED, SHIPS.format(after=""), BOTH))
    assert found == []
    assert told(live) == ["completed", "completed"]
    assert {row[3] for row in live.run.rows if row[1] == "APPLY"} == {"saga-1", "saga-1.ship", "saga-2"}


def test_a_child_that_is_undone_alone_is_seen(shop: Shop) -> None:
    undone = 'worker.call(child, "parcel", "undo", key=child.id)'
    _, found = shop.run(shop.write(SHIPPED, SHIPS.format(after=undone), BOTH))
    assert found == ["parent without its child"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('child = "shipment"', 'child = "shipmant"', "child = 'shipmant' names no [[definition]] (did you mean 'shipm"),
        ('child = "shipment"', 'child = "shipment"\ndo = "a.b"', "do is no word of a step with child = 'shipment'"),
        ('do = "warehouse.pack"\n', "", "[[definition.step]] number 1: do is missing; write a string"),
        (
            'do = "warehouse.pack"\nundo = "warehouse.unpack"',
            'child = "shipment"',
            "definition 'shipment' is a part of itself",
        ),
        ('name = "gift"', 'name = "order"', "two of its sagas are called 'order'"),
        ('name = "gift"', 'name = "shipment"', "[[definition]] number 2: there is a definition 'shipment' already"),
    ],
)
def test_a_definition_that_is_none(shop: Shop, old: str, new: str, complaint: str) -> None:
    assert old in SHIPPED
    shop.refuses(shop.write(SHIPPED.replace(old, new)), complaint)


# -- parts, amounts, what is used up -----------------------------------------------------------

PURCHASE = """
[saga]
name = "purchase"

[[saga.step]]
id = "hold"
do = "payment.authorise"
undo = "payment.void"
amount = "amount"

[[saga.step]]
id = "pack"
do = "shipping.pack"
undo = "shipping.unpack"
many = true

[[saga.step]]
id = "capture"
do = "payment.capture"
undo = "payment.refund"
amount = "amount"
consumes = "hold"
"""


@pytest.mark.parametrize(
    ("refunds", "broken"),
    [((30, 30), []), ((60,), []), ((60, 30), ["undo of nothing"]), ((30,), ["parts do not add up"])],
)
def test_lines_a_capture_and_its_refund_in_parts(shop: Shop, refunds: tuple[int, ...], broken: list[str]) -> None:
    worker = f"""
def purchase(saga):
    worker.call(saga, "hold", "do", key="hold", payload={{"amount": 100}})
    for part in ("line-1", "line-2"):
        worker.call(saga, "pack", "do", key=part, part=part)
    worker.call(saga, "capture", "do", key="capture", payload={{"amount": 60}})
    for number, amount in enumerate({refunds}):
        worker.call(saga, "capture", "undo", key=f"refund-{{number}}", payload={{"amount": amount}})
    for part in ("line-1", "line-2"):
        worker.call(saga, "pack", "undo", key=f"{{part}}/undo", part=part)
    return False

worker.serve(purchase)
"""
    _, found = shop.run(shop.write(PURCHASE, worker))
    assert found == broken


def test_who_names_a_part_of_a_step_that_has_none_is_told_so_and_does_not_try_again(shop: Shop) -> None:
    worker = 'worker.serve(lambda saga: worker.call(saga, "pay", "do", key="pay", part="one"))'
    live, _ = shop.run(shop.write(ONE_STEP, worker))
    ((status, reason, _, excused),) = [row[9] for row in live.run.rows if row[1] == RAISED]
    assert status == "unknown" and "UsageError" in reason and "Saga-Part" in reason and not excused


# -- messages ----------------------------------------------------------------------------------

MESSAGES = 'receives = true\nemits = { "payment.charge" = "payment.charged" }\n'
WEBHOOK = """
def pay(saga):
    worker.call(saga, "pay", "do", key="pay")
    return True

def receive(message):
    %s

worker.serve(pay, receive=receive)
"""


@pytest.mark.parametrize(
    ("topic", "seen"),
    [
        ("max_deliveries = 2", [RECEIVE, NACK, RECEIVE, NACK, PARKED]),
        (
            "max_deliveries = 1\nreplayed = true",
            [RECEIVE, NACK, PARKED, REDRIVE, RECEIVE, NACK, PARKED],
        ),
    ],
)
def test_a_topic_says_how_often_its_messages_come(shop: Shop, topic: str, seen: list[str]) -> None:
    file = shop.write(
        ONE_STEP, WEBHOOK % "raise RuntimeError", f'[topics."payment.charged"]\n{topic}\n', capabilities=MESSAGES
    )
    live, _ = shop.run(file)
    assert [row[1] for row in live.run.rows if row[1] in (RECEIVE, HANDLED, NACK, PARKED, REDRIVE)] == seen


@pytest.mark.parametrize(
    ("capabilities", "more", "complaint"),
    [
        (
            'emits = { "payment.charge" = "paid" }',
            "",
            "[capabilities]: emits = {'payment.charge': 'paid'}, and no worker",
        ),
        (
            "",
            "[topics.paid]\nordered = true",
            "[capabilities]: there is a table of topics, paid, and no worker receives",
        ),
        (MESSAGES, "[topics.paid]\nordred = true", "[topics.paid]: unknown key 'ordred' (did you mean 'ordered'?)"),
        (MESSAGES, "[topics.paid]\nmax_deliveries = 0", "max_deliveries=0; write a whole number, 1 or more"),
        (MESSAGES.replace('.charge"', '.chrage"'), "", "emits names 'payment.chrage', which no step"),
    ],
)
def test_messages_that_cannot_be(shop: Shop, capabilities: str, more: str, complaint: str) -> None:
    shop.refuses(shop.write(ONE_STEP, more=more, capabilities=capabilities), complaint)


# -- participants and rules of one's own -------------------------------------------------------

BANK = """
class Bank:
    def handle(self, request, tx):
        if request.key in tx.memory:
            return
        tx.memory[request.key] = True
        tx.later("charge", amount=request.payload["amount"], volatile=%s, delay_ms=20)

    def work(self, job, tx):
        tx.balance("charged", job.saga, job.payload["amount"])
        tx.effect(job.saga, job.step)
"""
RULES = """
import sagafuzz

@sagafuzz.rule(reads="rest")
def charged_to_the_penny(view):
    for saga, outcome in view.rest.told.items():
        charged = view.rest.balance("payment.charged", saga)
        if charged != 100:
            yield f"{saga} was called {outcome}, and {charged} is charged"
"""
PATIENT = """
import time

def pay(saga):
    while True:
        try:
            worker.call(saga, "pay", "do", key="pay", payload={"amount": 100})
            time.sleep(0.5)  # the bank has time to do it
            return True
        except worker.PortError:
            pass

worker.serve(pay)
"""
OWN = '[participants]\npayment = "bank.py:Bank"\n'


@pytest.mark.parametrize(("volatile", "broken"), [("False", []), ("True", ["charged to the penny", "hollow success"])])
def test_a_participant_and_a_rule_of_ones_own(shop: Shop, volatile: str, broken: list[str]) -> None:
    file = shop.write(
        f'invariants = ["rules.py:charged_to_the_penny"]\n{ONE_STEP}', PATIENT, OWN, bank=BANK % volatile, rules=RULES
    )
    _, found = shop.run(file, fault("participant-restart", "pay", "F", AT_EFFECT))
    assert sorted(found) == broken


@pytest.mark.parametrize(
    ("top", "more", "complaint"),
    [
        (
            "",
            '[participants]\npayment = "Bank"',
            "participants: payment = 'Bank'; write 'file.py:Class', from the folder",
        ),
        (
            "",
            '[participants]\npayment = "bank.py:Bnak"',
            "bank.py has no class 'Bnak' (did you mean 'Bank'?)",
        ),
        ("", '[participants]\npaymnet = "bank.py:Bank"', "participants has 'paymnet' (did you mean 'payment'?)"),
        ("", '[participants]\npayment = "rules.py:Nothing"', "no method 'handle'; add 'def handle(self, request, tx)"),
        (
            "",
            '[participants]\npayment = "wrong.py:Bank"',
            "does not import: ZeroDivisionError: division by zero (wrong.py",
        ),
        ('invariants = ["rules.py"]', "", "invariants = 'rules.py'; write 'file.py:function', from the folder"),
        ('invariants = ["rules.py:two"]', "", "write a function of one argument, the view"),
        ('invariants = "rules.py:charged_to_the_penny"', "", "write a list of strings"),
    ],
)
def test_what_is_no_participant_and_no_rule(shop: Shop, top: str, more: str, complaint: str) -> None:
    rules = f"{RULES}\ndef two(view, more):\n    pass\n\nclass Nothing:\n    pass\n"
    file = shop.write(f"{top}\n{ONE_STEP}", more=more, bank=BANK % "False", rules=rules, wrong="1 / 0\n")
    shop.refuses(file, complaint)


# -- promises, and the envelope ----------------------------------------------------------------

THRICE = """
import time

def pay(saga):
    for attempt in range(3):
        worker.call(saga, "pay", "do", key="pay", payload={"amount": 100, "attempt": attempt})
        time.sleep(%s)
    return True

worker.serve(pay)
"""


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        ('envelope = ["attempt"]', []),
        ("", ["key reused", "key reused"]),
        ('envelope = ["attempt"]\nmax_attempts = 2', ["too many attempts"]),
        ('envelope = ["attempt"]\nmax_attempts = 3', []),
        ('envelope = ["attempt"]\nmax_attempts = { "payment.charge" = 2 }', ["too many attempts"]),
        ('envelope = ["attempt"]\nmin_backoff_ms = 40', []),
        ('envelope = ["attempt"]\nmin_backoff_ms = 5000', ["no backoff"]),
    ],
)
def test_promises_are_held_against_a_worker(shop: Shop, promise: str, broken: list[str]) -> None:
    _, found = shop.run(shop.write(ONE_STEP, THRICE % 0.05, capabilities=promise))
    assert found == broken


STOCK = """
class Stock:
    def handle(self, request, tx):
        if request.direction == "F":
            tx.read("free", 1)
            tx.write("free", 0)
        else:
            tx.write("free", 1)
"""


@pytest.mark.parametrize(("promise", "broken"), [("", []), ('isolation = ["dirty-read"]', ["dirty-read"])])
def test_isolation_is_promised_of_what_participants_read(shop: Shop, promise: str, broken: list[str]) -> None:
    saga = ONE_STEP.replace("payment.charge", "stock.take").replace("payment.refund", "stock.give")
    worker = """
import threading

taken, seen = threading.Event(), threading.Event()

def take(saga):
    if saga.id == "saga-1":
        worker.call(saga, "pay", "do", key=saga.id)
        taken.set()
        seen.wait()
        worker.call(saga, "pay", "undo", key=f"{saga.id}/undo")
        return False
    taken.wait()
    worker.call(saga, "pay", "do", key=saga.id)
    seen.set()
    return True

worker.serve(take)
"""
    more = '[[scenario]]\nname = "two"\nsagas = 2\n[participants]\nstock = "shelf.py:Stock"\n'
    _, found = shop.run(shop.write(saga, worker, more, capabilities=promise, shelf=STOCK))
    assert [anomaly for anomaly in found if "read" in anomaly] == broken


@pytest.mark.parametrize(
    ("promise", "complaint"),
    [
        ('max_attempts = "2"', "[capabilities]: max_attempts = '2'; write a whole number or a table"),
        (
            'max_attempts = { "payment.chrage" = 2 }',
            "max_attempts bounds 'payment.chrage', which no step of 'order' has",
        ),
        ('isolation = ["dirty-raed"]', "isolation has 'dirty-raed' (did you mean 'dirty-read'?)"),
        ("min_backoff_ms = -1", "min_backoff_ms = -1; write 0 or more"),
        ('envelope = "attempt"', "envelope = 'attempt'; write a list of strings"),
    ],
)
def test_promises_that_are_none(shop: Shop, promise: str, complaint: str) -> None:
    shop.refuses(shop.write(ONE_STEP, capabilities=promise), complaint)
