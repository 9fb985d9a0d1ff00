"""TLS in the simulated network: the identity. Nobody listens there, so nothing is enciphered and nobody is to prove who
he is; https costs what http does.

A client that is made in each run reads the certificates of its authorities in each, which takes longer than the run:
here it reads them where somebody asks its context for them.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from .host import Host
from .replacing import Around, Entry, Instead, Served

_CIPHER: Final = ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)


class PlainTLS:
    """Stands in for `ssl.SSLObject`: what is read from ``incoming`` and written to ``outgoing`` is what was said."""

    def __init__(self, incoming: Any = None, outgoing: Any = None, context: Any = None) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self.context = context
        self.server_hostname = None

    def do_handshake(self) -> None:
        pass

    def unwrap(self) -> None:
        pass

    def read(self, size: int = 65_536, buffer: Any = None) -> Any:
        data = self._incoming.read(size)
        if not data and not self._incoming.eof:
            raise ssl.SSLWantReadError
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return int(self._outgoing.write(data))

    def pending(self) -> int:
        return int(self._incoming.pending)

    def selected_alpn_protocol(self) -> str:
        return "http/1.1"

    def getpeercert(self, binary_form: bool = False) -> Any:
        return b"" if binary_form else {}

    def cipher(self) -> tuple[str, str, int]:
        return _CIPHER

    def shared_ciphers(self) -> None:
        return None

    def compression(self) -> None:
        return None

    def version(self) -> str:
        return "TLSv1.3"

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:
        return None


def _wrap_bio(
    sim: Host, original: Callable[..., Any], context: Any, incoming: Any, outgoing: Any, *_: Any, **__: Any
) -> PlainTLS:
    return PlainTLS(incoming, outgoing, context)


def _wrap_socket(sim: Host, original: Callable[..., Any], context: Any, sock: Any, *_: Any, **__: Any) -> Any:
    if context.verify_mode is not ssl.CERT_NONE:  # else urllib3 would look for a name in the certificate, as for boto3
        context.check_hostname = True
    return sock


def _load_nothing(sim: Host, original: Callable[..., Any], context: Any, *_: Any, **__: Any) -> None:
    """No certificate is asked for, and to read them takes longer than a whole run."""


_read: Final[set[Any]] = set()
"""How certificates were asked for that this process has read without an error."""

_unread: Final[WeakKeyDictionary[Any, list[Callable[[], object]]]] = WeakKeyDictionary()
"""What a context has still to read, in order."""


def _read_once(original: Callable[..., Any], context: Any, *args: Any, **kwargs: Any) -> None:
    """The first time certificates are read at once, so that what cannot be read is refused as ever; afterwards another
    context reads them where it is asked for them."""
    key = (original, args, tuple(kwargs.items()))
    try:
        known = key in _read
    except TypeError:  # they are in a buffer, which may change
        known = False
    if known:
        itself = ref(context)
        _unread.setdefault(context, []).append(lambda: original(itself(), *args, **kwargs))
        return
    _read_now(context)
    original(context, *args, **kwargs)
    with suppress(TypeError):
        _read.add(key)


def _read_now(context: Any) -> None:
    for read in _unread.pop(context, ()):
        read()


def _having_read(name: str) -> Instead:
    """The method of that name, in a simulation and elsewhere, once its context has read what it was to."""
    original = getattr(ssl.SSLContext, name)

    @wraps(original)
    def method(context: Any, *args: Any, **kwargs: Any) -> Any:
        _read_now(context)
        return original(context, *args, **kwargs)

    return Instead(ssl.SSLContext, name, method)


TLS: Final[tuple[Entry, ...]] = (
    *map(_having_read, ("get_ca_certs", "cert_store_stats", "wrap_bio", "wrap_socket")),
    Around(ssl.SSLContext, "load_verify_locations", _read_once),
    Around(ssl.SSLContext, "set_default_verify_paths", _read_once),
    Served(ssl.SSLContext, "wrap_bio", _wrap_bio),
    Served(ssl.SSLContext, "wrap_socket", _wrap_socket),
    Served(ssl.SSLContext, "load_verify_locations", _load_nothing),
    Served(ssl.SSLContext, "load_default_certs", _load_nothing),
    Served(ssl.SSLContext, "set_default_verify_paths", _load_nothing),
)
"""What of `ssl` is another thing in code under test, and more of it in the code of a service."""
