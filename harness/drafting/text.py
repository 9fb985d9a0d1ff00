"""The text of an adapter for an app, made of what is known of it. What is a guess, or is missing, ends in a line
marked FILL IN, with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .body import written
from .draft import Draft, DraftStep, Seen

MARK: Final = "FILL IN"

_ANSWERS: Final = {200: True, 201: True, 409: False}
"""The meaning that a service gives to statuses it is not told of."""

_USUAL_REFUSAL: Final = 409

_ACCEPTED: Final = 202

_NOT_UNDONE: Final = "undo=, where a later refusal undoes it: nothing was asked for"

_KEPT: Final = (
    "pivot=True is guessed, since nothing was asked for that undoes it; write undo= in its place, where something does"
)

_GUESS: Final = "guessed, since what is refused is answered so too: it is accepted, and how it ends is not told"


def module_of(draft: Draft) -> str:
    """The name of the file."""
    return f"{draft.package}_adapter.py"


def class_of(draft: Draft) -> str:
    """The name of the class in it."""
    return "".join(part.capitalize() for part in draft.package.split("_")) or "Service"


def adapter_text(draft: Draft) -> str:
    """The file."""
    return "\n".join(_lines(draft)) + "\n"


def missing(text: str) -> tuple[str, ...]:
    """The marked lines of a file, each as ``line 12: why``."""
    found = enumerate(text.splitlines(), 1)
    return tuple(f"line {number}: {line.partition(f'{MARK}: ')[2]}" for number, line in found if f"# {MARK}: " in line)


def _lines(draft: Draft) -> Iterator[str]:
    constant = re.sub(r"\W", "_", draft.package).upper()
    yield f'"""What sagafuzz has to be told of {draft.app}: drafted from what it asks without faults."""'
    yield "\nimport sagafuzz\n"
    yield f"{constant} = sagafuzz.Saga("
    yield f'    "{draft.package}",'
    yield "    ["
    for number, step in enumerate(draft.steps, 1):
        yield _step(step, last=number == len(draft.steps) and not draft.stopped)
    if not draft.steps:
        yield f'        sagafuzz.Step("pay", "payment.charge", undo="payment.refund"),  # {MARK}: {_nothing(draft)}'
    yield "    ],\n)\n"
    yield "ROUTES = {"
    yield from map(_route, draft.seen)
    if not draft.seen:
        yield f'    "POST payment/charge": "payment.charge",  # {MARK}: each request that it makes'
    yield "}\n\n"
    yield from _declaration(draft, constant)
    yield from _class(draft)


def _nothing(draft: Draft) -> str:
    return f"the steps; {draft.stopped or 'it asked nothing'}"


def _step(step: DraftStep, *, last: bool) -> str:
    undo = f', undo="{step.undo}"' if step.undo else ""
    says = undo or (", pivot=True" if last else "")
    line = f'        sagafuzz.Step("{step.name}", "{step.operation}"{says}),'
    return line if undo else f"{line}  # {MARK}: {_KEPT if last else _NOT_UNDONE}"


def _route(seen: Seen) -> str:
    line = f'    "{seen.route}": "{seen.operation}",'
    if not seen.sure:
        return f"{line}  # {MARK}: is that so? it came after a refusal, to another host"
    return f"{line}  # {caller(seen.where)}"


def caller(where: str) -> str:
    """Of the lines that make a request, the one that says most: who calls the innermost, where that is known."""
    innermost, _, others = where.partition(", from ")
    return others.partition(", ")[0] or innermost


def _declaration(draft: Draft, constant: str) -> Iterator[str]:
    told = [f"saga={constant}", "http=ROUTES"]
    if draft.saga_id:
        told.append(f'saga_id="{draft.saga_id}"')
    if draft.key:
        told.append(f'key="{draft.key}"')
    if draft.says_no != _USUAL_REFUSAL:
        told.append(f'status={{{draft.says_no}: "refused"}}')
    yield f"@sagafuzz.service({', '.join(told)})"
    if draft.seen and not draft.saga_id:
        places = dict.fromkeys(each.saga_at[0] for each in draft.seen if each.saga_at)
        why = f"no place has it in all of them, it is at {', '.join(places)}" if places else "none shows its order"
        yield f'# {MARK}: saga_id="json:…", if it asks at a restart too: {why}'
    keyless = [each.operation for each in draft.seen if not each.key_at and not each.route.startswith("GET ")]
    if keyless:
        yield f'# {MARK}: key="json:…" or "header:…", the idempotency key: {_listed(keyless)} had none that shows'


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _class(draft: Draft) -> Iterator[str]:
    yield f"class {class_of(draft)}:"
    yield f'    app = "{draft.app}"'
    answers = {status: said for status, said in ((draft.yes, True), (draft.no, False)) if status}
    accepts = draft.yes == _ACCEPTED and not draft.no
    if accepts:
        yield f"    answers = {{{_ACCEPTED}: sagafuzz.Outcome.PENDING}}  # {MARK}: {_GUESS}"
    elif any(_ANSWERS.get(status) is not said for status, said in answers.items()):
        yield f"    answers = {answers}"
    if draft.stopped:
        yield f"    # {MARK}: it was followed up to here: {' '.join(draft.stopped.split())}"
    elif draft.steps and not (draft.no or accepts):
        yield f"    # {MARK}: answers = {{200: True, 409: False}}: no refusal was answered by a status of its own"
    yield ""
    yield "    def submit(self, order):"
    if draft.others:
        yield f"        # it takes also: {', '.join(draft.others)}"
    target = re.sub(r"\{\w+\}", "{order.id}", draft.endpoint.path)
    path = f'{"f" if "{" in target else ""}"{target}"'
    body = "None" if draft.endpoint.body is None else written(draft.endpoint.body)
    if not draft.endpoint.sure:
        yield f"        # {MARK}: the fields that it reads, if there are more"
    yield f'        return "{draft.endpoint.method}", {path}, {body}'
