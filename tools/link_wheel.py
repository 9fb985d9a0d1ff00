"""Builds the wheel of the development environment: all of the real one's metadata, none of its code.

In place of the code it holds a ``.pth`` file that leads to the tree of links. So pip itself makes the
console script, the pytest entry point and the dependencies, and there is one way to import the
package.   python tools/link_wheel.py DIRECTORY   (prints the wheel's path)
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import os
import sys
import tempfile
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

from setuptools import build_meta

TOP = Path(__file__).resolve().parent.parent
WHEEL = "Wheel-Version: 1.0\nGenerator: link_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def link_wheel(directory: Path) -> Path:
    os.chdir(TOP)
    logging.disable(logging.WARNING)  # MANIFEST.in excludes what a fresh clone does not have
    with tempfile.TemporaryDirectory() as temporary, redirect_stdout(io.StringIO()):
        info = Path(temporary, build_meta.prepare_metadata_for_build_wheel(temporary))
        files = {
            f"{info.name}/{file.relative_to(info).as_posix()}": file.read_bytes()
            for file in sorted(info.rglob("*"))
            if file.is_file()
        }
    stem = info.name.removesuffix(".dist-info")
    files[f"{info.name}/WHEEL"] = WHEEL.encode()
    files["sagafuzz_links.pth"] = f"{TOP / 'build' / 'links'}\n".encode()
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    record.append(f"{info.name}/RECORD,,\n")
    files[f"{info.name}/RECORD"] = "\n".join(record).encode()
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return wheel


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    sys.stdout.write(f"{link_wheel(Path(sys.argv[1]).resolve())}\n")
