"""Which CUDA the user means, and which release that is on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import (
    BadVersionError,
    DriverTooOldError,
    GpuNotSupportedError,
    PlatformUnsupportedError,
    TorchIsCpuError,
)
from colabmagic.cuda.planning.limits import is_managed, newer_driver
from colabmagic.data import compat
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.data.compat import Release

_OLDEST_GLIBC = (2, 17)  # of NVIDIA's archives and wheels
_LONGEST_SHOWN = 40
_NUMBERS = re.compile(r"(\d{1,4})(?:[.\-_](\d{1,4}))?(?:[.\-_](\d{1,4}))?", re.ASCII)
_WHEEL_TAG = re.compile(r"cu(\d{2,3})", re.ASCII)
_WORDS = re.compile(r"^(?:nvidia[\s-]*)?cuda(?:[\s-]*toolkit)?[\s\-=]*|^v(?=\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A CUDA as the user named it.

    Attributes
    ----------
    text
        As it was written.
    kind
        ``version``; ``auto``: the newest that this machine runs; ``torch``: that of
        the PyTorch that is installed.
    major
        12; None for ``auto`` and ``torch``.
    minor
        "12.4"; None where only the major version was named.
    patch
        1 of "12.4.1", 148 of "9.2.148"; None where it was not named.
    """

    text: str
    minor: str | None = None
    patch: int | None = None
    kind: str = "version"
    major: int | None = None

    @property
    def version(self) -> str | None:
        """Return the full version, if one was named."""
        return f"{self.minor}.{self.patch}" if self.patch is not None else None


def parse_wanted(text: str) -> Wanted:
    """Read what the user wrote behind ``%cuda_install``.

    Parameters
    ----------
    text
        Such as ``11.1``, ``12``, ``12.4.1``, ``cu118``, ``v12.4``, ``12-4``, ``auto``
        or ``torch``.

    Raises
    ------
    BadVersionError
        There is no such CUDA; the nearest is named.
    """
    word = _WORDS.sub("", text.strip().lower()).strip()
    if word in {"auto", "torch"}:
        return Wanted(text=text, kind=word)
    if tag := _WHEEL_TAG.fullmatch(word):
        return _existing(text, *_of_tag(tag[1]))
    if found := _NUMBERS.fullmatch(word):
        return _existing(text, *(int(part) for part in found.groups() if part))
    raise BadVersionError(
        f"{_shown(text)} is no version of CUDA",
        seen="expected something like 11.8, 12, 12.4.1, cu118, auto or torch",
        hint=_type(_guess(word) or "auto"),
    )


def _of_tag(digits: str) -> tuple[int, ...]:
    """Return the numbers of a wheel's tag: 118 → 11.8, 92 → 9.2, 12 → 12."""
    if re.fullmatch(r"1\d", digits):  # as in nvidia-cublas-cu12; cu92 is 9.2
        return (int(digits),)
    return int(digits[:-1]), int(digits[-1])


def _shown(text: str) -> str:
    """Return the user's text for a message, short and on one line."""
    short = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return repr(short)


def _type(version: str) -> str:
    """Return what to type for a version."""
    return f"%cuda_install {version}"


def _newest() -> Release:
    """Return the newest release."""
    return compat.releases()[-1]


def _guess(word: str) -> str | None:
    """Return a version that may be meant by a text that is none."""
    numbers = re.findall(r"\d+", word, re.ASCII)
    guess = ".".join(numbers[:2])
    return guess if guess in compat.minors() else None


def _existing(
    text: str, major: int, minor: int | None = None, patch: int | None = None
) -> Wanted:
    """Return these numbers as a wish if there is such a CUDA.

    Raises
    ------
    BadVersionError
        There is none.
    """
    _check_major(text, major, minor)
    if minor is None:
        return Wanted(text=text, major=major)
    name = f"{major}.{minor}"
    _check_minor(name)
    if patch is not None:
        _check_patch(name, f"{name}.{patch}")
    return Wanted(text=text, major=major, minor=name, patch=patch)


