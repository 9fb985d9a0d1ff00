"""What a manifest need not spell out, how a server says that it is ready, and what is said of a missing engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sagafuzz.cli.main import cli
from sagafuzz.errors import UsageError
from sagafuzz.live.manifest import manifest_of
from sagafuzz.live.manifest_file import read
from sagafuzz.live.presets import COMPONENTS, PROGRAMS, SAGAS, found
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import Small, run

SHORT = """
[saga]
preset = "checkout"

[[component]]
preset = "redis"
env = { MORE = "1" }
ready_ms = 77

[[component]]
role = "worker"
argv = ["{python}", "worker.py"]
"""


def manifest(folder: Path, text: str) -> str:
    file = folder / "short.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_a_preset_fills_in_what_the_manifest_does_not_say(tmp_path: Path) -> None:
    made = read(manifest(tmp_path, SHORT))
    store = made.components[0]
    assert made.saga.sequence == load("seed").saga.sequence and made.saga.name == "checkout"
    assert (store.name, store.role, store.proxy, store.ready_ms) == ("redis", "store", "redis", 77)
    assert store.env == {"MORE": "1"} and store.programs == ("redis-server",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHORT.replace('"redis"', '"redsi"'), "[[component]] number 1: preset = 'redsi' (did you mean 'redis'?)"),
        (SHORT.replace('"checkout"', '"chekout"'), "[saga]: preset = 'chekout' (did you mean 'checkout'?)"),
        (SHORT.replace("ready_ms = 77", 'ready_url = "http://example.org"'), "write 'http://127.0.0.1:PORT/…' or 'tcp"),
        (SHORT.replace("worker.py", "{program.reddis}"), "known are redis-server"),
    ],
)
def test_what_is_no_preset_is_refused_with_what_there_is(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(manifest(tmp_path, text))
    assert said in str(refused.value)


def test_every_preset_makes_a_manifest_and_names_known_programs(tmp_path: Path) -> None:
    for saga in SAGAS:
        for component in COMPONENTS:
            text = SHORT.replace("checkout", saga).replace('"redis"', f'"{component}"')
            made = read(manifest(tmp_path, text))
            assert set(made.components[0].programs) <= set(PROGRAMS)


def test_a_program_is_found_on_the_path_and_else_in_the_newest_folder_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert found("temporal") is None
    for place in ("sagafuzz/engines/temporal-1.9.0", "sagafuzz/engines/temporal-1.10.0", "bin"):
        program = tmp_path / place / "temporal"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
        assert found("temporal") == program


def test_an_engine_that_is_missing_gets_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = CliRunner().invoke(cli, ["run", manifest(tmp_path, SHORT), "--faults", "0"], catch_exceptions=True)
    assert isinstance(ran.exception, UsageError) or ran.exit_code == 2
    assert (
        str(ran.exception or ran.output)
        .strip()
        .endswith("short needs redis-server, which is not installed; run: apt-get install redis-server")
    )


def test_a_module_that_is_missing_is_told_with_the_command_that_installs_it(tmp_path: Path) -> None:
    text = "requires = { no_such_engine = \"pip install 'no-such-engine'\" }\n" + SHORT
    with pytest.raises(UsageError, match=r"^short needs no_such_engine, .*; run: pip install 'no-such-engine'$"):
        read(manifest(tmp_path, text)).check_installed()


def test_the_adapters_of_engines_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifest_of(load("dbos"))
    assert made is not None and dict(made.requires) == {"dbos": "pip install 'sagafuzz[dbos]'"}


# -- workloads -----------------------------------------------------------------------------------


def test_a_workload_takes_the_place_of_the_saga_where_the_manifest_lists_it() -> None:
    parallel = load("temporal@parallel")
    assert (parallel.name, parallel.spec) == ("temporal@parallel", "temporal@parallel")
    assert parallel.saga.predecessors["inventory"] == parallel.saga.predecessors["payment"] == ("order",)
    timer, retries = manifest_of(load("temporal@timer")), manifest_of(load("temporal@retries"))
    assert timer is not None and timer.waits == {"payment": 300} and timer.attempts == 0
    assert retries is not None and retries.attempts == 3


def test_a_workload_that_an_engine_cannot_run_is_refused_with_those_that_it_can(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it does not run the workload 'parallel'; it runs timer, retries, approv"):
        load("absurd@parallel")
    with pytest.raises(UsageError, match=r"it does not run the workload 'timer'; it runs its saga only$"):
        load(manifest(tmp_path, SHORT) + "@timer")
    with pytest.raises(UsageError, match=r"workloads has 'paralel' \(did you mean 'parallel'\?\)"):
        read(manifest(tmp_path, f'workloads = ["paralel"]\n{SHORT}'))
    for word, value in (("waits", "1"), ("signals", "'paid'")):
        with pytest.raises(UsageError, match=rf"{word} has 'pay' .*a step is order, inventory, payment"):
            read(manifest(tmp_path, SHORT.replace('"checkout"', f'"checkout"\n{word} = {{ pay = {value} }}')))


def test_a_step_that_waits_for_a_message_brings_a_clerk_who_sends_it(tmp_path: Path) -> None:
    text = "workloads = ['approval']\n" + SHORT
    adapter = load(f"{manifest(tmp_path, text)}@approval")
    assert list(adapter.actors) == ["clerk"] and {each.actors for each in adapter.scenarios} == {("clerk",)}
    assert manifest_of(adapter) is not None and hasattr(adapter.factory, "receive")
    assert load(manifest(tmp_path, text)).actors == {}


TOLD = """
from sagafuzz import worker

