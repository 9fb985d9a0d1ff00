"""The picture of a schedule tells what happened: read back from the structure of its SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sagafuzz.history import Fired, History
from sagafuzz.reports.diagram import diagram
from sagafuzz.reports.schedule import lanes, schedule
from sagafuzz.reports.spacetime import CHAR, page, pictures

Drawn = ET.Element


def draw(*histories: History, shared: int = 0) -> list[Drawn]:
    """The pictures of some histories, in the same lanes."""
    contents = [diagram(history) for history in histories]
    among = lanes(contents, histories)
    beside = [*reversed(histories)] if len(histories) > 1 else [None]
    both = zip(contents, histories, beside, strict=True)
    found = [schedule(content, history, among, other) for content, history, other in both]
    titles = [(f"p{n}", "a schedule") for n in range(len(histories))]
    return [ET.fromstring(svg) for svg in pictures(page(among, found), found, titles, shared=shared)]


def of_class(picture: Drawn, *names: str) -> list[Drawn]:
    return [element for element in picture.iter() if set(names) <= set(element.get("class", "").split())]


def ends(arrow: Drawn) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where an arrow begins and where it ends, as (x, y)."""
    x, y, to_x, to_y = map(float, re.findall(r"-?[\d.]+", str(arrow[0].get("d"))))
    return (x, y), (to_x, to_y)


def lane_x(picture: Drawn, name: str) -> float:
    line = next(line for line in of_class(picture, "l") if line.get("data-lane") == name)
    return float(re.findall(r"[\d.]+", str(line.get("d")))[0])


def height_of(picture: Drawn, position: int) -> float:
    """Where the words of an event stand."""
    stop = next(stop for stop in of_class(picture, "stop") if str(position) in str(stop.get("data-at")).split())
    return float(str(next(stop.iter("text")).get("y")))


def words(picture: Drawn) -> str:
    return " ".join("".join(text.itertext()) for text in picture.iter("text"))


def times_out(make: SimpleNamespace, *after: tuple[str, tuple[object, ...]]) -> list[Any]:
    """A charge of which the caller gives up."""
    where = {"step": "payment", "direction": "F", "attempt": 1, "msg": 1}
    rows = [make.row(0, "SUBMIT", "client", "item-1", 1, 100), *make.charge(1, 1, make.SEND, *after)]
    return [*rows, make.row(1001, "TIMEOUT", make.ORCHESTRATOR, 1000.0, **where)]


def test_a_request_slopes_to_its_arrival_and_the_answer_back(make: SimpleNamespace) -> None:
    (picture,) = draw(make.lost_ack())
    (request,) = [arrow for arrow in of_class(picture, "request", "arrives") if arrow.get("data-msg") == "2"]
    (answer,) = of_class(picture, "answer", "arrives")
    (x, sent), (to_x, arrived) = ends(request)
    (_, answered), (back_x, back) = ends(answer)
    assert (x, to_x) == (lane_x(picture, "orchestrator"), lane_x(picture, "payment"))
    assert back_x == x
    assert sent < arrived <= answered < back
    assert (answer.get("data-from"), answer.get("data-to")) == ("payment", "orchestrator")


def test_a_lost_answer_ends_on_its_way_back(make: SimpleNamespace) -> None:
    (picture,) = draw(make.lost_ack())
    (answer,) = of_class(picture, "answer", "lost")
    (x, _), (end, _) = ends(answer)
    assert answer.get("data-msg") == "1"
    assert lane_x(picture, "orchestrator") < end < x == lane_x(picture, "payment")
    assert [part.get("class") for part in answer] == [None, "lost"]


def test_a_lost_request_ends_on_its_way_out(make: SimpleNamespace) -> None:
    history = make.history(times_out(make, ("LOST", ("request",))))
    (picture,) = draw(history)
    (request,) = of_class(picture, "request")
    (x, _), (end, _) = ends(request)
    assert "lost" in str(request.get("class")).split()
    assert x == lane_x(picture, "orchestrator") < end < lane_x(picture, "payment")
    assert "request lost, not applied" in words(picture)