def _check_major(text: str, major: int, minor: int | None) -> None:
    """Refuse what lies outside of the table.

    Raises
    ------
    BadVersionError
        It is older than the oldest, newer than the newest, or has lost its point.
    """
    oldest, newest = compat.releases()[0], _newest()
    named = f"{major}" if minor is None else f"{major}.{minor}"
    without_point = f"{named[:-1]}.{named[-1]}"
    if minor is None and without_point in compat.minors():
        raise BadVersionError(
            f"{_shown(text)} is no version of CUDA",
            seen=f"it may stand for {without_point}",
            hint=_type(without_point),
        )
    if (major, minor or 0) > newest.numbers[:2]:
        raise BadVersionError(
            f"CUDA {named} is newer than what is known here",
            seen=f"the newest in the table of {compat.as_of()} is {newest.minor}",
            hint=f"{_type(newest.minor)}\n%pip install -U colabmagic",
        )
    if major < oldest.major:
        raise BadVersionError(
            f"CUDA {named} is too old",
            seen=f"the table begins with {oldest.minor}, of {oldest.release_date[:4]}",
            hint=_type(oldest.minor),
        )


def _check_minor(name: str) -> None:
    """Refuse a minor version that never was.

    Raises
    ------
    BadVersionError
        NVIDIA has left it out, or the major version ended before it.
    """
    if name in compat.minors():
        return
    wanted = compat.numbers(name)
    below = [each for each in compat.minors() if compat.numbers(each) < wanted]
    above = [each for each in compat.minors() if compat.numbers(each) > wanted]
    same_major = [each for each in above if compat.numbers(each)[0] == wanted[0]]
    if same_major:
        seen = f"NVIDIA went from {below[-1]} to {above[0]}"
        nearest = same_major[0]
    else:
        seen = f"the last one of CUDA {wanted[0]} is {below[-1]}"
        nearest = below[-1]
    was_left_out = name in compat.never_released()
    raise BadVersionError(
        f"CUDA {name} was never released"
        if was_left_out
        else f"there is no CUDA {name}",
        seen=seen,
        hint=_type(nearest),
    )


def _check_patch(minor: str, version: str) -> None:
    """Refuse a release that never was.

    Raises
    ------
    BadVersionError
        It is a compiler's build number, or its minor version has other releases.
    """
    known = [each for each in compat.releases() if each.minor == minor]
    if version in {each.version for each in known}:
        return
    newest = known[-1]
    builds = {wheel for each in known for wheel in each.nvcc_wheels}
    builds |= {each.build for each in compat.nvcc_builds()}
    if version in builds:
        what = f"{version} is the build number of a compiler, not a release of CUDA"
        seen = f"it belongs to CUDA {minor}"
        raise BadVersionError(what, seen=seen, hint=_type(minor))
    if newest.version == minor:
        seen = f"the table of {compat.as_of()} knows {minor} without a third number"
    else:
        seen = f"{minor} has {_listed([each.version for each in known])}"
    wanted = compat.numbers(version)
    nearest = min(known, key=lambda each: (_distance(each, wanted), each.numbers))
    raise BadVersionError(
        f"there is no CUDA {version}", seen=seen, hint=_type(nearest.version)
    )


def _distance(each: Release, wanted: tuple[int, ...]) -> int:
    """Return how far a release is from a third number."""
    return abs(each.numbers[-1] - wanted[-1])


