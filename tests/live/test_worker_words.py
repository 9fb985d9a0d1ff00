"""What a worker in Node or Go can say and hear beside the requests for its steps."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.faults import Plan
from sagafuzz.history import ADOPT, ALERT, HANDLED, LOG, LOGACK, NACK, PUBLISH, RAISED, RECEIVE, SEND, TERMINAL
from sagafuzz.live.case import LiveRun
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import NOTHING, fault, run
from .test_worker import told
from .test_worker_packages import GO_MODULE, PACKAGES, in_each_language

MANIFEST = """
[saga]
name = "order"
operations = ["payment.status"]

[[saga.step]]
id = "pack"
do = "warehouse.pack"
undo = "warehouse.unpack"
many = true
needs = "all"

[[saga.step]]
id = "ship"
child = "shipment"

[[saga.step]]
id = "pay"
do = "payment.charge"
undo = "payment.refund"

[[definition]]
name = "shipment"

[[definition.step]]
id = "parcel"
do = "box.fill"
undo = "box.empty"

[[component]]
role = "worker"
argv = %s
env = { DOES = "%s" }

[capabilities]
resume = "none"
records = true
store_errors = true
receives = true
call_timeout_ms = 5000
max_recovery_ms = 10000
settle_ms = 300
"""

NODE = """
import { StoreUnavailable, ask, call, caseName, durable, folder, note, publish, serve } from "%s/node/index.js";

const wrong = process.env.DOES === "wrong";
let heard;
const message = new Promise((resolve) => (heard = resolve));

async function drive(saga) {
  if (process.env.DOES === "returns") return "kept";
  if (wrong) return ask(saga, "payment.nothing");
  const payload = { amount: 7 };
  for (const part of ["one", "two"]) await call(saga, "pack", "do", { key: part, part, epoch: 3, payload });
  const child = saga.children.ship;
  await call(child, child.steps[0], "do", { key: child.id });
  console.log(JSON.stringify(await ask(saga, "payment.status")), folder().endsWith(caseName()));
  try {
    await durable("intent", { saga: saga.id, step: "pay", epoch: 3 }, () => console.log("committed"));
  } catch (error) {
    console.log(error instanceof StoreUnavailable);
  }
  await note("ALERT", { saga: saga.id, step: "pay", reason: "look" });
  await note("ADOPT", { saga: saga.id, epoch: 4 });
  await publish("paid", { saga: saga.id, key: "k", delayMs: 1, payload: { n: 1 } });
  await message;
  await call(saga, "pay", "do", { key: "pay" });
  await durable("terminal", { saga: saga.id, outcome: "completed" }, () => {});
  return true;
}

async function receive(message) {
  if (message.topic === "never") await new Promise(() => {});
  if (message.delivery === 1) throw new Error("not yet");
  console.log(JSON.stringify([message.topic, message.saga, message.key, message.payload, message.delivery]));
  heard();
}

const status = async (id) => (id === "theirs" ? "completed" : "unknown");
const cancel = async (id) => {
  if (id !== "theirs") throw new Error(`what is ${id}?`);
};
const pending = async () => [{ id: "left" }];
const options = { receive, status, cancel, eachRequest: true };
serve(drive, process.env.DOES === "returns" ? { ...options, pending, statuses: { kept: "pending" } } : options);
"""

GO = """
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sagafuzz/worker"
)

var heard = make(chan bool, 9)

func must(_ any, err error) {
	if err != nil {
		panic(err)
	}
}

