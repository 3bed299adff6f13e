"""What a line of the cell holds: requirements, and options for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.cuda.packages.scrub import scrub

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One requirement.

    Attributes
    ----------
    text
        As pip is to get it, hashes included; it may hold a password.
    name
        Normalised as package indexes do it; None: only pip can tell (a path, a URL).
    number
        Line of the cell, from 1.
    where
        File that it stands in; empty: the cell.
    """

    text: str = field(repr=False)
    name: str | None
    number: int
    where: str = ""
    requirement: Requirement | None = field(default=None, repr=False)
    editable: bool = False

    @property
    def shown(self) -> str:
        """Return the text without passwords."""
        return scrub(self.text)

    @property
    def is_pinned_to_file(self) -> bool:
        """Tell whether a URL or a path says where it comes from."""
        return self.requirement is None or self.requirement.url is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of pip, with its value.

    Attributes
    ----------
    name
        The long form, "--extra-index-url".
    value
        None where it takes none; it may hold a password.
    """

    name: str
    value: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Return it as pip reads it in a file."""
        return self.name if self.value is None else f"{self.name} {self.value}"

    @property
    def shown(self) -> str:
        """Return it without passwords."""
        return scrub(self.text)


class NoRequirement(Exception):  # noqa: N818 (becomes a `Problem` of the body)
    """A line is none; with what was seen and what to type."""

    def __init__(self, seen: str, *fix: str) -> None:
        super().__init__(seen)
        self.seen, self.fix = seen, fix