def _listed(words: list[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def choose_release(wanted: Wanted, facts: MachineFacts) -> Release:
    """Return the release that a wish means on this machine.

    A version that was named is taken as it is: whether the machine runs it, the plan
    says. ``auto`` and a bare major version mean the newest that driver, GPU and C
    library allow.

    Parameters
    ----------
    wanted
        What `parse_wanted` returned.
    facts
        The machine.

    Raises
    ------
    BadVersionError
        ``torch`` is wanted, and there is none, or its CUDA is not in the table.
    TorchIsCpuError
        ``torch`` is wanted, and it is built for the CPU.
    PlatformUnsupportedError, DriverTooOldError, GpuNotSupportedError
        ``auto`` is wanted, and no release goes with the machine.
    """
    if wanted.version is not None:
        return compat.release(wanted.version)
    if wanted.minor is not None:
        return compat.newest_of(wanted.minor)
    if wanted.kind == "torch":
        return _of_torch(facts)
    if wanted.major is None:
        return _newest_that_fits(facts, compat.releases())
    those = tuple(each for each in compat.releases() if each.major == wanted.major)
    try:
        return _newest_that_fits(facts, those)
    except (PlatformUnsupportedError, DriverTooOldError, GpuNotSupportedError):
        return those[-1]  # the plan tells what stands against it


def _of_torch(facts: MachineFacts) -> Release:
    """Return the CUDA that the installed PyTorch was built with.

    Raises
    ------
    BadVersionError, TorchIsCpuError
        See `choose_release`.
    """
    here = facts.torch
    if here is None:
        raise BadVersionError(
            "PyTorch is not installed here, so its CUDA cannot be taken",
            hint=_type("auto"),
        )
    if here.cuda is None:
        raise TorchIsCpuError(
            "the PyTorch here is built for the CPU: it has no CUDA that could be taken",
            seen=f"torch {here.version}",
            hint="%%cuda_install auto\ntorch",
        )
    if here.cuda not in compat.minors():
        raise BadVersionError(
            f"the PyTorch here is built with CUDA {here.cuda}, which is not known",
            seen=f"torch {here.version}; the table is of {compat.as_of()}",
            hint=_type("auto"),
        )
    return compat.newest_of(here.cuda)


def _newest_that_fits(facts: MachineFacts, those: tuple[Release, ...]) -> Release:
    """Return the newest of some releases that the machine runs.

    Raises
    ------
    PlatformUnsupportedError, DriverTooOldError, GpuNotSupportedError
        None does; the first limit that leaves nothing is named.
    """
    if facts.glibc is None or facts.glibc < _OLDEST_GLIBC:
        raise PlatformUnsupportedError(
            "NVIDIA's toolkits want the GNU C library 2.17 or newer",
            seen=f"{facts.os_name}, glibc {_dotted(facts.glibc)}",
            hint="run the notebook on Ubuntu, Debian, or in their containers",
        )
    by_driver = [each for each in those if _driver_runs(each, facts)]
    if not by_driver:
        raise DriverTooOldError(
            f"the driver runs no CUDA {those[0].minor} or newer",
            seen=f"driver {facts.driver}; wanted at least {those[0].driver_min}",
            hint="choose another runtime: its host has another driver"
            if is_managed(facts)
            else "\n".join(newer_driver(those[0], facts)),
        )
    by_gpu = [each for each in by_driver if _makes_code(each, facts)]
    if not by_gpu:
        names = _listed([gpu.name for gpu in facts.gpus])
        raise GpuNotSupportedError(
            f"no CUDA from {those[0].minor} to {by_driver[-1].minor} has code for "
            f"the GPU here",
            seen=names,
            hint="choose a machine with a T4, L4, A100 or newer",
        )
    return by_gpu[-1]


def _dotted(numbers: tuple[int, ...] | None) -> str:
    """Return "2.35"."""
    return ".".join(map(str, numbers)) if numbers else "not found"


def _driver_runs(release: Release, facts: MachineFacts) -> bool:
    """Tell whether the driver runs a release, its PTX included.

    Without a driver everything goes: it can be compiled for.
    """
    driver, newest = facts.driver, facts.driver_cuda
    if driver is None or isinstance(driver, Unknown):
        return True
    if compat.numbers(driver) < compat.numbers(release.driver_min):
        return False
    # A newer minor version runs on it as well, but for PTX: of that nobody is to
    # find out by an error in a library.
    if newest is None or isinstance(newest, Unknown):
        return True
    return release.numbers[:2] <= newest


def _makes_code(release: Release, facts: MachineFacts) -> bool:
    """Tell whether a release has code for all GPUs whose kind is known."""
    known = [gpu.capability for gpu in facts.gpus]
    return all(
        isinstance(capability, Unknown) or release.code_for(capability) is not None
        for capability in known
    )
