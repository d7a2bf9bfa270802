"""A call: a cell with the messages that buy it."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_oirl.records import Message
from prompt_oirl.runs.cells import Cell

__all__ = ["Call"]


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be sent, and the cell that its outcome belongs to."""

    cell: Cell
    messages: tuple[Message, ...]
