"""Fetch a runfile: it is only unpacked, never run as an installer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.cuda.fetching.address import name_of, shown
from colabmagic.cuda.steps.base import InFolder
from colabmagic.cuda.steps.fetch import fetch_into

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from colabmagic.cuda.steps.base import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRunfile(InFolder):
    """Fetch NVIDIA's installer into the cache.

    Attributes
    ----------
    url
        Where it is.
    sha256
        Of its bytes, where somebody announces it.
    """

    kind: ClassVar[str] = "fetch-runfile"

    url: str = field(repr=False)  # it may hold a password
    sha256: str | None = None

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        return (f"download {shown(self.url)}",)

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data, without a login in the address."""
        return {**InFolder.to_dict(self), "url": shown(self.url)}

    def do(self, work: Work) -> None:
        """Fetch it; `Work.files` has its path under its name, which ends in ``.run``."""
        from colabmagic.cuda.fetching.download import Wanted  # noqa: PLC0415 (lazy)

        name = name_of(self.url).removesuffix(".run") + ".run"
        fetch_into(work, [Wanted(url=self.url, name=name, sha256=self.sha256)])
