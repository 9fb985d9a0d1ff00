"""Rewrites the marked regions of docs/reference.md and docs/spared.md from the tables in the code.

A region lies between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``.

    python tools/make_reference.py           rewrite
    python tools/make_reference.py --check   say what is stale, and exit with 1 if anything is
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import sagafuzz
from sagafuzz.cli.main import cli
from sagafuzz.exploration.driver import ACTIONS, FAULTY_ACTIONS
from sagafuzz.exploration.reductions import ALL
from sagafuzz.faults import (
    AT_ACK,
    AT_BOOT,
    AT_COMMIT,
    AT_EFFECT,
    AT_HANDLED,
    AT_LOG,
    AT_LOGGED,
    AT_PUBLISH,
    AT_RECEIPT,
    AT_SEND,
    CAPABILITIES,
    FAULT_KINDS,
)
from sagafuzz.invariants import INVARIANTS, Invariant
from sagafuzz.live.manifest import Capabilities, Component
from sagafuzz.live.manifest_file import ManifestTable, SagaTable, StepTable
from sagafuzz.participant import Transaction
from sagafuzz.plugin import hooks
from sagafuzz.plugin.marking import ARGUMENTS
from sagafuzz.plugin.options import NUMBERS, PLACES, REPLAY_HELP
from sagafuzz.ports import DurableFile, Store, World
from sagafuzz.reports import COMPARISONS, REPORTS
from sagafuzz.saga import COMPENSATION, FORWARD, MESSAGE, QUERY, Outcome

DOCS = Path(__file__).resolve().parent.parent / "docs"

PHASES = {
    AT_SEND: "a request is about to be sent",
    AT_EFFECT: "the participant is about to handle the first delivery of a request",
    AT_ACK: "the answer is about to reach the orchestrator",
    AT_LOG: "a record is about to become durable",
    AT_LOGGED: "a record has just become durable",
    AT_BOOT: "a new process starts, save the one that the harness starts in the end",
    AT_PUBLISH: "a message is about to be published",
    AT_COMMIT: "the app of a participant is about to commit a transaction",
    AT_RECEIPT: "a message is about to be handed to a process",
    AT_HANDLED: "the handler of a message has returned",
}
DIRECTIONS = {FORWARD: "forward", COMPENSATION: "compensation", QUERY: "query", MESSAGE: "message", "": "writes"}

# What the code says in running text, here by name. A name that comes or goes makes `rows_of` fail.
STEP = {
    "name": "how the step is called in reports and sites",
    "operation": "what does it, spelt `participant.verb`",
    "undo": "what undoes it; none: there is nothing to undo",
    "pivot": "after this step the saga must complete",
    "retriable": "cannot be refused, and is retried until it succeeds",
    "after": "the names of its predecessors; left out: the step listed before; `()`: none",
    "many": 'asked for in parts, a request each: `world.call(…, part="line-2")`',
    "needs": "`any` where the saga completes with one of the parts; else with all that were asked for",
    "amount": "the field of its requests, or of their answers, that says how much: undos in parts add up to it",
    "consumes": "the earlier step that it uses up, as a capture does what was authorised",
    "part_by_part": "a part comes after the same part of the steps before it, not after the others",
    "child": "the saga that the step is, in the place of an operation and an undo, see "
    "[trips](trips.md#a-step-that-is-a-saga-of-its-own)",
}
MESSAGE_FIELDS = {
    "topic": "what the message is about, as `payment.captured`",
    "saga": "the saga that it is for",
    "key": "what its topic keeps the order by, where it keeps one",
    "payload": "what is said beside",
    "id": "the same at each delivery",
    "delivery": "which delivery this is, from 1",
}
TOPIC = {
    "ordered": "those with one key come one after the other, each when the one before it is done with",
    "shared": "the processes that live take turns, as competing consumers do; else the newest has all",
    "max_deliveries": "after so many failed deliveries it goes to the dead-letter queue; left out: it comes for ever",
    "replayed": "an operator delivers the dead-letter queue again when all else is at rest",
    "may_lose": "whoever sends gives no guarantee, as of a webhook that is sent once: `message-lost` may strike",
}
ADAPTER = {
    "saga": "the definition",
    "name": "how reports call the adapter; left out: the name of the class",
    "scenarios": "its scenarios, instead of the [usual ones](#scenarios)",
    "participants": "your own participants: a class for each participant's name",
    "around": "code around built-in participants: a class for each participant's name",
    "operations": "calls that belong to no step, a query for instance",
    "call_timeout_ms": "how long `world.call` waits, in virtual milliseconds",
    "restart_ms": "how long a process is down after a crash, in virtual milliseconds",
    "durable_recovery": "`False` where recovery depends on more than the durable state",
    "forgets_retries": "`True` where a failed try that is made again and answered leaves no trace in the process",
    "expiring": "the participants whose reservations may run out",
    "tickets": "those of `operations` by which a person is called, as by `world.alert` and `world.dead_letter`: to the "
    "step that a field `step` names, else to the saga",
    "forgetting_refusals": "the participants that may refuse for a moment, and accept the next attempt",
    "refusing_repeats": "the participants that may refuse, for good, what they have applied already",
    "key_retention_ms": "how long participants keep idempotency keys; left out: for ever",
    "key_scope": "how widely a participant knows a key, by its name: `operation`, `account` or `tenant`",
    "upgrade": "the class that a later process may run instead: the next version",
    "cannot_suffer": "fault kinds, by name, that cannot happen to this system; they are left out",
    "max_attempts": "a promise: at most so many requests of a step in a direction; a number, or one for each operation",
    "min_backoff_ms": "a promise: at least so much time between two of them",
    "deadline_ms": "a promise: by then a saga is over, or in a person's hands",
    "envelope": "fields of a request that are headers, and may differ from attempt to attempt under one key",
    "definitions": "the versions of the saga, by the names that `world.adopt` uses",
    "isolation": "a promise: anomalies between sagas that the participants' data is free of",
    "topics": "how the messages of a topic are delivered, by topic: `sagafuzz.Topic(...)`",
    "emits": "which topic a built-in participant publishes when an operation took effect, by operation",
    "supervised": "`True` where something outside restarts a process in which a saga is stuck",
    "actors": "scripts by name, of who acts beside the orchestrator in the scenarios that name them",
    "invariants": "rules of its own: functions of a view that give a sentence for each breach, see "
    "[participants and rules of your own](own.md)",
    "resubmits": "`True` where a client may send its order again, and one order is one saga",
    "wrong_answers": "`True` where wrong answers are searched too: malformed, empty, another's, success without effect",
    "sagas": "further definitions, of which a scenario may have orders; `order.saga` names the one that an order is of",
}
MANIFEST = {
    "name": "how reports call the system; left out: the name of the file",
    "about": "a few words for people",
    "simulated": "the adapter of the same system for the simulator: findings say whether it shows the same",
    "saga": "its saga",
    "definition": "further sagas, a name and steps each: children of steps, and others of which there are orders",
    "component": "its processes",
    "capabilities": "what it can do, and how long it takes",
    "scenario": "its scenarios, instead of the [usual ones](#scenarios)",
    "topics": "by topic: how its messages come, the fields of a [topic](#messages)",
    "actors": "by name: the script of who acts beside the workers, `file.py:function`",
    "participants": "by name: one of your own in the place of the harness's, `file.py:Class`",
    "invariants": "rules of your own: `file.py:function` each",
    "requires": "modules that must be installed: by the name of each, the command that installs it",
    "workloads": "the [workloads](engines.md#workloads) that its worker can run beside its saga",
}
MANIFEST_SAGA = {
    "preset": "a [ready-made saga](engines.md), whose words hold where they are not written",
    "waits": "by the step: so many milliseconds the saga is to wait before it",
    "attempts": "after so many attempts a step is given up; 0: never",
    "signals": "by the step: it waits for a message of this topic, which a clerk sends for each order",
    "lazy": "how far it has come is to lie in the engine's state, and to be read when it is needed",
    "note_kb": "each order comes with a note of so many kilobytes",
    "name": "how reports call it",
    "step": "its steps, and groups of them, in order",
    "operations": "calls that belong to no step, a query for instance",
}
MANIFEST_STEP = {
    "id": "how the step is called in reports, sites and requests",
    "do": "what does it, spelt `participant.verb`",
    "undo": "what undoes it; none: there is nothing to undo",
    "kind": "`pivot`: after it the saga must complete; `retriable`: it cannot be refused",
    "after": "the names of its predecessors; left out: the step listed before; `[]`: none",
    "many": "asked for in parts, each named by the header `Saga-Part`",
    "needs": "`any` where the saga completes with one of the parts",
    "amount": "the field of its requests, or of their answers, that says how much",
    "consumes": "the earlier step that it uses up",
    "part_by_part": "a part comes after the same part of the steps before it, not after the others",
    "optional": "in the place of a step: the name of a group that may be left out",
    "child": "in the place of `do`: the `[[definition]]` that is the step, a saga of its own",
    "one_of": "in the place of a step: the name of a group of which one alternative is done",
    "step": "of an `optional` group, and of an alternative of several steps: these",
    "alternative": "of `one_of`: each a step, or several",
}
COMPONENT = {
    "role": "`store`, `server` or `worker`; they start in this order, and there is one worker",
    "preset": "a [ready-made component](engines.md), whose words hold where they are not written",
    "argv": "what starts it; `{python}`, `{here}`, `{dir}`, `{build}`, `{port}`, `{port.WORD}`, `{NAME.port}` and "
    "`{program.NAME}` are put in",
    "name": "how it is called; left out: its role",
    "env": "variables of its environment, beside the usual ones",
    "control": "how a worker takes commands: `stdio` or `http`",
    "ready": "of a store or server: a line of its output that says that it is ready",
    "ready_url": "of a store or server: where it then answers, `http://127.0.0.1:{port}/…` or `tcp://127.0.0.1:{port}`",
    "ready_ms": "how long it may take to be ready",
    "stop_ms": "how long it may take from SIGTERM to its end, where no fault struck",
    "ahead": "a worker on stdio that starts before a case needs it, and [waits](live.md#the-protocol)",
    "prefork": "a Python worker that starts as a fork of a warm interpreter",
    "preload": "modules that this interpreter has imported",
    "build": "run once, before the first case",
    "build_ms": "how long that may take",
    "replicas": "so many of them at once",
    "max_output_kb": "how much it may write",
    "shared": "a store or server: started once for all cases",
    "address": "a store that is not to be started: where it is, on 127.0.0.1",
    "proxy": "a store whose commits are to be sites: `postgresql` or `redis`",
    "signal": "what a crash sends a worker: `KILL`, `TERM` or `INT`",
}
CAPABILITY = {
    "resume": "after a restart: by itself (`auto`), by the command recover (`on_poke`), or `none`",
    "supervised": "something outside restarts a worker in which a saga is stuck",
    "resubmits": "its clients may send an order again: `start` comes twice for one saga",
    "wrong_answers": "search answers that are wrong too, as `--wrong-answers` does",
    "envelope": "fields of a request that are headers, and may differ from attempt to attempt under one key",
    "receives": "it understands the command receive: it can be sent messages",
    "emits": "which topic the harness's participant publishes when an operation took effect, by operation",
    "cancel": "it understands the command cancel",
    "records": "it shows its durable writes",
    "store_errors": "and they fail where the harness answers 503",
    "require_token": "requests without the case's token are refused",
    "call_timeout_ms": "how long its callers wait for an answer",
    "lease_ms": "for how long it may hold a saga without a sign of life",
    "max_recovery_ms": "what it needs at most to finish after a fault",
    "settle_ms": "for how long nothing may happen before all is at rest; left out: from the other times",
    "partition_ms": "how long a partition, or an outage of a participant, lasts",
    "pause_ms": "how long a paused process stands still at most; 0: twice the lease, or `max_recovery_ms`",
    "restart_ms": "from a crash to the next start",
    "crash": "components that a crash is to kill as well, by their names: each alone, and all together",
    "crash_by": "what crashes are to send beside SIGKILL: `TERM`, `INT`, or `EOF`, the loss of the control channel",
    "slow_commit_ms": "how much later a slow store answers",
    "tickets": "those of `operations` by which a person is called, and a saga put aside",
    "forgetting_refusals": "participants that may refuse for a moment, and accept the next attempt",
    "expiring": "participants whose reservations may run out",
    "key_scope": "how widely a participant knows a key, by its name: `operation`, `account` or `tenant`",
    "max_attempts": "a promise: at most so many requests of a step in a direction; a number, or a table by operation",
    "min_backoff_ms": "a promise: at least so much time between two of them",
    "isolation": "a promise: anomalies between sagas that the participants' data is free of",
    "durable_execution": "a promise: a crash changes nothing; each saga ends as it does without one",
    "cannot_suffer": "fault kinds that are not to be tried",
}
SCENARIO = {
    "name": "what `--scenario` takes",
    "about": "a few words for `sagafuzz adapters`",
    "sagas": "how many sagas run",
    "amounts": "what they cost, taken in turn",
    "quantity": "how many pieces each takes",
    "items": "which item each takes, in turn",
    "accounts": "who pays, in turn",
    "stock": "how many pieces there are of each item",
    "funds": "what each account holds",
    "limit": "a charge above it is declined",
    "rejections": "what the business refuses: (number of the saga from 1, operation)",
    "undisturbed": "so many of the sagas, from the first, are struck by no fault",
    "gap_ms": "time between two submissions, in virtual milliseconds",
    "submitted": "the numbers of the sagas in the order of their submission, where that is not their own",
    "data": "anything; it comes with each order as `order.data`",
    "succeeds": "whether its orders are meant to go through; left out: where nothing above refuses them",
    "actors": "the names of those who act beside the orchestrator, of the adapter's `actors`",
    "strikes": "the components of a live system that a crash kills, in the place of the process that acts",
    "signal": "what a crash sends to a live system in the place of SIGKILL: `TERM`, `INT` or `EOF` (see `crash_by`)",
    "of": "the names of the definitions that the orders are of, in turn; left out: the adapter's `saga`",
}
OUTCOMES = {
    "COMPLETED": "every step is in effect",
    "COMPENSATED": "no step is in effect",
    "PENDING": "accepted; the end is not known yet",
    "STUCK": "a compensation is put aside, and a person was called",
}
RULES = {
    "submit": "the next order of the scenario comes in",
    "deliver": "a message in flight arrives; its answer comes back",
    "duplicate": "a message arrives twice, one copy right after the other",
    "copy": "a second copy of a message joins those in flight",
    "drop": "a message is lost",
    "lose_ack": "a message arrives, and its answer is lost",
    "reject": "the participant refuses a message for a business reason, where it still can",
    "resubmit": "a client sends its order again, where the adapter declares `resubmits=`",
    "park": "a message goes to the dead-letter queue, where its topic has one",
    "crash": "the orchestrator dies",
    "restart": "a new process boots and recovers",
    "advance": "time passes",
}


def faults() -> str:
    return table(
        ("kind", "strikes when", "of", "what happens", "only where"),
        (
            (
                f"`{kind.name}`",
                PHASES.get(kind.phase, kind.phase),
                "" if kind.phase == AT_BOOT else ", ".join(DIRECTIONS[direction] for direction in kind.directions),
                kind.meaning,
                "; ".join(
                    ([CAPABILITIES[kind.needs]] if kind.needs else [])
                    + [f"the step is not `{condition}`" for condition in kind.unless]
                ),
            )
            for kind in FAULT_KINDS.values()
        ),
    )


def invariants() -> str:
    return table(
        ("id", "name", "holds when", "usual cause", "repair"),
        ((f"**{entry.id}**", entry.name, entry.holds_when, entry.cause, entry.repair) for entry in numbered()),
    )


def explanations() -> str:
    return table(
        ("id", "nature", "its violation explains", "source"),
        ((f"**{entry.id}**", entry.nature, ", ".join(entry.explains), entry.source) for entry in numbered()),
    )


def readings() -> str:
    return "\n".join(f"- **{entry.id}**: {entry.judged}" for entry in numbered())


def numbered() -> list[Invariant]:
    """The invariants by their numbers, those about sagas first."""
    return sorted(INVARIANTS.values(), key=lambda entry: (entry.id[0] != "I", int(entry.id[1:])))


def ports() -> str:
    return table(
        ("port", "what it does"),
        (*members("world.", World), *members("world.store.", Store), *members("world.file().", DurableFile)),
    )


def transaction() -> str:
    attributes = [(f"`tx.{name}`", f"a `{kind}`") for name, kind in Transaction.__annotations__.items()]
    return table(("of the transaction", "what it is, or does"), (*attributes, *members("tx.", Transaction)))


def steps() -> str:
    return fields(sagafuzz.Step, STEP)


def message() -> str:
    return fields(sagafuzz.Message, MESSAGE_FIELDS)


def topic() -> str:
    return fields(sagafuzz.Topic, TOPIC)


def adapter() -> str:
    found = inspect.signature(sagafuzz.adapter).parameters.values()
    return table(
        ("option", "default", "what it says"),
        ((f"`{p.name}`", default(p.default, p.empty), ADAPTER[p.name]) for p in same(found, ADAPTER)),
    )


def manifest() -> str:
    """A table for each of the manifest's."""
    return "\n\n".join(
        f"**{title}**\n\n{fields(of, about, as_toml)}"
        for title, of, about in (
            ("The file", ManifestTable, MANIFEST),
            ("`[saga]`", SagaTable, MANIFEST_SAGA),
            ("`[[saga.step]]`", StepTable, MANIFEST_STEP),
            ("`[[component]]`", Component, COMPONENT),
            ("`[capabilities]`", Capabilities, CAPABILITY),
        )
    )


