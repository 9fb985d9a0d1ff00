"""The recipes: services in 40 lines, which are right, and in which a change of a few words is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.postgres_server import SERVER
from sagafuzz.verdict import Report

from ..reference.stores import POSTGRES, address
from ..warm import warm
from .reading import TOP, Shell, visiting
from .test_examples import assert_happens

RECIPES = {
    "asyncpg_hires": "asyncpg_adapter.py:Hires",
    "django_loans": "django_adapter.py:Loans",
    "flask_tickets": "flask_adapter.py:Tickets",
    "pool_parcels": "pool_adapter.py:Parcels",
    "apps_shop": "apps_adapter.py:Shop",
    "streams_sales": "streams_adapter.py:Sales",
    "celery_sales": "celery_adapter.py:Sales",
    "sqs_sales": "sqs_adapter.py:Sales",
    "kafka_sales": "kafka_adapter.py:Sales",
    "rabbit_sales": "rabbit_adapter.py:Sales",
}
"""The module of each service, and its adapter."""

OF_ORCHESTRATORS = (
    "crash-after-send",
    "crash-after-effect",
    "crash-before-log",
    "crash-after-log",
    "lost-ack",
    "reject",
)
OF_APPS = ("participant-crash-before-commit", "participant-crash-after-commit")
OF_MESSAGES = ("crash-after-publish", "crash-at-receipt", "lost-message-ack", "message-twice")
KINDS = (*OF_ORCHESTRATORS, *OF_APPS, *OF_MESSAGES)

SELLS = '                sell(message["Body"])\n'
DELETES = '                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])\n'

BUGS = {
    "asyncpg_hires": (('"undoing" if reserved else "failed"', '"failed"', "I5", "reject"),),
    "django_loans": (('"undoing" if lent else "failed"', '"failed"', "I5", "reject"),),
    "flask_tickets": (
        ('f"{sale}/{what}"', "str(__import__('uuid').uuid4())", "I1", "crash-after-send"),
        ('"undoing" if held else "failed"', '"failed"', "I5", "reject"),
    ),
    "pool_parcels": (('"" if done == asked else', '"" if done else', "I5", "reject"),),
    "apps_bank": (("key TEXT PRIMARY KEY", "key TEXT", "I1", "crash-after-send"),),
    "streams_sales": (
        (
            'await sell(fields["sale"])\n                await queue.xack("sales", "workers", message)',
            'await queue.xack("sales", "workers", message)\n                await sell(fields["sale"])',
            "I13",
            "crash-after-send",
        ),
    ),
    "sqs_sales": ((f"{SELLS}{DELETES}", f"{DELETES}{SELLS}", "I13", "crash-after-send"),),
    "kafka_sales": (("enable_auto_commit=False", "enable_auto_commit=True", "I40", "crash-after-send"),),
    "rabbit_sales": (
        ("async with message.process(requeue=True):", "await message.ack()\n    if True:", "I40", "crash-after-send"),
    ),
}
"""What is written instead of what in a service, which invariant tells of it, and by which kind of fault."""

ASKED_BY = {"apps_bank": "apps_shop"}
"""Of a module that is no service, which one asks it."""


@pytest.fixture(autouse=True)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL, where a recipe is about it."""
    if "asyncpg" in request.node.name:
        monkeypatch.setenv(SERVER, address(POSTGRES))


def search(folder: Path, spec: str, scenario: str, kinds: tuple[str, ...] = KINDS) -> Report:
    with visiting(folder), quiet():
        adapter = load(spec)
        chosen = (adapter.scenario(scenario),)
        return Campaign(adapter, Settings(max_faults=1, examples=0, scenarios=chosen, kinds=kinds)).run()


SLOW = ("celery_sales", "sqs_sales", "streams_sales")
"""Those whose searches take many seconds: where a message is lost, a run waits for it for long."""


def cases(of: Iterable[tuple[str, ...]]) -> list[Any]:
    """Cases of a test, by the name of a recipe first: those of slow ones are slow."""
    return [pytest.param(*each, marks=[pytest.mark.slow] if each[0] in SLOW else []) for each in of]


@pytest.mark.parametrize("name", cases((name,) for name in RECIPES))
def test_a_recipe_is_right_and_short(examples: Path, name: str) -> None:
    for scenario in ("succeeds", "declined"):
        report = search(examples / "recipes", RECIPES[name], scenario)
        assert (report.verdict, report.findings) == ("consistent", ())
        assert report.counts.fired == report.counts.run > 10
    _, *lines = (examples / "recipes" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40


@pytest.mark.parametrize("name", ["kafka_sales", "rabbit_sales"])
def test_a_client_of_a_broker_is_simulated_in_the_run_that_imports_it_first(examples: Path, name: str) -> None:
    words = ["run", RECIPES[name], "--faults", "0", "--random", "0", "--scenario", "succeeds"]
    done = subprocess.run(
        warm("sagafuzz", *words),
        cwd=examples / "recipes",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "sale on Sales:" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "right", "wrong", "told", "kind"),
    cases((name, *bug) for name, bugs in BUGS.items() for bug in bugs),
)
def test_a_bug_in_a_recipe_is_found_with_its_line(
    examples: Path, name: str, right: str, wrong: str, told: str, kind: str
) -> None:
    folder = examples / "recipes"
    text = (folder / f"{name}.py").read_text(encoding="utf-8")
    assert text.count(right) == 1
    (folder / f"{name}.py").write_text(text.replace(right, wrong), encoding="utf-8")
    service = ASKED_BY.get(name, name)
    found = {
        finding.violation.invariant: finding
        for finding in search(folder, RECIPES[service], "succeeds", (kind,)).findings
    }
    assert told in found and f"{service}.py:" in str(found[told].explanation), list(found)


def test_the_page_of_the_recipes_shows_what_happens(examples: Path, shell: Shell) -> None:
    shell.folder = examples / "recipes"
    assert_happens(TOP / "examples" / "recipes" / "README.md", shell)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_search_repeats_whatever_the_hash_seed_and_the_number_of_workers(examples: Path, name: str) -> None:
    told = []
    for seed, workers in (("1", "1"), ("77", "2")):
        words = ["run", RECIPES[name], "--faults", "1", "--random", "0", "--scenario", "succeeds", "-j", workers]
        done = subprocess.run(
            [sys.executable, "-m", "sagafuzz", *words, "--kinds", ",".join(KINDS[::3])],
            cwd=examples / "recipes",
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told += re.findall(r"digest (\w+)", done.stdout)
    assert len(told) == 2 and len(set(told)) == 1
