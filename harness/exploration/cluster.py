"""Workers of a Dask cluster as a crew that searches parts of a campaign.

Dask moves the parts and tells who is there; who does what is decided here. Each part is given to one worker and to no
other, without retries, so that nothing is repeated that is not told: a worker that is gone is an event for the pool.
Each worker searches in a process of its own (see `part_worker`), which ends with it.
"""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from .certificate import versions
from .part_worker import Facts, PartWorker
from .pool import Done, Lost
from .settings import Settings

CONNECT_S: Final = 10
"""How long the scheduler, and then its first worker, may take to answer."""

JOIN_S: Final = 120
"""How long a worker may take to start its process and load the adapter."""

HAND_OVER_S: Final = 30
"""How long a worker may take to hand over a part that it has searched."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker must know of a campaign to search its parts. ``folder`` is where the campaign runs; a machine that
    has none of that name uses the worker's own."""

    id: str
    spec: str
    settings: Settings
    folder: str
    loud: bool


@contextmanager
def cluster(
    address: str, spec: str, settings: Settings, source: str, complain: Callable[[str], None], *, loud: bool
) -> Iterator[Cluster]:
    """The workers of the scheduler at ``address``, now and later. Raises UsageError where nobody answers there, it has
    no worker, or one could not search the same: other versions, another file of the adapter."""
    job = Job(id=uuid.uuid4().hex, spec=spec, settings=settings, folder=str(Path.cwd()), loud=loud)
    with _connected(address) as client:
        crew = Cluster(client, job, source, complain)
        try:
            crew.join(address)
            yield crew
        finally:
            crew.leave()


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import distributed
    except ModuleNotFoundError:
        raise UsageError(
            "--cluster: dask.distributed is not installed; install it with: pip install 'sagafuzz[cluster]'"
        ) from None
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"--cluster: no Dask scheduler answers at {address!r}: {reason}; name one such as tcp://127.0.0.1:8786"
        ) from None
    with client:
        yield client


