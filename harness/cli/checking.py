"""``sagafuzz check``, which judges histories that were recorded elsewhere."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import click

from ..errors import UsageError
from ..loading import load
from ..recorded import FORMS, Sources, check_record
from ..writing import make_folder
from .arguments import ADAPTER, report_dir_option
from .concluding import baseline_option, conclude, judged_today, known_findings


@click.command(short_help="Judge histories that were recorded elsewhere.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--saga",
    "spec",
    type=ADAPTER,
    metavar="ADAPTER",
    help="Whose steps and compensations they are: an adapter, or a manifest. A history of sagafuzz says it itself.",
)
@click.option("--form", type=click.Choice(FORMS), help="The form of the files.  [default: by their first line]")
@click.option(
    "--columns",
    metavar="NAME=COLUMN,...",
    default="",
    help="What the columns of CSV are called, as saga=order_id,time=created_at.",
)
@click.option("--at-rest", is_flag=True, help="A saga without an end has none: the system was at rest by then.")
@baseline_option
@report_dir_option()
def check(
    files: tuple[str, ...],
    spec: str | None,
    form: str | None,
    columns: str,
    at_rest: bool,
    baseline: Path | None,
    report_dir: Path,
) -> int:
    """Judge what happened in staging or production by the invariants that hold for every run.

    Each FILE is a history of sagafuzz (NDJSON), spans of OpenTelemetry (OTLP as JSON, a request a line), or CSV: the
    rows of a ledger, or of an orchestrator's log. "-" is standard input; .gz is unpacked. Nothing is run. What the
    record does not show is not exercised, and the report says what is missing. Exit codes are those of `sagafuzz run`.

    \b
    sagafuzz check spans.jsonl --saga shop.py:Shop
    sagafuzz check ledger.csv log.csv --saga shop.py:Shop --columns saga=order_id
    sagafuzz check sagafuzz-report/F-wmx2y.ndjson
    """
    known = known_findings(baseline)
    make_folder(report_dir, "--report-dir")
    adapter = load(spec) if spec is not None else None
    sources = Sources(files=files, form=form or "", columns=_columns(columns))
    report = check_record(sources, adapter, at_rest=at_rest)
    again = {"--saga": spec, "--form": form, "--columns": columns or None}
    words = [word for option, value in again.items() if value for word in (option, value)]
    rest = ["--at-rest"] if at_rest else []
    if "-" not in files:  # what came by a pipe is gone
        report = replace(report, command=shlex.join(["sagafuzz", "check", *files, *words, *rest]))
    return conclude(report, report_dir, judged_today(report, known))


def _columns(text: str) -> dict[str, str]:
    """``saga=order_id,time=created_at`` by name. Raises UsageError."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, column = part.partition("=")
        if not equals or not column.strip():
            raise UsageError(f"--columns: {part!r} says no column; write saga=order_id,time=created_at")
        found[name.strip()] = column.strip()
    return found
