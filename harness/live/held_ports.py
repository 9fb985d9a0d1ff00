"""Ports that are ours from the moment at which they are chosen, until the case that uses them is over."""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import SagafuzzError

LOWEST: Final = 10_000
HIGHEST: Final = 60_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, eq=False)
class HeldPort:
    """A port of 127.0.0.1 that no other case of any campaign on this machine is given. Nobody listens there by now, and
    no client is given it for its own end of a connection."""

    number: int
    _hold: socket.socket

    def close(self) -> None:
        """Leave it to others."""
        self._hold.close()


def hold_port() -> HeldPort:
    """The next one that is free."""
    for number in itertools.islice(_candidates, HIGHEST):
        hold = socket.socket(socket.AF_UNIX)
        try:
            hold.bind(f"\0sagafuzz-port-{number}")  # a name without a file, which ends with the process that has it
            if _is_free(number):
                return HeldPort(number, hold)
        except OSError:  # another one's
            pass
        hold.close()
    raise SagafuzzError(f"no port of 127.0.0.1 above {LOWEST} is free; end what holds them")


def _is_free(number: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what only lingers does not count
        with suppress(OSError):
            sock.bind(("127.0.0.1", number))
            return True
    return False


def _below_the_clients() -> range:
    """The ports that the system gives to nobody by itself."""
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        first = HIGHEST
    return range(LOWEST, first) if first > 2 * LOWEST else range(LOWEST, HIGHEST)


_ports: Final = _below_the_clients()
_candidates: Final = itertools.cycle([*_ports[os.getpid() * 97 % len(_ports) :], *_ports])
