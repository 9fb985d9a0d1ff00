"""Saga systems that are wrong in one thing each: one for every kind of fault, and a few that everybody writes.

Each differs from the correct host in one behaviour, and most in such a way that one kind of fault alone brings it
to light. Where two kinds leave the same world behind whatever the system does, the table says so.
"""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sagafuzz import (
    Adapter,
    CallTimeout,
    Conflict,
    Outcome,
    Rejected,
    Request,
    Saga,
    Step,
    StoreUnavailable,
    Transaction,
    Unavailable,
    World,
)
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.adapters.zoo.barriers import AsksOnce, TombstoneUncommitted
from sagafuzz.adapters.zoo.beside import OrderEachClick
from sagafuzz.adapters.zoo.host import MutableOrchestrator, RetryPolicy, Superseded
from sagafuzz.adapters.zoo.parts import (
    DECLINED,
    LEASE_S,
    ONE_AFTER_THE_OTHER,
    SECOND_DECLINED,
    Keyed,
    KeyedParticipant,
    system,
)
from sagafuzz.adapters.zoo.wrong import NAMED, Doubts

WITH_CONFIRMATION = Saga("checkout", [*CHECKOUT.steps, Step("confirm", "inventory.confirm")])


# -- how far did the dead owner's request come? ----------------------------------------------------


class SlowService(KeyedParticipant):
    """Takes a third of a second for each answer."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        time.sleep(0.3)
        return super().handle(request, tx)


class Registry:
    """Holds the furthest stage that each request was reported to have come to."""

    stages: ClassVar = ("", "announced", "sent", "waiting", "answered", "recorded")

    def handle(self, request: Request, tx: Transaction) -> Any:
        known = tx.memory.get(request.payload["of"], 0)
        if request.operation == "registry.note":
            known = max(known, self.stages.index(request.payload["stage"]))
            tx.memory[request.payload["of"]] = known
        return {"stage": self.stages[known]}


class Witnessed(Keyed):
    """Reports to a registry how far its charges come. An owner that takes a saga over asks the registry,
    and would do as well without: asking again under the same key is right at every stage."""

    distrusted = "none"  # the stage at which it asks again as for a new request, under a new key
    believed = "none"  # the stage at which it takes the request for done

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if operation != "payment.charge":
            return super()._call(state, step, operation)
        if state.epoch > 1:
            found = self._world.call("registry.read", saga=state.id, of=state.id)["stage"]
            self.asks_anew = found == self.distrusted
            if found == self.believed:
                return {}
        self.note(state.id, "announced")
        self._world.spawn(self.accompany, state.id)
        answer = super()._call(state, step, operation)
        self.note(state.id, "answered")
        return answer

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        anew = operation == "payment.charge" and state.epoch > 1 and self.asks_anew
        return f"{state.id}/{step.name}" + (f"/{state.epoch}" if anew else "")

    def accompany(self, saga: str) -> None:
        self.note(saga, "sent")
        self._world.sleep(0.1)
        self.note(saga, "waiting")

    def note(self, saga: str, stage: str) -> None:
        self._world.call("registry.note", saga=saga, of=saga, stage=stage)

    def _save(self, state: Any, record: str, step: str = "") -> None:
        if (record, step) == ("outcome", "payment"):
            self._world.spawn(self.note, state.id, "recorded")
        super()._save(state, record, step)


def witnessed(make: type[Witnessed]) -> Adapter:
    return system(
        make,
        lease_s=LEASE_S,
        participants={"payment": SlowService, "registry": Registry},
        operations=("registry.note", "registry.read"),
    )


class TakesAnnouncedForSent(Witnessed):
    """What its dead owner had announced it takes for sent, and so for done."""

    believed = "announced"


class AsksUnsentAnew(Witnessed):
    """What its dead owner had not reported as sent it asks for under a new key."""

    distrusted = "announced"


class AsksSentAnew(Witnessed):
    """What its dead owner had sent, and had not waited for long, it asks for under a new key."""

    distrusted = "sent"


class AsksAwaitedAnew(Witnessed):
    """What its dead owner was seen waiting for it asks for under a new key."""

    distrusted = "waiting"


class AsksAnsweredAnew(Witnessed):
    """What its dead owner had an answer to, and had not begun to record, it asks for under a new key."""

    distrusted = "answered"


class AsksRecordedAnew(Witnessed):
    """What its dead owner had recorded, and its store has lost, it asks for under a new key."""

    distrusted = "recorded"


class NotesTheCallBeforeCalling(MutableOrchestrator):
    """Records that a person was called, and then calls."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        if super()._undo(state, step, operation):
            return True
        state.stuck.append(step.name)
        self._save(state, "stuck", step.name)
        return False


