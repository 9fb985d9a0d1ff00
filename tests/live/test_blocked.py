"""A component that cannot be run gives a verdict with its last lines, and never a hang."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sagafuzz.faults import Plan
from sagafuzz.invariants import check

from .conftest import Small, fault, run, run_plans

GOOD = "from sagafuzz import worker\nworker.serve(lambda saga: True)\n"
HELLO = """
import json, sys, time
def answer(**content):
    print(json.dumps({"id": json.loads(sys.stdin.readline())["id"], **content}), flush=True)
answer(protocol=1)
"""

CASES = {
    "dies at once": (
        "import sys\nprint('no database', file=sys.stderr)\nsys.exit(3)\n",
        ["exit code 3", "no database"],
    ),
    "raises": ("import nothing_that_is_there\n", ["exit code 1", "nothing_that_is_there"]),
    "is no Python": ("def (\n", ["exit code 1", "SyntaxError"]),
    "never becomes ready": (
        "import sys, time\nprint('still waiting', file=sys.stderr, flush=True)\ntime.sleep(300)\n",
        ["gave no answer to 'hello' within 1000 ms", "still waiting"],
    ),
    "speaks garbage": ("import time\nprint('Welcome!', flush=True)\ntime.sleep(300)\n", ["'Welcome!'", "JSON lines"]),
    "speaks another protocol": (HELLO.replace("protocol=1", "protocol=9") + "time.sleep(300)\n", ["protocol 9"]),
    "refuses to start": (
        HELLO + "answer(error='no such saga', definite=True)\ntime.sleep(300)\n",
        ["refused to start saga-1", "no such saga"],
    ),
    "knows no status": (
        HELLO + "answer()\nanswer(status='fine')\ntime.sleep(300)\n",
        ["'fine'", "running, completed, compensated, failed_stuck, unknown"],
    ),
    "answers what was not asked": (
        "import time\nprint('{\"id\": 7}', flush=True)\ntime.sleep(300)\n",
        ["'{\"id\": 7}' where JSON lines of control are expected"],
    ),
    "speaks JSON without end": ("import time\nprint('[' * 200_000, flush=True)\ntime.sleep(300)\n", ["wrote '[[["]),
    "answers nothing but hello": (HELLO + "time.sleep(300)\n", ["gave no answer to 'start' within 1000 ms"]),
}


@pytest.mark.parametrize("what", CASES)
def test_a_worker_that_cannot_be_used(small: Small, what: str) -> None:
    program, words = CASES[what]
    began = time.monotonic()
    live = run(small(program, ready_ms=1000))
    assert time.monotonic() - began < 20
    assert live.blocked, live.run.rows
    for word in words:
        assert word in live.blocked


CONTROL = """
import json, os, socket, time, urllib.request

def say(address):
    data = json.dumps({"control": address}).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["SAGAFUZZ_URL"] + "/hello", data=data)).read()
"""
SERVES = """
door = socket.create_server(("127.0.0.1", 0))
say(f"http://127.0.0.1:{door.getsockname()[1]}")
client, _ = door.accept()
client.recv(1000)
try:
    client.sendall(%s)
    while True:
        client.sendall(b" " * %s)
        time.sleep(%s)
except OSError:
    time.sleep(300)
