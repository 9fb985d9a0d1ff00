"""Arguments of several commands: what they are called, and how a shell completes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..faults import FAULT_KINDS
from ..invariants import INVARIANTS
from ..loading import names
from ..regression import REPORT_FOLDERS


class _Named(click.types.StringParamType):
    """Text that a shell completes by ``known``, or by a file."""

    files = True

    def known(self) -> list[str]:
        raise NotImplementedError

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in self.known() if name.startswith(incomplete)]
        return found or ([CompletionItem(incomplete, type="file")] if self.files else [])


class _Adapter(_Named):
    name = "adapter"

    def known(self) -> list[str]:
        return sorted(names())


class _Finding(_Named):
    name = "finding"

    def known(self) -> list[str]:
        return sorted({path.stem for folder in REPORT_FOLDERS for path in Path(folder).glob("**/F-*.json")})


class _Code(_Named):
    name = "code"
    files = False

    def known(self) -> list[str]:
        return [*INVARIANTS, *FAULT_KINDS]


ADAPTER, FINDING, CODE = _Adapter(), _Finding(), _Code()


def report_dir_option(about: str = "Where the reports go.") -> Callable[[Any], Any]:
    """The option by which a command is told the folder of its reports."""
    return click.option(
        "--report-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        default=Path("sagafuzz-report"),
        show_default=True,
        help=about,
    )
