"""What a command does not need is not loaded for it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("aiohttp", "asyncio", "attr", "cattrs", "distributed", "hypothesis", "jinja2", "networkx", "rich", "tabulate")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that the command line has loaded when it comes to its end."""
    code = (
        "import sys\n"
        "from sagafuzz.cli.main import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "except SystemExit as left:\n"
        "    print('left', left.code, *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    word, exit_code, *modules = done.stderr.split()
    assert (word, exit_code) == ("left", "0"), done.stderr
    return set(modules)


def test_a_search_loads_no_library_for_graphs_or_properties() -> None:
    words = ("run", "reference", "--scenario", "succeeds", "--faults", "1", "--random", "0", "--report-dir", "report")
    assert not {name.partition(".")[0] for name in loaded_by(*words)}.intersection(("hypothesis", "networkx"))


def test_the_version_is_told_without_any_heavy_module() -> None:
    found = loaded_by("--version")
    assert "sagafuzz.cli.main" in found
    assert not {name.partition(".")[0] for name in found}.intersection(HEAVY)
    ours = {name for name in found if name.startswith("sagafuzz.")}
    assert not {name for name in ours if name.split(".")[1] not in ("cli", "errors", "reports")}
