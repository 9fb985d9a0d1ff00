"""What a manifest can be made of beside one worker: replicas, servers; and what a crash sends."""

from __future__ import annotations

import asyncio
import http.client
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sagafuzz.errors import UsageError
from sagafuzz.exploration.live import LiveCampaign, striking
from sagafuzz.exploration.settings import Settings
from sagafuzz.live.case import LiveRun
from sagafuzz.loading import load

from .conftest import Small, fault, in_a_world, run

# A worker on SQLite: one row for each step that is done; who finds a row goes on after it.
DURABLE = """
import os, sqlite3
from sagafuzz import worker

log = worker.database()
log.execute("CREATE TABLE IF NOT EXISTS steps (saga TEXT, step TEXT, UNIQUE (saga, step))")
here = os.environ["SAGAFUZZ_URL"].rsplit("/", 1)[1]

def drive(saga):
    log.execute("INSERT OR IGNORE INTO steps VALUES (?, 'taken')", (saga.id,))
    done = {step for (step,) in log.execute("SELECT step FROM steps WHERE saga = ?", (saga.id,))}
    for step in saga.steps:
        if step not in done:
            worker.call(saga, step, "do", key=step, timeout_ms=5000)
            log.execute("INSERT OR IGNORE INTO steps VALUES (?, ?)", (saga.id, step))
    return True

def pending():
    for (id,) in log.execute("SELECT DISTINCT saga FROM steps").fetchall():
        yield worker.SagaRequest(id=id, steps=("order", "payment"))

%s
worker.serve(drive, pending=pending)
"""


def events(live: LiveRun, *kinds: str) -> list[tuple[str, str]]:
    assert live.blocked == "", live.blocked
    return [(row[1], row[2]) for row in live.run.rows if row[1] in kinds]


def completed(live: LiveRun) -> bool:
    effects = [row[4] for row in live.run.rows if row[1] == "APPLY" and row[9][0]]
    return events(live, "CLIENT_ACK") == [("CLIENT_ACK", "client")] and effects == ["order", "payment"]


def test_replicas_run_side_by_side_and_one_that_dies_is_replaced(small: Small) -> None:
    setup = small(DURABLE % "", component="replicas = 2")
    live = run(setup)
    assert events(live, "BOOT") == [("BOOT", "orchestrator"), ("BOOT", "orchestrator#2")] and completed(live)
    assert {row[2] for row in live.run.rows if row[1] == "SEND"} == {"orchestrator#2"}  # the newest is asked
    live = run(setup, fault("crash-after-send", "payment", "F", "send"))
    told = [("CRASH", "orchestrator#2"), ("BOOT", "orchestrator#3")]
    assert events(live, "BOOT", "CRASH")[2:] == told and completed(live)


def test_a_replica_that_does_not_know_a_saga_speaks_for_nobody_while_another_is_to_come(small: Small) -> None:
    setup = small(DURABLE % "", component="replicas = 2", capabilities="restart_ms = 300")
    live = run(setup, fault("crash-after-send", "payment", "F", "send"))
    assert events(live, "RAISED") == [] and completed(live)


@pytest.mark.parametrize("signal", ["TERM", "INT"])
def test_a_crash_can_be_a_signal_that_the_worker_hears(small: Small, tmp_path: Path, signal: str) -> None:
    heard = f"""
import pathlib, signal
def hear(number, frame):
    pathlib.Path({str(tmp_path)!r}, "heard").write_text(signal.Signals(number).name)
    os._exit(0)
signal.signal(signal.SIG{signal}, hear)
"""
    setup = small(DURABLE % heard, component=f'signal = "{signal}"\nstop_ms = 20000')
    for plan in (fault("crash-after-ack", "order", "F", "ack"), fault("crash-after-send", "payment", "F", "send")):
        (tmp_path / "heard").unlink(missing_ok=True)
        live = run(setup, plan)  # after the ack it stands still already: SIGCONT lets it hear
        assert completed(live)
        assert (tmp_path / "heard").read_text() == f"SIG{signal}"
        assert [kind for kind, _ in events(live, "BOOT", "CRASH")] == ["BOOT", "CRASH", "BOOT"]


def test_a_worker_that_does_not_hear_the_signal_is_killed(small: Small) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    setup = small(DURABLE % deaf, component='signal = "TERM"\nstop_ms = 200')
    live = run(setup, fault("crash-after-send", "payment", "F", "send"))
    assert completed(live) and len(events(live, "CRASH")) == 1


SERVER = """
import http.server, os, sqlite3, sys
from sagafuzz import worker

db = worker.database("server.sqlite", shown=True)
db.execute("CREATE TABLE IF NOT EXISTS steps (step TEXT UNIQUE)")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        step = self.path.strip("/")
        if step != "done":
            db.execute("INSERT OR IGNORE INTO steps VALUES (?)", (step,))
        body = " ".join(step for (step,) in db.execute("SELECT step FROM steps")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""

ASKS = """
import os, time, urllib.request
from sagafuzz import worker

def ask(path):
    while True:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{os.environ['ENGINE']}/{path}").read().decode().split()
        except OSError as error:
            time.sleep(0.02)

def drive(saga):
    for step in saga.steps:
        if step not in ask("done"):
            worker.call(saga, step, "do", key=step)
            ask(step)
    return True