def drive(saga):
    again = worker.SagaRequest.of_plain(saga.plain)
    print(worker.layers(saga.plain), dict(saga.waits), saga.attempts, saga.plain == again.plain)
    print(dict(saga.signals), list(saga.children), saga.lazy, len(saga.order.get("note", "")))
    return True

worker.serve(drive, receive=lambda message: None)
"""
IN_TURN = "[['order'], ['inventory'], ['payment']] {} 0 True"
PLAIN = "{} [] False 0"


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        ("checkout", ("[['order'], ['inventory'], ['payment']] {} 0 True", PLAIN)),
        ("parallel", ("[['order'], ['inventory', 'payment']] {} 0 True", PLAIN)),
        ("timer", ("[['order'], ['inventory'], ['payment']] {'payment': 300} 0 True", PLAIN)),
        ("retries", ("[['order'], ['inventory'], ['payment']] {} 3 True", PLAIN)),
        ("approval", (IN_TURN, "{'payment': 'approved'} [] False 0")),
        ("child", ("[['order'], ['shipment'], ['payment']] {} 0 True", "{} ['shipment'] False 0")),
        ("lazy", (IN_TURN, "{} [] True 0")),
        ("large", (IN_TURN, "{} [] False 262144")),
    ],
)
def test_a_worker_is_given_the_workload_as_data(tmp_path: Path, workload: str, told: tuple[str, str]) -> None:
    (tmp_path / "worker.py").write_text(TOLD, encoding="utf-8")
    redis = '[[component]]\npreset = "redis"\nenv = { MORE = "1" }\nready_ms = 77\n'
    text = f"workloads = {list(SAGAS)}\n" + SHORT.replace(redis, "")
    adapter = load(f"{manifest(tmp_path, text)}@{workload}")
    live = run(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")))
    assert dict(live.output)["orchestrator"] == told


# -- ports, and how a server says that it is ready -----------------------------------------------

SERVER = """
[[component]]
role = "server"
name = "shop"
argv = ["{python}", "shop.py", "{port}", "{port.admin}"]
ready_url = "%s://127.0.0.1:{port.admin}/health"
ready_ms = 5000
"""
SHOP = f"""#!{sys.executable}
import http.server, sys, threading, time

class Late(http.server.BaseHTTPRequestHandler):
    began = time.monotonic()
    def do_GET(self):
        self.send_response(200 if time.monotonic() - self.began > 0.2 else 503)
        self.end_headers()

admin = http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Late)
threading.Timer(0.4, lambda: http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Late)).start()
admin.serve_forever()
"""
ASKS = """
import os, urllib.request
from sagafuzz import worker

def drive(saga):
    with urllib.request.urlopen(os.environ["ADMIN"]) as answer:  # 503 raises
        return answer.status == 200

worker.serve(drive)
"""


@pytest.mark.parametrize(("scheme", "ready"), [("http", True), ("tcp", False)])
def test_a_server_is_ready_when_its_url_answers_with_200_or_its_port_is_open(
    small: Small, tmp_path: Path, scheme: str, ready: bool
) -> None:
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    component = 'env = { ADMIN = "http://127.0.0.1:{shop.port.admin}/" }' + SERVER % scheme
    live = run(small(ASKS, component=component))
    assert live.blocked == ""
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == ([("completed",)] if ready else [])


def test_a_server_that_never_answers_blocks_the_case_with_where_it_was_asked(small: Small, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP.replace("> 0.2", "> 99"), encoding="utf-8")
    component = 'env = { ADMIN = "" }' + SERVER.replace("5000", "300") % "http"
    live = run(small(ASKS, component=component))
    assert live.blocked.startswith("shop did not answer at http://127.0.0.1:")
    assert live.blocked.endswith("/health within 300 ms") or "its last lines" in live.blocked


LISTENS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (pathlib.Path({file!r}).touch(), sys.exit()))
print("listening", flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("shared", ["true", "false"])
def test_a_store_that_was_started_is_let_end_by_itself(small: Small, tmp_path: Path, shared: str) -> None:
    (tmp_path / "store.py").write_text(LISTENS.format(file=str(tmp_path / "ended")), encoding="utf-8")
    store = '[[component]]\nrole = "store"\nname = "db"\nargv = ["{python}", "store.py"]\nready = "listening"\n'
    live = run(
        small("from sagafuzz import worker\nworker.serve(lambda saga: True)\n", component=f"{store}shared = {shared}")
    )
    assert live.blocked == ""
    assert (tmp_path / "ended").exists()


TEMPORARY = """
import tempfile
from sagafuzz import worker
tempfile.mkstemp()
worker.serve(lambda saga: tempfile.gettempdir() == worker.folder())
"""


def test_temporary_files_lie_in_the_folder_of_the_case(small: Small) -> None:
    live = run(small(TEMPORARY))
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("completed",)]