class Cluster:
    """The crew. A worker is called by its address; one that takes over the address of another is told apart by its
    id, which it says when it is asked for its facts."""

    def __init__(self, client: Any, job: Job, source: str, complain: Callable[[str], None]) -> None:
        self._client = client
        self._job = job
        self._source = source
        self._complain = complain
        self._ids: dict[str, str] = {}  # of those that can be given parts
        self._known: set[str] = set()  # those, the ones that were asked for their facts, and the unfit
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked: dict[str, tuple[Any, str, str]] = {}  # by key: the future, its worker, the part or ""

    def join(self, address: str) -> None:
        """Wait for the workers that are there."""
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=CONNECT_S)
        self._greet()
        if not self._asked:
            raise UsageError(
                f"--cluster: the scheduler at {address!r} has no worker; start one with: dask worker {address}"
            )
        for future, worker, _ in list(self._asked.values()):
            try:
                facts, id = future.result(timeout=JOIN_S)
            except Exception as error:
                raise UsageError(f"--cluster: worker {worker} cannot search: {_first_line(error)}") from None
            if complaint := unfit(facts, self._job, self._source):
                raise UsageError(f"--cluster: worker {worker} {complaint}")
            del self._asked[future.key]
            self._ids[worker] = id

    def present(self) -> Sequence[str]:
        self._greet()
        return list(self._ids)

    def give(self, worker: str, part: str) -> None:
        self._ask(worker, part)

    def events(self, timeout_s: float) -> Iterator[Done | Lost]:
        yield from self._gone()
        with suppress(queue.Empty):
            future = self._ready.get(timeout=timeout_s) if timeout_s else self._ready.get_nowait()
            while True:
                yield from self._answered(future)
                future = self._ready.get_nowait()

    def leave(self) -> None:
        """Ask for nothing any more; what the workers are at is not wanted."""
        with suppress(Exception):  # whoever is gone by now need not be told
            self._client.cancel([future for future, _, _ in self._asked.values()])
            self._client.run(dismiss, self._job.id, on_error="ignore")

    # -- who is there --------------------------------------------------------------------------

    def _greet(self) -> None:
        """Ask those that are new what they are."""
        for worker in self._client.scheduler_info(n_workers=-1)["workers"]:
            if worker not in self._known:
                self._known.add(worker)
                self._ask(worker, "")

    def _gone(self) -> Iterator[Lost]:
        there = self._client.scheduler_info(n_workers=-1)["workers"]
        for worker in self._known - set(there):
            self._known.discard(worker)
            if worker in self._ids:
                yield self._lose(worker, "is gone")

    def _lose(self, worker: str, how: str) -> Lost:
        self._ids.pop(worker, None)
        for key, (future, its, _) in list(self._asked.items()):
            if its == worker:
                del self._asked[key]
                future.cancel()
        return Lost(worker, how)

    # -- what they are asked -------------------------------------------------------------------

    def _ask(self, worker: str, part: str) -> None:
        """For a part, or for its facts."""
        id = self._ids.get(worker, "")
        future = self._client.submit(
            work, self._job, id, part, key=f"sagafuzz-{uuid.uuid4().hex}", workers=[worker], retries=0, pure=False
        )
        self._asked[future.key] = (future, worker, part)
        future.add_done_callback(self._ready.put)

    def _answered(self, future: Any) -> Iterator[Done | Lost]:
        if future.key not in self._asked:
            return
        _, worker, part = self._asked[future.key]
        try:
            answer = future.result(timeout=HAND_OVER_S)
        except TakenOver:
            self._known.discard(worker)
            yield self._lose(worker, "is gone, and another has its address")
            return
        except Exception as error:
            yield self._lose(worker, f"is not asked any more: {_first_line(error)}")
            return
        del self._asked[future.key]
        if part:
            yield Done(worker, part, answer)
            return
        facts, id = answer
        if complaint := unfit(facts, self._job, self._source):
            self._complain(f"worker {worker} {complaint}; it is given nothing")
        else:
            self._ids[worker] = id


def unfit(facts: Facts, job: Job, source: str) -> str:
    """Why a worker would not find the same as this process, "" where it would. ``source`` is the hash of the adapter's
    file here."""
    if facts.complaint:
        return f"cannot load the adapter: {facts.complaint}"
    there = facts.versions
    others = [
        f"{name} {there.get(name) or 'missing'} (here {here})"
        for name, here in versions().items()
        if there.get(name) != here
    ]
    if others:
        return f"has other versions: {', '.join(others)}; install the same on all machines"
    if facts.source != source:
        return f"has another file of the adapter {job.spec!r}; bring the same to all machines"
    return ""


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")


# -- in the worker -----------------------------------------------------------------------------

_at_work = threading.Lock()
_processes: dict[str, PartWorker] = {}  # by the id of the campaign; at most one, of the last


class TakenOver(RuntimeError):
    """A part was given to a worker that had the address of this one."""


def work(job: Job, id: str, part: str) -> Any:
    """In the Dask worker of that id: the text of that part, searched by a process of the worker's, one at a time; for
    no part its Facts and its id. Raises TakenOver, and RuntimeError where that process died."""
    from distributed import get_worker

    own = str(get_worker().id)
    if id not in ("", own):
        raise TakenOver(id)
    with _at_work:
        if job.id not in _processes:
            _end(list(_processes))
            folder = Path(job.folder) if Path(job.folder).is_dir() else None
            _processes[job.id] = PartWorker(job.spec, job.settings, loud=job.loud, folder=folder)
        process = _processes[job.id]
        try:
            return process.search(part) if part else (process.facts(), own)
        except (EOFError, OSError):
            del _processes[job.id]
            raise RuntimeError(f"its process {process.ending}") from None


def dismiss(id: str) -> None:
    """In a Dask worker: end the process of that campaign."""
    _end([id])


def _end(ids: Sequence[str]) -> None:
    for id in ids:
        if process := _processes.pop(id, None):
            process.end()
