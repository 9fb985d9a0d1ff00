"""Input that cannot be used: one line that says what to write, and exit code 2."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Saga, Step, UsageError, adapter

from .conftest import Run

SAGA = 'import sagafuzz\nSAGA = sagafuzz.Saga("shop", [sagafuzz.Step("order", "order.create")])\n'


def write(text: str, name: str = "shop.py") -> None:
    Path(name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "refrence"], "unknown adapter 'refrence' (did you mean 'reference'?)"),
        (["run", "shop.py"], "there is no file 'shop.py' here"),
        (["run", "absent.py:Shop"], "there is no file 'absent.py' here"),
        (["run", "absent_module:Shop"], "No module named 'absent_module'; is 'absent_module' installed"),
        (["run", ":Shop"], "write module:attr, file.py:attr or manifest.toml"),
        (["run", "seed", "--fautls", "1"], "there is no option '--fautls' (did you mean '--faults'?)"),
        (["run", "seed", "--faults", "9"], "9 is not in the range 0<=x<=6"),
        (["run", "seed", "--sagas", "0"], "0 is not in the range 1<=x<=8"),
        (["run", "seed", "--scenario", "decline"], "no scenario 'decline' (did you mean 'declined'?)"),
        (["run"], "Missing argument 'ADAPTER'"),
        (["rnu", "seed"], "there is no command 'rnu' (did you mean 'run'?)"),
        (["compare", "seed", "--expect", "violatd"], "'violatd' is no verdict (did you mean 'violated'?)"),
        (["compare", "seed", "--expect", "violated,violated"], "2 verdicts for 1 adapters; write one for each"),
        (["compare", "seed", "--scenario", "decline"], "did you mean 'declined'?"),
        (["replay", "absent.json"], "cannot read 'absent.json'"),
    ],
)
def test_one_line_says_what_is_wrong(sagafuzz: Run, arguments: list[str], expected: str) -> None:
    result = sagafuzz(*arguments)
    assert result.code == 2
    assert expected in result.complaint


def test_without_a_command_the_help_is_shown(sagafuzz: Run) -> None:
    result = sagafuzz()
    assert (result.code, result.out) == (2, "")
    assert "Commands:\n" in result.err


FILES = {
    "raises": (
        'import json\n\n\ndef read():\n    return json.loads("oops")\n\n\nread()\n',
        "does not import: JSONDecodeError: Expecting value: line 1 column 1 (char 0) (shop.py:5)",
    ),
    "syntax": ("x = (\n", "adapter 'shop.py:Shop' does not import: SyntaxError: '(' was never closed (shop.py:1)"),
    "exits": ("import sys\nsys.exit(3)\n", "adapter 'shop.py:Shop' does not import: SystemExit: 3 (shop.py:2)"),
    "imports": (
        "import absent_shop\n",
        "No module named 'absent_shop' (shop.py:1); is 'absent_shop' installed, and do you run from the folder",
    ),
    "no boot": (
        SAGA + "@sagafuzz.adapter(saga=SAGA)\nclass Shop:\n    def run(self, order): ...\n",
        "adapter 'Shop' has no method 'boot'; add 'def boot(self, world): ...' to the class (shop.py:3)",
    ),
    "no run": (
        SAGA + "@sagafuzz.adapter(saga=SAGA)\nclass Shop:\n    def boot(self, world): ...\n",
        "adapter 'Shop' has no method 'run'; add 'def run(self, order): ...' to the class (shop.py:3)",
    ),
    "run without order": (
        SAGA + "@sagafuzz.adapter(saga=SAGA)\nclass Shop:\n    def boot(self, world): ...\n    def run(self): ...\n",
        "write 'def run(self, order): ...' (shop.py:3)",
    ),
    "not declared": (
        "class Shop:\n    def boot(self, world): ...\n    def run(self, order): ...\n",
        "'Shop' is not declared; put @sagafuzz.adapter(saga=...) above the class",
    ),
    "misspelt": (
        SAGA
        + "@sagafuzz.adapter(saga=SAGA)\nclass Shops:\n    def boot(self, w): ...\n    def run(self, order): ...\n",
        "shop.py has no 'Shop' (did you mean 'Shops'?); it declares Shops",
    ),
    "cyclic": (
        """from sagafuzz import Saga, Step