"""
LONG = r"b'HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n'"

OVER_HTTP = {
    "says nothing": (
        "print('still waiting', flush=True)\ntime.sleep(300)\n",
        ["say hello within 1000", "still waiting"],
    ),
    "is elsewhere": (
        "say('http://10.255.255.1:80')\ntime.sleep(300)\n",
        ["'http://10.255.255.1:80'; write http://127"],
    ),
    "is at no port": ("say('http://127.0.0.1:99999')\ntime.sleep(300)\n", ["99999'; write http://127.0.0.1:PORT"]),
    "is nowhere": ("say('http://[::1')\ntime.sleep(300)\n", ["'http://[::1'; write http://127.0.0.1:PORT"]),
    "is closed": ("say('http://127.0.0.1:1')\ntime.sleep(300)\n", ["ConnectionRefusedError"]),
    "speaks garbage": (SERVES % (r"b'Welcome!\r\n\r\n'", 1, 0.1), ["no answer to 'hello' that can be understood"]),
    "never ends its answer": (SERVES % (LONG, 1, 0.1), ["gave no answer to 'hello' within 1000 ms"]),
    "floods its answer": (SERVES % (LONG, 100_000, 0), ["its answer is longer than 1048576 bytes"]),
}


@pytest.mark.parametrize("what", OVER_HTTP)
def test_a_worker_over_http_that_cannot_be_used(small: Small, what: str) -> None:
    program, words = OVER_HTTP[what]
    began = time.monotonic()
    live = run(small(CONTROL + program, ready_ms=1000, component='control = "http"'))
    assert time.monotonic() - began < 20
    assert live.blocked, live.run.rows
    for word in words:
        assert word in live.blocked


STORE = """
[[component]]
role = "store"
name = "db"
argv = ["{python}", "-c", "import os, time; %s"]
ready = "listening"
ready_ms = 1000
max_output_kb = 500
shared = %s
"""
STORES = {
    "dies at once": ("exit('port taken')", ["db ended (exit code 1) before it was ready", "port taken"]),
    "never becomes ready": (
        "os.write(1, b'starting'); time.sleep(300)",
        ["db did not write 'listening' within 1000 ms", "starting"],
    ),
    "floods its output": ("[os.write(1, b'no' * 999) for _ in iter(int, 1)]", ["db wrote more than 500 kB", "nono"]),
}


@pytest.mark.parametrize("shared", ["true", "false"])
@pytest.mark.parametrize("what", STORES)
def test_a_store_that_cannot_be_used(small: Small, what: str, shared: str) -> None:
    program, words = STORES[what]
    live = run(small(GOOD, capabilities=STORE % (program, shared)))
    for word in words:
        assert word in live.blocked


def test_what_fails_is_told_at_once(small: Small) -> None:
    """And not when the time is up in which it could have become ready."""
    began = time.monotonic()
    live = run(small("import time\nprint('Welcome!', flush=True)\ntime.sleep(300)\n", ready_ms=60_000))
    assert "'Welcome!'" in live.blocked
    assert time.monotonic() - began < 20


def test_a_worker_that_floods_its_output(small: Small) -> None:
    flood = "from sagafuzz import worker\ndef flood(saga):\n    while True: print('x' * 1000)\n"
    flood += "worker.serve(flood)\n"
    live = run(small(flood, component="max_output_kb = 500"))
    assert "wrote more than 500 kB; its last lines: xxx" in live.blocked
    assert live.output[0][1][-1].startswith("xxx")


def test_a_worker_that_ignores_sigterm(small: Small) -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + GOOD
    setup = small(stubborn, component="stop_ms = 300")
    assert "ignored SIGTERM for 300 ms" in run(setup, gentle=True).blocked
    assert run(setup).blocked == ""  # under a fault nobody asks politely


def test_a_worker_that_keeps_dying(small: Small) -> None:
    fragile = "import os\nfrom sagafuzz import worker\ndef die(saga): os._exit(9)\n"
    fragile += "def again(): return [worker.SagaRequest(id='saga-1')]\nworker.serve(die, pending=again)\n"
    live = run(small(fragile))
    assert "exit code 9" in live.blocked


def test_a_worker_that_never_ends_a_saga_is_bounded(small: Small) -> None:
    endless = "import time\nfrom sagafuzz import worker\nworker.serve(lambda saga: time.sleep(300))\n"
    began = time.monotonic()
    live = run(small(endless, recovery_ms=500))
    assert time.monotonic() - began < 10
    assert live.blocked == ""
    assert [row[1] for row in live.run.rows[-2:]] == ["RUNNING", "END"]


def test_a_program_that_is_missing(small: Small, tmp_path: Path) -> None:
    setup = small(GOOD)
    (tmp_path / "small.py").unlink()
    assert "small.py" in run(setup).blocked
    setup = small(GOOD, capabilities='[[component]]\nrole = "store"\nargv = ["no-such-program"]\nready = "listening"')
    said = "ended (exit code 127) before it was ready; its last lines: cannot start no-such-program: No such file"
    assert said in run(setup).blocked


def test_a_worker_that_hangs_after_a_fault(small: Small) -> None:
    hangs = "import time\nfrom sagafuzz import worker\ndef drive(saga):\n"
    hangs += (
        "    try:\n        worker.call(saga, 'order', 'do')\n    except worker.PortError:\n        time.sleep(300)\n"
    )
    hangs += "    return True\nworker.serve(drive)\n"
    live = run(small(hangs, recovery_ms=500), fault("lost-ack", "order", "F", "ack"))
    assert [row[9][0] for row in live.run.rows if row[1] in ("CRASH", "END")] == ["final restart", "quiescent"]


FORGETS = """
import json, time
from pathlib import Path
from sagafuzz import worker

kept = Path(worker.folder()) / "order"
again = [worker.SagaRequest(id="saga-1", order=json.loads(kept.read_text()))] if kept.exists() else []

def drive(saga):
    kept.write_text(json.dumps(saga.order))
    try:
        worker.call(saga, "order", "do", key="o")
    except worker.PortError:
        time.sleep(300)
    worker.call(saga, "payment", "do", key="p")
    return True

worker.serve(drive, pending=lambda: again)
"""


@pytest.mark.parametrize(
    ("capabilities", "found"), [("", [("I3", "stuck until a restart")]), ("supervised = true", [])]
)
def test_what_only_a_restart_frees_is_told_unless_a_supervisor_does_it(
    small: Small, capabilities: str, found: list[tuple[str, str]]
) -> None:
    setup, plan = small(FORGETS, capabilities=capabilities, recovery_ms=500), fault("lost-ack", "order", "F", "ack")
    history = run(setup, plan).run.history(setup, plan)
    assert history.rows[-1][9] == ("quiescent",)
    assert [(each.invariant, each.anomaly) for each in check(history).violations] == found


def test_a_request_without_the_token_is_refused_where_the_manifest_asks_for_it(small: Small) -> None:
    program = "import os\nfrom sagafuzz import worker\n%s\n"
    program += "worker.serve(lambda saga: all(worker.call(saga, step, 'do') for step in ('order', 'payment')))\n"
    right = run(small(program % "", capabilities="require_token = true"))
    wrong = run(small(program % "os.environ['SAGAFUZZ_TOKEN'] = 'guess'", capabilities="require_token = true"))
    assert [row[4] for row in right.run.rows if row[1] == "APPLY"] == ["order", "payment"]
    assert [row for row in wrong.run.rows if row[1] in ("SEND", "APPLY")] == []


def test_each_case_has_a_token_of_its_own(small: Small) -> None:
    setup = small("import os\nprint(os.environ['SAGAFUZZ_TOKEN'])\n" + GOOD, component='control = "http"')
    said = [live.output[0][1][-1] for live in run_plans(setup, Plan(), Plan())]
    assert len(set(said)) == 2 and all(len(token) >= 32 for token in said)