func drive(saga worker.Saga) worker.Status {
	switch os.Getenv("DOES") {
	case "returns":
		return worker.Running
	case "wrong":
		must(saga.Ask("payment.nothing"))
	}
	for _, part := range []string{"one", "two"} {
		payload := worker.Payload(map[string]any{"amount": 7})
		must(saga.Call("pack", "do", worker.Key(part), worker.Part(part), worker.Epoch(3), payload))
	}
	child := saga.Children["ship"]
	must(child.Call(child.Steps[0], "do", worker.Key(child.ID)))
	known, err := saga.Ask("payment.status")
	must(known, err)
	text, _ := json.Marshal(known)
	fmt.Println(string(text), strings.HasSuffix(worker.Folder(), worker.Case()))
	err = worker.Durable(worker.Write{Record: "intent", Saga: saga.ID, Step: "pay", Epoch: 3}, func() error {
		fmt.Println("committed")
		return nil
	})
	if err != nil {
		fmt.Println(errors.Is(err, worker.ErrStore))
	}
	must(nil, worker.Note("ALERT", saga.ID, map[string]any{"step": "pay", "reason": "look"}))
	must(nil, worker.Note("ADOPT", saga.ID, map[string]any{"epoch": 4}))
	paid := worker.Message{Topic: "paid", Saga: saga.ID, Key: "k", Payload: map[string]any{"n": 1}}
	must(nil, worker.Publish(paid, time.Millisecond))
	<-heard
	must(saga.Call("pay", "do", worker.Key("pay"), worker.Timeout(5*time.Second)))
	end := worker.Write{Record: "terminal", Saga: saga.ID, Outcome: "completed"}
	must(nil, worker.Durable(end, func() error { return nil }))
	return worker.Completed
}

func receive(m worker.Message) error {
	if m.Topic == "never" {
		select {}
	}
	if m.Delivery == 1 {
		return errors.New("not yet")
	}
	text, _ := json.Marshal([]any{m.Topic, m.Saga, m.Key, m.Payload, m.Delivery})
	fmt.Println(string(text))
	heard <- true
	return nil
}

func status(id string) worker.Status {
	if id == "theirs" {
		return worker.Completed
	}
	return worker.NotKnown
}

func cancel(id string) error {
	if id != "theirs" {
		return fmt.Errorf("what is %%s?", id)
	}
	return nil
}

func main() {
	options := worker.Options{Receive: receive, Status: status, Cancel: cancel, EachRequest: true}
	if os.Getenv("DOES") == "returns" {
		options.Recover = func() []worker.Saga { return []worker.Saga{{ID: "left"}} }
	}
	worker.Serve(drive, options)
}
"""

Programs = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The command that runs the worker in a language; what is to be compiled is, once."""
    folder = tmp_path_factory.mktemp("words")

    @cache
    def program(language: str) -> list[str]:
        if language == "node":
            (folder / "words.mjs").write_text(NODE % PACKAGES, encoding="utf-8")
            return ["node", str(folder / "words.mjs")]
        (folder / "words.go").write_text(GO.replace("%%", "%"), encoding="utf-8")
        (folder / "go.mod").write_text(GO_MODULE % PACKAGES, encoding="utf-8")
        subprocess.run(["go", "build", "-o", "words", "."], check=True, cwd=folder)
        return [str(folder / "words")]

    return program


