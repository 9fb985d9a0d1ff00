"""A schedule as a Mermaid sequence diagram, which Markdown on GitHub and GitLab draws."""

from __future__ import annotations

import re
from typing import Final

from ..history import History
from .clean import clean
from .diagram import Diagram, diagram
from .spacetime import time_of

_SPECIAL: Final = re.compile(r'[#;<>"%{}\\]')


def render(history: History) -> str:
    """The whole diagram; uneventful stretches of a long schedule are counted, as in every report."""
    return draw(diagram(history))


def draw(picture: Diagram) -> str:
    """The diagram as Mermaid: an arrow for each request, a note for all else."""
    names = {name: f"p{number}" for number, name in enumerate(picture.lanes)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {alias} as {_plain(clean(name, 40))}" for name, alias in names.items()]
    for line in picture.lines:
        time = "" if line.kind == "elided" else f"{time_of(line)}: "
        first, target = names[line.source or picture.lanes[0]], names.get(line.target, "")
        if target:
            lines.append(f"    {first}->>{target}: {_plain(time + line.text)}")
            lines.append(f"    Note over {target}: {_plain(line.fate)}")
        else:
            lines.append(f"    Note over {first}: {_plain(time + line.text)}")
        lines += [f"    Note over {target or first}: {_plain(_mark(mark.kind, mark.text))}" for mark in line.marks]
    return "\n".join(lines) + "\n"


def _mark(kind: str, text: str) -> str:
    return f"⚡ fault {clean(text, 40)}" if kind == "fault" else f"◀ {clean(text, 40)}"


def _plain(text: str) -> str:
    """Text in which nothing is Mermaid's: its special letters by their numbers."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text) or "–"
