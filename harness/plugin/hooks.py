"""Hooks of the plugin: what a conftest.py, or another pytest plugin, may bring to the campaigns of a session.

They are pluggy hooks like pytest's own: a function of that name in a conftest.py is all that is needed, and it may
take fewer arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from ..invariants import Invariant
    from ..participant import Participant
    from ..ports import Adapter


def pytest_saga_invariants(config: pytest.Config, adapter: Adapter) -> Iterable[Invariant] | None:
    """Invariants of your own that the histories of ``adapter`` are to be judged by, beside the built-in ones.

    `sagafuzz.invariants.Invariant` values, whose ``id`` is a capital letter and a number that no other has: ``S1``.
    ``check`` is pure: given the facts of a history, ``facts.history`` among them, it returns whether its precondition
    occurred, and the violations. One that raises makes the campaign inconclusive.
    """


def pytest_saga_participants(config: pytest.Config, adapter: Adapter) -> Mapping[str, Callable[[], Participant]] | None:
    """Participants for ``adapter``, by name, in place of the built-in ones.

    What the adapter declares itself stays. A name that its saga does not use is passed over, so that one mapping
    serves all adapters.
    """
