"""Rules that an adapter declares: judged by every command, made small, explained, and run again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

RULES = '''
import sagafuzz


@sagafuzz.rule(reads="moments", repair="charge before the order is made")
def order_is_paid(view):
    """Whoever has an order at the end has paid, or is just about to."""
    for moment in view.moments:
        if moment.participant == "client" and moment.told[moment.saga] == "completed":
            paid = {row["saga"] for row in moment.state("payment")["rows"]}
            if moment.saga not in paid:
                yield moment.wrong(f"{moment.saga} was told to be completed and did not pay")


@sagafuzz.rule(reads="rest")
def nothing_is_free(view):
    orders = {row["saga"] for row in view.rest.state("order")["rows"]}
    paid = {row["saga"] for row in view.rest.state("payment")["rows"]}
    return [f"{saga} has an order and did not pay" for saga in sorted(orders - paid)]
'''

CARELESS = """
for operation in ("order.create", "payment.charge"):
    try:
        self.world.call(operation, saga=order.id, key=order.id)
    except sagafuzz.PortError:
        pass
return True
"""


@pytest.fixture
def ruled(shop: Callable[..., str]) -> Callable[[str], str]:
    """shop.py with these rules in its declaration."""

    def write(invariants: str, before: str = RULES) -> str:
        name = shop(CARELESS, before=before)
        text = Path("shop.py").read_text()
        declared = "scenarios=[sagafuzz.Scenario()])"
        assert declared in text
        Path("shop.py").write_text(text.replace(declared, f"scenarios=[sagafuzz.Scenario()], invariants={invariants})"))
        return name

    return write


def rules_in(folder: str) -> dict[str, str]:
    """The statuses of the rules in a report, by id and name."""
    results = json.loads(Path(folder, "report.json").read_text())["invariants"]
    return {f"{id} {result['name']}": result["status"] for id, result in results.items() if id[0] == "R"}


def found_by(id: str) -> list[Path]:
    """The replay files of what a rule found."""
    files = Path("out").glob("F-*.json")
    return [file for file in files if json.loads(file.read_text())["violation"]["invariant"] == id]


def test_run_finds_what_breaks_them_small_and_explained(sagafuzz: Run, ruled: Callable[[str], str]) -> None:
    name = ruled("[order_is_paid, nothing_is_free]")
    result = sagafuzz("run", name, "--faults", 2, "--random", 20, "--report-dir", "out")
    assert (result.code, result.err) == (1, "")
    assert rules_in("out") == {"R1 order is paid": "violated", "R2 nothing is free": "violated"}
    (found,) = [line for line in result.out.splitlines() if "R1 order is paid" in line and line.startswith("F-")]
    assert "saga-1 was told to be completed and did not pay" in result.out
    assert "repair: charge before the order is made" in " ".join(result.out.split())
    finding = json.loads(Path("out", f"{found.split()[0]}.json").read_text())
    assert len(finding["faults"]) == 1


@pytest.mark.parametrize("what", ["replay", "fuzz", "compare", "verify"])
def test_the_other_commands_judge_by_them_too(sagafuzz: Run, ruled: Callable[[str], str], what: str) -> None:
    name = ruled("[nothing_is_free]")
    if what == "replay":
        sagafuzz("run", name, "--faults", 1, "--random", 0, "--report-dir", "out")
        (file,) = [
            f for f in Path("out").glob("F-*.json") if json.loads(f.read_text())["violation"]["invariant"] == "R1"
        ]
        result = sagafuzz("replay", file)
        assert (result.code, "R1: saga-1 has an order and did not pay" in result.out) == (1, True)
    elif what == "fuzz":
        sagafuzz("fuzz", name, "--max-plans", 60, "--report-dir", "out")
        assert rules_in("out") == {"R1 nothing is free": "violated"}
    elif what == "compare":
        result = sagafuzz("compare", name, "reference", "--faults", 1, "--random", 0, "--scenario", "succeeds")
        (line,) = [line for line in result.out.splitlines() if "nothing is free" in line and line.startswith("R1")]
        assert line.split()[-2:] == ["✗", "–"]
    else:
        sagafuzz("run", name, "--faults", 0, "--random", 0, "--report-dir", "out")
        assert rules_in("out") == {"R1 nothing is free": "holds"}


def test_one_that_changed_its_place_is_told(sagafuzz: Run, ruled: Callable[[str], str]) -> None:
    sagafuzz("run", ruled("[nothing_is_free]"), "--faults", 1, "--random", 0, "--report-dir", "out")
    (file,) = found_by("R1")
    path = ruled("[order_is_paid, nothing_is_free]")
    recorded = json.loads(file.read_text())
    Path("again.json").write_text(json.dumps({**recorded, "adapter": path.replace("shop.py", "moved.py")}))
    Path("moved.py").write_text(Path("shop.py").read_text())
    result = sagafuzz("replay", "again.json")
    assert result.code == 3
    assert "R1 was the rule 'nothing is free' and is 'order is paid' now" in result.out


@pytest.mark.parametrize(
    ("invariants", "expected"),
    [
        ("[7]", "adapter 'Shop': invariants has 7; write a function, def never_oversold(view): ..."),
        ("[lambda: ()]", "adapter 'Shop': invariants has <lambda>(); write a function of one argument, the view"),
        (
            "[sagafuzz.rule(reads='momints')(print)]",
            "rule 'print': reads='momints' (did you mean 'moments'?); there is",
        ),
        ("[sagafuzz.rule(id='I1')(print)]", "invariant 'I1': its id is taken; write another, S1 for instance"),
    ],
)
def test_one_that_cannot_be_used_is_named(
    sagafuzz: Run, ruled: Callable[[str], str], invariants: str, expected: str
) -> None:
    assert expected in sagafuzz("run", ruled(invariants), "--faults", 0, "--random", 0).err


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return True", "returned True; return a list of sentences, or yield them"),
        ("return [7]", "gave 7; give sentences, or what moment.wrong(sentence) makes"),
        ("view.rest.state('paymnet')", "no participant 'paymnet' (did you mean 'payment'?); there is order, payment"),
        ("view.moments", "it reads rest only; write @sagafuzz.rule(reads='moments') above it"),
        ("view.history", "it reads rest only; write @sagafuzz.rule(reads='history') above it"),
    ],
)
def test_one_that_gives_up_makes_the_campaign_inconclusive(
    sagafuzz: Run, ruled: Callable[..., str], body: str, expected: str
) -> None:
    before = f"import sagafuzz\n\n@sagafuzz.rule(reads='rest')\ndef mine(view):\n    {body}\n"
    result = sagafuzz("run", ruled("[mine]", before), "--faults", 0, "--random", 0)
    assert result.code == 3
    assert expected in " ".join(result.out.split())


def test_one_that_looks_at_nothing_is_not_exercised(sagafuzz: Run, ruled: Callable[..., str]) -> None:
    before = "import sagafuzz\n\ndef blind(view):\n    return ()\n"
    sagafuzz("run", ruled("[blind]", before), "--faults", 0, "--random", 0, "--report-dir", "out")
    assert rules_in("out") == {"R1 blind": "not exercised"}
