"""Which system a manifest names: its files and programs by what is in them, and the packages that are installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from .manifest import Manifest

WRITTEN_IN: Final = frozenset(
    f".{ending}"
    for ending in (
        *("c", "cpp", "cs", "ex", "exs", "go", "h", "java", "kt", "php", "rb", "rs", "scala"),
        *("cjs", "js", "mjs", "ts", "py", "sh", "sql"),
        *("lock", "mod", "sum", "toml"),
    )
)
"""How the names of files end that a system may be written in."""

NOT_OURS: Final = ("pyvenv.cfg", "campaign.sqlite")
"""Files whose folder is an environment or a report, and no source."""

NOT_READ: Final = frozenset({"node_modules", "__pycache__"})


def sources(manifest: Manifest) -> dict[str, str]:
    """A hash of each file of a system, by its name: the sources in the manifest's folder and below, and the programs
    and files that its components name, but for Python itself."""
    folder = manifest.folder
    found = {os.path.relpath(file, folder): file for file in _written(folder)}
    found |= {str(file): file for file in _named(manifest) if file not in found.values()}
    return {name: _digest(file) for name, file in sorted(found.items())}


def installed() -> tuple[tuple[str, str], ...]:
    """Each distribution of this interpreter with its version."""
    return tuple(sorted({(found.name, found.version) for found in distributions()}))


def _written(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        if any(name in files for name in NOT_OURS):
            folders.clear()
            continue
        folders[:] = [name for name in folders if name not in NOT_READ and not name.startswith(".")]
        yield from (Path(place, name) for name in files if Path(name).suffix in WRITTEN_IN)


def _named(manifest: Manifest) -> Iterator[Path]:
    for component in manifest.components:
        for words in (component.argv, component.build):
            for number, word in enumerate(manifest.fill(word, {}) for word in words):
                program = shutil.which(word) if number == 0 else None
                file = Path(program) if program else manifest.folder / word
                if str(file) != sys.executable and file.is_file():
                    yield file


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()[:16]