class Shipped(KeyedParticipant):
    """Refuses to take anything back."""

    def undo(self, request: Request, tx: Transaction) -> Any:
        raise Rejected("it has left the house")


# -- messages ----------------------------------------------------------------------------------------


class MarksRepetitions(Keyed):
    """Marks the undo of an order when it asks for it once more after a timeout."""

    timed_out = False

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except CallTimeout:
            self.timed_out = operation == "order.cancel"
            raise

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{step.name}" + ("#again" if self.timed_out else "")


class TakesMarkedForDone(KeyedParticipant):
    """Takes an undo that is marked as a repetition for one that it has seen."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        return {} if str(request.key).endswith("#again") else super().handle(request, tx)


class LooksBeforeItRepeats(Keyed):
    """After a timeout of an undo it looks whether the order is still there, and if so undoes it once more."""

    turn = 1

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{step.name}" + (f"#{self.turn}" if operation == "order.cancel" else "")

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        if step.name != "order":
            return super()._undo(state, step, operation)
        while True:
            try:
                self._call(state, step, operation)
                return True
            except CallTimeout:
                if not self.still_there(state.id):
                    return True
                self.turn += 1
            except Unavailable:
                self._world.sleep(60)

    def still_there(self, saga: str) -> bool:
        while True:
            try:
                return bool(self._world.call("order.look", saga=saga)["there"])
            except (CallTimeout, Unavailable):
                self._world.sleep(1)


class Counted(KeyedParticipant):
    """Counts orders down for each undo with a key of its own; tells whether one is there."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "order.look":
            return {"there": tx.state.get(request.saga, 0) > 0}
        return super().handle(request, tx)

    def undo(self, request: Request, tx: Transaction) -> Any:
        if request.saga in tx.state:
            tx.state[request.saga] -= 1
        return {}


class LaggingIndex(KeyedParticipant):
    """Looks a key up in an index that is a millisecond behind."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} at {request.key}"
        if time.monotonic() - tx.memory.get(mark, time.monotonic()) >= 0.001:
            return {}
        tx.memory[mark] = time.monotonic()
        return self.undo(request, tx) if request.direction == "C" else self.do(request, tx)


class TidiesUp(MutableOrchestrator):
    """At the end it lets the keys of a saga be forgotten, where every request had its answer."""

    doubtful = False

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except (CallTimeout, Unavailable):
            self.doubtful = True
            raise

    def _end(self, state: Any, outcome: Outcome) -> Outcome:
        super()._end(state, outcome)
        if state.epoch == 1 and not self.doubtful:
            self._world.call("payment.forget", saga=state.id, of=f"{state.id}/payment")
        return outcome


class Forgetful(KeyedParticipant):
    """Forgets a key when told so."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "payment.forget":
            return tx.memory.pop(f"F {request.payload['of']}", {})
        return super().handle(request, tx)


