"""A campaign does not let the code under test be heard."""

from __future__ import annotations

from loguru import logger

from sagafuzz.exploration.quiet import quiet


def test_what_is_told_loguru_is_not_shown_meanwhile() -> None:
    shown: list[str] = []
    sink = logger.add(shown.append, format="{message}")
    try:
        with quiet():
            logger.error("meanwhile")
        logger.error("afterwards")
    finally:
        logger.remove(sink)
    assert shown == ["afterwards\n"]
