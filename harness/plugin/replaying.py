"""``--saga-replay``: recorded schedules as the tests of a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ..errors import SagafuzzError, UsageError
from ..exploration.findings import finding_id
from ..exploration.replay import Replay, from_text
from ..loading import as_adapter, load
from ..ports import Adapter
from ..regression import expect_fixed, recorded_file
from . import options
from .extending import extended
from .marking import MARKER, beside


def find(config: pytest.Config) -> None:
    """Make the files that were asked for whole paths: the workers of xdist are given the options as they are now."""
    top = options.place(config, "report-dir")
    try:
        found = [recorded_file(named, [top] if top else []) for named in config.option.saga_replay]
    except UsageError as error:
        raise pytest.UsageError(f"--saga-replay: {error}") from None
    config.option.saga_replay = [str(config.invocation_params.dir / path) for path in found]


def replace_items(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """The schedules in place of the tests, which only serve to name the adapters."""
    schedules: list[pytest.Item] = []
    for name in config.option.saga_replay:
        file = Path(name)
        try:
            recorded = from_text(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise pytest.UsageError(f"--saga-replay: cannot read {name!r}: {error}; name an F-….json") from None
        except SagafuzzError as error:
            raise pytest.UsageError(f"--saga-replay: {error}") from None
        adapter = next((found for found in _adapters(items) if _is_of(recorded, found)), None)
        schedules.append(
            Schedule.from_parent(session, name=recorded.id, nodeid=recorded.id, recorded=recorded, adapter=adapter)
        )
    config.hook.pytest_deselected(items=list(items))
    items[:] = schedules


def _adapters(items: Iterable[pytest.Item]) -> Iterator[Adapter]:
    """Those that markers name, as far as they can be loaded."""
    for item in items:
        for marker in item.iter_markers(MARKER):
            for named in (*marker.args[:1], *filter(None, [marker.kwargs.get("adapter")])):
                with suppress(SagafuzzError):
                    yield as_adapter(beside(named, item.path.parent))


def _is_of(recorded: Replay, adapter: Adapter) -> bool:
    return finding_id(adapter.name, recorded.signature) == recorded.id


class Schedule(pytest.Item):
    """One recorded schedule: it passes where the violation is gone."""

    def __init__(self, *, recorded: Replay, adapter: Adapter | None, **of_node: Any) -> None:
        super().__init__(**of_node)
        self._recorded = recorded
        self._adapter = adapter

    def runtest(self) -> None:
        try:
            adapter = self._adapter or load(self._recorded.adapter)
            found = extended(self.config, adapter)
            expect_fixed(self._recorded, found.adapter)
        except SagafuzzError as error:
            raise AssertionError(str(error)) from None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """The words alone, where it is the schedule that fails."""
        return str(excinfo.value) if excinfo.errisinstance(AssertionError) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"replay {self.name}"