class ClosesAfterTimeouts(MutableOrchestrator):
    """Takes the undo of an order for done when it has timed out three times."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        timeouts = 0
        for wait in self._policy.backoffs():
            try:
                self._call(state, step, operation)
                return True
            except CallTimeout:
                timeouts += 1
                if timeouts == 3 and step.name == "order":
                    return True
            except Unavailable:
                pass
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")


class RemembersOnce(KeyedParticipant):
    """Drops a key with its first repetition, since a second one is not expected."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} {request.key}"
        if mark in tx.memory and request.direction == "F":
            return tx.memory.pop(mark)
        return super().handle(request, tx)


# -- participants ------------------------------------------------------------------------------------


class TakesRefusalsForSuccess(MutableOrchestrator):
    """Goes on after a refusal."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return super()._request(state, step)
        except Rejected:
            return {}


class TrustsWhoAnswersPings(MutableOrchestrator):
    """After an error it asks whether the service is up; if so, the service will see to the request."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except Unavailable:
            if operation != step.operation:
                raise
            return self._world.call(f"{step.participant}.ping", saga=state.id)


class NewKeyAfterErrors(Keyed):
    """Makes a new key after each error, since the old one belongs to a request that failed."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.errors: dict[str, int] = {}

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except Unavailable:
            self.errors[operation] = self.errors.get(operation, 0) + 1
            raise

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{step.name}" + "'" * self.errors.get(operation, 0)


class SwallowsFailedUndos(MutableOrchestrator):
    """Counts every compensation as done when its budget is used up."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        super()._undo(state, step, operation)
        return True


class TakesOutagesForRefusals(MutableOrchestrator):
    """Takes a step that failed three times for refused, and so for one that has nothing to undo."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return super()._request(state, step)
        except Unavailable as error:
            raise Rejected(str(error)) from error


class VolatileMemory(KeyedParticipant):
    """Keeps the keys that it has seen in its process's memory."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} {request.key}"
        if mark in self.seen:
            return {}
        self.seen.add(mark)
        return self.undo(request, tx) if request.direction == "C" else self.do(request, tx)


class ReleasesByQuantity(Keyed):
    """When the confirmation is refused it gives back by quantity, without a key, what it had reserved."""

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return None if operation == "inventory.release" and state.refused == "confirm" else f"{state.id}/{step.name}"


class AsksAgainAnHourLater(MutableOrchestrator):
    """Makes sure an hour after the end that the charge was made: it asks again under the same key."""

    def _end(self, state: Any, outcome: Outcome) -> Outcome:
        super()._end(state, outcome)
        if outcome is Outcome.COMPLETED:
            self._world.sleep(3600)
            with contextlib.suppress(CallTimeout, Unavailable):
                self._call(state, self._saga.by_name["payment"], "payment.charge")
        return outcome


# -- answers and time --------------------------------------------------------------------------------


class TakesItsOwnForAnothers(MutableOrchestrator):
    """After a timeout it asks whether the payment exists, and takes its own for that of somebody else."""

    def _request(self, state: Any, step: Step) -> Any:
        if step.name == "payment" and state.epoch == 1:
            try:
                return self._call(state, step, step.operation)
            except CallTimeout:
                if self._world.call("payment.recent", saga=state.id, of=f"{state.id}/payment")["known"]:
                    raise Rejected("it exists already") from None
            except Unavailable:
                pass
        return super()._request(state, step)


class KnowsRecentOnes(KeyedParticipant):
    """Tells which keys it has seen since it was started."""

    def __init__(self) -> None:
        self.recent: set[str] = set()

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "payment.recent":
            return {"known": request.payload["of"] in self.recent}
        if request.direction == "F":
            self.recent.add(str(request.key))
        return super().handle(request, tx)