def test_a_late_request_arrives_below_the_timeout_and_is_marked(make: SimpleNamespace) -> None:
    rows = times_out(make)
    where = {"step": "payment", "direction": "F", "attempt": 1, "msg": 1}
    rows += [make.row(1500, "DELIVER", "payment", 1, **where)]
    rows += [make.row(1500, "APPLY", "payment", True, "saga-1", make.money(100), **where)]
    (picture,) = draw(make.history(rows))
    (request,) = of_class(picture, "request", "late")
    (_, sent), (_, arrived) = ends(request)
    assert sent < height_of(picture, 2) < arrived
    assert not of_class(picture, "arrives")


def test_a_crash_cuts_the_lane_and_the_next_process_has_its_own(make: SimpleNamespace) -> None:
    (picture,) = draw(make.crash())
    first, second = (line for line in of_class(picture, "l") if str(line.get("data-lane")).startswith("orchestrator"))
    (cut,) = of_class(picture, "cut")
    top, bottom = (float(re.findall(r"[\d.]+", str(line.get("d")))[-1]) for line in (first, second))
    begins = float(re.findall(r"[\d.]+", str(second.get("d")))[1])
    assert cut.get("data-lane") == first.get("data-lane") == "orchestrator"
    assert second.get("data-lane") == "orchestrator#2"
    assert top < begins < bottom
    assert lane_x(picture, "orchestrator") < lane_x(picture, "orchestrator#2") < lane_x(picture, "payment")
    assert "[2]" in words(picture)


def test_what_the_second_process_sends_leaves_from_its_lane(make: SimpleNamespace) -> None:
    rows = [make.row(0, "BOOT", "orchestrator", 1, "start", saga=""), *make.charge(1, 1, make.SEND, make.ARRIVES)]
    rows += [make.row(10, "BOOT", "orchestrator#2", 2, "crash", saga="")]
    again = {"step": "payment", "direction": "F", "attempt": 2, "msg": 2}
    rows += [make.row(11, "SEND", "orchestrator#2", "payment.charge", (), **again)]
    rows += [make.row(12, "DELIVER", "payment", 1, **again)]
    (picture,) = draw(make.history(rows))
    first, second = of_class(picture, "request")
    assert [arrow.get("data-from") for arrow in (first, second)] == ["orchestrator", "orchestrator#2"]
    assert ends(second)[0][0] == lane_x(picture, "orchestrator#2")
    assert not of_class(picture, "cut")


def test_a_wait_is_a_gap_with_its_length(make: SimpleNamespace) -> None:
    (picture,) = draw(make.lost_ack())
    (wait,) = of_class(picture, "wait")
    assert wait.get("data-wait") == "998 ms"
    assert height_of(picture, 3) < float(str(wait[0].get("y"))) < height_of(picture, 5)


def test_a_write_that_was_struck_shows_the_store(make: SimpleNamespace) -> None:
    (crashed,) = draw(make.crash())
    (write,) = of_class(crashed, "arrow", "write")
    assert (write.get("data-to"), "lost" in str(write.get("class"))) == ("store", True)
    (other,) = draw(make.lost_ack())
    assert not of_class(other, "arrow", "write") and "store" not in words(other)


def test_of_writes_only_what_was_struck_is_drawn_to_the_store(make: SimpleNamespace) -> None:
    crash = make.crash()
    other = {"step": "inventory", "saga": "saga-1"}
    rows = [make.row(0.5, kind, make.ORCHESTRATOR, "outcome", 1, **other) for kind in ("LOG", "LOGACK")]
    (fired,) = crash.fired
    (picture,) = draw(make.history([crash.rows[0], *rows, *crash.rows[1:]], Fired(position=8, fault=fired.fault)))
    (write,) = of_class(picture, "arrow", "write")
    assert "lost" in str(write.get("class"))


def test_a_wait_follows_what_was_last_said(make: SimpleNamespace) -> None:
    rows = [make.row(0, "SUBMIT", "client", "item-1", 1, 100), make.row(1, "TERMINAL", make.ORCHESTRATOR, "completed")]
    rows += [make.row(900, kind, make.ORCHESTRATOR, "outcome", 1) for kind in ("LOG", "LOGACK")]
    rows += [make.row(901, "END", "harness", "quiescent", saga="")]
    (picture,) = draw(make.history(rows))
    assert [wait.get("data-wait") for wait in of_class(picture, "wait")] == ["900 ms"]


