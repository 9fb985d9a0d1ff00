"""What pytest is told in the files of a project: where its code is, and where its tests are."""

from __future__ import annotations

import configparser
import shlex
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final


def _of_pyproject(text: str) -> Any:
    tool = tomllib.loads(text).get("tool", {}).get("pytest")
    return tool.get("ini_options", tool) if isinstance(tool, dict) else None


def _section(name: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text)
        return dict(parser[name]) if name in parser else None

    return read


_FILES: Final[Mapping[str, Callable[[str], Any]]] = {
    "pytest.ini": _section("pytest"),
    ".pytest.ini": _section("pytest"),
    "pyproject.toml": _of_pyproject,
    "tox.ini": _section("pytest"),
    "setup.cfg": _section("tool:pytest"),
}
"""The files in the order in which pytest looks for them in a folder, and what reads its settings in each."""


def folders(name: str, folder: Path) -> list[Path]:
    """The folders of that setting (``pythonpath``, ``testpaths``), as the nearest file from ``folder`` upwards that
    speaks to pytest says; none where there is no such file, or it cannot be read."""
    for above in (folder, *folder.parents):
        for file, read in _FILES.items():
            settings = None
            with suppress(OSError, ValueError, configparser.Error):
                settings = read((above / file).read_text(encoding="utf-8"))
            if settings is not None:
                said = settings.get(name, [])
                return [above / word for word in (shlex.split(said) if isinstance(said, str) else said)]
    return []