class DropsSlowAnswers(MutableOrchestrator):
    """An answer that took more than half a second it drops: the step has failed, and failed steps are not undone."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        asked = time.monotonic()
        answer = super()._call(state, step, operation)
        if operation == step.operation and time.monotonic() - asked > 0.5:
            raise Rejected("too slow")
        return answer


class LeaseWithoutFence(MutableOrchestrator):
    """Takes over when a lease of five seconds has run out; its writes name no revision and no epoch."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        self._durably(lambda: self._store.put(f"saga/{state.id}", vars(state), record=record, saga=state.id, step=step))

    def _request(self, state: Any, step: Step) -> Any:
        asked = time.monotonic()
        answer = super()._request(state, step)
        if time.monotonic() - asked > 5:
            raise CallTimeout("the customer will not wait any longer")
        return answer


class LooksBeforeItLeaps(Keyed):
    """A new owner looks what is done, and then does the rest under keys of its own; what an old owner sends
    after that the payment service refuses."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        if record == "adopt":
            looked = self._world.call("payment.look", saga=state.id)
            if looked["charged"]:
                state.done["payment"] = {}
        self._durably(lambda: self._store.put(f"saga/{state.id}", vars(state), record=record, saga=state.id, step=step))

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return self._world.call(
                operation, saga=state.id, key=self.key(state, step, operation), **self._arguments(step, state.request)
            )
        except Rejected as refusal:
            if "stale owner" in str(refusal):
                raise Superseded(state.id) from None
            raise

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{step.name}" + (f"@{state.epoch}" if operation == "payment.charge" else "")


class Fenced(KeyedParticipant):
    """Refuses the requests of an owner when it has seen those of a later one; knows what is charged."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "payment.look":
            return {"charged": request.saga in tx.state}
        if request.direction == "F":
            owner = int(str(request.key).rpartition("@")[2])
            if owner < tx.memory.get(f"owner {request.saga}", 0):
                raise Rejected("stale owner")
            tx.memory[f"owner {request.saga}"] = owner
        return super().handle(request, tx)


class CancelForgets(MutableOrchestrator):
    """Cancels a saga by deleting its record."""

    def cancel(self, saga_id: str) -> None:
        self._durably(lambda: self._store.delete(f"saga/{saga_id}", saga=saga_id))


class DeadlineByTheWall(MutableOrchestrator):
    """Closes a saga ten minutes after its start by the wall clock, since its reservations have run out."""

    def execute(self, saga_id: str, request: Mapping[str, Any]) -> Outcome:
        return super().execute(saga_id, {**request, "deadline": self._world.now() + 600})

    def _drive(self, state: Any) -> Outcome:
        if state.phase == "running" and self._forward(state):
            return self._end(state, Outcome.COMPLETED)
        if self._world.now() > state.request["deadline"]:
            return self._end(state, Outcome.COMPENSATED)
        return self._compensate(state)

    def _cancelled(self, state: Any) -> bool:
        return self._world.now() > state.request["deadline"] or super()._cancelled(state)


class StampsByTheWall(Keyed):
    """Stamps each decision with the wall clock's time."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        if record in ("intent", "compensating"):
            state.request.setdefault(f"{record} {step}", self._world.now())
        super()._save(state, record, step)

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        record = f"intent {step.name}" if operation == step.operation else "compensating "
        stamp = state.request[record]
        return self._world.call(operation, saga=state.id, key=self.key(state, step, operation), at=stamp)


class LastWriterWins(KeyedParticipant):
    """Ignores what is older than what it holds."""

    def do(self, request: Request, tx: Transaction) -> Any:
        super().do(request, tx)
        return tx.memory.setdefault(request.saga, request.payload["at"])

    def undo(self, request: Request, tx: Transaction) -> Any:
        return {} if request.payload["at"] < tx.memory.get(request.saga, 0) else super().undo(request, tx)


# -- two sagas ---------------------------------------------------------------------------------------


class LooksFirst(MutableOrchestrator):
    """Lets the shelf be looked at before each attempt to reserve."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if operation == "inventory.reserve":
            self._world.call("inventory.look", saga=state.id)
        return super()._call(state, step, operation)


