"""The project's own files agree with each other, and what is installed is light to load."""

from __future__ import annotations

import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import sagafuzz

TOP = Path(__file__).resolve().parent.parent
FOLDERS = {"harness": "sagafuzz", "adapters": "sagafuzz.adapters"}
FOLDERS |= {name: f"sagafuzz.{name}" for name in ("reference_saga", "reports")}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(pyproject: dict[str, Any]) -> list[Requirement]:
    """What the project itself asks for: to run, to build, and for each extra."""
    project = pyproject["project"]
    texts = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    texts += [text for extra in project["optional-dependencies"].values() for text in extra]
    return [requirement for requirement in map(Requirement, texts) if requirement.name != "sagafuzz"]


def test_the_version_is_the_same_everywhere() -> None:
    installed = importlib.metadata.version("sagafuzz")
    assert sagafuzz.__version__ == installed, "the environment was made for another version: run `make links`"
    source = (TOP / "harness" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{installed}"' in source


def test_every_package_is_listed(pyproject: dict[str, Any]) -> None:
    table = pyproject["tool"]["setuptools"]
    assert {package: folder for folder, package in FOLDERS.items()} == table["package-dir"]
    found = {
        ".".join((package, *file.parent.relative_to(TOP / folder).parts))
        for folder, package in FOLDERS.items()
        for file in (TOP / folder).rglob("*.py")
    }
    assert sorted(found) == sorted(table["packages"])


def test_the_constraints_pin_what_is_required(pyproject: dict[str, Any]) -> None:
    lines = (TOP / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []
    pins = {normal(name): version for name, _, version in (line.partition("==") for line in lines)}
    for requirement in direct(pyproject):
        assert [bound.operator for bound in requirement.specifier] == [">="], f"{requirement}: give it a lower bound"
        pin = pins.get(normal(requirement.name))
        assert pin is not None, f"{requirement}: constraints.txt has no pin for it"
        assert pin in requirement.specifier, f"{requirement}: constraints.txt has {pin}"


def test_the_constraints_are_complete(pyproject: dict[str, Any]) -> None:
    """What the requirements require, as far as it is installed, is pinned too."""
    text = (TOP / "constraints.txt").read_text(encoding="utf-8")
    pins = {normal(line.partition("==")[0]) for line in text.splitlines()}
    queue, seen = [normal(requirement.name) for requirement in direct(pyproject)], set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        try:
            requires = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue  # for another Python or system, or of an extra that is not installed
        seen.add(name)
        needed = [r for r in map(Requirement, requires) if r.marker is None or r.marker.evaluate({"extra": ""})]
        queue += [normal(requirement.name) for requirement in needed]
    assert seen - pins == set()


def test_the_entry_points_are_installed_once() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="sagafuzz")
    (plugin,) = importlib.metadata.entry_points(group="pytest11", name="sagafuzz")
    assert (script.value, plugin.value) == ("sagafuzz.cli.main:main", "sagafuzz.plugin")


def test_the_types_are_there_for_users() -> None:
    assert sagafuzz.__file__ is not None
    assert Path(sagafuzz.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize("module", ["sagafuzz", "sagafuzz.plain", "sagafuzz.plugin"])
def test_loading_it_costs_little(module: str) -> None:
    code = f"import sys, {module}\nprint(sorted({{'cattrs', 'hypothesis', 'networkx'}} & set(sys.modules)))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_the_changelog_has_a_place_for_what_comes_and_tells_of_this_version() -> None:
    headings = re.findall(r"(?m)^## (.+)$", (TOP / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(f"{sagafuzz.__version__} - ")


def test_before_a_commit_runs_what_ci_checks_and_nothing_is_fetched_for_it() -> None:
    yaml = pytest.importorskip("yaml")
    (local,) = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    entries = [hook["entry"] for hook in local["hooks"]]
    assert "make check" in entries and "make check" in (TOP / ".ci" / "run").read_text(encoding="utf-8")
    for hook in local["hooks"]:
        assert hook["language"] == "system"
        for word in hook["entry"].split():
            assert not word.startswith("tests/") or (TOP / word).is_file(), word


ENDS = (".tar.gz", "-py3-none-any.whl")
LONG_DESCRIPTION = runpy.run_path(str(TOP / "setup.py"))["long_description"]
README = "See [the *rules*](docs/reference.md#invariants), [a\nrecipe](examples/a), [below](#below), [PEP 8](https://peps.python.org/8)."
FENCE = "\n```\n[this](stays)\n```\n"


def test_what_the_readme_links_to_is_named_where_the_project_has_no_address() -> None:
    text = LONG_DESCRIPTION(README + FENCE, "", "1.2.3")
    assert (
        "the *rules* (`docs/reference.md`), a\nrecipe (`examples/a`), below, [PEP 8](https://peps.python.org/8)."
        in text
    )
    assert FENCE in text
    assert text.endswith("in the source distribution of this version.\n")


def test_what_the_readme_links_to_is_linked_where_the_project_has_an_address() -> None:
    text = LONG_DESCRIPTION(README + FENCE, "https://example.org/saga/", "1.2.3")
    assert "[the *rules*](https://example.org/saga/blob/v1.2.3/docs/reference.md#invariants)" in text
    assert "[a\nrecipe](https://example.org/saga/blob/v1.2.3/examples/a), below, [PEP 8]" in text
    assert text.endswith(FENCE)


def test_the_readme_has_no_relative_link_on_an_index(pyproject: dict[str, Any]) -> None:
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    source = pyproject["project"].get("urls", {}).get("Source", "")
    text = re.sub(r"(?ms)^```.*?^```$", "", LONG_DESCRIPTION(readme, source, sagafuzz.__version__))
    assert "](docs/" in readme
    assert re.findall(r"\]\((?!https://)[^)]*\)|\]\[|^\[[^]]+\]:", text, re.MULTILINE) == []


def test_the_classifiers_name_the_versions_that_ci_tries(pyproject: dict[str, Any]) -> None:
    prefix = "Programming Language :: Python :: 3."
    classifiers = pyproject["project"]["classifiers"]
    said = [line.removeprefix(prefix) for line in classifiers if line.startswith(prefix)]
    loop = re.search(r"(?m)^for version in (.+); do$", (TOP / "tools" / "pythons.sh").read_text(encoding="utf-8"))
    assert loop is not None and [f"3.{version}" for version in said] == loop[1].split()
    assert pyproject["project"]["requires-python"] == f">=3.{said[0]}"


@pytest.mark.slow
def test_what_is_uploaded_is_whole(tmp_path: Path, pyproject: dict[str, Any]) -> None:
    """The source distribution holds the project, a wheel can be built from it alone, and an index can show both."""
    tree, made = tmp_path / "tree", tmp_path / "made"
    left = shutil.ignore_patterns("build", "dist", ".venv*", ".git", ".*_cache", ".hypothesis", ".coverage*", "*report")
    shutil.copytree(TOP, tree, ignore=left)
    for words in (
        ["build", "--no-isolation", "--outdir", str(made), str(tree)],  # the wheel is built from what was packed
        ["twine", "check", "--strict", *(str(made / f"sagafuzz-{sagafuzz.__version__}{end}") for end in ENDS)],
    ):
        result = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, check=False, timeout=120
        )
        assert result.returncode == 0, result.stdout + result.stderr

    with tarfile.open(made / f"sagafuzz-{sagafuzz.__version__}{ENDS[0]}") as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    here = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert {name for name in here if not re.search(r"\.pyc$|\.egg-info/", name)} - packed == set()
    assert {name for name in packed if name.endswith(".pyc")} == set()

    with zipfile.ZipFile(made / f"sagafuzz-{sagafuzz.__version__}{ENDS[1]}") as archive:
        files = [Path(name) for name in archive.namelist()]
    packages = {".".join(file.parent.parts) for file in files if file.suffix == ".py"}
    assert packages == set(pyproject["tool"]["setuptools"]["packages"])
    adapters = ("dbos.toml", "dbos_ts_worker.mjs", "go/go.mod", "go/worker.go", "node/index.js", "node/package.json")
    data = ("py.typed", "reports/schema/report.schema.json", *(f"adapters/{file}" for file in adapters))
    for file in data:
        assert Path("sagafuzz", file) in files
