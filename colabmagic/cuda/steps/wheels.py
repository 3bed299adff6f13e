"""Fetch the wheels that pip would take."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from colabmagic.cuda.steps.base import InFolder
from colabmagic.cuda.steps.fetch import fetch_into

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.fetching.download import Wanted
    from colabmagic.cuda.steps.base import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchWheels(InFolder):
    """Fetch wheels into the cache, as pip's own configuration finds them.

    Attributes
    ----------
    requirements
        As pip takes them; exactly these, without what they depend on.
    """

    kind: ClassVar[str] = "fetch-wheels"

    requirements: tuple[str, ...]

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        from colabmagic.cuda.fetching.pip_resolver import finder_argv  # noqa: PLC0415 (lazy)

        return (
            shlex.join(["python", *finder_argv(self.requirements)[1:]]),
            "download the wheels that pip would take",
        )

    def do(self, work: Work) -> None:
        """Fetch them; `Work.files` has each wheel's path under its name then."""
        from colabmagic.cuda.errors import SourceUnreachableError  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.pip_resolver import (  # noqa: PLC0415 (lazy)
            as_pip_fetches,
        )

        found = self._resolved(work)
        try:
            fetch_into(work, found)
        except SourceUnreachableError:
            if work.offline:
                raise
            private, session = as_pip_fetches(found, run=work.run)
            if tuple(found) == private and session is None:
                raise
            fetch_into(work, private, session=session)

    def _resolved(self, work: Work) -> list[Wanted]:
        """Ask pip; without a network, remember what it said."""
        from colabmagic.cuda.fetching import trouble  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.address import shown  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.download import Wanted  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.fetching.pip_resolver import resolve  # noqa: PLC0415 (lazy)

        asked = json.dumps(["pip", *sys.version_info[:2], *sorted(self.requirements)])
        if work.offline:
            known = work.cache.note(asked).get("files", [])
            if not known:
                raise trouble.not_here(self.requirements)
            return [Wanted(**row) for row in known]
        found = resolve(self.requirements, run=work.run)
        rows = [{**asdict(each), "url": shown(each.url)} for each in found]
        work.cache.write_note(asked, {"files": rows})
        return list(found)