class Shelf(KeyedParticipant):
    """Writes back one less than what the saga saw when it looked; a look is good for a second."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.state.setdefault("free", 10)
        if request.operation == "inventory.look":
            tx.memory[f"seen by {request.saga}"] = [tx.state["free"], time.monotonic()]
            return {}
        return super().handle(request, tx)

    def do(self, request: Request, tx: Transaction) -> Any:
        if f"C {request.key}" in tx.memory:
            raise Rejected("it was undone already")
        free, at = tx.memory[f"seen by {request.saga}"]
        if time.monotonic() - at >= 1:
            raise RuntimeError("look again")
        tx.state["free"] = free - 1
        return {}

    def undo(self, request: Request, tx: Transaction) -> Any:
        if f"F {request.key}" in tx.memory:
            tx.state["free"] += 1
        return {}


class LockedShelf(Shelf):
    """The same behind a semantic lock, which is held until the saga confirms or releases; what was seen
    before the lock was taken is not read again."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "inventory.confirm":
            tx.memory["lock"] = None
            return {}
        return super().handle(request, tx)

    def do(self, request: Request, tx: Transaction) -> Any:
        if tx.memory.get("lock") not in (None, request.saga):
            raise RuntimeError("locked")
        super().do(request, tx)
        tx.memory["lock"] = request.saga
        return {}

    def undo(self, request: Request, tx: Transaction) -> Any:
        if tx.memory.get("lock") == request.saga:
            tx.memory["lock"] = None
        return super().undo(request, tx)


# -- the store, and what comes after a restart ---------------------------------------------------------


class IgnoresTheStore(MutableOrchestrator):
    """Takes every write for done."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        with contextlib.suppress(StoreUnavailable):
            self._store.put(f"saga/{state.id}", vars(state), record=record, saga=state.id, step=step)


class UndoesOnceMore(MutableOrchestrator):
    """Makes sure an hour after the end that every undo was done. That is right, whether or not the keys are
    still known: there is nothing left to undo."""

    def _end(self, state: Any, outcome: Outcome) -> Outcome:
        super()._end(state, outcome)
        if outcome is Outcome.COMPENSATED:
            self._world.sleep(3600)
            for name in state.undone:
                self._undo(state, self._saga.by_name[name], str(self._saga.by_name[name].undo))
        return outcome


class TakesItsOwnWriteForAnothers(MutableOrchestrator):
    """Asks the store again after an error, and takes its own record for that of another owner."""

    def _durably(self, write: Callable[[], None]) -> None:
        try:
            super()._durably(write)
        except Conflict:
            raise Superseded from None


class Journal:
    """A store on a file: a line a record, each with its checksum; what does not match is skipped."""

    checked = True

    def __init__(self, world: World) -> None:
        self.file = world.file("journal")

    def lines(self) -> list[tuple[str, Any]]:
        found = []
        for line in self.file.read().split(b"\n"):
            crc, _, text = line.partition(b" ")
            if line and (not self.checked or crc == b"%08x" % zlib.crc32(text)):
                found.append(json.loads(text))
        return found

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        return sorted((key, value) for key, value in dict(self.lines()).items() if key.startswith(prefix))

    def get(self, key: str) -> Any:
        return dict(self.items()).get(key)

    def put(
        self, key: str, value: Any, *, guard: Mapping[str, Any] | None = None, epoch: int = 0, **about: Any
    ) -> None:
        found = self.get(key)
        if found != value:  # else it was appended before, and perhaps not synced
            if guard is not None and (found if not guard else found is None or not guard.items() <= found.items()):
                raise Conflict(key)
            text = json.dumps([key, value]).encode()
            self.file.append(b"\n%08x " % zlib.crc32(text) + text + b"\n")
        self.file.sync(**about)


class OnAFile(MutableOrchestrator):
    """The reference on a journal."""

    journal: type[Journal] = Journal

    def __init__(self, *, world: World, **how: Any) -> None:
        super().__init__(world=world, **how)
        self._store: Any = self.journal(world)


class ReadsTornLines(OnAFile):
    """Reads every line of its journal, whole or not."""

    class journal(Journal):  # noqa: N801 - it takes the place of an attribute
        checked = False


class DoubtsRefusals(MutableOrchestrator):
    """Right where a refusal may hide an effect: undoes the step that was refused, too, since an earlier attempt of it
    may have been applied."""

    def _forward(self, state: Any) -> bool:
        done = super()._forward(state)
        state.refused = ""
        return done


class KeepsTheRefusedForLater(MutableOrchestrator):
    """Undoes a saga that was refused, and leaves the request in a queue of those that are tried once more."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except Rejected:
            self._world.spawn(self._once_more, state, step, operation)
            raise

    def _once_more(self, state: Any, step: Step, operation: str) -> None:
        self._world.sleep(5)
        with contextlib.suppress(Rejected, CallTimeout, Unavailable):
            super()._call(state, step, operation)


