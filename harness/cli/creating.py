"""``sagafuzz init``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from ..errors import UsageError
from ..importing import import_place
from ..pytest_settings import folders
from ..reports.facts import Table
from ..reports.layout import table
from ..writing import write_file
from .console import columns, say


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Files to start from. ``adapter`` is what runs them, ``extra`` what is to be installed for it."""

    files: tuple[str, ...]
    adapter: str
    about: str
    extra: str = ""


PLAIN: Final = "plain"

EXAMPLES: Final[Mapping[str, Skeleton]] = {
    "checkout": Skeleton(
        files=("checkout.py", "saga_adapter.py", "test_saga.py"),
        adapter="saga_adapter.py:Shop",
        about="three steps and what undoes them",
    ),
    "payment": Skeleton(
        files=("purchase.py", "saga_adapter.py", "test_saga.py"),
        adapter="saga_adapter.py:Shop",
        about="money that is held, captured, voided and refunded, and a rule of the shop's own",
    ),
    "webhook": Skeleton(
        files=("shop.py", "payment_service.py", "saga_adapter.py", "test_saga.py"),
        adapter="saga_adapter.py:Sale",
        about="messages, a participant and a rule of the shop's own",
    ),
}
"""The subjects of a saga in Python."""

USUAL: Final = "checkout"

SKELETONS: Final[Mapping[str, Skeleton]] = {
    PLAIN: replace(EXAMPLES[USUAL], about="a saga in Python, run in the simulator"),
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


_ASKED: Final = ("request", "operation", "saga", "key", "asked at")
_REQUEST: Final = re.compile(r"[A-Z]+ /\S*")


@click.command(short_help="Write an adapter and a test, to start from.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--engine",
    type=click.Choice(list(SKELETONS)),
    default=PLAIN,
    show_default=True,
    help=f"What drives the saga: {'; '.join(f'{name}, {skeleton.about}' for name, skeleton in SKELETONS.items())}.",
)
@click.option(
    "--example",
    type=click.Choice(list(EXAMPLES)),
    default=USUAL,
    show_default=True,
    help=f"What a plain saga is about: {'; '.join(f'{name}, {shown.about}' for name, shown in EXAMPLES.items())}.",
)
@click.option(
    "--app",
    metavar="MODULE:APP",
    help="Write the adapter for an ASGI or WSGI app instead, after running it without faults to see what it asks.",
)
@click.option(
    "--submit",
    metavar="'POST PATH'",
    help="With --app: the request that submits an order, where it is not the first that makes the app ask anything.",
)
@click.pass_context
def init(context: click.Context, folder: Path, engine: str, example: str, app: str | None, submit: str | None) -> int:
    """Write a small correct saga, what tells sagafuzz of it and a test into FOLDER, to start from: without one into the
    first of pytest's testpaths, or the current folder.

    Nothing that is there is overwritten. Afterwards put your own code in the place of checkout.py or worker.py.
    With --app it is the adapter for a service of yours, run from the folder that holds it:

    \b
    sagafuzz init
    sagafuzz init shop --engine live
    sagafuzz init shop --example payment
    sagafuzz init --app orders.app:create_app
    """
    if app is not None:
        return _draft(folder, app, submit or "")
    if submit is not None:
        raise UsageError("init: --submit says what submits an order to an app; add --app orders.app:create_app")
    if engine != PLAIN and context.get_parameter_source("example") is not ParameterSource.DEFAULT:
        raise UsageError(
            f"init: --example {example} is written for --engine {PLAIN}, and --engine {engine} has one subject; "
            f"write 'sagafuzz init --example {example}' or 'sagafuzz init --engine {engine}'"
        )
    beside = context.get_parameter_source("folder") is ParameterSource.DEFAULT
    if beside:
        folder = _of_tests()
    skeleton, source = (EXAMPLES[example], example) if engine == PLAIN else (SKELETONS[engine], engine)
    there = [name for name in skeleton.files if (folder / name).exists()]
    if there:
        raise UsageError(f"init: {str(folder / there[0])!r} is there already; name another folder")
    for name in skeleton.files:
        text = files(__package__).joinpath("skeleton", source, f"{name}.txt").read_text(encoding="utf-8")
        write_file(folder / name, text)
        say(f"written: {folder / name}")
    if skeleton.extra:
        say(f"\nit needs: pip install 'sagafuzz[{skeleton.extra},pytest]'")
    say("\n" + "\n".join(_next(folder, skeleton, beside=beside)))
    return 0


def _of_tests() -> Path:
    """The folder that pytest looks for tests in, from the current one."""
    here = Path.cwd()
    named = [place.relative_to(here) for place in folders("testpaths", here) if place.is_relative_to(here)]
    return next((place for place in named if place.suffix != ".py" and "*" not in str(place)), Path())


def _next(folder: Path, skeleton: Skeleton, *, beside: bool) -> list[str]:
    """The commands that run what was written, where they are printed."""
    if folder == Path() or not beside:
        place = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
        return [f"next: {place}pytest", f"  or: {place}sagafuzz run {skeleton.adapter} --faults 2"]
    test, adapter = (shlex.quote(str(folder / name)) for name in (skeleton.files[-1], skeleton.adapter))
    return [f"next: pytest {test}", f"  or: sagafuzz run {adapter} --faults 2"]


def _draft(folder: Path, app: str, submit: str) -> int:
    """Write the adapter for an app."""
    from ..drafting.following import follow  # slow to import
    from ..drafting.text import adapter_text, caller, class_of, missing, module_of
    from ..exploration.quiet import quiet

    module, _, attribute = app.partition(":")
    if not module or not attribute:
        raise UsageError(f"init: --app {app} names no app; write --app orders.app:create_app")
    if submit and not _REQUEST.fullmatch(submit):
        raise UsageError(f"init: --submit {submit!r} is no request; write --submit 'POST /orders'")
    file = folder / f"{module.partition('.')[0]}_adapter.py"
    if file.exists():
        raise UsageError(f"init: {str(file)!r} is there already; name another folder")
    import_place(module, f"init: --app {app}")
    with quiet():
        draft = follow(app, submit)
    text = adapter_text(draft)
    rows = tuple(
        (
            each.route,
            each.operation,
            *(next(iter(found), "") for found in (each.saga_at, each.key_at)),
            caller(each.where),
        )
        for each in draft.seen
    )
    if rows:
        say(table(Table(headers=_ASKED, rows=rows), columns()) + "\n")
    write_file(folder / module_of(draft), text)
    say(f"written: {file}")
    for line in missing(text):
        say(f"to fill in: {line}")
    say(f"\nnext: sagafuzz run {shlex.quote(f'{file}:{class_of(draft)}')} --faults 1")
    return 0
