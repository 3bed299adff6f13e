"""Which options of ``%mount_drive`` go together, and what their values mean."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from IPython.core.error import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Runs = Sequence[tuple[str, Sequence[str]]]

MODES: Final = ("auto", "colab", "api", "fuse")
# What other tools call it.
MEANT: Final = {
    "--dest": "--to", "--dst": "--to", "--target": "--to", "--out": "--to",
    "--output": "--to", "--dir": "--to", "--folder": "--to",
    "--list": "--ls", "--upload": "--save", "--put": "--save", "--unzip": "--stage",
    "--extract": "--stage", "--umount": "--unmount", "--flush": "--sync",
    "--credentials": "--creds", "--key": "--creds", "--auth": "--login",
    "--download": "--stage for an archive; one file: from colabmagic import drive; "
    "drive.connect().download(REMOTE, LOCAL)",
}  # fmt: skip
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
_ROOTS: Final = re.compile(
    r"(?:/content/drive/|drive://)?(?:My ?Drive|Shared ?drives)(?:/|$)", re.IGNORECASE
)
_ARCHIVE: Final = re.compile(
    r"\.(?:tar|tgz|txz|tbz2?|tzst|zip|7z|tar\.\w+)$", re.IGNORECASE
)
_LIKE: Final = 0.85  # so much a word is like a verb that is written wrong


def check(options: argparse.Namespace, runs: Runs = ()) -> str:
    """Return the verb of a line; ``path`` is mounting.

    Parameters
    ----------
    options
        As they were parsed.
    runs
        The words after each option, as they are written.

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
    if options.path is not None:
        _refuse_long_dash(options.path)
        if given:
            raise _refusal(_one_word_too_many(options, verb, runs))
        _refuse_verb(options.path)
        _refuse_split(options.path, runs)
    for name, verbs in _GOES_WITH.items():
        if _is_given(options, name) and verb not in verbs:
            raise _refusal(_not_together(name, verb, verbs))
    if verb == "login" and options.client is None:
        raise _refusal("--login needs --client FILE: the JSON of your own OAuth client")
    if verb in {"save", "pack"}:
        _refuse_swapped(verb, *getattr(options, verb))
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


def _one_word_too_many(options: argparse.Namespace, verb: str, runs: Runs) -> str:
    """Say what a word beside a verb could mean."""
    word = options.path
    option, values = _run_of(word, runs)
    bare = [_bare(value) for value in values]
    joined = " ".join(bare)
    if verb == "login" and option != "--client":
        return f"{word!r} is one word too many; did you mean --client {word}"
    if verb in {"save", "pack"} and option == f"--{verb}":
        one, other = _parted(bare)
        return f'what has blanks needs quotes: {option} "{one}" "{other}"'
    if option == "--stage" and (_is_quoted(values[0]) or _ARCHIVE.search(bare[0])):
        return f"{word!r} is one word too many; did you mean --to {values[1]}"
    if option and getattr(options, option[2:].replace("-", "_"), None) == bare[0]:
        return f'what has blanks needs quotes: {option} "{joined}"'
    return f"PATH ({word}) and --{verb} are two things: write two lines"


def _run_of(word: str, runs: Runs) -> tuple[str, Sequence[str]]:
    """Return the option that a word follows, and all that does."""
    for option, values in runs:
        if word in map(_bare, values):
            return option, values
    return "", ()


def _parted(words: Sequence[str]) -> tuple[str, str]:
    """Return what is probably FILE, and what is REMOTE: it begins with a root of Drive."""
    for number in range(1, len(words)):
        if _ROOTS.match(" ".join(words[number:])):
            return " ".join(words[:number]), " ".join(words[number:])
    return " ".join(words[:-1]), words[-1]


def _is_quoted(word: str) -> bool:
    """Tell whether a word stands in quotes."""
    return len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"


def _bare(word: str) -> str:
    """Return a word without its quotes."""
    return word[1:-1] if _is_quoted(word) else word


def _refuse_long_dash(path: str) -> None:
    """Refuse an option whose two hyphens an editor has changed."""
    if path.startswith(_LONG_DASHES):
        meant = "--" + path.lstrip("".join(_LONG_DASHES))
        raise _refusal(f"{path!r} begins with a long dash; did you mean {meant}")


def _refuse_verb(path: str) -> None:
    """Refuse the name of a verb that stands without its dashes: it would be a folder."""
    if "/" in path:
        return
    near = difflib.get_close_matches(path.lower(), _VERBS, n=1, cutoff=_LIKE)
    if near:
        raise _refusal(
            f"did you mean --{near[0]}; a folder of that name is written ./{path}"
        )


def _refuse_split(path: str, runs: Runs) -> None:
    """Refuse a PATH that is the end of a value with blanks, and would become a folder."""
    option, values = _run_of(path, runs)
    joined = " ".join(map(_bare, values))
    is_folder = (
        option == "--cd" and _ROOTS.match(joined) and not _ROOTS.match(values[0])
    )
    is_file = option == "--creds" and os.path.lexists(Path(joined).expanduser())
    if (is_folder or is_file) and not any(map(_is_quoted, values)):
        raise _refusal(f'what has blanks needs quotes: {option} "{joined}"')


def _refuse_swapped(verb: str, local: str, remote: str) -> None:
    """Refuse what is to be uploaded, and is no file here but a path on Drive, or several."""
    if os.path.lexists(Path(local).expanduser()):
        return
    what = "FILE" if verb == "save" else "FOLDER"
    if _ROOTS.match(local) and not _ROOTS.match(remote):
        raise _refusal(f'{what} comes first: --{verb} "{remote}" "{local}"')
    if verb == "save" and any(sign in local for sign in "*?"):
        above = os.path.dirname(local) or "FOLDER"  # noqa: PTH120 (a text)
        raise _refusal(
            f"--save takes one file; many go as one archive: --pack {above} "
            f'"{remote.rstrip("/")}/NAME.tar.gz"'
        )


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
