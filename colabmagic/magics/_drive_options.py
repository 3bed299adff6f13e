"""Which options of ``%mount_drive`` go together, and what their values mean."""

from __future__ import annotations

import argparse
import re
from typing import Final

from IPython.core.error import UsageError

MODES: Final = ("auto", "colab", "api", "fuse")
_VERBS: Final = (
    "stage", "save", "pack", "ls", "status", "sync", "unmount", "doctor", "login",
)  # fmt: skip
_MOST_WORKERS: Final = 64
_LONGEST_S: Final = 86_400.0
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?B?)", re.IGNORECASE)
_API: Final = ("stage", "save", "pack", "ls", "sync", "doctor", "status")
# What each option goes with; ``path`` stands for mounting.
_GOES_WITH: Final[dict[str, tuple[str, ...]]] = {
    "mode": ("path",),
    "readonly": ("path",),
    "force": ("path",),
    "move_aside": ("path",),
    "timeout": ("path", "sync", "unmount", "login"),
    "watch": ("path",),
    "cd": ("path",),
    "creds": ("path", *_API),
    "drive": ("path", *_API),
    "to": ("stage",),
    "workers": ("stage",),
    "refresh": ("stage",),
    "keep_archive": ("stage",),
    "max_ratio": ("stage",),
    "max_size": ("stage",),
    "links": ("stage",),
    "newest": ("stage",),
    "client": ("login",),
}
_TEXTS: Final = ("path", "stage", "ls", "to", "cd", "creds", "drive", "client")
_LONG_DASHES: Final = ("\u2013", "\u2014")  # what editors make of two hyphens
_ID: Final = re.compile(r"[\w-]+")


def check(options: argparse.Namespace) -> str:
    """Return the verb of a line; ``path`` is mounting.

    Parameters
    ----------
    options
        As they were parsed.

    Raises
    ------
    UsageError
        One line that names both options which do not go together.
    """
    given = [name for name in _VERBS if _is_given(options, name)]
    if len(given) > 1:
        raise _refusal(f"--{given[0]} and --{given[1]} are two things: write two lines")
    _refuse_empty(options)
    verb = given[0] if given else "path"
    if options.path is not None and options.path.startswith(_LONG_DASHES):
        meant = "--" + options.path.lstrip("".join(_LONG_DASHES))
        raise _refusal(
            f"{options.path!r} begins with a long dash; did you mean {meant}"
        )
    if given and options.path is not None:
        raise _refusal(_one_word_too_many(verb, options.path))
    for name, verbs in _GOES_WITH.items():
        if _is_given(options, name) and verb not in verbs:
            raise _refusal(_not_together(name, verb, verbs))
    if verb == "login" and options.client is None:
        raise _refusal("--login needs --client FILE: the JSON of your own OAuth client")
    if options.drive is not None and not _ID.fullmatch(options.drive):
        raise _refusal("--drive takes the id of a shared drive: the end of its address")
    return verb


def _is_given(options: argparse.Namespace, name: str) -> bool:
    """Tell whether an option stands in the line."""
    value = getattr(options, name)
    return value is not None and (value is not False or name == "watch")


def _refuse_empty(options: argparse.Namespace) -> None:
    """Refuse a path or name without a letter."""
    for name in _TEXTS:
        value = getattr(options, name)
        if value is not None and not value.strip():
            raise _refusal(f"{_written(name)} is empty")
    for verb in ("save", "pack"):
        if not all(word.strip() for word in getattr(options, verb) or ()):
            raise _refusal(f"a path of --{verb} is empty")


def _one_word_too_many(verb: str, word: str) -> str:
    """Say what a word beside a verb could mean."""
    if verb == "login":
        return f"{word!r} is one word too many; did you mean --client {word}"
    return f"PATH ({word}) and --{verb} are two things: write two lines"


def _not_together(name: str, verb: str, verbs: tuple[str, ...]) -> str:
    """Say which options do not go together."""
    option = _written(name)
    others = [f"--{each}" for each in verbs if each != "path"]
    if verb == "path":
        return f"{option} goes with {' or '.join(others)}: add {others[0]}"
    if "path" in verbs:
        others.insert(0, "mounting")
    return f"{option} goes with {' or '.join(others)}, not with --{verb}"


def _written(name: str) -> str:
    """Return an argument as it is written."""
    return "PATH" if name == "path" else "--" + name.replace("_", "-")


def _refusal(message: str) -> UsageError:
    """Return the one line that the user sees."""
    return UsageError(f"%mount_drive: {message}  (%mount_drive? lists all options)")


def some_workers(text: str) -> int:
    """Return a number of connections."""
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_WORKERS:
        raise argparse.ArgumentTypeError(
            f"needs a whole number from 1 to {_MOST_WORKERS}, not {text!r}"
        )
    return int(text)


def some_seconds(text: str) -> float:
    """Return a length of time."""
    return _number(text, "a number of seconds", _LONGEST_S)


def some_times(text: str) -> float:
    """Return how many times larger something may get."""
    return _number(text, "a number above 0", 1e9)


def _number(text: str, what: str, most: float) -> float:
    """Return a positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:  # also nan
        raise argparse.ArgumentTypeError(f"needs {what}, not {text!r}")
    return value


def size_of(text: str) -> int:
    """Return a size in bytes: ``500MB``, ``50G``, ``2TiB``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"needs a size such as 50GB, not {text!r}")
    base = 1024 if match[3].lower().startswith("i") else 1000
    return int(float(match[1]) * base ** " KMGT".index(match[2].upper() or " "))
