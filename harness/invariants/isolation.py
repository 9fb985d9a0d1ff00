"""Anomalies between sagas that work on the same data: I25.

A saga is a transaction, completed is its commit, compensated its abort. Participants show what they read and
wrote, with the version of each entity; the anomalies are patterns in that, and cycles in the graph of what
depends on what. A countermeasure takes edges out of it: adds commute, a value that is marked as pending was
read knowingly, a value that is read again was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..definitions import parent_of, root_of
from ..history import DATA, DIRECTION, KIND, MSG, PROCESS, READ, SAGA, STEP
from ..saga import COMPENSATION, FORWARD
from ..verdict import Violation
from .facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from .registry import Checked, invariant

if TYPE_CHECKING:
    import networkx as nx

LOCK: Final = "a semantic lock: mark what an open saga wrote as pending, and let others wait or refuse"
REREAD: Final = "a value that is read again, and checked, before anything is built on it"
COMMUTE: Final = "a commuting update: add the difference instead of writing the result"
ONE_ROW: Final = "one row that both sagas write (a version file), or a semantic lock on what was read"


class Touch(NamedTuple):
    """A read or write of an entity. ``marked`` says of a read that the value was pending, of a write that it
    added; ``entity`` is written participant/entity, ``message`` tells one local transaction from another."""

    position: int
    saga: str
    step: str
    direction: str
    message: int
    entity: str
    version: int
    reads: bool
    marked: bool


@dataclass(frozen=True, kw_only=True)
class Accesses:
    """All reads, and the writes of each entity by version. ``done`` are the sagas that committed."""

    reads: list[Touch] = field(default_factory=list)
    writes: dict[str, dict[int, Touch]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)

    def between(self, entity: str, after: int, before: int, other_than: str) -> Iterator[Touch]:
        """The forward writes of an entity by other sagas, whose versions lie strictly between."""
        for version, write in sorted(self.writes.get(entity, {}).items()):
            if after < version < before and write.saga != other_than and write.direction == FORWARD:
                yield write

    def read_again(self, read: Touch, from_version: int) -> bool:
        """The same saga read the entity later, and then saw that version or a later one."""
        return any(
            other.saga == read.saga
            and other.entity == read.entity
            and other.position > read.position
            and other.version >= from_version
            for other in self.reads
        )


@invariant(
    "I25",
    "isolation",
    harm="a saga can build on what another one takes back",
    holds_when="no saga builds on what another one takes back or overwrites, in the ways that the adapter declares",
    cause="local transactions are isolated, sagas are not: what one step wrote is there for all before the saga ends",
    repair="use the countermeasure that the finding names",
    remembers=("touches", "effects"),
    source="Adya, Weak consistency, 1999; Frank & Zahle, 1998; Kingsbury & Alvaro, Elle, 2020",
)
def isolation(facts: Facts) -> Checked:
    """Only the classes that are declared are judged, and only on participants that show their reads and writes.
    Needed: each saga for itself keeps every other rule."""
    wanted: Any = facts.history.declared.get("isolation")
    if not wanted or not facts.touches:
        return False, ()
    accesses = _gather(facts)
    found = []
    for name in wanted:
        for position, about, sentence, missing in PATTERNS[name](accesses):
            found.append(
                Violation(
                    invariant="I25",
                    anomaly=str(name),
                    sentence=f"{sentence}; what is missing is {missing}",
                    expected=missing.split(":")[0],
                    got=str(name),
                    saga=about.saga,
                    step=about.step,
                    direction=about.direction,
                    position=position,
                )
            )
    shared = any(len({write.saga for write in versions.values()}) > 1 for versions in accesses.writes.values())
    met = shared or any(_writer(accesses, read) not in (None, read.saga) for read in accesses.reads)
    return met or any(_replaced(accesses, read) for read in accesses.reads), found


def _replaced(accesses: Accesses, read: Touch) -> bool:
    """Another saga wrote the entity after the read."""
    versions = accesses.writes.get(read.entity, {})
    return any(version > read.version and write.saga != read.saga for version, write in versions.items())


def _gather(facts: Facts) -> Accesses:
    accesses = Accesses()
    for saga in facts.sagas.values():
        if parent_of(saga.id):
            continue  # what a child does is its order's doing
        if _is_undone(saga):
            accesses.undone.add(saga.id)
        elif any(outcome == COMPLETED for _, outcome, _ in saga.claims) or not saga.missing():
            accesses.done.add(saga.id)
    for position in facts.touches:
        row = facts.history.rows[position]
        entity, version, mark = row[DATA]
        reads = row[KIND] == READ
        touch = Touch(
            position=position,
            saga=root_of(row[SAGA]),
            step=row[STEP],
            direction=row[DIRECTION],
            message=row[MSG],
            entity=f"{row[PROCESS]}/{entity}",
            version=version,
            reads=reads,
            marked=bool(mark) if reads else mark == "add",
        )
        if reads:
            accesses.reads.append(touch)
        else:
            accesses.writes.setdefault(touch.entity, {})[version] = touch
    return accesses


def _is_undone(saga: SagaFacts) -> bool:
    return any(outcome == COMPENSATED for _, outcome, _ in saga.claims) or any(
        undo.effective for undo in saga.back.values()
    )


def _writer(accesses: Accesses, read: Touch) -> str | None:
    write = accesses.writes.get(read.entity, {}).get(read.version)
    return write.saga if write is not None and write.direction == FORWARD else None


Found = tuple[int, Touch, str, str]
"""(position, whom it is about, what happened, what is missing)"""


def _dirty_reads(accesses: Accesses) -> Iterator[Found]:
    """A saga commits that read what another one wrote and then took back."""
    seen: set[tuple[str, str]] = set()
    for read in accesses.reads:
        writer = _writer(accesses, read)
        if writer in (None, read.saga) or writer not in accesses.undone or read.saga not in accesses.done:
            continue
        taken_back = [
            write.version
            for write in accesses.writes[read.entity].values()
            if write.saga == writer and write.direction == COMPENSATION and write.version > read.version
        ]
        checked = taken_back and accesses.read_again(read, min(taken_back))
        if read.marked or checked or (read.saga, read.entity) in seen:
            continue
        seen.add((read.saga, read.entity))
        yield (
            read.position,
            read,
            f"{read.saga} completed on a value of {read.entity} that {writer} wrote and then took back",
            LOCK,
        )


def _intermediate_reads(accesses: Accesses) -> Iterator[Found]:
    """A saga commits that read what another one, which committed too, wrote and then wrote again."""
    seen: set[tuple[str, str]] = set()
    for read in accesses.reads:
        writer = _writer(accesses, read)
        if writer in (None, read.saga) or writer not in accesses.done or read.saga not in accesses.done:
            continue
        final = max(
            version
            for version, write in accesses.writes[read.entity].items()
            if write.saga == writer and write.direction == FORWARD
        )
        overtaken = final > read.version and not accesses.read_again(read, final)
        if read.marked or not overtaken or (read.saga, read.entity) in seen:
            continue
        seen.add((read.saga, read.entity))
        yield (
            read.position,
            read,
            f"{read.saga} read a value of {read.entity} that {writer} had not finished",
            LOCK,
        )


def _fuzzy_reads(accesses: Accesses) -> Iterator[Found]:
    """A saga commits that read one entity twice, in two local transactions, and found what another one had
    written in between."""
    seen: set[tuple[str, str]] = set()
    for index, read in enumerate(accesses.reads):
        if read.saga not in accesses.done or read.direction != FORWARD or read.marked:
            continue
        for later in accesses.reads[index + 1 :]:
            if (later.saga, later.entity, later.direction) != (read.saga, read.entity, FORWARD):
                continue
            if later.message == read.message or (read.saga, read.entity) in seen:
                continue
            between = list(accesses.between(read.entity, read.version, later.version + 1, read.saga))
            if between:
                seen.add((read.saga, read.entity))
                yield (
                    later.position,
                    later,
                    f"{read.saga} read {read.entity} twice, and {between[-1].saga} had changed it in between",
                    LOCK,
                )


def _lost_updates(accesses: Accesses) -> Iterator[Found]:
    """A saga writes a result that it computed from a value which another one has replaced since."""
    for entity, versions in accesses.writes.items():
        for version, write in sorted(versions.items()):
            if write.marked or write.direction != FORWARD or write.saga in accesses.undone:
                continue
            reads = [
                read
                for read in accesses.reads
                if read.saga == write.saga and read.entity == entity and read.position < write.position
            ]
            if not reads:
                continue
            lost = [
                other
                for other in accesses.between(entity, reads[-1].version, version, write.saga)
                if other.saga not in accesses.undone
            ]
            if lost and not reads[-1].marked:
                yield (
                    write.position,
                    write,
                    f"{write.saga} wrote {entity} from a value that was read before {lost[-1].saga} changed it",
                    f"{COMMUTE}; or {REREAD}",
                )
                break


def _undo_clobbers(accesses: Accesses) -> Iterator[Found]:
    """An undo puts an old value back over what another saga has written since."""
    for entity, versions in accesses.writes.items():
        for version, write in sorted(versions.items()):
            if write.marked or write.direction != COMPENSATION:
                continue
            own = [
                other.version
                for other in versions.values()
                if other.saga == write.saga and other.direction == FORWARD and other.version < version
            ]
            current = any(
                read.message == write.message and read.entity == entity and read.version >= version - 1
                for read in accesses.reads
            )
            if not own or current:
                continue  # it was computed from the value that is there
            lost = [
                other
                for other in accesses.between(entity, max(own), version, write.saga)
                if other.saga not in accesses.undone
            ]
            if lost:
                yield (
                    write.position,
                    write,
                    f"the undo of {write.saga} put {entity} back over what {lost[-1].saga} had written",
                    f"{COMMUTE}; or {LOCK}",
                )
                break


def _write_skews(accesses: Accesses) -> Iterator[Found]:
    """Two or more sagas commit each of which read what the next one then wrote, on different entities."""
    import networkx as nx

    graph = _dependencies(accesses)
    reported: set[frozenset[str]] = set()
    for cycle in nx.simple_cycles(graph):
        edges = [graph.edges[one, other] for one, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        pairs = zip(edges, [*edges[1:], edges[0]], strict=True)
        skew = [
            (first, second)
            for first, second in pairs
            if first.get("rw") and second.get("rw") and first["rw"].entity != second["rw"].entity
        ]
        if len(cycle) < 2 or not skew or frozenset(cycle) in reported:
            continue
        reported.add(frozenset(cycle))
        last = max((edge["rw"] for pair in skew for edge in pair), key=lambda read: read.position)
        entities = sorted({edge["rw"].entity for pair in skew for edge in pair})
        yield (
            last.position,
            last,
            f"{' and '.join(sorted(cycle))} each completed on a value that the other replaced ({', '.join(entities)})",
            ONE_ROW,
        )


def _dependencies(accesses: Accesses) -> nx.DiGraph[str]:
    """Which committed saga must come before which: ww (it wrote the version before), wr (it wrote what was
    read), rw (it read what was then replaced; the edge holds that read)."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for versions in accesses.writes.values():
        kept = [write for _, write in sorted(versions.items()) if write.saga in accesses.done]
        for write, following in pairwise(kept):
            if write.saga != following.saga and not (write.marked and following.marked):
                graph.add_edge(write.saga, following.saga, ww=True)
    for read in accesses.reads:
        if read.saga not in accesses.done or read.direction != FORWARD:
            continue
        writer = _writer(accesses, read)
        if writer is not None and writer in accesses.done and writer != read.saga:
            graph.add_edge(writer, read.saga, wr=True)
        later = [version for version in accesses.writes.get(read.entity, {}) if version > read.version]
        committed = [version for version in later if accesses.writes[read.entity][version].saga in accesses.done]
        replacing = accesses.writes[read.entity][min(committed)] if committed else None
        if replacing is None or replacing.saga == read.saga or read.marked:
            continue
        if not accesses.read_again(read, replacing.version):
            graph.add_edge(read.saga, replacing.saga, rw=read)
    return graph


PATTERNS: Final[dict[str, Callable[[Accesses], Iterator[Found]]]] = {
    "dirty-read": _dirty_reads,
    "intermediate-read": _intermediate_reads,
    "fuzzy-read": _fuzzy_reads,
    "lost-update": _lost_updates,
    "write-skew": _write_skews,
    "undo-clobber": _undo_clobbers,
}
"""The classes, by the names under which an adapter declares them."""
