"""A PostgreSQL server of one's own for a live system.   postgres_server.py FOLDER PORT

Makes a cluster in FOLDER where there is none, and becomes its server on 127.0.0.1:PORT, for the user ``sagafuzz``
without a password. Nothing is synced to the disk: what is committed outlives every process, not the machine's power. As
root it runs as the user postgres, since PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def binaries() -> Path:
    """The folder of PostgreSQL's programs. Exits with advice where there is none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if not found:
        sys.exit("PostgreSQL is not installed: there is no initdb on the PATH, nor in /usr/lib/postgresql/*/bin")
    return found[-1].resolve().parent


def _version(initdb: Path) -> float:
    return float(initdb.parts[-3])


def becoming() -> Callable[[], None]:
    """What a process does to run as who may run PostgreSQL, and to end with the one that started it."""
    import pwd  # of POSIX only

    libc = ctypes.CDLL(None)
    as_root = os.geteuid() == 0
    user = pwd.getpwnam("postgres") if as_root else None

    def become() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of the user has undone it

    if user is not None:
        return become
    return lambda: None


def main(folder: Path, port: int) -> None:
    """Does not return."""
    programs, become = binaries(), becoming()
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        for parent in (folder, folder.parent):
            parent.chmod(parent.stat().st_mode | 0o011)
    data = folder / "data"
    if not data.exists():
        flags = "-U sagafuzz -A trust --no-sync --locale=C -E UTF8"
        made = [str(programs / "initdb"), "-D", str(data), *flags.split()]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, preexec_fn=become, cwd="/")
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    options |= {"max_connections": 200, "shared_buffers": "32MB", "autovacuum": "off"}
    options |= {"dynamic_shared_memory_type": "mmap"}  # in FOLDER: a server that is killed leaves none elsewhere
    words = [str(programs / "postgres"), "-D", str(data)]
    for name, value in options.items():
        words += ["-c", f"{name}={value}"]
    os.chdir("/")
    become()
    os.execv(words[0], words)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
