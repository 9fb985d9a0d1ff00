"""What stands in a Markdown file, and how to do what it says: its programs, its commands, its links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from sagafuzz.cli.main import cli, main

from ..exercised import AS_PLUGIN, FOLDER
from ..warm import warm

TOP = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^]\n]*(?:\n[^]\n]*)?]\(([^)\s]+)\)")
_FILE = re.compile(r"# file: (\S+)\n")


@dataclass(frozen=True, kw_only=True)
class Fence:
    """A fenced block: its language, its text and the line on which it begins."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The file that a block is to be written to, where its first line names one."""
        found = _FILE.match(self.text)
        return found[1] if found else ""


def fences(text: str) -> list[Fence]:
    return [
        Fence(language=found[1].strip(), text=found[2], line=text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ +(.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of a console block and the lines that are shown under it."""

    words: str
    shown: str
    line: int


def commands(fence: Fence) -> list[Command]:
    found: list[tuple[str, list[str], int]] = []
    for number, line in enumerate(fence.text.splitlines(), fence.line + 1):
        if line.startswith("$ "):
            found.append((line[2:], [], number))
        else:
            found[-1][1].append(line)
    return [Command(words=words, shown="\n".join(shown), line=line) for words, shown, line in found]


def mentioned(text: str) -> set[str]:
    """Every ``sagafuzz …`` command line that stands outside of console blocks, in blocks or in the running text."""
    blocks = (line for fence in fences(text) if fence.language != "console" for line in fence.text.splitlines())
    candidates = [*blocks, *_INLINE.findall(prose(text))]
    lines = (line.strip().removeprefix("- run: ").removeprefix("$ ") for line in candidates)
    return {line.partition("   #")[0] for line in lines if re.match(r"sagafuzz [a-z]+( |$)", line)}


def parse(command: str) -> None:
    """Let click read the command line, and do nothing. Raises what is wrong with it."""
    arguments = shlex.split(command)[1:]
    context = click.Context(cli)
    name, found, rest = cli.resolve_command(context, arguments)
    assert found is not None
    if rest:
        found.make_context(name, rest, parent=context)


def shows(expected: str, got: str) -> bool:
    """True if ``got`` is ``expected``, in which … stands for anything: within a line, or for whole lines."""
    pattern = "\n".join(
        ".*" if line.strip() == "…" else r"[^\n]*".join(map(re.escape, line.rstrip().split("…")))
        for line in expected.strip("\n").split("\n")
    )
    pattern = pattern.replace(".*\n", "(?s:.*?\n|)").replace("\n.*", "(?s:\n.*|)")
    text = "\n".join(line.rstrip() for line in got.strip("\n").split("\n"))
    return re.fullmatch(pattern, text) is not None


class Shell:
    """Does the commands of a page in ``folder``. ``printed`` reads what this process has written so far."""

    def __init__(self, folder: Path, printed: Callable[[], tuple[str, str]]) -> None:
        self.folder = folder
        self.code = 0
        self._printed = printed

    def do(self, command: str) -> str:
        """Its standard output, or what it complained of where it has none."""
        words = shlex.split(command)
        if words == ["echo", "$?"]:
            return str(self.code)
        if words[0] == "cd":
            self.folder = (self.folder / words[1]).resolve()
            assert self.folder.is_dir(), command
            self.code = 0
            return ""
        out, error = self._sagafuzz(words[1:]) if words[0] == "sagafuzz" else self._process(words)
        return out or error

    def _sagafuzz(self, words: list[str]) -> tuple[str, str]:
        """In this process, which is quicker; with the interpreter's own warnings, as a user has them."""
        self._printed()
        with visiting(self.folder), warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                main(words)
            except SystemExit as left:
                self.code = int(left.code or 0)
        return self._printed()

    def _process(self, words: list[str]) -> tuple[str, str]:
        known = {"pytest": warm("pytest", "-p", "no:cacheprovider", *AS_PLUGIN), "diff": ["diff"]}
        assert words[0] in known, f"the tests do not know the command {words[0]!r}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
        result = subprocess.run(
            [*known[words[0]], *words[1:]],
            cwd=self.folder,
            env={**environment, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": FOLDER},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        self.code = result.returncode
        return result.stdout, result.stderr


@contextmanager
def visiting(folder: Path) -> Iterator[None]:
    """Work in ``folder`` as a fresh process would: the modules that come from files are forgotten again."""
    before, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).parent == folder:
                del sys.modules[name]