def lived(folder: Path, program: list[str], does: str = "", plan: Plan = NOTHING) -> LiveRun:
    (folder / "words.toml").write_text(MANIFEST % (json.dumps(program), does), encoding="utf-8")
    adapter = load(str(folder / "words.toml"))
    live = run(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")), plan)
    assert len(live.run.fired) == len(plan)
    return live


def rows(live: LiveRun, *kinds: str) -> list[tuple[Any, ...]]:
    """What happened, to which saga and step, and the data of it."""
    return [(row[1], row[3], row[4], row[9]) for row in live.run.rows if row[1] in kinds]


@in_each_language
def test_all_that_a_worker_shows_is_seen(tmp_path: Path, programs: Programs, language: str) -> None:
    live = lived(tmp_path, programs(language))
    assert told(live) == ["completed"]
    asked = [(saga, step, data[0], data[2:]) for _, saga, step, data in rows(live, SEND)]
    assert asked == [
        ("saga-1", "pack[one]", "warehouse.pack", (3,)),
        ("saga-1", "pack[two]", "warehouse.pack", (3,)),
        ("saga-1.ship", "parcel", "box.fill", ()),
        ("saga-1", "", "payment.status", ()),
        ("saga-1", "pay", "payment.charge", ()),
    ]
    assert rows(live, SEND)[0][3][1] == (("amount", 7),)
    assert rows(live, LOG, LOGACK, TERMINAL, ALERT, ADOPT) == [
        (LOG, "saga-1", "pay", ("intent", 1, 3)),
        (LOGACK, "saga-1", "pay", ("intent", 1, 3)),
        (ALERT, "saga-1", "pay", ("look",)),
        (ADOPT, "saga-1", "", (4, "")),
        (LOG, "saga-1", "", ("terminal", 1)),
        (TERMINAL, "saga-1", "", ("completed",)),
        (LOGACK, "saga-1", "", ("terminal", 1)),
    ]
    assert [row[0] for row in rows(live, PUBLISH, RECEIVE, NACK, HANDLED)] == [PUBLISH, RECEIVE, NACK, RECEIVE, HANDLED]
    said = ['{"applied":false} true', "committed", '["paid","saga-1","k",{"n":1},2]']
    assert [line for line in dict(live.output)["orchestrator"] if line in said] == said


@in_each_language
@pytest.mark.parametrize(
    ("kind", "phase", "said"),
    [("store-error-before-commit", "log", ["true"]), ("store-error-after-commit", "logged", ["committed", "true"])],
)
def test_a_store_that_fails_is_an_error_of_its_own(
    tmp_path: Path, programs: Programs, language: str, kind: str, phase: str, said: list[str]
) -> None:
    live = lived(tmp_path, programs(language), plan=fault(kind, "intent pay", "", phase))
    assert told(live) == ["completed"]
    assert [line for line in dict(live.output)["orchestrator"] if line in ("committed", "true")] == said


@in_each_language
def test_who_asks_for_what_is_not_there_is_told_so_and_does_not_try_again(
    tmp_path: Path, programs: Programs, language: str
) -> None:
    live = lived(tmp_path, programs(language), "wrong")
    ((_, _, _, (status, reason, _, excused)),) = rows(live, RAISED)
    assert status == "unknown" and "no operation 'payment.nothing'" in reason and not excused


def answers(program: list[str], *commands: dict[str, Any], ends: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What the worker says to commands, until it has answered each that can be, and told of these sagas."""
    lines = "".join(f"{json.dumps({'id': number, **each})}\n" for number, each in enumerate(commands))
    pipe, env = subprocess.PIPE, {**os.environ, "DOES": "returns"}
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, env=env, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(lines)
        process.stdin.flush()
        wanted = {number for number, each in enumerate(commands) if each.get("topic") != "never"}
        said: list[dict[str, Any]] = []
        while wanted or Counter(ends) - Counter(ended(said)):
            said.append(json.loads(process.stdout.readline()))
            wanted.discard(said[-1].get("id"))
        process.stdin.close()
        assert process.wait(timeout=10) == 0
    return said


def ended(said: list[dict[str, Any]]) -> list[str]:
    return [each["saga_id"] for each in said if each.get("event") == "status"]


MESSAGE = {"op": "receive", "saga_id": "mine", "key": "", "payload": {}, "message_id": "m", "delivery": 1}
START = {"op": "start", "saga_id": "mine", "order": {}, "steps": []}


@in_each_language
def test_no_answer_keeps_another_back(programs: Programs, language: str) -> None:
    said = answers(programs(language), {**MESSAGE, "topic": "never"}, {**MESSAGE, "topic": "x"})
    ((answer),) = [each for each in said if "id" in each]
    assert answer["id"] == 1 and "not yet" in answer["error"] and answer["definite"] is False


@in_each_language
def test_a_worker_answers_for_sagas_that_it_did_not_drive_and_is_asked_to_cancel_them(
    programs: Programs, language: str
) -> None:
    ids = ("theirs", "nobody's")
    commands = [{"op": op, "saga_id": id} for op in ("status", "cancel") for id in ids]
    said = {each["id"]: each for each in answers(programs(language), *commands) if "id" in each}
    assert [said[number]["status"] for number in (0, 1)] == ["completed", "unknown"]
    assert "error" not in said[2] and "what is nobody's?" in said[3]["error"]


@in_each_language
def test_what_was_left_open_is_driven_once_and_what_is_asked_for_each_time(programs: Programs, language: str) -> None:
    said = answers(programs(language), START, {"op": "recover"}, START, ends=("left", "mine", "mine"))
    assert sorted(ended(said)) == ["left", "mine", "mine"]
    assert said.index({"id": 0}) < next(n for n, each in enumerate(said) if each.get("saga_id") == "mine")