def actors() -> str:
    return table(("of an actor", "what it does"), members("actor.", sagafuzz.Actor))


def scenario() -> str:
    return fields(sagafuzz.Scenario, SCENARIO)


def outcomes() -> str:
    return table(
        ("outcome", "it says"), ((f"`Outcome.{entry.name}`", OUTCOMES[entry.name]) for entry in same(Outcome, OUTCOMES))
    )


def rules() -> str:
    rows = ((f"`{name}`", "yes" if name in FAULTY_ACTIONS else "", RULES[name]) for name in ACTIONS)
    if set(RULES) != set(ACTIONS):
        raise SystemExit(
            f"tools/make_reference.py: RULES differs from the rules there are: {set(RULES) ^ set(ACTIONS)}"
        )
    return table(("rule", "a fault", "what happens"), rows)


def reductions() -> str:
    return table(
        ("reduction", "what it spares", "its condition", "why that loses nothing"),
        ((row.name, row.spares, row.assumes, row.because) for row in ALL),
    )


def commands() -> str:
    parts = []
    for name, command in sorted(walked(cli)):
        about = " ".join((command.help or "").split("\n\n")[0].split())
        words = [f"sagafuzz {name}", *(p.make_metavar(click.Context(command)) for p in arguments(command))]
        parts.append(f"### {' '.join(words)}\n\n{about}")
        rows = [option(entry) for entry in command.params if isinstance(entry, click.Option)]
        if rows:
            parts.append(table(("option", "default", "what it does"), rows))
    return "\n\n".join(parts)