class AsksTwice(DoubtsRefusals):
    """Right where a refusal may be one of the moment: asks once more before it takes it for the end, and undoes the
    step then, since another attempt may yet be accepted."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        try:
            return super()._call(state, step, operation)
        except Rejected:
            self._world.sleep(self._policy.first_backoff_s)
            return super()._call(state, step, operation)


class ListsOnce(MutableOrchestrator):
    """Looks for open sagas once after a restart."""

    def resume_pending(self) -> None:
        self._sweep()


# -- what everybody writes first -------------------------------------------------------------------------


class NoKey(Keyed):
    """Asks without idempotency keys."""

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return None


# -- the tables ------------------------------------------------------------------------------------------


class AnewWhileOpen(OrderEachClick):
    """Starts an order anew that this very process has under way; it looks at what others do, and at what is over."""

    def execute(self, saga_id: str, request: Any) -> Outcome:
        for _, record in self._store.items(f"saga/{saga_id}/"):
            if record["outcome"]:
                return Outcome(record["outcome"])
            if not record["request"]["instance"].startswith(f"{self._world.process}-"):
                return Outcome.PENDING
        return super().execute(saga_id, request)


class EmptyIsRefused(Doubts):
    """Takes an answer without content for a refusal."""

    def doubt(self, answer: Any, step: Step, operation: str) -> None:
        if answer is None and operation == step.operation:
            raise Rejected("nothing was said")
        super().doubt(answer, step, operation)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A system that one kind of fault finds out, by a violation of ``invariant``.

    ``also`` names the kinds that inevitably show the same, with the reason. ``after`` is the crash without
    which the fault cannot strike; then plans of two faults are run.
    """

    adapter: Adapter
    invariant: str
    also: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


BELIEVED = "whoever takes any answer for its own believes one without an effect too"
UNHEARD = "the port drops an answer that comes when its call is over: who called cannot tell it from a lost one"

