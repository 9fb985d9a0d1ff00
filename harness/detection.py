"""How well the harness does: known bugs that it found, and correct systems that it did not flag."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What became of one mutant.

    ``expected`` are the invariants one of which has to name the cause. ``invariant``, ``sentence``, ``schedules``
    (how many were run until it was found), ``schedule`` (the shrunk plan) and ``size`` (its faults) are of the first
    violation of one of them; without one, ``found`` is false and ``schedules`` is what was run in vain.
    ``seconds`` is processor time, shrinking included. ``late`` marks a mutant that was added when the invariants
    stood.
    """

    name: str
    about: str
    source: str
    expected: tuple[str, ...]
    max_faults: int
    found: bool = False
    invariant: str = ""
    sentence: str = ""
    schedules: int = 0
    schedule: str = ""
    size: int = 0
    seconds: float = 0.0
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Acquittal:
    """What became of a correct system: the ``mutants`` that differ from it, the plans run, and the violations that
    it was blamed for, which must be none."""

    about: str
    mutants: tuple[str, ...]
    max_faults: int
    plans: int
    flagged: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ZooReport:
    """The detection table."""

    version: str
    detections: tuple[Detection, ...]
    acquittals: tuple[Acquittal, ...]
    complete: bool = True

    @property
    def passed(self) -> bool:
        """True if every mutant was found and no correct system was flagged."""
        return (
            self.complete
            and all(detection.found for detection in self.detections)
            and not any(acquittal.flagged for acquittal in self.acquittals)
        )
