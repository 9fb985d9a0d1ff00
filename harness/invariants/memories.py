"""The memories that there can be of a past: one row for each memory. Each invariant says which of them it asks for
(``remembers``); the search takes two runs for one where all memories that are asked for are the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEMORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requests": "in which words, and under which key, each step and each undo was asked for; of an undo, which of "
        "them when the step was in effect; and whether steps were asked for since an undo was",
        "begun": "what was not so when a step, or an undo, was asked for the first time: records that should have been "
        "durable, steps before it that nobody knew the outcome of, later ones that were waited for",
        "attempts": "which steps are waited for, and of which an attempt came to nobody knows what, until everybody "
        "can know what the step came to",
        "answers": "what each step and each undo was answered under its key, whether everybody can know that or which "
        "living process alone; which undos came to nothing as far as the living know, and "
        "which participants were asked what they hold",
        "effects": "of each saga, in one order, what took effect, ran out, was undone, was refused to be undone for "
        "the first time, and which ends were declared or told",
        "ends": "which sagas were asked for, and what their clients were told last, first, or were to wait for",
        "people": "what was put aside, and to what a person was called",
        "deaths": "which sagas were under way when a process died, and for which no work was done since",
        "rest": "what was in effect, and to what people had been called, when the harness first started a process anew "
        "at rest; and all of this when a compensation had failed for as long as anybody waits",
        "beside": "of several sagas, what was done for the others since each was asked for or interrupted",
        "durable": "which kinds of records of a saga are durable, and for which steps",
        "knowledge": "which processes, participants and messages know of which undo that took effect",
        "owners": "who of the living wrote for a saga under an epoch, who last, and under which",
        "definitions": "by which definition a saga was begun, and which living process goes by another one",
        "counts": "how often a step was asked for, up to the limit that is declared",
        "sums": "whether counters, accounts and owners have ever been wrong",
        "locks": "who holds which lock",
        "raised": "which exceptions and senseless answers there were, and whether anything was lost or late",
        "touches": "reads and writes of entities, in their order",
        "shown": "what participants hold and what clients and people were told, in one order, for a user's own rules",
    }
)
"""By name, what is remembered."""
