"""Code of a server that runs within the harness, as fakeredis and moto do: it is no process of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from greenlet import getcurrent

from .host import Host


@contextmanager
def serving(host: Host) -> Iterator[None]:
    """Code of the server runs: it has the time and the chance of the run, and no process knows of them by that."""
    kernel, read = host.kernel, (host.clock_read, host.time_read)
    before = (kernel.current, kernel.handler, kernel.handler_delay_us)
    kernel.current, kernel.handler, kernel.handler_delay_us = None, getcurrent(), 0
    try:
        yield
    finally:
        kernel.current, kernel.handler, kernel.handler_delay_us = before
        host.clock_read, host.time_read = read