BROKEN: Mapping[str, Broken] = {
    "crash-before-send": Broken(adapter=witnessed(TakesAnnouncedForSent), invariant="I23"),
    "crash-after-send": Broken(adapter=witnessed(AsksUnsentAnew), invariant="I1"),
    "crash-after-effect": Broken(adapter=witnessed(AsksSentAnew), invariant="I1"),
    "crash-after-ack": Broken(adapter=witnessed(AsksAwaitedAnew), invariant="I1"),
    "crash-before-log": Broken(adapter=witnessed(AsksAnsweredAnew), invariant="I1"),
    "lost-write": Broken(adapter=witnessed(AsksRecordedAnew), invariant="I1"),
    "crash-after-log": Broken(
        adapter=system(NotesTheCallBeforeCalling, scenario=DECLINED, participants={"order": Shipped}), invariant="I11"
    ),
    "torn-write": Broken(adapter=system(ReadsTornLines), invariant="C1"),
    "store-error-before-commit": Broken(adapter=system(IgnoresTheStore), invariant="I12"),
    "store-error-after-commit": Broken(adapter=system(TakesItsOwnWriteForAnothers), invariant="I3"),
    "lost-request": Broken(
        adapter=system(
            MarksRepetitions,
            scenario=DECLINED,
            policy=RetryPolicy(undo_attempts=3),
            participants={"order": TakesMarkedForDone},
        ),
        invariant="I2",
    ),
    "timeout": Broken(
        adapter=system(
            LooksBeforeItRepeats, scenario=DECLINED, participants={"order": Counted}, operations=("order.look",)
        ),
        invariant="I1",
    ),
    "duplicate": Broken(adapter=system(participants={"payment": LaggingIndex}, lease_s=LEASE_S), invariant="I1"),
    "delayed-duplicate": Broken(
        adapter=system(TidiesUp, lease_s=LEASE_S, participants={"payment": Forgetful}, operations=("payment.forget",)),
        invariant="I1",
    ),
    "reordered": Broken(adapter=system(AsksOnce, participants={"order": TombstoneUncommitted}), invariant="I2"),
    "partition": Broken(adapter=system(ClosesAfterTimeouts, scenario=DECLINED), invariant="I11"),
    "partition-answers": Broken(adapter=system(participants={"payment": RemembersOnce}), invariant="I1"),
    "reject": Broken(adapter=system(TakesRefusalsForSuccess), invariant="I23"),
    "error-before-effect": Broken(
        adapter=system(TrustsWhoAnswersPings, operations=("order.ping", "inventory.ping", "payment.ping")),
        invariant="I23",
    ),
    "error-after-effect": Broken(adapter=system(NewKeyAfterErrors), invariant="I1"),
    "undo-fails": Broken(
        adapter=system(SwallowsFailedUndos, scenario=DECLINED, policy=RetryPolicy(undo_attempts=8)), invariant="I11"
    ),
    "participant-outage": Broken(adapter=system(TakesOutagesForRefusals), invariant="I5"),
    "participant-restart": Broken(adapter=system(participants={"payment": VolatileMemory}), invariant="I1"),
    "expiry": Broken(
        adapter=system(ReleasesByQuantity, saga=WITH_CONFIRMATION, expiring=("inventory",)), invariant="I18"
    ),
    "refused-repeat": Broken(
        adapter=system(refusing_repeats=("payment",)),
        invariant="I2",
        after="lost-ack",
    ),
    "refused-once": Broken(adapter=system(KeepsTheRefusedForLater, forgetting_refusals=("payment",)), invariant="I15"),
    "key-expiry": Broken(adapter=system(AsksAgainAnHourLater, key_retention_ms=600_000), invariant="I1"),
    "lost-ack": Broken(
        adapter=system(
            TakesItsOwnForAnothers, participants={"payment": KnowsRecentOnes}, operations=("payment.recent",)
        ),
        invariant="I5",
        also={"late-answer": UNHEARD},
    ),
    "late-answer": Broken(
        adapter=system(
            TakesItsOwnForAnothers, participants={"payment": KnowsRecentOnes}, operations=("payment.recent",)
        ),
        invariant="I5",
        also={"lost-ack": UNHEARD},
    ),
    "slow-answer": Broken(adapter=system(DropsSlowAnswers), invariant="I5"),
    "pause": Broken(adapter=system(LeaseWithoutFence, lease_s=5), invariant="I15"),
    "second-orchestrator": Broken(
        adapter=system(LooksBeforeItLeaps, participants={"payment": Fenced}, operations=("payment.look",)),
        invariant="I1",
    ),
    "cancel": Broken(adapter=system(CancelForgets), invariant="I2"),
    "clock-forward": Broken(adapter=system(DeadlineByTheWall), invariant="I5"),
    "clock-back": Broken(
        adapter=system(StampsByTheWall, scenario=DECLINED, participants={"order": LastWriterWins}), invariant="I2"
    ),
    "overtaken": Broken(
        adapter=system(
            LooksFirst, scenario=SECOND_DECLINED, participants={"inventory": Shelf}, operations=("inventory.look",)
        ),
        invariant="I23",
    ),
    "overtaken-twice": Broken(
        adapter=system(
            LooksFirst,
            saga=WITH_CONFIRMATION,
            scenario=ONE_AFTER_THE_OTHER,
            participants={"inventory": LockedShelf},
            operations=("inventory.look",),
        ),
        invariant="I23",
    ),
    "stale-read": Broken(adapter=system(ListsOnce), invariant="I13", after="crash-after-log"),
    "resubmit": Broken(adapter=system(AnewWhileOpen, resubmits=True, lease_s=LEASE_S), invariant="I1"),
    "resubmit-late": Broken(adapter=ZOO["resubmitted-after-the-end"].adapter, invariant="I1"),
    "resubmit-elsewhere": Broken(adapter=ZOO["resubmitted-elsewhere"].adapter, invariant="I1"),
    "malformed-answer": Broken(adapter=ZOO["unreadable-is-refused"].adapter, invariant="I5"),
    "empty-answer": Broken(adapter=system(EmptyIsRefused, **NAMED), invariant="I5"),
    "anothers-answer": Broken(
        adapter=ZOO["anothers-receipt"].adapter, invariant="I19", also={"hollow-success": BELIEVED}
    ),
    "hollow-success": Broken(adapter=ZOO["believes-success"].adapter, invariant="I23"),
    "upgrade": Broken(adapter=ZOO["resumes-by-position"].adapter, invariant="I23", after="crash-after-log"),
}
"""For each kind of fault a system that it finds out."""

