"""A real browser without a window. Where none is installed its tests skip and say what to install;
with SAGAFUZZ_BROWSER=required they fail instead. `tools/browser.sh` installs what they need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MODULES = Path(__file__).resolve().parents[2] / "build" / "browser" / "node_modules"

# --no-sandbox: CI runs as root; the rest keeps the browser from calling home.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Opened:
    """A page that was opened: what it wrote to its console, and what it asked for beside itself."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


def lacking(what: str) -> None:
    reason = f"{what}; run tools/browser.sh"
    if os.environ.get("SAGAFUZZ_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is not installed")
        return
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        lacking("no Chromium is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Write a page to a file and open it: ``open_page(text, width=390, scheme="dark", scripts=False)``. With ``policy``
    what the page forbids is forbidden."""
    contexts: list[Any] = []

    def open_page(
        text: str, *, width: int = 1280, scheme: str = "light", scripts: bool = True, policy: bool = False
    ) -> Opened:
        file = tmp_path / f"page-{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            bypass_csp=scripts and not policy,  # so that the checker can be put into the page
        )
        contexts.append(context)
        opened = Opened(page=context.new_page())
        opened.page.on("console", lambda message: opened.console.append(message.text))
        opened.page.on("pageerror", lambda error: opened.console.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(file.as_uri())
        opened.requests.remove(file.as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()


def source(package: str, file: str) -> str:
    path = MODULES / package / file
    if not path.is_file():
        lacking(f"{package} is not installed")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return source("axe-core", "axe.min.js")


@pytest.fixture(scope="session")
def mermaid() -> str:
    """The source of Mermaid."""
    return source("mermaid", "dist/mermaid.min.js")
