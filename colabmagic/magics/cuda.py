"""``%%cuda_install``: a CUDA toolkit that is planned, proven and can be taken back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from colabmagic.magics._base import parse
from colabmagic.magics._completion import completes
from colabmagic.magics._progress import DownloadProgress
from colabmagic.magics._shown import is_last_line, is_whole_terminal_cell, once

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from colabmagic.report.document import Document
    from colabmagic.report.progress import Progress

_NAME: Final = "cuda_install"
_VERBS: Final = ("plan", "list", "use", "verify", "rollback", "uninstall")
_MEANT: Final = {  # by those who know other programs
    "--dry-run": "--plan",
    "--status": "--list",
    "--switch": "--use",
    "--check": "--verify",
    "--undo": "--rollback",
    "--remove": "--uninstall",
    "--delete": "--uninstall",
}
_METHODS: Final = ("auto", "archive", "wheels", "redist", "deb", "apt", "runfile")
_EXT: Final = "ext"
_OF_INSTALL: Final = {  # as it is called here, and as it is written
    "torch": "--torch",
    "method": "--method",
    "parts": "--with",
    "mirror": "--mirror",
    "offline": "--offline",
    "cache": "--cache",
    "system": "--system",
}
_COLAB_MIME: Final = "application/vnd.colab-display-data+json"


def _known_versions() -> list[str]:
    """Return what a version can be."""
    from colabmagic.data.compat import minors  # noqa: PLC0415 (lazy)

    return ["torch", "auto", *reversed(minors())]


def _known_mirrors() -> list[str]:
    """Return the mirrors that have a name."""
    from colabmagic.cuda.packages.sources import MIRRORS  # noqa: PLC0415 (lazy)

    return list(MIRRORS)


@magics_class
class CudaMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic for CUDA toolkits."""

    @completes(version=_known_versions, mirror=_known_mirrors)
    @magic_arguments()
    @argument(
        "version",
        metavar="VERSION",
        nargs="?",
        help="12.4, 12.4.1, 12, cu118; auto: the newest that fits here; torch (default): "
        "the CUDA that PyTorch was built with",
    )
    @argument(
        "--plan", action="store_true", help="only say what would be done, and why"
    )
    @argument("--list", action="store_true", help="the toolkits that are here")
    @argument(
        "--use",
        action="store_true",
        help="let this kernel use one of ours; none: as before",
    )
    @argument(
        "--verify",
        metavar="VERSION",
        nargs="?",
        const="",
        help="prove one anew; ext: also build and call a PyTorch extension",
    )
    @argument("--rollback", action="store_true", help="take back what was done last")
    @argument("--uninstall", action="store_true", help="take a toolkit of ours away")
    @argument(
        "--torch", action="store_true", help="also install the PyTorch that fits it"
    )
    @argument(
        "--method",
        choices=_METHODS,
        help="where it comes from (default: the first way that fits)",
    )
    @argument(
        "--with",
        dest="parts",
        metavar="PARTS",
        help="libraries beside the compiler: cublas,cudnn,nccl,…",
    )
    @argument(
        "--mirror",
        metavar="WHERE",
        help="another server: nju or aliyun for PyTorch's wheels, a URL for NVIDIA's files too",
    )
    @argument(
        "--offline", action="store_true", help="fetch nothing: cache and disk only"
    )
    @argument(
        "--cache",
        metavar="FOLDER",
        help="keep downloads and finished toolkits here (Drive, too)",
    )
    @argument(
        "--system",
        action="store_true",
        help="for the whole machine: /usr/local/cuda, apt; needs root and --yes",
    )
    @argument(
        "--yes",
        action="store_true",
        help="allow what changes more than our own folder",
    )
    @argument("--json", action="store_true", help="print one JSON document instead")
    @argument("-q", "--quiet", action="store_true", help="show nothing, only return")
    @line_cell_magic
    def cuda_install(self, line: str, cell: str | None = None) -> Document | None:
        """Install a CUDA toolkit beside others: no root, proven by compiling, reversible.

        Lines below it are for pip; PyTorch comes from the right index. The outcome is
        returned too: ``.root``, ``.ladder``, ``.plan``.

        Examples::

            %cuda_install 13.0
            %cuda_install --plan 11.1
            %cuda_install --use 12.4

            %%cuda_install 11.8
            torch==2.5.1
            torchvision
        """
        line = line.rstrip("; ")
        options = parse(self.cuda_install, line, cell=cell is not None, meant=_MEANT)
        body = (cell or "").strip("\n")
        report = _RUN[_verb(options, body.strip())](options, body)
        shown = _shown(report, options)
        _offer_restart(report)
        return shown