def walked(group: click.Group, *before: str) -> Iterable[tuple[str, click.Command]]:
    """The commands of a group, those of the groups in it in place of these."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walked(command, *before, name)
        else:
            yield " ".join((*before, name)), command


def plugin() -> str:
    rows = [
        (f"`--saga-{name} {number.metavar}`", f"`saga_{name}`", f"{number.default}", number.help)
        for name, number in NUMBERS.items()
    ]
    rows += [
        (f"`--saga-{name} {place.metavar}`", f"`saga_{name.replace('-', '_')}`", "", place.help)
        for name, place in PLACES.items()
    ]
    rows.append(("`--saga-replay ID|FILE`", "", "", REPLAY_HELP))
    hooks_given = table(
        ("hook", "what it brings"),
        (
            (f"`{name}{bare(inspect.signature(hook))}`", " ".join((inspect.getdoc(hook) or "").split()))
            for name, hook in inspect.getmembers(hooks, inspect.isfunction)
        ),
    )
    taken = ", ".join(f"`{name}`" for name in ARGUMENTS)
    options = table(("option", "ini setting", "default", "what it does"), rows)
    return f"`@pytest.mark.saga(…)`, `saga.check(…)` and `saga.run(…)` take {taken}.\n\n{options}\n\n{hooks_given}"


def files() -> str:
    rows = [(f"`{output.file}`", output.title) for output in REPORTS.values() if output.file]
    rows += [
        ("`F-….json`", "one finding, to be run again with `sagafuzz replay`"),
        ("`F-….ndjson`", "its history: a header line, then one event a line"),
        ("`F-….output.txt`", "what each of its processes wrote, in live mode"),
    ]
    rows += [(f"`{output.file}`", f"{output.title} (`compare` only)") for output in COMPARISONS.values() if output.file]
    return table(("file", "what it holds"), rows)


Regions = Mapping[str, Callable[[], str]]

REGIONS: Regions = {
    "faults": faults,
    "invariants": invariants,
    "readings": readings,
    "explanations": explanations,
    "ports": ports,
    "transaction": transaction,
    "steps": steps,
    "message": message,
    "topic": topic,
    "adapter": adapter,
    "actors": actors,
    "scenario": scenario,
    "manifest": manifest,
    "outcomes": outcomes,
    "rules": rules,
    "commands": commands,
    "plugin": plugin,
    "files": files,
}

PAGES: Mapping[str, Regions] = {"reference.md": REGIONS, "spared.md": {"reductions": reductions}}
"""The regions of each page."""


# -- from code to rows -------------------------------------------------------------------------


def members(prefix: str, protocol: type) -> Iterable[tuple[str, str]]:
    """The public methods and properties of a protocol, with the first sentence of each."""
    for name, member in vars(protocol).items():
        about = inspect.getdoc(member)
        if name.startswith("_") or about is None:
            continue
        shown = f"{prefix}{name}"
        if callable(member):
            shown += bare(inspect.signature(member))
        yield f"`{shown}`", " ".join(about.replace("``", "`").split())


def bare(signature: inspect.Signature) -> str:
    """The parameters without ``self`` and without types, which are long and stand in the code."""
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def fields(of: Any, about: dict[str, str], written: Callable[[object], str] = repr) -> str:
    """The fields of a class, their defaults ``written`` so."""
    found = [entry for entry in dataclasses.fields(of) if not entry.name.startswith("_")]
    return table(
        ("field", "default", "what it says"),
        (
            (
                f"`{entry.name}`",
                "`{}`"
                if entry.default_factory is not dataclasses.MISSING
                else default(entry.default, dataclasses.MISSING, written),
                about[entry.name],
            )
            for entry in same(found, about)
        ),
    )


def default(value: object, missing: object, written: Callable[[object], str] = repr) -> str:
    if value is missing:
        return "needed"
    return "" if value in (None, "") else f"`{written(value)}`"


def as_toml(value: object) -> str:
    return "[]" if value == () else json.dumps(value)


def arguments(command: click.Command) -> list[click.Argument]:
    return [entry for entry in command.params if isinstance(entry, click.Argument)]


def option(entry: click.Option) -> tuple[str, str, str]:
    metavar = "" if entry.is_flag else f" {entry.metavar or entry.type.name.upper()}"
    shown = f"`{entry.default}`" if entry.show_default else ""
    return f"`{', '.join(entry.opts)}{metavar}`", shown, entry.help or ""


def same(found: Iterable[Any], about: dict[str, str]) -> list[Any]:
    """``found``, if exactly these are described; otherwise the one that is missing is named."""
    entries = list(found)
    differ = {entry.name for entry in entries} ^ set(about)
    if differ:
        raise SystemExit(f"tools/make_reference.py: describe {', '.join(sorted(differ))}, or take it out")
    return entries


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. Columns that are empty in every row are left out."""
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    kept = [n for n in range(len(headers)) if any(row[n] for row in cells)]
    lines = [[headers[n] for n in kept], ["---"] * len(kept), *([row[n] for n in kept] for row in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- the page ----------------------------------------------------------------------------------


def rewritten(text: str, regions: Regions = REGIONS) -> str:
    """The page with every region made anew. SystemExit where a region is missing or unknown."""
    marked = set(re.findall(r"<!-- begin (\S+) -->", text))
    if marked != set(regions):
        raise SystemExit(
            f"tools/make_reference.py: regions that are marked, or made, but not both: {marked ^ set(regions)}"
        )
    for name, make in regions.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"tools/make_reference.py: {begin} has no {end}")
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def stale(text: str, regions: Regions = REGIONS) -> list[str]:
    """The names of the regions that are not what the code says now."""
    new = rewritten(text, regions)
    parts = (re.compile(rf"<!-- begin {name} -->(.*?)<!-- end {name} -->", re.DOTALL) for name in regions)
    return [name for name, part in zip(regions, parts, strict=True) if part.findall(text) != part.findall(new)]


if __name__ == "__main__":
    for page, made in PAGES.items():
        path = DOCS / page
        old = path.read_text(encoding="utf-8")
        if "--check" not in sys.argv[1:]:
            path.write_text(rewritten(old, made), encoding="utf-8", newline="\n")
        elif found := stale(old, made):
            sys.exit(f"docs/{page} is stale: {', '.join(found)}; run it again")
