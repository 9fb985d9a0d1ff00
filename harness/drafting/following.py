"""Runs an app in the simulator to find out what it asks: first an order that goes through, then one that is refused at
each step in turn, and one at which the participant fails for good, since that shows what undoes what.

An app is run again from its start whenever it asks what is not known yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..asgi import Response, failure
from ..errors import SagafuzzError, UsageError
from ..http_routes import REFUSED, Unrouted
from ..ports import ADAPTER_ATTRIBUTE, Adapter, World
from ..saga import Saga, Step
from ..scenario import SUCCEEDS, Order, Scenario
from ..serving import Serving, service
from ..simulator import Setup, simulate
from .body import filled, with_field
from .draft import Draft, DraftStep, operation_of, route_of, seen
from .endpoints import Endpoint, chosen, endpoints

_REFUSALS: Final = (409, 422, 402, 400, 403, 404)
"""The statuses by which participants say no, the usual one first."""

_FAILS: Final = 500
_MOST_RUNS: Final = 200
_MOST_FIELDS: Final = 20
_READS: Final = ("GET", "HEAD", "OPTIONS")
_NOBODY: Final = Step("nothing", "nobody.nothing")
"""The saga needs a step before the first one is known."""

_ORDER: Final = SUCCEEDS.orders[0]


@dataclass
class _Heard:
    """The result of one run."""

    found: tuple[Endpoint, ...] = ()
    answers: list[Response] = field(default_factory=list)
    failed: Exception | None = None


def follow(app: str, submit: str = "") -> Draft:
    """A draft of all that an app is found to ask. ``submit`` names the request that submits an order, as
    ``POST /orders``; left out, it is the first one of the app that makes it ask anything. Raises UsageError where the
    app does not start."""
    heard = _run(Draft(app=app, endpoint=Endpoint("", "", None)))
    if heard.failed is not None:
        raise UsageError(f"init: --app {app} does not start: {failure(heard.failed)}")
    choice = [chosen(submit, heard.found)] if submit else [*heard.found]
    if not choice:
        raise UsageError(f"init: --app {app} tells no route that takes a POST; add --submit 'POST /orders'")
    drafts = (_Following(app, each).draft() for each in choice)
    first = next(drafts)
    best = first if first.seen else next((each for each in drafts if each.seen), first)
    others = tuple(str(each) for each in heard.found if each != best.endpoint and str(each) != str(best.endpoint))
    return replace(best, others=others)


class _Following:
    """One app with one way to submit an order."""

    def __init__(self, app: str, endpoint: Endpoint) -> None:
        self._draft = Draft(app=app, endpoint=endpoint)
        self._runs = 0

    def draft(self) -> Draft:
        """All that can be found out."""
        try:
            self._go_through()
            self._refuse_each()
        except SagafuzzError as error:
            self._draft = replace(self._draft, stopped=str(error))
        return self._draft

    def _go_through(self) -> None:
        answer = self._answer("", 409)
        while answer is not None and (name := _lacks(self._draft, answer)):
            endpoint = self._draft.endpoint
            body = with_field(endpoint.body, name)
            self._draft = replace(self._draft, endpoint=replace(endpoint, body=body), seen=(), steps=())
            answer = self._answer("", 409)
        if answer is None:
            return
        if answer.error is None and answer.status < 400:
            self._draft = replace(self._draft, yes=answer.status)
            return
        said = (
            failure(answer.error)
            if answer.error
            else f"{answer.status} {answer.logged or answer.body[:120].decode('utf-8', 'replace')}"
        )
        self._draft = replace(self._draft, stopped=f"{self._draft.endpoint} is answered {said}")

    def _refuse_each(self) -> None:
        steps = self._draft.steps if self._draft.yes else ()
        for number, step in enumerate(steps):
            for status in _REFUSALS if not self._draft.no else (self._draft.says_no,):
                answer = self._answer(step.operation, status)
                if answer is not None and answer.error is None and 400 <= answer.status < 500:
                    self._draft = replace(self._draft, says_no=status, no=answer.status)
                    break
            self._answer(step.operation, _FAILS)
            assert number < len(self._draft.steps)

    def _answer(self, refused: str, status: int) -> Response | None:
        """The answer to the client, if ``refused`` is refused by that status; all that is asked is known then."""
        while True:
            self._runs += 1
            if self._runs > _MOST_RUNS:
                raise UsageError(f"it asks something new in each of {_MOST_RUNS} runs")
            try:
                heard = _run(self._draft, refused, status)
            except Unrouted as error:
                self._learn(error, refused)
                continue
            return heard.answers[0] if heard.answers else None

    def _learn(self, error: Unrouted, refused: str) -> None:
        """Take in a request that was not known: a step, what undoes one, or a question beside the steps."""
        draft = self._draft
        route = route_of(error.asked, _ORDER.id)
        operation = operation_of(route, draft.http.values())
        participant = operation.partition(".")[0]
        steps, sure = draft.steps, True
        if error.asked.method in _READS:
            pass
        elif not refused:
            names = [step.name for step in steps]
            name = participant if participant not in names else operation.replace(".", "-")
            steps = (*steps, DraftStep(name=name, operation=operation))
        else:
            index, sure = _undone(steps, refused, participant)
            if index is not None:
                operation = operation if sure else f"{_participant(steps[index])}.{operation.replace('.', '-')}"
                steps = (*steps[:index], replace(steps[index], undo=operation), *steps[index + 1 :])
        found = seen(error.asked, operation, error.where, _ORDER.id, sure=sure)
        self._draft = replace(draft, steps=steps, seen=(*draft.seen, found))


def _participant(step: DraftStep) -> str:
    return step.operation.partition(".")[0]


def _undone(steps: tuple[DraftStep, ...], refused: str, participant: str) -> tuple[int | None, bool]:
    """Which step a request undoes that comes after a refusal: one of the same participant, the latest up to the refused
    one first; else the last one before that. Whether that is sure."""
    last = next(index for index, step in enumerate(steps) if step.operation == refused)
    open_ = [index for index in (*range(last, -1, -1), *range(last + 1, len(steps))) if not steps[index].undo]
    for index in open_:
        if _participant(steps[index]) == participant:
            return index, True
    return next((index for index in open_ if index < last), None), False


def _lacks(draft: Draft, answer: Response) -> str:
    """The field that the app did not find in the body; "" where it lacks none, or has told what it takes."""
    error, body = answer.error, draft.endpoint.body
    if draft.endpoint.sure or not isinstance(error, KeyError) or len(body) > _MOST_FIELDS or draft.seen:
        return ""
    name = error.args[0] if error.args else ""
    return name if isinstance(name, str) and name not in body else ""


# -- one run -------------------------------------------------------------------------------------------


def _run(draft: Draft, refused: str = "", status: int = 409) -> _Heard:
    """Run the app for one order, which is refused at one operation. Raises Unrouted where something is not known."""
    heard = _Heard()
    adapter = _adapter(draft, heard, status)
    simulate(Setup(adapter=adapter, scenario=Scenario(rejections=((1, refused),) if refused else ())))
    return heard


def _adapter(draft: Draft, heard: _Heard, status: int) -> Adapter:
    class Followed(Serving):
        app = draft.app

        async def boot(self, world: World) -> None:
            try:
                await super().boot(world)
            except SagafuzzError:
                raise
            except Exception as error:
                heard.failed = error.__cause__ if isinstance(error.__cause__, Exception) else error
                return
            app = self._running.app
            if hasattr(app, "config"):  # Flask: what leaves an endpoint is to be seen
                app.config["PROPAGATE_EXCEPTIONS"] = True
            heard.found = endpoints(app)

        def submit(self, order: Order) -> tuple[str, str, Any]:
            endpoint = draft.endpoint
            path = "/".join(order.id if part.startswith("{") else part for part in endpoint.path.split("/"))
            return endpoint.method, path, filled(endpoint.body, order)

        async def run(self, order: Order) -> bool:
            if not draft.endpoint.path or heard.failed is not None:
                return True
            answer = await self._running.ask(*self.submit(order))
            heard.answers.append(answer)
            return answer.status < 400

    routes: Mapping[str, str] = draft.http or {"POST nobody/nothing": _NOBODY.operation}
    steps = [Step(each.name, each.operation, each.undo or None) for each in draft.steps] or [_NOBODY]
    made = service(
        saga=Saga("draft", steps),
        http=routes,
        saga_id=draft.saga_id,
        status={status: REFUSED},
    )(Followed)
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return replace(found, name=draft.app)
