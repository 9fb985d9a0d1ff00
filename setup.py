"""The long description: the README, as a package index shows it. All else stands in pyproject.toml.

A relative link of the README leads nowhere on an index. It becomes a link into the project's source where
``project.urls`` in pyproject.toml names one as ``Source``, at the tag of this version; else the name of the file,
which the source distribution holds.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from setuptools import setup

TOP = Path(__file__).parent

_RELATIVE = re.compile(r"(?<!!)\[([^]]+)\]\((?![a-z]+:)([^)\s#]*)(#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_BY_NAME = "\n\nThe files that are named here are in the source distribution of this version.\n"


def long_description(readme: str, source: str, version: str) -> str:
    """``readme`` with links that work anywhere; ``source`` is the address of the project's source, "" for none."""

    def absolute(found: re.Match[str]) -> str:
        text, path, anchor = found.groups()
        if not path:  # a heading of this page
            return text
        if source:
            return f"[{text}]({source.rstrip('/')}/blob/v{version}/{path}{anchor or ''})"
        return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"

    parts = [part if part.startswith("```") else _RELATIVE.sub(absolute, part) for part in _FENCE.split(readme)]
    text = "".join(parts)
    return text if source or text == readme else text.rstrip() + _BY_NAME


def main() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package = (TOP / "harness" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"', package, re.MULTILINE)
    assert version is not None
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    setup(
        long_description=long_description(readme, project.get("urls", {}).get("Source", ""), version[1]),
        long_description_content_type="text/markdown",
    )


if __name__ == "__main__":
    main()
