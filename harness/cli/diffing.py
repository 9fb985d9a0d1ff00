"""``sagafuzz diff``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..reports.difference import check_version, difference, render
from .console import columns, say


@click.command(short_help="Compare two reports: what is new, fixed, lost.")
@click.argument("old")
@click.argument("new")
def diff(old: str, new: str) -> int:
    """Compare two reports, OLD and NEW: each a report.json, or the folder that holds one.

    Says which findings are new, fixed and the same, and what was tried before and is no more. Exits with 1 where one
    is new, with 3 where none is but coverage was lost or the newer campaign incomplete, and else with 0.

    \b
    sagafuzz run shop.py:Shop --report-dir before
    sagafuzz run shop.py:Shop --report-dir after
    sagafuzz diff before after
    """
    found = difference(_read(old), _read(new))
    say(render(found, columns()).rstrip("\n"))
    if found.added:
        return 1
    return 3 if found.lost or not found.complete else 0


def _read(named: str) -> Mapping[str, Any]:
    path = Path(named)
    path = path / "report.json" if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"diff: cannot read {str(path)!r}: {reason}; name a report.json or its folder") from None
    except ValueError:
        raise UsageError(f"diff: {str(path)!r} is no JSON; name a report.json or its folder") from None
    return check_version(data, str(path))
