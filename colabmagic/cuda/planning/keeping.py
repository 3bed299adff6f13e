"""What is done with a toolkit when it is finished: it may be kept as one archive."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.methods.archive import why_not
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.compiler import BringCompiler
from colabmagic.cuda.steps.kept import Keep
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.planning.plan import Candidate, Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

_NOT_IN_OUR_FOLDER: Final = "apt"


def keeping(
    release: Release,
    facts: MachineFacts,
    options: Options,
    chosen: Candidate | None,
) -> tuple[Step, ...]:
    """Return the step that keeps the toolkit; nothing where it is not to be kept.

    Parameters
    ----------
    release, facts, options
        Of the plan.
    chosen
        The way that is taken.
    """
    if options.cache is None or chosen is None or isinstance(facts.kept, Unknown):
        return ()
    if chosen.method == _NOT_IN_OUR_FOLDER:
        return ()
    # With a g++ that came beside it, it is worth another archive: the next machine needs
    # that g++, too.
    is_more = any(isinstance(each, BringCompiler) for each in chosen.steps)
    if chosen.method == "archive" and not is_more:
        return ()
    name = release.version
    if chosen.method == "reuse":
        name = _name_of_ours(facts, chosen)
        is_kept = any(
            each.release == name and not why_not(each, release, facts, options)
            for each in facts.kept
        )
        if not name or is_kept:
            return ()
    step = Keep(
        folder=options.cache, release=name, arch=facts.arch, system=facts.system
    )
    return (step,)


def _name_of_ours(facts: MachineFacts, chosen: Candidate) -> str:
    """Return the release of the toolkit of ours that is used; empty: it is another's."""
    ours = {each.root for each in facts.toolkits if each.origin == "ours"}
    used = [each.root for each in chosen.steps if isinstance(each, Activate)]
    return next((PurePath(each).name for each in used if each in ours), "")
