"""What the sources of randomness say inside a simulation: what follows from the seed of its run."""

from __future__ import annotations

import os
import random
import sys
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ..frames import is_own
from .host import Host
from .inside import simulation
from .replacing import Answer, Instead


def _urandom(sim: Host, size: int, *_: Any) -> bytes:
    return sim.random.randbytes(size)


def _chance(name: str) -> Callable[..., Any]:
    def inside(sim: Host, *args: Any, **kwargs: Any) -> Any:
        return getattr(sim.random, name)(*args, **kwargs)

    return inside


# -- generators ------------------------------------------------------------------------------------

_seed: Final = random.Random.seed
_of_the_system: Final = weakref.WeakSet[random.Random]()
"""Generators made outside of a simulation without a seed."""


def _seeded(generator: random.Random, a: Any = None, version: int = 2) -> None:
    """`random.Random.seed`, and so `random.Random()`: without a seed it asks the system for one."""
    if a is None:
        sim = simulation()
        if sim is None:
            _of_the_system.add(generator)
        else:
            a = sim.random.getrandbits(64)
    else:
        _of_the_system.discard(generator)
    _seed(generator, a, version)


class _Kept:
    """The generators that the user's modules and classes hold, by name, and the states in which they were found."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[random.Random, Any]] = {}
        self.modules = 0  # how many there were

    def look(self) -> None:
        """Look again: modules came since."""
        self.modules = len(sys.modules)
        for name, module in list(sys.modules.items()):
            if is_own(getattr(module, "__file__", None) or "<"):
                for path, value in _values(name, vars(module)):
                    if type(value) is random.Random and path not in self.found:
                        self.found[path] = (value, value.getstate())


def _values(path: str, held: Mapping[str, Any], *, inner: bool = True) -> Iterator[tuple[str, Any]]:
    """The values in a module, and in its classes."""
    for name, value in list(held.items()):
        yield f"{path}.{name}", value
        if inner and isinstance(value, type) and value.__module__ == path:
            yield from _values(f"{path}.{name}", vars(value), inner=False)


_kept: Final = _Kept()


def renew(sim: Host, incarnation: int) -> None:
    """Let the generators that the user's modules hold begin anew, as in a process that has just imported them."""
    if _kept.modules != len(sys.modules):
        _kept.look()
    for path, (generator, state) in _kept.found.items():
        if generator in _of_the_system:
            _seed(generator, f"{sim.seed}/{incarnation}/{path}")
        else:
            generator.setstate(state)


# -- identifiers -----------------------------------------------------------------------------------

_NODE: Final = 0x02_00_00_00_00_01
"""The address of the virtual machine: a locally administered one."""


def _timed(name: str, *by_default: Any) -> Callable[..., Any]:
    """`uuid.uuid1` and its like. What the module remembers of the last one is kept for each run by itself."""
    original: Callable[..., uuid.UUID] = getattr(uuid, name, uuid.uuid1)

    def inside(sim: Host, *args: Any, **kwargs: Any) -> uuid.UUID:
        ours, module = sim.remembered, vars(uuid)
        outside = {key: value for key, value in module.items() if key.startswith("_last_")}
        module.update(dict.fromkeys(outside), **ours)
        try:
            return original(*args, **kwargs) if args or kwargs else original(*by_default)
        finally:
            ours.update((key, module[key]) for key in outside)
            module.update(outside)

    return inside


_CHANCE: Final = (
    "betavariate",
    "binomialvariate",
    "choice",
    "choices",
    "expovariate",
    "gammavariate",
    "gauss",
    "getrandbits",
    "getstate",
    "lognormvariate",
    "normalvariate",
    "paretovariate",
    "randbytes",
    "randint",
    "random",
    "randrange",
    "sample",
    "seed",
    "setstate",
    "shuffle",
    "triangular",
    "uniform",
    "vonmisesvariate",
    "weibullvariate",
)

CHANCE: Final[tuple[Answer | Instead, ...]] = (
    Answer(os, "urandom", _urandom),
    Answer(os, "getrandom", _urandom),
    Answer(random, "_urandom", _urandom),  # what SystemRandom, and so secrets, took by name
    *(Answer(random, name, _chance(name)) for name in _CHANCE),
    Instead(random.Random, "seed", _seeded),
    Answer(uuid, "uuid1", _timed("uuid1", _NODE)),
    Answer(uuid, "uuid6", _timed("uuid6", _NODE)),
    Answer(uuid, "uuid7", _timed("uuid7")),
)
"""Each source of randomness, and what it says inside."""