worker.serve(drive)
"""


def test_a_server_is_killed_at_its_own_durable_write_and_starts_again(small: Small, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    engine = '[[component]]\nrole = "server"\nname = "engine"\nargv = ["{python}", "server.py", "{port}"]\n'
    engine += 'ready = "listening"\nprefork = true\n'
    setup = small(ASKS, component='env = { ENGINE = "{engine.port}" }', capabilities=f"records = true\n\n{engine}")
    live = run(setup)
    assert completed(live)
    assert {row[2] for row in live.run.rows if row[1] == "LOGACK"} == {"engine"}
    for kind, phase in (("crash-before-log", "log"), ("crash-after-log", "logged")):
        plan = fault(kind, "insert steps", "", phase, saga="")
        live = run(setup, plan)
        assert completed(live) and len(live.run.fired) == 1
        assert events(live, "CRASH") == [("CRASH", "engine")]


def test_no_answer_waits_until_the_one_before_is_acknowledged() -> None:
    """A caller that keeps its connection acknowledges only after 40 ms what it has nothing to say to."""

    def ask(port: int) -> list[float]:
        connection, taken = http.client.HTTPConnection("127.0.0.1", port, timeout=10), []
        for _ in range(20):
            began = time.monotonic()
            connection.request("POST", "/nobody/order/do", "{}")
            assert connection.getresponse().read()
            taken.append(time.monotonic() - began)
        connection.close()
        return sorted(taken)

    taken = in_a_world(lambda world: asyncio.to_thread(ask, world.server.port))
    assert taken[5] < 0.03


SAYS_GOODBYE = """
import os, pathlib, signal
from sagafuzz import worker

file = pathlib.Path(worker.folder(), "done")
file.touch()

def goodbye(number, frame):
    {saves}
    os._exit(0)

def drive(saga):
    for step in saga.steps:
        if step not in file.read_text().split():
            worker.call(saga, step, "do", key=step)
            with file.open("a") as lines:
                lines.write(step + "\\n")
    return True

signal.signal(signal.SIGTERM, goodbye)
worker.serve(drive, takes_up=True, in_main_thread=True)
"""


@pytest.mark.parametrize(
    ("saves", "expected"), [("pass", set()), ("file.write_text('order payment')  # soon", {"I23"})]
)
def test_a_manifest_names_signals_that_crashes_send_as_well(
    small: Small, tmp_path: Path, saves: str, expected: set[str]
) -> None:
    small(SAYS_GOODBYE.format(saves=saves), component="stop_ms = 5000", capabilities='crash_by = ["TERM"]')
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=1, scenarios=(adapter.scenario("succeeds"),), kinds=("crash-after-ack", "duplicate"))
    report = LiveCampaign(adapter, settings).run()
    assert {found.violation.invariant for found in report.findings} == expected
    assert {found.scenario.name for found in report.findings} <= {"succeeds, by SIGTERM"}
    assert {(each.scenario.name, each.counts.run) for each in report.scenarios} == {
        ("succeeds", 5),
        ("succeeds, by SIGTERM", 3),
    }


def test_a_signal_that_there_is_not_is_refused(small: Small) -> None:
    with pytest.raises(UsageError, match=r"crash_by.*'HUP'.*TERM, INT"):
        small(SAYS_GOODBYE, capabilities='crash_by = ["HUP"]')


# The protocol by hand: what a worker does when its commands end is its own.
HANGS_UP = """
import json, os, pathlib, sys, threading, time
from sagafuzz import worker
from sagafuzz.worker_commands import requested

file = pathlib.Path(worker.folder(), "done")
file.touch()
known = {{}}

def drive(order):
    saga = requested(order)
    for step in saga.steps:
        if step not in file.read_text().split():
            worker.call(saga, step, "do", key=step)
            time.sleep({pause_s})
            with file.open("a") as lines:
                lines.write(step + "\\n")
    known[saga.id] = "completed"

for line in sys.stdin:
    asked = json.loads(line)
    answer = {{}}
    if asked["op"] == "hello":
        answer = {{"protocol": 1}}
        orders = asked["open"]
    elif asked["op"] == "start":
        orders = [asked]
    elif asked["op"] == "status":
        answer, orders = {{"status": known.get(asked["saga_id"], "unknown")}}, []
    print(json.dumps({{"id": asked["id"], **answer}}), flush=True)
    for order in orders:
        if known.setdefault(order["saga_id"], "running") == "running":
            threading.Thread(target=drive, args=(order,), daemon=True).start()
{saves}
os._exit(0)
"""


@pytest.mark.parametrize(("saves", "expected"), [("", set()), ("file.write_text('order payment')", {"I23"})])
def test_a_worker_may_lose_its_control_channel(small: Small, tmp_path: Path, saves: str, expected: set[str]) -> None:
    pause_s = 0.3 if saves else 0  # longer than it takes to hear of the end: what is saved then is false
    small(HANGS_UP.format(saves=saves, pause_s=pause_s), component="stop_ms = 5000", capabilities='crash_by = ["EOF"]')
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=1, scenarios=(adapter.scenario("succeeds"),), kinds=("crash-after-ack",))
    report = LiveCampaign(adapter, settings).run()
    assert {found.violation.invariant for found in report.findings} == expected
    assert {found.scenario.name for found in report.findings} <= {"succeeds, control lost"}
    assert [each.counts.fired for each in report.scenarios] == [3, 3]


def test_who_has_no_channel_cannot_lose_it(small: Small) -> None:
    with pytest.raises(UsageError, match="crash_by has 'EOF', and only a worker with control = \"stdio\""):
        small("", component='control = "http"', capabilities='crash_by = ["EOF"]')


def test_a_worker_that_is_named_dies_also_where_it_was_stopped_with_its_answer(small: Small) -> None:
    setup = small(DURABLE % "", capabilities='crash = ["worker"]')
    setup = replace(setup, scenario=striking(setup.scenario, ("worker",)))
    live = run(setup, fault("crash-after-ack", "order", "F", "ack"))
    assert [row[9] for row in live.run.rows if row[1] == "CRASH"] == [("crash-after-ack",)] and completed(live)
