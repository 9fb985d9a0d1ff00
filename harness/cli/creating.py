"""``sagafuzz init``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from ..errors import UsageError
from ..writing import write_file
from .console import say

SKELETON = ("checkout.py", "saga_adapter.py", "test_saga.py")


@click.command(short_help="Write an adapter and a test, to start from.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> int:
    """Write an adapter, a small correct saga for it to run and a test into FOLDER (the current one), to start from.

    Nothing that is there is overwritten. Afterwards put your own code in the place of checkout.py:

    \b
    sagafuzz init
    pytest
    sagafuzz run saga_adapter.py:Shop --faults 2
    """
    there = [name for name in SKELETON if (folder / name).exists()]
    if there:
        raise UsageError(f"init: {str(folder / there[0])!r} is there already; name another folder")
    for name in SKELETON:
        write_file(folder / name, files(__package__).joinpath("skeleton", f"{name}.txt").read_text(encoding="utf-8"))
        say(f"written: {folder / name}")
    place = "" if folder == Path() else f"cd {folder} && "
    say(f"\nnext: {place}pytest\n  or: {place}sagafuzz run saga_adapter.py:Shop --faults 2")
    return 0
