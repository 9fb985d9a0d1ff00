"""What the packages for Node and Go take off a worker, as `sagafuzz.worker` does in Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import sagafuzz.adapters
from sagafuzz.errors import UsageError
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import NOTHING, fault, run
from .test_worker import told

PACKAGES = Path(sagafuzz.adapters.__path__[0]).resolve()

MANIFEST = """
workloads = ["checkout", "parallel", "timer", "retries"]

[saga]
preset = "checkout"

[[component]]
role = "worker"
argv = %s
ahead = %s
env = { DOES = "%s" }

[capabilities]
call_timeout_ms = 250
max_recovery_ms = 1000
"""

NODE = """
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { attempt, call, layers, serve, waitForCase } from "%s/node/index.js";

const early = process.env.SAGAFUZZ_DIR === undefined;
process.stdout.isTTY; // as many libraries ask: standard input and output, one socket, do not block from then on
waitForCase();

async function drive(saga) {
  if (process.env.DOES === "fails") throw new Error("on purpose");
  if (process.env.DOES === "refused") return attempt(saga, "payment", "do").then(({ refused }) => !refused);
  console.log("one");
  fs.writeSync(1, "two\\n");
  spawnSync("sh", ["-c", "echo three"], { stdio: "inherit" });
  console.log(JSON.stringify([layers(saga), saga.waits, saga.attempts, saga.again]));
  console.log(`early ${early} ${process.env.DOES}`);
  for (const step of saga.steps) await call(saga, step, "do", { key: step });
  return "DONE";
}

serve(drive, { engine: "node", takesUp: true, statuses: { DONE: true } });
"""

GO = """
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"sagafuzz/worker"
)

var early = os.Getenv("SAGAFUZZ_DIR") == ""

func drive(saga worker.Saga) worker.Status {
	switch os.Getenv("DOES") {
	case "fails":
		return worker.Failed(errors.New("on purpose"))
	case "refused":
		if _, err := saga.Call("payment", "do"); errors.Is(err, worker.ErrRejected) {
			return worker.Compensated
		}
	}
	fmt.Println("one")
	syscall.Write(1, []byte("two\\n"))
	child := exec.Command("sh", "-c", "echo three")
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Run()
	text, _ := json.Marshal([]any{saga.Layers(), saga.Waits, saga.Attempts, saga.Again})
	fmt.Println(string(text))
	fmt.Println("early", early, os.Getenv("DOES"))
	for _, step := range saga.Steps {
		if _, err := saga.Call(step, "do", worker.Key(step)); err != nil {
			return worker.Failed(err)
		}
	}
	return worker.Completed
}

func main() {
	worker.WaitForCase()
	worker.Serve(drive, worker.Options{Engine: "go", TakesUp: true})
}
"""
GO_MODULE = "module small\n\ngo 1.21\n\nrequire sagafuzz/worker v0.0.0\n\nreplace sagafuzz/worker => %s/go\n"

in_each_language = pytest.mark.parametrize(
    "language",
    [
        pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name}"))
        for name in ("node", "go")
    ],
)

System = Callable[..., Setup]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """The command that runs the worker in a language; what is to be compiled is, once."""
    folder = tmp_path_factory.mktemp("programs")

    @cache
    def program(language: str) -> list[str]:
        if language == "node":
            (folder / "small.mjs").write_text(NODE % PACKAGES, encoding="utf-8")
            return ["node", str(folder / "small.mjs")]
        (folder / "small.go").write_text(GO, encoding="utf-8")
        (folder / "go.mod").write_text(GO_MODULE % PACKAGES, encoding="utf-8")
        subprocess.run(["go", "build", "-o", "small", "."], check=True, cwd=folder)
        return [str(folder / "small")]

    return program


@pytest.fixture
def system(tmp_path: Path, programs: Callable[[str], list[str]]) -> System:
    """The worker in that language, which does the workload, or what else is said."""

    def made(
        language: str, does: str = "", *, workload: str = "checkout", scenario: str = "succeeds", ahead: bool = False
    ) -> Setup:
        words = [json.dumps(each) for each in (programs(language), ahead)]
        (tmp_path / "small.toml").write_text(MANIFEST % (*words, does), encoding="utf-8")
        adapter = load(f"{tmp_path / 'small.toml'}@{workload}")
        return Setup(adapter=adapter, scenario=adapter.scenario(scenario))

    return made


@in_each_language
def test_what_is_written_to_standard_output_by_whomever_goes_to_standard_error(system: System, language: str) -> None:
    live = run(system(language))
    assert told(live) == ["completed"] and live.engine == language
    assert dict(live.output)["orchestrator"][:3] == ("one", "two", "three")


@in_each_language
def test_an_open_order_is_driven_again_after_a_crash(system: System, language: str) -> None:
    live = run(system(language), fault("crash-after-ack", "order", "F", "ack"))
    assert told(live) == ["completed"]
    assert dict(live.output)["orchestrator#2"][3].endswith(",{},0,true]")


@in_each_language
@pytest.mark.parametrize(
    ("workload", "data"),
    [
        ("parallel", '[[["order"],["inventory","payment"]],{},0,false]'),
        ("timer", '[[["order"],["inventory"],["payment"]],{"payment":300},0,false]'),
        ("retries", '[[["order"],["inventory"],["payment"]],{},3,false]'),
    ],
)
def test_a_workload_is_data(system: System, language: str, workload: str, data: str) -> None:
    assert dict(run(system(language, workload=workload)).output)["orchestrator"][3] == data


@in_each_language
def test_a_refusal_is_told_from_a_failure(system: System, language: str) -> None:
    assert told(run(system(language, "refused", scenario="declined"))) == ["compensated"]


@in_each_language
def test_a_driver_that_fails_is_told_with_its_reason(system: System, language: str) -> None:
    live = run(system(language, "fails"), NOTHING)
    ((status, reason, _, excused),) = [row[9] for row in live.run.rows if row[1] == "RAISED"]
    assert status == "unknown" and "on purpose" in reason and not excused


# -- workers that wait in advance ----------------------------------------------------------------


@in_each_language
@pytest.mark.parametrize("ahead", [True, False])
def test_a_worker_starts_before_its_case_where_that_is_said(system: System, language: str, ahead: bool) -> None:
    live = run(system(language, "its own", ahead=ahead), fault("crash-after-ack", "order", "F", "ack"))
    assert told(live) == ["completed"]
    early = f"early {json.dumps(ahead)} its own"
    assert [dict(live.output)[label][4] for label in ("orchestrator", "orchestrator#2")] == [early] * 2


@in_each_language
def test_one_that_waited_in_vain_ends_with_the_campaign(
    system: System, language: str, programs: Callable[[str], list[str]]
) -> None:
    run(system(language, ahead=True))
    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(programs(language)[-1].encode() in command for command in commands)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('argv = ["node", "{dir}/x.mjs"]', "argv has {dir}, which is not known before the case; write it into env"),
        ('argv = ["node", "x.mjs"]\ncontrol = "http"', "ahead = true is for a worker with control = 'stdio'"),
    ],
)
def test_what_cannot_wait_in_advance_is_refused(tmp_path: Path, more: str, said: str) -> None:
    text = '[saga]\npreset = "checkout"\n[[component]]\nrole = "worker"\nahead = true\n'
    (tmp_path / "small.toml").write_text(text + more, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load(str(tmp_path / "small.toml"))
    assert said in str(refused.value)