def _verb(options: argparse.Namespace, body: str) -> str:
    """Return what is to be done, and refuse what does not go together."""
    chosen = [name for name in _VERBS if getattr(options, name) not in {None, False}]
    if options.verify == "" and options.version == _EXT:  # written with a blank
        options.verify, options.version = _EXT, None
    if options.verify == _EXT and options.version is not None:  # proven further
        chosen.remove("verify")
    if len(chosen) > 1:
        raise UsageError(
            f"%{_NAME}: --{chosen[0]} and --{chosen[1]} are two things: one a line"
        )
    verb = chosen[0] if chosen else "install"
    if verb == "install":
        _refuse_a_verb(options.version)
    if verb == "verify" and options.version is not None:
        if options.verify:
            raise UsageError(f"%{_NAME}: {options.version!r} is one word too many")
        options.verify = options.version
    if verb in {"list", "rollback"} and options.version is not None:
        raise UsageError(f"%{_NAME}: --{verb} takes no version")
    if verb not in {"install", "plan"}:
        _refuse_those_of_install(verb, options, body)
    if options.offline and options.mirror:
        raise UsageError(f"%{_NAME}: --offline fetches nothing, also from no --mirror")
    return verb


def _refuse_a_verb(version: str | None) -> None:
    """Refuse what is no version, but an option without its dashes."""
    if version in {"none", "off"}:
        raise UsageError(
            f"%{_NAME}: {version} goes with --use; type %{_NAME} --use none"
        )
    if version in _VERBS:
        raise UsageError(f"%{_NAME}: {version} is an option; type %{_NAME} --{version}")


def _refuse_those_of_install(verb: str, options: argparse.Namespace, body: str) -> None:
    """Refuse what this verb would not heed: nobody is to count on it."""
    if body:
        raise UsageError(f"%%{_NAME}: --{verb} takes no lines for pip")
    for name, written in _OF_INSTALL.items():
        if getattr(options, name) not in {None, False}:
            raise UsageError(
                f"%{_NAME}: {written} goes with installing, not with --{verb}"
            )


def _options(options: argparse.Namespace) -> Any:  # noqa: ANN401 (imported when used)
    """Return the options of a plan."""
    from colabmagic.cuda.planning.plan import Options  # noqa: PLC0415 (lazy)

    parts = (part.strip().lower() for part in (options.parts or "").split(","))
    return Options(
        method=options.method or "auto",
        parts=tuple(part for part in parts if part),
        torch=options.torch,
        system=options.system,
        mirror=options.mirror,
        offline=options.offline,
        cache=options.cache,
        yes=options.yes,
        verify=_EXT if options.verify == _EXT else "run",
    )


def _plan(options: argparse.Namespace, body: str) -> Document:
    """Say what would be done."""
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    return service.plan(options.version or "torch", body, options=_options(options))


def _install(options: argparse.Namespace, body: str) -> Document:
    """Do it; the plan is shown before anything is fetched."""
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    plan = service.plan(options.version or "torch", body, options=_options(options))
    silent = options.quiet or options.json
    if not silent and plan.can_run and not plan.is_reuse:
        display(once(plan))
    return service.install(plan, progress=_progress(options))


def _progress(options: argparse.Namespace) -> Progress:
    """Return what shows how far the work is."""
    if options.quiet or options.json:
        from colabmagic.report.progress import SILENT  # noqa: PLC0415 (a name)

        return SILENT
    return DownloadProgress()


def _offer_restart(report: Document) -> None:
    """Show Colab's own button to restart; elsewhere the report says what to do."""
    done = getattr(report, "packages", None)  # of an outcome; a plan has others
    restart = getattr(done, "restart", ())
    if not restart:
        return
    if report.plan.facts.host == "colab":  # type: ignore[attr-defined]  # an outcome
        warning = {"packages": list(restart)}
        data = {"pip_warning": warning, "id": uuid.uuid4().hex}
        display({_COLAB_MIME: data, "text/plain": ""}, raw=True)


def _list(options: argparse.Namespace, body: str) -> Document:
    """Show what is here."""
    del options, body
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    return service.overview()


def _use(options: argparse.Namespace, body: str) -> Document:
    """Switch this kernel."""
    del body
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    return service.use(options.version or "")


def _verify(options: argparse.Namespace, body: str) -> Document:
    """Prove one."""
    del body
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    is_ext = options.verify == _EXT
    return service.verify(
        None if is_ext else options.verify or None,
        ext=is_ext,
        progress=_progress(options),
    )


def _rollback(options: argparse.Namespace, body: str) -> Document:
    """Take the last change back."""
    del body
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    return service.rollback(progress=_progress(options))


def _uninstall(options: argparse.Namespace, body: str) -> Document:
    """Take one away."""
    del body
    from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

    return service.uninstall(options.version or "", progress=_progress(options))


_RUN: Final[dict[str, Callable[[argparse.Namespace, str], Document]]] = {
    "install": _install,
    "plan": _plan,
    "list": _list,
    "use": _use,
    "verify": _verify,
    "rollback": _rollback,
    "uninstall": _uninstall,
}


def _shown(report: Document, options: argparse.Namespace) -> Document:
    """Show a report once, unless that is not wanted."""
    shown: Any = once(report)
    if options.json and not options.quiet:
        print(report.to_json())  # noqa: T201 (one document, to be copied or piped)
    if options.json or options.quiet:
        if is_last_line(_NAME):  # its value would be shown; a name below it may be
            shown.hide()
    elif not is_whole_terminal_cell(_NAME):
        display(shown)
    value: Document = shown
    return value
