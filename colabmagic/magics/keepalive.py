"""``%keepalive``: beats while work is done, and an end that does no harm."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from colabmagic.magics._base import parse
from colabmagic.magics._completion import completes
from colabmagic.magics._shown import is_last_line, is_whole_terminal_cell, once

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.keepalive.expiry import Hook
    from colabmagic.keepalive.options import KeepaliveOptions
    from colabmagic.keepalive.place import Place
    from colabmagic.keepalive.state import KeepaliveStatus

_NAME: Final = "keepalive"
_VERBS: Final = ("start", "status", "stop", "snippet")
_SYNC_S: Final = 300.0
_SYNCED: Final[dict[str, tuple[Hook, ...]]] = {}  # after which functions, and what
_TIME: Final = re.compile(r"\d[\d.]*[hms]?(?:\d+[ms]?)*")
_MEANT: Final = {
    "--stop": "%keepalive stop",
    "--status": "%keepalive status",
    "--snippet": "%keepalive snippet",
    "--time": "--for",
    "--hours": "--for 4h",
    "--until": "--for 4h",
    "--duration": "--for",
    "--url": "--notify",
    "off": "%keepalive stop",
    "end": "%keepalive stop",
    "on": "%keepalive",
}
_DURATIONS: Final = {"for_s": "--for", "every_s": "--every", "warn_s": "--warn"}


def _durations() -> list[str]:
    """Return what a time can be."""
    return ["1h", "2h", "4h", "8h", "12h"]


@magics_class
class KeepaliveMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic that keeps a notebook, as far as that can be done."""

    @completes(for_s=_durations)
    @magic_arguments()
    @argument(
        "verb",
        metavar="VERB",
        nargs="?",
        choices=_VERBS,
        help="start (default), status, stop, or snippet: a script for the console of "
        "Colab's page, unsupported",
    )
    @argument(
        "--for",
        dest="for_s",
        metavar="TIME",
        help="end after this time at the latest (default: 4h; at most 24h, and never "
        "beyond the machine's own end)",
    )
    @argument(
        "--every",
        dest="every_s",
        metavar="TIME",
        help="between two beats (default: 60s)",
    )
    @argument(
        "--while",
        dest="while_",
        choices=("busy", "gpu", "always"),
        help="busy (default): a cell, a job, a process or a GPU works; gpu: a GPU does; "
        "always: in any case, until the time is over",
    )
    @argument(
        "--then",
        choices=("nothing", "notify", "disconnect"),
        help="when it ends: nothing (default), post to --notify, or give Colab's machine "
        "back after all that was registered by on_expiry has ended well",
    )
    @argument(
        "--warn",
        dest="warn_s",
        metavar="TIME",
        help="so long before the end there is a notice (default: 15m; 0 for none)",
    )
    @argument(
        "--notify",
        metavar="URL",
        help="post the notice and the end to a chat's webhook; the URL is never shown",
    )
    @argument(
        "--gpu-percent",
        type=float,
        metavar="X",
        help="a GPU works from this use on (default: 5)",
    )
    @argument("-q", "--quiet", action="store_true", help="show nothing, only return")
    @line_magic
    def keepalive(self, line: str) -> KeepaliveStatus | None:
        """Keep the notebook while it works, as far as that can be done; say the rest.

        Jupyter counts each beat as activity. Colab may end a machine all the same, so
        have your work saved before: ``keepalive.on_expiry(save)``. The status is
        returned too: ``.beats``, ``.last``, ``.next``, ``.expires``, ``.reason``.

        Examples::

            %keepalive
            %keepalive --for 8h --notify https://…
            %keepalive status
            %keepalive stop
        """
        options = _parsed(self.keepalive, line)
        assert self.shell is not None
        verb = options.verb or "start"
        if verb != "start":
            _refuse_options(options, verb)
        if verb == "snippet":
            _snippet(options)
            return None
        if verb == "start":
            return _start(self.shell, options)
        found = _stop(self.shell) if verb == "stop" else status(self.shell)
        if verb == "stop":
            return _line(found, options, found.headline)
        return _whole(found, options)