def test_two_schedules_share_their_lanes_and_their_heights_to_where_they_part(make: SimpleNamespace) -> None:
    failing = make.lost_ack()
    passing = make.history([*failing.rows[:4], (3000, "ACK", *failing.rows[4][2:9], ("ok",)), *failing.rows[-2:]])
    one, other = draw(failing, passing, shared=4)
    (line,), (same,) = of_class(one, "part"), of_class(other, "part")
    assert line.get("data-shared") == "4"
    assert line[0].get("d") == same[0].get("d")
    assert lane_x(one, "payment") == lane_x(other, "payment")
    at = float(re.findall(r"[\d.]+", str(line[0].get("d")))[1])
    for position in (0, 1, 2, 3):
        assert height_of(one, position) == height_of(other, position) < at
    for picture, position in ((one, 5), (other, 5)):
        assert height_of(picture, position) > at


def test_a_bar_marks_what_the_other_schedule_has_not(make: SimpleNamespace) -> None:
    failing = make.lost_ack()
    passing = make.history([*failing.rows[:4], (3000, "ACK", *failing.rows[4][2:9], ("ok",)), *failing.rows[-2:]])
    one, other = draw(failing, passing, shared=4)
    marked = [str(stop.get("data-at")) for stop in of_class(one, "stop", "only")]
    assert marked == ["4", "5", "6", "7 8", "9"], "the loss, the timeout, and the second charge with its answer"
    assert [stop.get("data-at") for stop in of_class(other, "stop", "only")] == ["4"], "the answer of the first"
    assert len(of_class(one, "bar")) == len(marked)
    (alone,) = draw(failing)
    assert not of_class(alone, "bar")


def test_a_message_slopes_from_its_publisher_to_its_receiver(make: SimpleNamespace) -> None:
    rows = [make.row(0, "PUBLISH", "orchestrator", "paid", (), None, 0, msg=7)]
    rows += [make.row(1, "RECEIVE", "orchestrator", "paid", 1, msg=7), make.row(2, "HANDLED", "orchestrator", "paid")]
    (picture,) = draw(make.history(rows))
    (message,) = of_class(picture, "message", "arrives")
    numbers = list(map(float, re.findall(r"-?[\d.]+", str(message[0].get("d")))))  # a bow: it sends to itself
    assert numbers[0] == numbers[-2] == lane_x(picture, "orchestrator") < numbers[2]
    assert numbers[1] < numbers[-1]


def test_what_is_never_heard_of_again_is_drawn_as_unknown(make: SimpleNamespace) -> None:
    (picture,) = draw(make.history(make.charge(1, 1, make.SEND)))
    assert len(of_class(picture, "request", "unknown")) == 1
    assert "unknown" in words(picture)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_names_of_any_length_stay_inside(make: SimpleNamespace, monkeypatch: Any, count: int) -> None:
    history = make.lost_ack()
    struck = history.fired[0]
    object.__setattr__(fault := make.fault("lost-ack", "ack"), "kind", "a-kind-" * 12)
    sends = [make.charge(2000 + n, 10 + n, ("SEND", (f"{'participant' * 3}-{n}.do", ()))) for n in range(count)]
    rows = [*history.rows, *(row for each in sends for row in each)]
    (picture,) = draw(make.history(rows, Fired(position=struck.position, fault=fault)))
    wide = float(str(picture.get("viewBox")).split()[2])
    for text in picture.iter("text"):
        x, long = float(str(text.get("x"))), CHAR * len("".join(text.itertext()))
        names = str(text.get("class")).split()
        left = x - long / 2 if "c" in names else x - long if "e" in names else x
        assert left >= -1 and left + long <= wide + 1, "".join(text.itertext())


def test_the_same_schedule_gives_the_same_bytes(make: SimpleNamespace) -> None:
    def rendered(histories: Sequence[History]) -> list[bytes]:
        return [ET.tostring(picture) for picture in draw(*histories, shared=2)]

    assert rendered([make.lost_ack(), make.crash()]) == rendered([make.lost_ack(), make.crash()])