ORDER = Step("order", "order.create", after=("pay",))
SAGA = Saga("shop", [ORDER, Step("pay", "payment.charge", after=("order",))])
""",
        "saga 'shop': its steps form a cycle order -> pay -> order; take one name out of an 'after' (shop.py:4)",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_adapter(sagafuzz: Run, name: str) -> None:
    text, expected = FILES[name]
    write(text)
    result = sagafuzz("run", "shop.py:Shop")
    assert result.code == 2
    assert expected in result.complaint


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("Shop,Till", "write {0}:Shop or {0}:Till"), ("Shop", "write {0}:Shop"), ("", "it declares none")],
)
@pytest.mark.parametrize("named", ["shop_without_class.py", "shop_without_class"])
def test_a_module_without_a_class_is_told_with_those_that_it_declares(
    sagafuzz: Run, named: str, classes: str, expected: str
) -> None:
    sys.modules.pop("shop_without_class", None)
    body = "    def boot(self, world): ...\n    def run(self, order): ...\n"
    declared = [f"@sagafuzz.adapter(saga=SAGA)\nclass {name}:\n{body}" for name in classes.split(",") if name]
    write(SAGA + "".join(declared), "shop_without_class.py")
    result = sagafuzz("run", named)
    assert result.code == 2
    assert result.complaint == f"adapter {named!r} names a module, and no class in it; {expected.format(named)}"


@pytest.mark.parametrize("named", ["lib/acme_of_sales/adapter.py:Shop", "acme_of_sales.adapter:Shop"])
def test_an_adapter_in_a_package_without_an_init_is_found_where_pytest_looks(sagafuzz: Run, named: str) -> None:
    package = Path("lib/acme_of_sales")
    package.mkdir(parents=True)
    (package / "prelude.py").write_text(SAGA, encoding="utf-8")
    body = "    def boot(self, world): ...\n    def run(self, order): return False\n"
    text = f"import sagafuzz\nfrom .prelude import SAGA\n@sagafuzz.adapter(saga=SAGA)\nclass Shop:\n{body}"
    (package / "adapter.py").write_text(text, encoding="utf-8")
    Path("pytest.ini").write_text("[pytest]\npythonpath = lib\n", encoding="utf-8")
    try:
        found = sagafuzz("run", named, "--faults", 0, "--random", 0)
    finally:
        for name in [name for name in sys.modules if name.startswith("acme_of_sales")]:
            del sys.modules[name]
    assert found.out.startswith("shop on Shop: INCONCLUSIVE") and not found.err


def test_a_package_of_a_package_that_is_not_there_is_no_package_of_yours(sagafuzz: Run) -> None:
    write(
        SAGA + '@sagafuzz.service(saga=SAGA, http={"POST order/create": "order.create"}, code=["absent_shop.orders"])\n'
        "class Shop:\n    app = staticmethod(lambda: 1)\n    def submit(self, order): ...\n"
    )
    result = sagafuzz("run", "shop.py:Shop", "--faults", 0)
    assert result.code == 2 and "code names 'absent_shop.orders', and there is no such module" in result.complaint


def test_an_operation_that_nobody_declared(sagafuzz: Run, shop: Callable[..., str]) -> None:
    result = sagafuzz("run", shop('return self.world.call("payment.chrage")'))
    assert result.code == 2
    assert (
        "calls 'payment.chrage', which saga 'shop' does not declare (did you mean 'payment.charge'?)"
        in result.complaint
    )


def test_an_undeclared_operation_cannot_be_swallowed(sagafuzz: Run, shop: Callable[..., str]) -> None:
    body = 'try:\n    self.world.call("payment.chrage")\nexcept BaseException:\n    return True'
    assert sagafuzz("run", shop(body)).code == 2


def test_a_file_is_loaded_beside_a_module_of_its_name(sagafuzz: Run, shop: Callable[..., str]) -> None:
    shop("return False")
    Path("shop.py").rename("json.py")
    assert sagafuzz("run", "json.py:Shop", "--faults", 0, "--random", 0).code == 3, "it is loaded, and asks nobody"
    assert json.loads("[1]") == [1]


def test_a_file_finds_its_neighbours(sagafuzz: Run, shop: Callable[..., str]) -> None:
    shop("import neighbour_of_shop\nreturn neighbour_of_shop.ANSWER")
    write("ANSWER = False\n", "neighbour_of_shop.py")
    Path("below").mkdir()
    Path("shop.py").rename("below/shop.py")
    Path("neighbour_of_shop.py").rename("below/neighbour_of_shop.py")
    assert sagafuzz("run", "below/shop.py:Shop", "--faults", 0, "--random", 0).code == 3, "it asks nobody"


@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_folder_that_cannot_be_written_is_told_before_the_campaign(sagafuzz: Run, command: str) -> None:
    Path("taken").write_text("a file")
    result = sagafuzz(command, "reference", "--report-dir", "taken/below")
    assert result.code == 2
    assert "--report-dir: cannot make the folder 'taken/below': Not a directory; name another" in result.complaint


def test_a_plain_file_is_no_folder(sagafuzz: Run) -> None:
    Path("taken").write_text("a file")
    assert "is a file" in sagafuzz("run", "reference", "--report-dir", "taken").complaint


REPLAY = {
    "sagafuzz_replay": 1,
    "sagafuzz": "0.1.0",
    "id": "F-x",
    "adapter": "seed",
    "scenario": {"name": "succeeds"},
    "faults": [],
    "actions": None,
    "violation": {"invariant": "I1", "anomaly": "", "step": "", "direction": "", "sentence": ""},
    "history_digest": "",
}
WHOLE = "F-x.json is no whole replay file: "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "F-x.json is no replay file: it is not JSON"),
        ("[1]", "F-x.json is no replay file: it lacks 'sagafuzz_replay'"),
        ('{"verdict": "violated"}', "F-x.json is no replay file: it lacks 'sagafuzz_replay'"),
        (json.dumps({**REPLAY, "sagafuzz_replay": 2}), "F-x.json is a replay file of version 2, and this sagafuzz ("),
        (json.dumps({**REPLAY, "scenario": {"nmae": 1}}), f"{WHOLE}scenario: unknown key 'nmae' (did you mean"),
        (json.dumps({**REPLAY, "scenario": {"sagas": 0}}), f"{WHOLE}scenario 'succeeds': sagas=0; write a whole"),
        (json.dumps({**REPLAY, "violation": []}), f"{WHOLE}violation = []; write a table"),
        (json.dumps({**REPLAY, "violation": {}}), f"{WHOLE}violation: invariant is missing; write a string"),
        (json.dumps({**REPLAY, "faults": [{"kind": "reject"}]}), f"{WHOLE}faults[0]: site is missing; write a list of"),
        (json.dumps({**REPLAY, "faults": None}), f"{WHOLE}faults = None and actions = None; write a list"),
        (json.dumps({**REPLAY, "actions": [["deliver"]]}), f"{WHOLE}actions[0] = ['deliver']; write a list of"),
        (json.dumps({k: REPLAY[k] for k in REPLAY if k != "adapter"}), f"{WHOLE}adapter is missing; write a string"),
    ],
)
def test_a_file_that_is_no_replay_file(sagafuzz: Run, text: str, expected: str) -> None:
    write(text, "F-x.json")
    result = sagafuzz("replay", "F-x.json")
    assert result.code == 2
    assert expected in result.complaint


def test_an_unknown_action_in_a_replay_file(sagafuzz: Run) -> None:
    data = {**REPLAY, "faults": None, "actions": [["dleiver", 0]]}
    write(json.dumps(data), "F-x.json")
    result = sagafuzz("replay", "F-x.json")
    assert result.code in (2, 3)
    assert "unknown action 'dleiver' (did you mean 'deliver'?)" in result.err + result.out


class NoHandle:
    """A class that somebody takes for a participant."""


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"participants": {"order": NoHandle}}, "is NoHandle, which has no method 'handle'; add 'def handle"),
        ({"participants": {"order": NoHandle()}}, "write its class, which each run makes anew"),
        ({"participants": {"ordre": NoHandle}}, "participants has 'ordre' (did you mean 'order'?)"),
        ({"invariants": print}, "is no list; write invariants=[...]"),
        ({"actors": [print]}, "is no mapping; write actors={'name': ...}"),
    ],
)
def test_what_an_adapter_declares_amiss_is_told_at_once(declared: dict[str, Any], says: str) -> None:
    class Shop:
        def boot(self, world: Any) -> None: ...
        def run(self, order: Any) -> bool:
            return True

    with pytest.raises(UsageError) as raised:
        adapter(saga=Saga("shop", [Step("order", "order.create")]), **declared)(Shop)
    assert says in str(raised.value)
