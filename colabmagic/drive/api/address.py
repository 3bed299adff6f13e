"""Addresses that are keys: who has that of an upload can write to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A whole address, which no traceback shows, not even with the variables of frames.

    Attributes
    ----------
    text
        The address.
    """

    text: str

    def __repr__(self) -> str:
        """Say nothing: not even a part of it."""
        return "<address>"
