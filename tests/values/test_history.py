"""Histories: written as NDJSON and read back the same, hashed the same everywhere."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagafuzz import Event, Fault, History, Saga, Site, Step, UsageError, history
from sagafuzz.history import DATA_FIELDS, Fired, Row

SAGA = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("pay", "payment.charge", undo="payment.refund", pivot=True, after=("order",)),
        Step("ship", "shipping.ship", retriable=True),
    ],
)
ROWS: tuple[Row, ...] = (
    (0, "BOOT", "orchestrator", "", "", "", 0, None, 0, (1, "start")),
    (0, "SUBMIT", "client", "saga-1", "", "", 0, None, 0, ("item-1", 1, 100)),
    (5, "SEND", "orchestrator", "saga-1", "pay", "F", 1, "k", 1, ("payment.charge", (("amount", 100),))),
    (9, "APPLY", "payment", "saga-1", "pay", "F", 1, "k", 1, (True, "saga-1", ("money", "c", 1, 2, 3, 4))),
    (9, "TIMEOUT", "orchestrator", "saga-1", "pay", "F", 1, "k", 1, (1000.5,)),
    (9, "END", "harness", "", "", "", 0, None, 0, ("quiescent",)),
)
FIRED = Fired(position=2, fault=Fault(kind="duplicate", site=Site("saga-1", "pay", "F", "send", 1)))
HISTORY = History(saga=SAGA, sagas=("saga-1",), rows=ROWS, fired=(FIRED,), adapter="mine", scenario="succeeds")


def test_a_history_reads_back_as_it_was() -> None:
    again = History.from_ndjson(HISTORY.to_ndjson())
    assert again == HISTORY
    assert again.digest == HISTORY.digest


def test_it_is_one_line_a_header_and_one_an_event() -> None:
    lines = HISTORY.to_ndjson().split("\n")
    assert len(lines) == 1 + len(ROWS) + 1
    assert lines[0].startswith('{"sagafuzz_history": 1, ')
    assert lines[3] == (
        '{"t_us": 5, "kind": "SEND", "process": "orchestrator", "saga": "saga-1", "step": "pay", "direction": "F", '
        '"attempt": 1, "key": "k", "msg": 1, "data": {"operation": "payment.charge", "payload": [["amount", 100]]}}'
    )


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters())
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    kind = draw(st.sampled_from(sorted(DATA_FIELDS)))
    text = st.text(st.characters())
    data = tuple(draw(values) for _ in range(draw(st.integers(0, len(DATA_FIELDS[kind])))))
    number = st.integers(0, 10**15)
    return (
        draw(number),
        kind,
        draw(text),
        draw(text),
        draw(text),
        draw(st.sampled_from(["", "F", "C"])),
        draw(number),
        draw(st.none() | text),
        draw(number),
        data,
    )


@given(st.lists(rows(), max_size=4).map(tuple))
def test_whatever_text_and_numbers_the_rows_hold_they_survive_the_file(drawn: tuple[Row, ...]) -> None:
    text = dataclasses.replace(HISTORY, rows=drawn).to_ndjson()
    assert History.from_ndjson(text.encode().decode()).rows == drawn


def test_an_event_answers_by_name_and_none_for_what_its_kind_has_not() -> None:
    event = HISTORY.events[3]
    assert (event.get("effective"), event.get("owner"), event.get("reason")) == (True, "saga-1", None)
    assert Event(t_us=0, kind="APPLY", process="p").get("effective") is None


def test_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="version 2, this sagafuzz reads 1"):
        History.from_ndjson(HISTORY.to_ndjson().replace('"sagafuzz_history": 1', '"sagafuzz_history": 2'))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 4 of the history is not JSON"),
        ("[]", "line 4 of the history is list, not an object"),
        ('{"kind": "SNED"}', "line 4 of the history: 'SNED' is no kind of event"),
        ('{"kind": ["SEND"]}', "line 4 of the history: ['SEND'] is no kind of event"),
        ('{"kind": "SEND", "process": "p"}', "line 4 of the history is no event"),
        ('{"kind": "SEND", "process": "p", "t_us": 1, "colour": 1}', "line 4 of the history is no event"),
        ('{"kind": "SEND", "process": "p", "t_us": "1"}', "line 4 of the history is no event: t_us = '1'; write"),
        ('{"kind": "SEND", "process": "p", "t_us": 1, "data": 5}', "line 4 of the history is no event"),
        ('{"kind": "SEND", "process": "p", "t_us": 1, "data": ["operation"]}', "line 4 of the history is no event"),
    ],
)
def test_a_broken_line_is_named_by_its_number(line: str, message: str) -> None:
    lines = HISTORY.to_ndjson().split("\n")
    lines[3] = line
    with pytest.raises(UsageError) as refusal:
        History.from_ndjson("\n".join(lines))
    assert message in str(refusal.value)


@pytest.mark.parametrize("text", ["", "\n", "not json", "[1]", '{"sagafuzz_history": 1}'])
def test_what_has_no_header_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="history"):
        History.from_ndjson(text)


def test_equal_rows_have_equal_digests_however_they_were_made() -> None:
    rebuilt = tuple((*row[:2], "".join(list(row[2])), *row[3:]) for row in ROWS)
    assert dataclasses.replace(HISTORY, rows=rebuilt).digest == HISTORY.digest
    assert dataclasses.replace(HISTORY, rows=ROWS[1:]).digest != HISTORY.digest


def test_the_digest_does_not_depend_on_hashing() -> None:
    code = "import sys, sagafuzz\nprint(sagafuzz.History.from_ndjson(sys.stdin.buffer.read().decode()).digest)"
    digests = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=HISTORY.to_ndjson().encode(),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout.decode()
        for seed in ("0", "1")
    ]
    assert digests == [HISTORY.digest + os.linesep] * 2


@pytest.mark.parametrize(("value", "field"), [(HISTORY, "rows"), (HISTORY.fired[0], "position")])
def test_histories_are_frozen(value: object, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, ())


def test_the_places_in_a_row_are_those_of_an_event() -> None:
    for place, name in enumerate(Event._fields):
        assert getattr(history, name.upper()) == place


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("OUTCOME", ("TERMINAL", "CLIENT_ACK")),
        ("ANSWER", ("ACK", "NONSENSE")),
        ("REASON", ("REJECT", "ERROR", "CRASH", "DOWN", "DEAD_LETTER", "ALERT", "END")),
        ("OPERATION", ("SEND",)),
        ("PAYLOAD", ("SEND",)),
        ("EFFECTIVE", ("APPLY",)),
        ("OWNER", ("APPLY",)),
        ("BALANCE", ("APPLY",)),
        ("RECEIPT", ("APPLY",)),
        ("RECORD", ("LOG", "LOGACK", "LOGLOST")),
        ("OCCURRENCE", ("LOG", "LOGACK", "LOGLOST")),
        ("EPOCH", ("LOG", "LOGACK", "SEND")),
        ("ENTITY", ("READ", "WRITE", "HOLD", "RELEASE")),
        ("BY_S", ("CLOCK",)),
        ("FOR_MS", ("PAUSE",)),
        ("DEFINITION", ("ADOPT",)),
        ("WHERE", ("RAISED",)),
        ("PORT", ("RAISED",)),
    ],
)
def test_the_places_in_the_data_of_a_row_are_those_of_the_table(name: str, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        assert DATA_FIELDS[kind][getattr(history, name)] == name.lower()


def test_the_reason_of_a_start_is_not_where_other_reasons_are() -> None:
    assert DATA_FIELDS["BOOT"][history.BOOT_REASON] == "reason"
