"""The real bugs, a row each: a version of an engine that has it, one that has not, and the search that finds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

SYSTEMS: Final = Path(__file__).resolve().parent / "systems"

_MIKRO_ORM: Final = tuple(f"@mikro-orm/{part}@5.9.7" for part in ("core", "knex", "migrations", "postgresql"))


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Packages that are installed together, from ``registry``, in an environment called ``name``."""

    name: str
    requirements: tuple[str, ...]
    registry: Literal["pypi", "npm"] = "pypi"


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A bug, ``report``ed there, "" where nobody did. The search is of ``system``, every plan with at most ``faults``
    faults of ``kinds`` in ``scenarios``; it is to find a violation of ``invariant`` in ``bad`` within ``budget_s``
    seconds, in ``repeats`` of which at least one is to show it again, and none in ``good``. ``good`` is None where no
    version without the bug was published, for the reason in ``why``. ``needs`` are programs."""

    name: str
    about: str
    report: str
    bad: Versions
    good: Versions | None
    system: str
    scenarios: tuple[str, ...]
    faults: int
    kinds: tuple[str, ...]
    invariant: str
    budget_s: int
    why: str = ""
    needs: tuple[str, ...] = field(default=())

    @property
    def manifest(self) -> Path:
        """That of the system."""
        return SYSTEMS / f"{self.system}.toml"


def dbos(version: str) -> Versions:
    return Versions(name=f"dbos-{version}", requirements=(f"dbos=={version}",))


def medusa(version: str) -> Versions:
    parts = ("workflows-sdk", "orchestration", "modules-sdk", "types", "utils")
    own = tuple(f"@medusajs/{part}@{version}" for part in parts)
    peers = (*_MIKRO_ORM, "awilix@8.0.1", "express@4.21.2", "pg@8.13.1")
    return Versions(name=f"medusa-{version}", requirements=(*own, *peers), registry="npm")


_DBOS_ISSUES: Final = "https://github.com/dbos-inc/dbos-transact-py"

BUGS: Final = (
    Bug(
        name="dbos-runs-twice",
        about="an order that is sent again while it is under way runs beside itself",
        report=f"{_DBOS_ISSUES}/issues/544",
        bad=dbos("2.7.0"),
        good=dbos("2.9.0"),
        system="dbos_started",
        scenarios=("succeeds",),
        faults=1,
        kinds=("resubmit", "resubmit-late", "resubmit-elsewhere"),
        invariant="I1",
        budget_s=120,
    ),
    Bug(
        name="dbos-stranded",
        about="a recovery whose first write fails leaves the workflow pending until one more restart",
        report=f"{_DBOS_ISSUES}/issues/716",
        bad=dbos("2.23.0"),
        good=dbos("2.24.0"),
        system="dbos_queued_postgres",
        scenarios=("succeeds",),
        faults=2,
        kinds=("crash-after-effect", "store-error-before-commit"),
        invariant="I3",
        budget_s=300,
        needs=("initdb",),
    ),
    Bug(
        name="dbos-dequeued-twice",
        about="two workers take the same item out of a queue on SQLite",
        report=f"{_DBOS_ISSUES}/issues/541",
        bad=dbos("2.18.0"),
        good=dbos("2.21.0"),
        system="dbos_queued_sqlite",
        scenarios=("many",),
        faults=1,
        kinds=("slow-answer",),
        invariant="I1",
        budget_s=240,
    ),
    Bug(
        name="dbos-cancelled-succeeds",
        about="a workflow that was cancelled in its last step ends with success",
        report=f"{_DBOS_ISSUES}/pull/703",
        bad=dbos("2.23.0"),
        good=dbos("2.24.0"),
        system="dbos_cancelled",
        scenarios=("succeeds",),
        faults=1,
        kinds=("cancel", "crash-after-effect", "lost-ack"),
        invariant="I23",
        budget_s=120,
    ),
    Bug(
        name="medusa-undo-without-data",
        about="the undo of a step that has a name of its own, among steps at once, is called without its data",
        report="https://github.com/medusajs/medusa/issues/9844",
        bad=medusa("2.0.1"),
        good=medusa("2.0.4"),
        system="medusa",
        scenarios=("succeeds", "declined"),
        faults=1,
        kinds=("error-before-effect", "duplicate"),
        invariant="I5",
        budget_s=180,
        needs=("node", "npm"),
    ),
    Bug(
        name="celery-saga-lost-update",
        about="two steps at once write the saga's whole state over one another, and one is not undone",
        report="",
        bad=Versions(name="celery-saga-0.1.1", requirements=("celery-saga==0.1.1", "celery[redis]")),
        good=None,
        why="0.1.1 is the newest version",
        system="celery_saga",
        scenarios=("declined",),
        faults=1,
        kinds=("slow-answer",),
        invariant="I5",
        budget_s=120,
        needs=("redis-server",),
    ),
    Bug(
        name="moto-late-failure",
        about="an attempt that succeeds after one that failed is taken for a failed one, and its step is done again",
        report="",
        bad=Versions(name="moto-5.2.5", requirements=("moto[stepfunctions,sqs]==5.2.5", "boto3")),
        good=None,
        why="5.2.5 is the newest version",
        system="moto",
        scenarios=("succeeds",),
        faults=1,
        kinds=("error-before-effect",),
        invariant="I1",
        budget_s=240,
    ),
)
