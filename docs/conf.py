"""How Sphinx makes the documentation's site: `make docs`. The pages are the Markdown files beside this one."""

from __future__ import annotations

import re
from typing import Any

import sagafuzz

project = "sagafuzz"
author = "the sagafuzz developers"
version = release = sagafuzz.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"sagafuzz {release}"
myst_heading_anchors = 4  # as deep as pages link to one another's headings
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]  # what a program prints need not be of its language
autodoc_typehints = "description"
autodoc_member_order = "bysource"

_AROUND = re.compile(r"\[([^\]]+)\]\(\.\./([^)#\s]+)(?:#[^)\s]*)?\)")
"""A link to a file that is no page."""

_TITLES = {"detection-table": "# Detection table\n\n"}
"""Of pages that a command writes."""

_NAMES = "<!-- names -->"
"""Where the public names stand, in the page of them."""


def _with_names(text: str) -> str:
    """The page with a block for each public name: `sagafuzz.__all__` is the list."""
    blocks = []
    for name in sagafuzz.__all__:
        found: Any = getattr(sagafuzz, name)
        if name == "__version__":
            continue
        kind = "class" if isinstance(found, type) else "function"
        options = "\n   :members:" if kind == "class" else ""
        blocks.append(f"```{{eval-rst}}\n.. auto{kind}:: sagafuzz.{name}{options}\n```")
    return text.replace(_NAMES, "\n\n".join(blocks))


def _as_a_page(app: object, page: str, source: list[str]) -> None:
    """Links to files beside the pages are told by their names, since the site does not hold them."""
    text = _AROUND.sub(r"\1 (`\2`)", source[0])
    source[0] = _with_names(text) if page == "api" else _TITLES.get(page, "") + text


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _as_a_page)
