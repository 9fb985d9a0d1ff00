"""The examples: what is wrong in one is found, and what is right is not blamed."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.verdict import Report

from .reading import TOP, Shell, commands, fences, shows, visiting


def search(folder: Path, spec: str, faults: int, scenario: str = "") -> Report:
    with visiting(folder), quiet():
        adapter = load(spec)
        scenarios = (adapter.scenario(scenario),) if scenario else ()
        return Campaign(adapter, Settings(max_faults=faults, examples=0, scenarios=scenarios)).run()


@pytest.mark.parametrize(
    ("spec", "faults", "scenario", "told"),
    [
        ("first_saga/shop_adapter.py:ShopCheckout", 2, "succeeds", {"I5": "leaked effect"}),
        (
            "own_participant/payments_adapter.py:Booking",
            1,
            "",
            {"I1": "duplicate effect", "I15": "effect after the end"},
        ),
        ("async_saga/async_adapter.py:AsyncShop", 0, "", {"I5": "leaked effect"}),
        ("isolation/isolation_adapter.py:Unlocked", 0, "", {"I25": "dirty-read"}),
        ("own_rules/stock_adapter.py:PaysFirst", 1, "", {"R1": "charged for what is held"}),
        ("webhooks/webhooks_adapter.py:Shop", 1, "", {"I40": "acknowledged and lost"}),
        ("payments/payments_adapter.py:Generous", 0, "", {"I17": "more than there was"}),
        ("order_lines/lines_adapter.py:Leaking", 0, "", {"I5": "leaked effect"}),
        ("clerk/orders_adapter.py:ShopKeepsHolds", 0, "unaccepted", {"I5": "leaked effect"}),
        (
            "several_sagas/desk_adapter.py:Mixed",
            1,
            "one-each",
            {"I2": "step of another saga", "I6": "unknown taken for success", "I23": "hollow success"},
        ),
    ],
)
def test_what_is_wrong_is_found(examples: Path, spec: str, faults: int, scenario: str, told: dict[str, str]) -> None:
    folder, _, name = spec.partition("/")
    report = search(examples / folder, name, faults, scenario)
    assert (report.verdict, report.distinct_invariants) == ("violated", tuple(told))
    assert {finding.violation.invariant: finding.violation.anomaly for finding in report.findings} == told
    for finding in report.findings:
        assert finding.plan is not None and len(finding.plan) <= faults and finding.necessary


@pytest.mark.parametrize(
    "spec",
    [
        "first_saga/shop_adapter.py:ShopCheckout",
        "first_saga/shop_adapter.py:ShopCheckoutFixed",  # two faults are in its own test, which is run below
    ],  # of the others their pages show it, which are below too
)
def test_what_is_right_is_not_blamed(examples: Path, spec: str) -> None:
    folder, _, name = spec.partition("/")
    report = search(examples / folder, name, faults=1)
    assert (report.verdict, report.findings) == ("consistent", ())
    assert report.counts.fired == report.counts.run > 40


def test_the_orchestrator_of_the_first_saga_has_forty_lines_at_most(examples: Path) -> None:
    _, *lines = (examples / "first_saga" / "checkout.py").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40


@pytest.mark.parametrize(
    "folder",
    ["first_saga", "own_participant", "async_saga", "checkout"],  # those of the others are with the guide's, below
)
def test_the_page_of_an_example_shows_what_happens(examples: Path, shell: Shell, folder: str) -> None:
    shell.folder = examples / folder
    assert_happens(TOP / "examples" / folder / "README.md", shell)


def readme(folder: str) -> list[Path]:
    """The page of an example, where it has one with commands."""
    page = TOP / "examples" / folder / "README.md"
    return [page] if any(fence.language == "console" for fence in fences(page.read_text(encoding="utf-8"))) else []


def assert_happens(page: Path, shell: Shell, *others: Path) -> None:
    """The commands of these pages, which are about one folder, show what they say. A search that several show is done
    once."""
    searched: dict[str, tuple[str, int]] = {}
    for each in (page, *others):
        blocks = fences(each.read_text(encoding="utf-8"))
        done = [command for fence in blocks if fence.language == "console" for command in commands(fence)]
        assert done
        for command in done:
            if command.words in searched:
                got, shell.code = searched[command.words]
            else:
                got = shell.do(command.words)
            if command.words.startswith("sagafuzz run "):
                searched[command.words] = got, shell.code
            assert shows(command.shown, got), f"{each.name}:{command.line}: {command.words}\n{got}"


@pytest.mark.parametrize(
    ("page", "module", "shown"), [("webhooks", "webhooks_adapter.py", 2), ("approvals", "approval_adapter.py", 2)]
)
def test_a_page_on_messages_shows_the_example_and_what_happens(
    examples: Path, shell: Shell, page: str, module: str, shown: int
) -> None:
    (folder,) = [path.parent for path in examples.rglob(module)]
    code = (folder / module).read_text(encoding="utf-8")
    text = (TOP / "docs" / f"{page}.md").read_text(encoding="utf-8")
    handlers = [fence.text for fence in fences(text) if fence.text.startswith("def receive(")]
    assert len(handlers) == shown
    for handler in handlers:
        assert indent(handler, "    ") in code
    shell.folder = folder
    assert_happens(TOP / "docs" / f"{page}.md", shell)


@pytest.mark.parametrize(
    ("page", "folder"), [("payments", "payments"), ("order-lines", "order_lines"), ("service", "service")]
)
def test_a_page_of_the_guide_shows_its_example_and_what_happens(
    examples: Path, shell: Shell, page: str, folder: str
) -> None:
    written = TOP / "docs" / f"{page}.md"
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((examples / folder).rglob("*.py")))
    shown = [fence.text for fence in fences(written.read_text(encoding="utf-8")) if fence.language == "python"]
    assert len(shown) >= 2
    for text in shown:
        lines = (line.strip() for line in text.splitlines() if line.strip())
        assert all(line in code for line in lines)
    shell.folder = examples / folder
    assert_happens(written, shell, *readme(folder))


def test_the_page_on_trips_shows_the_sagas_of_the_zoo_and_the_example_and_what_happens(
    examples: Path, shell: Shell
) -> None:
    page = TOP / "docs" / "trips.md"
    first, second, *others = [
        fence.text for fence in fences(page.read_text(encoding="utf-8")) if fence.language == "python"
    ]
    for text, module in ((first, "trips.py"), (second, "families.py")):
        assert text in (TOP / "adapters" / "zoo" / module).read_text(encoding="utf-8")
    shell.folder = examples / "several_sagas"
    code = (shell.folder / "desk_adapter.py").read_text(encoding="utf-8")
    assert len(others) == 2
    for text in others:
        assert all(line in code for line in text.splitlines())
    assert_happens(page, shell, *readme("several_sagas"))


def test_the_page_on_isolation_shows_the_example_and_what_happens(examples: Path, shell: Shell) -> None:
    page = TOP / "docs" / "isolation.md"
    code = (examples / "isolation" / "inventory.py").read_text(encoding="utf-8")
    shown = [fence.text for fence in fences(page.read_text(encoding="utf-8")) if fence.language == "python"]
    assert len(shown) == 2
    for text in shown:
        assert indent(text, "    ") in code
    shell.folder = examples / "isolation"
    assert_happens(page, shell, *readme("isolation"))


def test_the_page_on_rules_shows_the_example_and_what_happens(examples: Path, shell: Shell) -> None:
    page = TOP / "docs" / "own.md"
    files = ("stock_adapter.py", "bank_adapter.py")
    code = "".join((examples / "own_rules" / file).read_text(encoding="utf-8") for file in files)
    shown = [fence.text for fence in fences(page.read_text(encoding="utf-8")) if fence.language == "python"]
    assert shown and all(text in code for text in shown)
    shell.folder = examples / "own_rules"
    assert_happens(page, shell)


def test_the_page_on_actors_shows_the_example_and_what_happens(examples: Path, shell: Shell) -> None:
    page = TOP / "docs" / "actors.md"
    code = "".join(
        (examples / "clerk" / name).read_text(encoding="utf-8") for name in ("orders.py", "orders_adapter.py")
    )
    shown = [fence.text for fence in fences(page.read_text(encoding="utf-8")) if fence.language == "python"]
    assert len(shown) == 2 and all(text in code for text in shown)
    shell.folder = examples / "clerk"
    assert_happens(page, shell, *readme("clerk"))


@pytest.mark.slow
def test_a_service_is_tested_as_it_is(examples: Path) -> None:
    report = search(examples / "service", "tours_adapter.py:Tours", faults=1)
    assert (report.verdict, report.findings) == ("consistent", ())
    assert report.counts.fired == report.counts.run > 400
    (found,) = search(examples / "service", "tours_adapter.py:ForgetfulTours", faults=1, scenario="succeeds").findings
    assert (found.violation.invariant, found.violation.anomaly) == ("I1", "duplicate effect")