HOURS_MS = 3_600_000

SOUND: Mapping[str, tuple[Adapter, ...]] = {
    "torn-write": (system(OnAFile), system(OnAFile, scenario=DECLINED)),
    "expiry": (system(saga=WITH_CONFIRMATION, expiring=("inventory",)),),
    "refused-repeat": (
        system(DoubtsRefusals, refusing_repeats=("payment",)),
        system(DoubtsRefusals, scenario=DECLINED, refusing_repeats=("payment",)),
    ),
    "refused-once": (
        system(forgetting_refusals=("order", "inventory", "payment")),
        system(AsksTwice, forgetting_refusals=("order", "inventory", "payment")),
        system(AsksTwice, scenario=DECLINED, forgetting_refusals=("order", "inventory", "payment")),
    ),
    "key-expiry": (system(UndoesOnceMore, scenario=DECLINED, key_retention_ms=HOURS_MS / 2),),
    **dict.fromkeys(
        ("resubmit", "resubmit-late", "resubmit-elsewhere"),
        (system(resubmits=True), system(scenario=DECLINED, resubmits=True), ZOO["order-each-click"].twin),
    ),
    **dict.fromkeys(("malformed-answer", "empty-answer", "hollow-success"), (ZOO["believes-success"].twin,)),
    "anothers-answer": (ZOO["believes-success"].twin, ZOO["anothers-receipt"].twin),
    "upgrade": (ZOO["resumes-by-position"].twin,),
}
"""The reference with what it needs to suffer a kind; for all others it is the built-in one in all its scenarios."""

KEPT_FOR_A_DAY = system(key_retention_ms=24 * HOURS_MS)
"""A participant that has forgotten a key applies the charge again, whoever asks. So the one way to survive is not
to ask again when keys may be forgotten: the reference's last attempt comes seconds after the first."""

CLASSICS: Mapping[str, Adapter] = {
    "no-key": system(NoKey),
    "in-memory": ZOO["in-memory"].adapter,
    "failed-step-omitted": ZOO["failed-step-omitted"].adapter,
}
"""What everybody writes first, each in the reference."""
