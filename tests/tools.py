"""The programs of the folder ``tools``, as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Final

TOOLS: Final = Path(__file__).resolve().parents[1] / "tools"


def tool_named(name: str) -> ModuleType:
    """The module of ``tools/name.py``, loaded anew."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
