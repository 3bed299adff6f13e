"""Fetch Debian packages, to unpack and not to install them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.cuda.fetching.address import scrub
from colabmagic.cuda.steps.base import InFolder
from colabmagic.cuda.steps.fetch import fetch_into

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from colabmagic.cuda.fetching.download import Wanted
    from colabmagic.cuda.steps.base import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDebs(InFolder):
    """Fetch Debian packages into the cache, with an apt state of our own: no root.

    Attributes
    ----------
    suites
        ``URL suite component …`` each, as in a line of ``sources.list``.
    packages
        Names; exactly these, without what they depend on.
    keyring
        File of the keys that may have signed the lists; None: all that apt trusts.
    arch
        As Debian calls it.
    """

    kind: ClassVar[str] = "fetch-debs"

    suites: tuple[str, ...]
    packages: tuple[str, ...]
    keyring: str | None = None
    arch: str = "amd64"

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        return (
            *(
                f"apt-get update, in a state of our own: {scrub(s)}"
                for s in self.suites
            ),
            f"apt-get download --print-uris {' '.join(self.packages)}",
            "download the packages that it names",
        )

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data, without a login in an address."""
        return {**InFolder.to_dict(self), "suites": [scrub(s) for s in self.suites]}

    def do(self, work: Work) -> None:
        """Fetch them; `Work.files` has each package's path under its file name then."""
        from colabmagic.cuda.errors import SourceUnreachableError  # noqa: PLC0415 (lazy)

        found = self._resolved(work)
        try:
            fetch_into(work, found)
        except SourceUnreachableError:  # a newer one may have taken its place
            newer = [] if work.offline else self._resolved(work, fresh=True)
            if newer in ([], found):
                raise
            fetch_into(work, newer)

    def _resolved(self, work: Work, *, fresh: bool = False) -> list[Wanted]:
        """Ask apt; without a network, remember what it said."""
        from colabmagic.cuda.fetching import apt, trouble  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.address import shown  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.download import Wanted  # noqa: PLC0415 (lazy)

        asked = json.dumps(["apt", self.suites, sorted(self.packages), self.arch])
        if work.offline:
            known = work.cache.note(asked).get("files", [])
            if not known:
                raise trouble.not_here(self.packages)
            return [Wanted(**row) for row in known]
        found = apt.resolve(
            self.packages,
            suites=self.suites,
            keyring=self.keyring,
            arch=self.arch,
            cache=work.cache,
            run=work.run,
            fresh=fresh,
        )
        rows = [{**asdict(each), "url": shown(each.url)} for each in found]
        work.cache.write_note(asked, {"files": rows})
        return list(found)
