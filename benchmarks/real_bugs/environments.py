"""Versions of engines, each in an environment of its own, which is kept and made once: a virtual environment in which
sagafuzz runs too, or a folder of npm's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

import sagafuzz
from sagafuzz.adapters.postgres_server import binaries
from sagafuzz.live.presets import cache

from .table import Bug, Versions

TOP: Final = Path(__file__).resolve().parents[2]
CONSTRAINTS: Final = TOP / "constraints.txt"
EXTRAS: Final = ("live", "postgres")
WHOLE: Final = "whole"
"""A file that says that nothing is missing."""


class Unavailable(Exception):
    """It cannot be installed, or run, here."""


@dataclass(frozen=True)
class Environment:
    """``python`` is the interpreter for the search, ``env`` what it needs in its environment."""

    python: str
    env: dict[str, str]


def folder(versions: Versions) -> Path:
    """Where it is, or is to be."""
    return cache().parent / "real_bugs" / versions.name


def is_there(versions: Versions) -> bool:
    """True if it is installed."""
    return (folder(versions) / WHOLE).exists()


def check_programs(bug: Bug) -> None:
    """Raise Unavailable where a program that it needs is missing."""
    for program in bug.needs:
        if program == "initdb":
            try:
                binaries()
            except SystemExit as error:
                raise Unavailable(str(error)) from None
        elif shutil.which(program) is None:
            raise Unavailable(f"{bug.name} needs {program}, which is not installed")


def environment(versions: Versions) -> Environment:
    """The environment, installed where it is not yet. Raises Unavailable."""
    where = folder(versions)
    if not is_there(versions):
        where.mkdir(parents=True, exist_ok=True)
        (_by_npm if versions.registry == "npm" else _by_pip)(versions, where)
        (where / WHOLE).touch()
    ours = {"PYTHONPATH": str(Path(sagafuzz.__file__).parent.parent)}
    if versions.registry == "npm":
        return Environment(sys.executable, {**ours, "NODE_PATH": str(where / "node_modules")})
    return Environment(str(where / "bin" / "python"), ours)


def _by_pip(versions: Versions, where: Path) -> None:
    """What sagafuzz needs as it is pinned, and the engine at its version."""
    own = {re.split(r"[=\[]", requirement)[0].lower() for requirement in versions.requirements}
    needs = [Requirement(text) for text in requires("sagafuzz") or ()]
    chosen = [
        str(need).partition(";")[0]
        for need in needs
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in EXTRAS)
    ]
    pinned = [line for line in CONSTRAINTS.read_text().splitlines() if line.partition("==")[0].lower() not in own]
    _run(sys.executable, "-m", "venv", "--clear", str(where))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pinned))
        constraints.flush()
        pip = (str(where / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--constraint", constraints.name, *chosen, *versions.requirements)


def _by_npm(versions: Versions, where: Path) -> None:
    (where / "package.json").write_text(json.dumps({"private": True}))
    options = ("--no-audit", "--no-fund", "--silent", "--ignore-scripts", "--legacy-peer-deps")
    _run("npm", "install", "--prefix", str(where), *options, *versions.requirements)


def _run(*argv: str) -> None:
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True, env=dict(os.environ))
    except FileNotFoundError:
        raise Unavailable(f"{argv[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise Unavailable(f"{' '.join(argv[:4])} … failed: {' '.join(last)}") from None
