"""What can be done with toolkits: plan, install, use, verify, take back, take away."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.carrying import carry_out, finish
from colabmagic.cuda.current import (
    capability,
    found,
    had_replaced,
    in_use,
    named,
    with_own_fixes,
)
from colabmagic.cuda.errors import (
    BusyError,
    CudaError,
    NeedsRootError,
    NotInstalledError,
    error_of,
)
from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.outcome import Done, Outcome, Toolkits, Verified
from colabmagic.cuda.planning.plan import Options, Plan
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.compiler import refuse_spaces
from colabmagic.cuda.steps.remove import Remove
from colabmagic.cuda.steps.system_link import SYSTEM_LINK, leads_to
from colabmagic.cuda.store.apply import Store
from colabmagic.cuda.store.inventory import installed, read_card, size_of
from colabmagic.cuda.store.layout import (
    Home,
    cache_folder,
    home_folder,
)
from colabmagic.cuda.switching import environment
from colabmagic.errors import interrupted
from colabmagic.host.command import run as run_program
from colabmagic.report.progress import SILENT
from colabmagic.report.size import in_words
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from colabmagic.cuda.machine.facts import MachineFacts, Toolkit
    from colabmagic.cuda.planning.plan import Problem
    from colabmagic.host.command import CommandOutcome
    from colabmagic.report.progress import Progress

AS_BEFORE: Final = "everything is as it was before; what was fetched is kept"
_DONE: Final = (
    "stopped, but it was done already; %cuda_install --rollback takes it back"
)


def plan(
    version: str = "torch",
    requirements: str | Iterable[str] = (),
    facts: MachineFacts | None = None,
    options: Options | None = None,
) -> Plan:
    """Say what would be done to have a toolkit; nothing is done.

    Parameters
    ----------
    version
        "12.4", "12.4.1", "12", "cu118", "auto" (the newest that fits), or "torch" (the
        CUDA that PyTorch was built with).
    requirements
        What pip shall install with it, in pip's syntax: lines, or one text.
    facts
        The machine; this one where left out.
    options
        Defaults to `Options()`.

    Returns
    -------
    Plan
        With ``can_run``; where it cannot be, ``problems`` say why and what can.

    Raises
    ------
    BadVersionError
        There is no such CUDA.
    RequirementError
        A line is no requirement.
    """
    from colabmagic.cuda.machine.probe import probe_machine  # noqa: PLC0415 (lazy)
    from colabmagic.cuda.planning.make import make_plan  # noqa: PLC0415 (lazy)

    body = requirements if isinstance(requirements, str) else "\n".join(requirements)
    options = options or Options()
    if facts is None:
        cache = cache_folder(options.cache) if options.cache else None
        facts = probe_machine(_home(), cache=cache)
    return make_plan(version, body, facts, options)


def install(
    plan: Plan,
    *,
    progress: Progress = SILENT,
    run: Callable[..., CommandOutcome] = run_program,
    session: Any = None,  # noqa: ANN401 (a requests.Session, which has no types)
) -> Outcome:
    """Carry a plan out; after any failure everything is as it was.

    Parameters
    ----------
    plan
        Of `plan`.
    progress
        Told what goes on.
    run
        Runs programs.
    session
        A ``requests.Session``; None: one is made where it is needed.

    Returns
    -------
    Outcome
        What was done, and what proves it.

    Raises
    ------
    CudaError
        It cannot be done (the plan's first problem), or it failed and was taken back.
    """
    began, before = time.monotonic(), environment.active_root()
    _refuse(plan)
    store = _store(plan.options, progress=progress, run=run, session=session)
    try:
        carried = carry_out(plan, store, before)
    except CudaError as error:
        if not isinstance(error, BusyError):
            parts = (error.seen, _state(store))
            error.seen = "; ".join(part for part in parts if part)
        raise
    except KeyboardInterrupt as error:
        told = f"stopped; {_state(store)}. Run this cell again to go on"
        interrupted(error, _DONE if store.after.is_whole else told)
        raise
    finish(carried)
    plan, work = carried.plan, carried.work
    ladder = work.ladder
    if ladder is not None and work.root is not None:  # it has its own name now
        ladder = replace(ladder, root=str(work.root))
    return Outcome(
        plan=plan,
        root=work.root,
        ladder=ladder,
        proven_at=work.proven_at,
        variables=dict(work.environment),
        packages=work.packages,
        fetched_bytes=work.fetched_bytes,
        notes=tuple(work.notes),
        seconds=time.monotonic() - began,
    )


def overview(facts: MachineFacts | None = None) -> Toolkits:
    """Return what is here: toolkits of ours and of others, and the cache.

    Parameters
    ----------
    facts
        The machine; this one where left out.
    """
    from colabmagic.cuda.machine.probe import probe_machine  # noqa: PLC0415 (lazy)

    home = _home()
    facts = facts or probe_machine(home)
    root = environment.active_root()
    return Toolkits(
        ours=tuple(installed(home)),
        others=tuple(each for each in facts.toolkits if each.origin != "ours"),
        active=None if root is None else str(root),
        cache_bytes=size_of(home.cache),
        folder=str(home.root),
    )


def use(version: str) -> Done:
    """Let this kernel use a toolkit of ours.

    Parameters
    ----------
    version
        "12.4", "12.4.1", "12"; or "none": what was before us is used again.

    Raises
    ------
    NotInstalledError
        It is not in our folder.
    """
    version = named(_home(), version, "use")
    if version.lower() == "none":
        environment.deactivate()
        home = os.environ.get("CUDA_HOME")
        told = f"CUDA_HOME is {home}" if home else "CUDA_HOME is not set"
        verdict = "this kernel uses what it used before"
        return Done(title="CUDA", verdict=verdict, summary=told)
    toolkit = found(_home(), version, others=_all_toolkits)
    environment.activate(Path(toolkit.root), toolkit.variables())
    return Done(
        title=f"CUDA {toolkit.name}",
        verdict="this kernel uses it",
        summary=toolkit.root,
        typed=("!nvcc --version",),
    )


def verify(
    version: str | None = None,
    *,
    ext: bool = False,
    facts: MachineFacts | None = None,
    progress: Progress = SILENT,
    run: Callable[..., CommandOutcome] = run_program,
) -> Verified:
    """Prove a toolkit anew.

    Parameters
    ----------
    version
        One of ours; None: the one that this kernel uses.
    ext
        Also build and call an extension of PyTorch.
    facts
        The machine; this one where left out.
    progress
        Told that it takes a while.
    run
        Runs programs.

    Raises
    ------
    NotInstalledError
        There is none.
    """
    from colabmagic.cuda.machine.probe import probe_machine  # noqa: PLC0415 (lazy)
    from colabmagic.cuda.verifying import verify_toolkit  # noqa: PLC0415 (lazy)

    if version is None:
        root, build, variables = in_use(_home())
    else:
        toolkit = found(_home(), version, others=_all_toolkits)
        root, build, variables = Path(toolkit.root), toolkit.build, toolkit.variables()
    facts = facts or probe_machine(_home())
    progress.start("building a PyTorch extension" if ext else "verifying by compiling")
    try:
        ladder = verify_toolkit(
            root,
            build=build,
            capability=capability(facts),
            own=variables,
            user=environment.without_ours(),
            run=run,
            ext=ext,
        )
    except KeyboardInterrupt as error:
        interrupted(error, "stopped; nothing was changed")
        raise
    finally:
        progress.finish()
    name = root.name if root.parent == _home().toolkits else None
    return Verified(ladder=with_own_fixes(ladder, _home()), name=name)


def rollback(*, progress: Progress = SILENT) -> Done:
    """Take the newest change back: the toolkit, links, packages.

    Parameters
    ----------
    progress
        Told that it takes a while.

    Raises
    ------
    NotInstalledError
        There is nothing, or it cannot be taken back.
    """
    home, used = _home(), environment.active_root()
    progress.start("taking back")
    try:
        change = _store(Options(), progress=progress).take_back_last()
    except KeyboardInterrupt as error:
        interrupted(error, "stopped half-way; %cuda_install --rollback goes on")
        raise
    finally:
        progress.finish()
    if change is None:
        raise NotInstalledError(
            "there is nothing to take back",
            seen=f"{home.journal} tells of no change",
            hint="%cuda_install --list"
            if used is None
            else "%cuda_install --use none\n(this kernel uses what it used before)",
        )
    if used is not None and not used.exists():
        environment.deactivate()
    elif used is not None and (
        str(used) != change.details.get("root") or change.details.get("was_used")
    ):
        card = read_card(used)  # it was in use before that change, or since
        variables = card.variables() if card else environment.variables_of(used)
        environment.activate(used, variables or {})
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(change.began))
    name = change.details.get("name")
    lost = f"; the {name} before it is not kept" if had_replaced(home, change) else ""
    return Done(
        title="CUDA",
        verdict=f"taken back: {change.what}",
        summary=f"of {when}; what was fetched is still in the cache{lost}",
        typed=(f"%cuda_install {name}",) if lost else ("%cuda_install --list",),
    )


def uninstall(version: str, *, progress: Progress = SILENT) -> Done:
    """Take a toolkit of ours away.

    Parameters
    ----------
    version
        As `use`.
    progress
        Told that it takes a while.

    Raises
    ------
    NotInstalledError
        It is not in our folder.
    """
    name = named(_home(), version, "uninstall")
    toolkit = found(
        _home(), name, hint="%cuda_install --list", only=True, others=_all_toolkits
    )
    progress.start(f"removing {toolkit.name}")
    store = _store(Options(), progress=progress)
    try:
        store.carry_out(
            f"uninstall CUDA {toolkit.name}",
            (Remove(name=toolkit.name),),
            details=lambda _: {"name": toolkit.name, "reversible": False},
        )
    except KeyboardInterrupt as error:
        gone = f"stopped, but CUDA {toolkit.name} is gone already"
        interrupted(
            error, gone if store.after.is_whole else f"stopped; {_state(store)}"
        )
        raise
    finally:
        progress.finish()
        is_used = environment.active_root() == Path(toolkit.root)
        if is_used and store.after.is_whole:  # only now: it may have failed
            environment.deactivate()
    dangling = (SYSTEM_LINK,) if leads_to(SYSTEM_LINK) == toolkit.root else ()
    return Done(
        title=f"CUDA {toolkit.name}",
        verdict="is gone",
        summary=f"{in_words(toolkit.size_bytes)} freed; {_later()}"
        + "".join(f"; {link} leads nowhere now" for link in dangling),
        typed=(f"%cuda_install {toolkit.name}", *(f"!rm {link}" for link in dangling)),
    )


def _later() -> str:
    """Return where a later install would take a toolkit from."""
    if size_of(_home().cache):
        return "a later install takes from the cache what is kept there"
    return (
        "our own cache is empty: a later install fetches it, or takes it from --cache"
    )


def _all_toolkits() -> Iterable[Toolkit]:
    """Return what is on this machine, whoever has installed it."""
    from colabmagic.cuda.machine.probe import probe_machine  # noqa: PLC0415 (lazy)

    return probe_machine(_home()).toolkits


def _state(store: Store) -> str:
    """Return what a failure has left."""
    if not store.after.failures:
        return AS_BEFORE
    first = store.after.failures[0]
    why = first.what if isinstance(first, CudaError) else str(first)
    return f"not all could be taken back ({why}): the next run tries that again"


def _home() -> Home:
    """Return our folder."""
    return Home(home_folder())


def _store(
    options: Options,
    *,
    progress: Progress = SILENT,
    run: Callable[..., CommandOutcome] = run_program,
    session: Any = None,  # noqa: ANN401 (as above)
) -> Store:
    """Return who changes our folder."""
    home = _home()
    cache = Cache(cache_folder(options.cache) if options.cache else home.cache)

    def make_work(staging: Path) -> Work:
        return Work(
            home=home,
            staging=staging,
            cache=cache,
            run=run,
            progress=progress,
            session=session,
            offline=options.offline,
        )

    return Store(home, make_work)


def refusal(problem: Problem) -> CudaError:
    """Return the error for what stands against a plan, as a person reads it.

    Parameters
    ----------
    problem
        Of the plan.
    """
    from colabmagic.cuda.report import choices  # noqa: PLC0415 (lazy)

    return error_of(replace(problem, fix=tuple(choices(problem.fix))))


def _refuse(plan: Plan) -> None:
    """Raise what stands against a plan, if anything does."""
    if plan.problems:
        raise refusal(plan.problems[0])
    if plan.chosen is None or plan.release is None:
        first = next((each.problem for each in plan.candidates if each.problem), None)
        if first is not None:
            raise refusal(first)
        raise CudaError(
            f"CUDA {clean(plan.wanted)} cannot be had here",
            hint=f"%cuda_install --plan {clean(plan.wanted)}\n(says why)",
        )
    brings = any(step.kind == "bring-compiler" for step in plan.chosen.steps)
    if brings:  # before anything is fetched
        refuse_spaces(str(_home().root))
    # The cell's own lines for pip were asked for, line by line.
    outside = dict.fromkeys(line for step in plan.chosen.steps for line in step.outside)
    if outside and not plan.options.yes:
        raise NeedsRootError(
            "this changes more than our own folder",
            seen="; ".join(outside),
            hint="add --yes to allow that, or leave --system out",
        )
