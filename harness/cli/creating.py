"""``sagafuzz init``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from ..errors import UsageError
from ..writing import write_file
from .console import say


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Files to start from. ``adapter`` is what runs them, ``extra`` what is to be installed for it."""

    files: tuple[str, ...]
    adapter: str
    about: str
    extra: str = ""


SKELETONS: Final[Mapping[str, Skeleton]] = {
    "plain": Skeleton(
        files=("checkout.py", "saga_adapter.py", "test_saga.py"),
        adapter="saga_adapter.py:Shop",
        about="a saga in Python, run in the simulator",
    ),
    "live": Skeleton(
        files=("worker.py", "manifest.toml", "test_saga.py"),
        adapter="manifest.toml",
        about="a saga in a process of its own, in any language",
        extra="live",
    ),
    "dbos": Skeleton(
        files=("worker.py", "manifest.toml", "test_saga.py"),
        adapter="manifest.toml",
        about="a saga as a workflow of DBOS Transact",
        extra="dbos",
    ),
}


@click.command(short_help="Write an adapter and a test, to start from.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--engine",
    type=click.Choice(list(SKELETONS)),
    default="plain",
    show_default=True,
    help=f"What drives the saga: {'; '.join(f'{name}, {skeleton.about}' for name, skeleton in SKELETONS.items())}.",
)
def init(folder: Path, engine: str) -> int:
    """Write a small correct saga, what tells sagafuzz of it and a test into FOLDER (the current one), to start from.

    Nothing that is there is overwritten. Afterwards put your own code in the place of checkout.py or worker.py:

    \b
    sagafuzz init
    sagafuzz init shop --engine live
    """
    skeleton = SKELETONS[engine]
    there = [name for name in skeleton.files if (folder / name).exists()]
    if there:
        raise UsageError(f"init: {str(folder / there[0])!r} is there already; name another folder")
    for name in skeleton.files:
        text = files(__package__).joinpath("skeleton", engine, f"{name}.txt").read_text(encoding="utf-8")
        write_file(folder / name, text)
        say(f"written: {folder / name}")
    place = "" if folder == Path() else f"cd {folder} && "
    if skeleton.extra:
        say(f"\nit needs: pip install 'sagafuzz[{skeleton.extra},pytest]'")
    say(f"\nnext: {place}pytest\n  or: {place}sagafuzz run {skeleton.adapter} --faults 2")
    return 0
