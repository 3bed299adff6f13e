"""Fetch parts of a toolkit by NVIDIA's list of redistributable archives."""

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
class FetchRedist(InFolder):
    """Fetch the archives of some parts into the cache.

    Attributes
    ----------
    manifest_url
        Address of ``redistrib_<version>.json``.
    parts
        Their names in it: ``cuda_nvcc``; ``cuda_cccl|cccl|cuda_thrust`` takes the first
        that is there; one with ``?`` at its end may be absent.
    platform
        As the manifest calls it: ``linux-x86_64`` or ``linux-sbsa``.
    """

    kind: ClassVar[str] = "fetch-redist"

    manifest_url: str = field(repr=False)  # it may hold a password
    parts: tuple[str, ...]
    platform: str = "linux-x86_64"

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        return (
            f"download {shown(self.manifest_url)}",
            f"download its archives for {self.platform}: {', '.join(self.parts)}",
        )

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data, without a login in the address."""
        return {**InFolder.to_dict(self), "manifest_url": shown(self.manifest_url)}

    def do(self, work: Work) -> None:
        """Fetch them; `Work.files` has each archive's path under its name then."""
        from colabmagic.cuda.fetching.download import Wanted  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.manifest import archives  # noqa: PLC0415 (lazy)

        name = name_of(self.manifest_url)
        fetch_into(work, [Wanted(url=self.manifest_url, name=name)])
        text = work.files.pop(name).read_bytes()
        fetch_into(
            work,
            archives(
                text, url=self.manifest_url, parts=self.parts, platform=self.platform
            ),
        )
