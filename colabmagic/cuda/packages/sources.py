"""Where the wheels of PyTorch come from, mirrors included."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import SourceUnreachableError
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.cuda.planning.plan import Problem
from colabmagic.data import compat

if TYPE_CHECKING:
    from colabmagic.cuda.packages.family import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A copy of PyTorch's wheels.

    Attributes
    ----------
    root
        The folder that holds ``cu118`` and its like.
    is_flat
        All wheels of one CUDA are links of one page; else each package has its own.
    """

    name: str
    root: str
    is_flat: bool


# As the facts that were gathered say; the pages of the mirrors themselves were not read.
MIRRORS = {
    "nju": Mirror(
        name="nju", root="https://mirrors.nju.edu.cn/pytorch/whl", is_flat=False
    ),
    "aliyun": Mirror(
        name="aliyun", root="https://mirrors.aliyun.com/pytorch-wheels", is_flat=True
    ),
}
# Mirrors of the package index that do not have PyTorch's own wheels.
WITHOUT_TORCH = ("tuna", "ustc", "bfsu", "douban", "tencent", "huawei")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the wheels of one build are listed.

    Attributes
    ----------
    url
        The page, or the index below which each package has one.
    is_flat
        Whether it is one page for all packages.
    official
        The same of PyTorch itself, where `url` is a mirror's: its checksums count.
    official_is_flat
        As `is_flat`.
    """

    url: str = field(repr=False)  # it may hold a password
    is_flat: bool
    official: str | None = None
    official_is_flat: bool = False

    @property
    def shown(self) -> str:
        """Return the address without passwords."""
        return scrub(self.url)

    def page(self, name: str) -> str:
        """Return the address of the page that lists the wheels of a package."""
        return _page(self.url, name, is_flat=self.is_flat)

    def official_page(self, name: str) -> str | None:
        """Return PyTorch's own page for a package; None: `page` is it."""
        if self.official is None:
            return None
        return _page(self.official, name, is_flat=self.official_is_flat)


def _page(url: str, name: str, *, is_flat: bool) -> str:
    """Return the page of a package."""
    if not is_flat:
        return f"{url.rstrip('/')}/{name}/"
    return url if url.endswith(".html") else f"{url.rstrip('/')}/"


def official_root() -> str:
    """Return the folder of all of PyTorch's indexes."""
    return str(compat.urls()["torch_index"]).rpartition("/")[0]


def source_of(build: Build, mirror: str | None) -> Source:
    """Return where to get a build.

    Parameters
    ----------
    build
        The build.
    mirror
        As in `colabmagic.cuda.planning.plan.Options`, checked by `mirror_problem`.
    """
    is_flat = build.release.index_kind == "find_links"
    urls = compat.urls()
    official = (
        str(urls["torch_find_links"])
        if is_flat
        else str(urls["torch_index"]).format(cuXXX=build.build)
    )
    if mirror is None or mirror in WITHOUT_TORCH:
        return Source(url=official, is_flat=is_flat)
    known = MIRRORS.get(mirror)
    if known is None:
        known = Mirror(name="", root=mirror.rstrip("/"), is_flat=False)
    return Source(
        url=f"{known.root}/{build.build}",
        is_flat=known.is_flat,
        official=official,
        official_is_flat=is_flat,
    )


def is_address(mirror: str) -> bool:
    """Tell whether a mirror is named by its address, and one that can be asked."""
    return bool(re.fullmatch(r"https?://[^/\s?#][^\s?#]*", mirror, re.IGNORECASE))


def unknown_mirror(mirror: str | None) -> Problem | None:
    """Return that a mirror is neither a name that is known nor an address, if so."""
    return None if mirror in WITHOUT_TORCH else mirror_problem(mirror)


def mirror_problem(mirror: str | None) -> Problem | None:
    """Return what is wrong with a mirror as a source of PyTorch."""
    if mirror is None or mirror in MIRRORS or is_address(mirror):
        return None
    names = ", ".join(MIRRORS)
    if mirror in WITHOUT_TORCH:
        what = f"the mirror {mirror} has no wheels of PyTorch for a CUDA of its own"
        seen = f"it copies the package index only; those that have them: {names}"
    else:
        what = f"there is no mirror called {scrub(mirror)!r}"
        seen = f"known by name: {names}; or give a URL"
    return Problem(
        code=SourceUnreachableError.code,
        what=what,
        seen=seen,
        fix=tuple(f"--mirror {name}" for name in MIRRORS),
    )