def start(
    shell: InteractiveShell,
    options: KeepaliveOptions | None = None,
    *,
    show: bool = True,
) -> KeepaliveStatus:
    """Begin to beat in a kernel; what runs already ends before.

    Parameters
    ----------
    shell
        The shell of the running cell.
    options
        How long, how often, while what.
    show
        Whether the status line is shown in the running cell.

    Returns
    -------
    KeepaliveStatus
        Not running where there is nothing to do; its `reason` says why.

    Raises
    ------
    UsageError
        The machine cannot be given back here, and that was asked for.
    """
    from colabmagic.keepalive import service  # noqa: PLC0415 (lazy)
    from colabmagic.keepalive.options import KeepaliveOptions as Options  # noqa: PLC0415
    from colabmagic.keepalive.state import Cause  # noqa: PLC0415 (lazy)
    from colabmagic.magics import _colab_page, _heartbeat  # noqa: PLC0415 (lazy)

    options = options or Options()
    place = _place(shell, ask=True)
    if not place.beats:
        return service.described(_off(place), place)
    is_colabs = place.code in {"colab-web", "colab-client"}
    if options.then == "disconnect" and not is_colabs:
        raise UsageError(
            f"%{_NAME}: --then disconnect gives back a machine of Colab, and this is "
            f"{place.name}; leave it out"
        )
    service.stop(Cause.REPLACED)
    _heartbeat.write_anew()  # the older line must not go on saying that it is on
    line = _heartbeat.StatusLine(shell, place.short)
    line.open()
    started = service.start(
        options,
        send=_heartbeat.sender(shell),
        place=place,
        tell=line.tell,
        changed=line.changed,
        leave=_colab_page.give_back if is_colabs else None,
        hooks=_before_the_end,
    )
    if show:
        line.show()
    return started


def status(shell: InteractiveShell) -> KeepaliveStatus:
    """Return how it stands; asks nothing of a page.

    Parameters
    ----------
    shell
        The shell.
    """
    from colabmagic.keepalive import service  # noqa: PLC0415 (lazy)

    found = service.status()
    if found.place:
        return found
    place = _place(shell)
    return service.described(found if place.beats else _off(place), place)


def turn_off() -> None:
    """End it and leave nothing behind: for ``%unload_ext``."""
    service = sys.modules.get("colabmagic.keepalive.service")
    heartbeat = sys.modules.get("colabmagic.magics._heartbeat")
    if service is not None:
        from colabmagic.keepalive.state import Cause  # noqa: PLC0415 (it is there)

        service.stop(Cause.UNLOADED)
    _SYNCED.clear()  # it holds functions of the user
    if heartbeat is not None:
        heartbeat.write_anew()
        heartbeat.close()


def _start(
    shell: InteractiveShell, given: argparse.Namespace
) -> KeepaliveStatus | None:
    """Begin, with what was typed."""
    found = start(shell, _options(given), show=not given.quiet)
    if found.running:
        hidden: KeepaliveStatus = once(found)
        if is_last_line(_NAME):  # its value would be shown beside the line
            hidden.hide()  # type: ignore[attr-defined]  # it is for a notebook
        return hidden
    return _line(found, given, found.headline)


def _stop(shell: InteractiveShell) -> KeepaliveStatus:
    """End it; its line says so."""
    from colabmagic.keepalive import service  # noqa: PLC0415 (lazy)

    was_on = service.status().running or service.status().rests
    found = service.stop()
    heartbeat = sys.modules.get("colabmagic.magics._heartbeat")
    if heartbeat is not None:
        heartbeat.write_anew()
        heartbeat.close()
    return found if was_on else status(shell)


def _snippet(options: argparse.Namespace) -> None:
    """Print the script for the console of Colab's page; it is to be copied."""
    from colabmagic.keepalive import snippet  # noqa: PLC0415 (rarely asked for)
    from colabmagic.keepalive.errors import KeepaliveOptionError  # noqa: PLC0415
    from colabmagic.keepalive.options import parse_duration  # noqa: PLC0415

    times = {
        name: value
        for name in ("for_s", "every_s")
        if (value := getattr(options, name)) is not None
    }
    try:
        script = snippet.explained(
            **{name: parse_duration(value) for name, value in times.items()}
        )
    except KeepaliveOptionError as error:
        raise UsageError(f"%{_NAME} snippet: {error.what}; {error.hint}") from None
    print(script)  # noqa: T201 (the person copies it)


def _parsed(magic: Callable[..., Any], line: str) -> argparse.Namespace:
    """Parse the line; an address in it is not repeated where it is wrong."""
    try:
        return parse(magic, line.rstrip("; "), meant=_MEANT | _times(line))
    except UsageError as error:
        from colabmagic.keepalive.notify import without_addresses  # noqa: PLC0415 (rare)

        raise UsageError(without_addresses(str(error), line)) from None


def _times(line: str) -> dict[str, str]:
    """Return what is meant by a time without its option."""
    words = line.lower().split()
    return {word: f"%{_NAME} --for {word}" for word in words if _TIME.fullmatch(word)}


def _refuse_options(options: argparse.Namespace, verb: str) -> None:
    """Refuse what goes with start alone."""
    allowed = {"for_s", "every_s"} if verb == "snippet" else set()
    for name, value in vars(options).items():
        if name in {"verb", "quiet", *allowed} or value is None:
            continue
        option = _DURATIONS.get(name, f"--{name.strip('_').replace('_', '-')}")
        raise UsageError(f"%{_NAME} {verb} takes no {option}: type %{_NAME} {verb}")


def _options(given: argparse.Namespace) -> KeepaliveOptions:
    """Return the options, or refuse a value in one line."""
    from colabmagic.keepalive.errors import KeepaliveOptionError  # noqa: PLC0415 (lazy)
    from colabmagic.keepalive.options import (  # noqa: PLC0415 (lazy)
        KeepaliveOptions,
        parse_duration,
    )

    values: dict[str, Any] = {
        "while_": given.while_,
        "then": given.then,
        "notify_url": given.notify,
        "gpu_percent": given.gpu_percent,
    }
    if given.notify and given.then is None:
        values["then"] = "notify"
    try:
        for name, option in _DURATIONS.items():
            text = getattr(given, name)
            if text is not None:
                values[name] = _duration(parse_duration, option, text)
        return KeepaliveOptions(
            **{name: value for name, value in values.items() if value is not None}
        )
    except KeepaliveOptionError as error:
        raise UsageError(f"%{_NAME}: {error.what}; {error.hint}") from None


def _duration(parser: Callable[[str], float], option: str, text: str) -> float:
    """Return seconds, and name the option where there are none."""
    try:
        return parser(text)
    except ValueError as error:
        what = getattr(error, "what", str(error))
        hint = getattr(error, "hint", "")
        raise UsageError(f"%{_NAME}: {option}: {what}; {hint}") from None


def _place(shell: InteractiveShell, *, ask: bool = False) -> Place:
    """Return where this runs; on Colab the page may be asked."""
    from colabmagic.host import detect  # noqa: PLC0415 (lazy)
    from colabmagic.host.facts import HostKind  # noqa: PLC0415 (lazy)
    from colabmagic.keepalive.place import PLACES, place_of  # noqa: PLC0415 (lazy)
    from colabmagic.magics import _colab_page  # noqa: PLC0415 (lazy)

    if getattr(shell, "kernel", None) is None:  # a terminal on any machine
        return PLACES["terminal"]
    host = detect(shell=shell)
    is_page = None
    if ask and host.kind is HostKind.COLAB and host.variant != "enterprise":
        is_page = _colab_page.answers()
    return place_of(host, is_page=is_page)


def _off(place: Place) -> KeepaliveStatus:
    """Return the status where there is nothing to do."""
    from colabmagic.keepalive.state import KeepaliveStatus as Status  # noqa: PLC0415

    return replace(Status(), reason=place.short)


def _before_the_end() -> tuple[Hook, ...]:
    """Return what the user has registered, and the proof of what is on Drive after it."""
    from colabmagic.keepalive.expiry import HOOKS, Hooks  # noqa: PLC0415 (lazy)

    drive = sys.modules.get("colabmagic.drive.service")
    if drive is None or drive.watcher() is None:
        return HOOKS.all()
    users = HOOKS.all()
    if _SYNCED.get("after") != users:  # proven again after what is registered later
        own = Hooks()
        own.add(_sync, timeout_s=_SYNC_S, name="Drive --sync")
        _SYNCED.update(after=users, hooks=own.all())
    return (*users, *_SYNCED["hooks"])


def _sync() -> str:
    """Prove that what was written is on Google's servers; raise where it is not."""
    from colabmagic.drive import verbs  # noqa: PLC0415 (it is in use)
    from colabmagic.magics._drive_notices import keyboard_in_use  # noqa: PLC0415

    reason = keyboard_in_use()  # whom Google asks for consent must not meet that
    if reason is not None:
        raise OSError(f"nothing could be proven: {reason}")
    report = verbs.sync()
    headline: str = report.headline
    if not report.ok:
        raise OSError(headline)
    return headline


def _line(
    found: KeepaliveStatus, options: argparse.Namespace, line: str
) -> KeepaliveStatus | None:
    """Show one line, and return the status, which is not shown beside it."""
    shown: Any = once(found)
    if not options.quiet:
        print(line)  # noqa: T201 (all that there is to say)
        if is_whole_terminal_cell(_NAME):
            return None
    if is_last_line(_NAME):
        shown.hide()
    value: KeepaliveStatus = shown
    return value


def _whole(found: KeepaliveStatus, options: argparse.Namespace) -> KeepaliveStatus:
    """Show the whole status once, unless that is not wanted."""
    shown: Any = once(found)
    if options.quiet:
        if is_last_line(_NAME):
            shown.hide()
    elif not is_whole_terminal_cell(_NAME):
        display(shown)
    value: KeepaliveStatus = shown
    return value
